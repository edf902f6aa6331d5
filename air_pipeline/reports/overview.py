"""The hourly coverage of a day as a small PNG, for Dagster's metadata.

Belongs here: the places and colours of that picture. Does not: what is drawn (`contents`), the page (`page`).

It is drawn in the numbers of a palette of sixteen colours, which makes a small file: from ink to paper in steps, as
the edges of letters need them, and those of the bars. Blue and vermillion are Okabe and Ito's (2008), which do not rely
on telling red from green. The font that comes with Pillow has no letters beyond ASCII.
"""

import io
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import chain

from PIL import Image, ImageDraw, ImageFont

from air_pipeline.processing.aggregates import COMPLETE_SHARE
from air_pipeline.reports.clock import DayClock, apart
from air_pipeline.reports.contents import CoverageStrip, DayReport

MOST_DEVICES = 12
BLUE, VERMILLION, EMPTY = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0xE8, 0xEA, 0xED)
LEFT, RIGHT, TOP = 112, 408, 22
"""The edges of the bars, in pixels; the first is below `TOP`."""
ROW, BAR = 16, 13
"""From bar to bar, and how high one is."""
_WIDTH, _FOOT, _BESIDE = 420, 20, 6
_GREYS = tuple((level, level, level) for level in range(0x33, 0x100, 0x11))
_INK, _PAPER = 0, len(_GREYS) - 1
_PALETTE = (*_GREYS, BLUE, VERMILLION, EMPTY)
_FONT_SIZE = 12
_LABEL = 18
"""Labels of hours are at least so far apart."""
_HOUR = timedelta(hours=1)


def overview_png(report: DayReport) -> bytes:
    """A row for each of the worst devices, a bar for each hour: as high as its coverage, vermillion if not complete."""
    pages = report.devices[:MOST_DEVICES]
    foot = TOP + ROW * max(len(pages), 1)
    image = Image.new("L", (_WIDTH, foot + _FOOT), _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(_FONT_SIZE)
    coverage = "nothing expected" if report.counts.coverage is None else f"coverage {report.counts.coverage:.1%}"
    draw.text((LEFT, 3), f"{report.day}: {coverage}, by device and hour", _INK, font)
    clocks = [page.clock for page in pages]
    scale = (RIGHT - LEFT) / max((clock.elapsed_hours for clock in clocks), default=24.0)
    for number, page in enumerate(pages):
        bottom = TOP + ROW * number + BAR
        draw.text((LEFT - _BESIDE, bottom - BAR / 2), _shortened(page.summary.device, font), _INK, font, anchor="rm")
        for hour, share in zip(page.clock.hours, mean_coverage(page.strips), strict=True):
            begin, end = ((at - page.clock.start) / _HOUR for at in (hour.start_utc, hour.end_utc))
            left, right = LEFT + round(begin * scale), LEFT + round(end * scale) - 2
            draw.rectangle((left, bottom - BAR + 1, right, bottom), _PALETTE.index(EMPTY))
            if height := round(BAR * share) or (share > 0):
                colour = BLUE if share >= COMPLETE_SHARE else VERMILLION
                draw.rectangle((left, bottom - height + 1, right, bottom), _PALETTE.index(colour))
    ticks = _usual(clocks).ticks if clocks else ()
    places = apart([LEFT + round(tick.at * scale) for tick in ticks], _LABEL)
    for place, tick in zip(places, ticks, strict=True):
        draw.text((place, foot + 2), tick.label, _INK, font, anchor="ma")
    image.putpalette([*chain(*_PALETTE)])
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


def mean_coverage(strips: Sequence[CoverageStrip]) -> list[float]:
    """The coverage of each hour over the series of a device; 0 where nothing was expected."""
    series = sum(len(strip.series) for strip in strips)
    hours = zip(*(strip.cells for strip in strips), strict=True)
    return [
        sum(len(strip.series) * (cell.coverage or 0.0) for strip, cell in zip(strips, cells, strict=True)) / series
        for cells in hours
    ]


def _usual(clocks: Sequence[DayClock]) -> DayClock:
    """The clock that most of them have."""
    [(zone, _)] = Counter(clock.timezone for clock in clocks).most_common(1)
    return next(clock for clock in clocks if clock.timezone == zone)


def _shortened(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """A name that fits beside the bars."""
    ends = (name, *(f"{name[:length]}.." for length in range(len(name) - 1, 0, -1)))
    return next(one for one in ends if font.getlength(one) <= LEFT - 2 * _BESIDE)

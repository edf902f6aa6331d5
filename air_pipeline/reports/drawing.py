"""The curve of a series as an inline SVG element.

Belongs here: where lines, marks, ticks and labels of a picture stand. Does not: which points there are (`curves`),
colours and widths (`page.css`), the words around (`page`).

The unit is a tenth of a CSS pixel at a picture's natural size: coordinates are whole numbers, and the same curve is the
same text. Everything of one kind is one path: a page has hundreds of pictures.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

import numpy as np
import numpy.typing as npt

from air_pipeline.reports.clock import DayClock, apart
from air_pipeline.reports.contents import Band, SeriesDay
from air_pipeline.reports.curves import Curve, Floats, Points
from air_pipeline.showing import plain

WIDTH, HEIGHT = 3000, 1320
TOP, RIGHT, FOOT = 80, WIDTH - 80, HEIGHT - 240
"""The upper edge of the curve, its right one, and the axis below."""
_LEFT = 400
_DIGIT, _BESIDE = 60, 50
"""The width of a character, and the room between a label and the axis."""
_LABEL = 180
"""Labels of hours are at least so far apart."""
_RUG = 40
"""Height of the band on the axis in which missing slots are marked."""
FLOOR = FOOT - _RUG - 20
"""The lower edge of the curve, above that band."""
_DIAMOND, _CROSS = 32, 24
"""Half the width of a mark."""
_LEAST_STEPS = 10
"""A picture is at least so many steps of the sensor high: its noise is not to look like weather."""
_MOST_TICKS = 5
_LETTER, _LONGEST_SAID = 52, 40
"""The width of a letter of what was said by hand, and how many there are at most."""
_SAID_LINE, _ABOVE = 100, 15
_ROUND = tuple(map(Decimal, ("1", "2", "5", "1E1")))


@dataclass(frozen=True, slots=True)
class Scale:
    """The values at the lower and upper edge of a picture."""

    low: float
    high: float

    def outside(self, values: Floats) -> npt.NDArray[np.bool_]:
        """Which values do not fit."""
        return (values < self.low) | (values > self.high)

    @property
    def ticks(self) -> list[Decimal]:
        """Two to five round numbers inside, with as many decimals as tell them apart."""
        exponent = math.floor(math.log10((self.high - self.low) / _MOST_TICKS))
        for step in (one.scaleb(exponent) for one in _ROUND):
            first, last = math.ceil(self.low / float(step)), math.floor(self.high / float(step))
            if last - first < _MOST_TICKS:
                break
        return [number * step for number in range(first, last + 1)]


def scale_of(days: Sequence[SeriesDay]) -> Scale | None:
    """One scale for series that are compared: all that is valid, and of the rest what is near it; None for nothing."""
    valid = np.concatenate([_numbers(day.curve.line.y) for day in days])
    marks = np.concatenate([_numbers(points.y) for day in days for points in (day.curve.suspect, day.curve.bad)])
    if not len(valid):
        valid, marks = marks, marks[:0]
    if not len(valid):
        return None
    low, high = float(valid.min()), float(valid.max())
    reach = max(high - low, _LEAST_STEPS * max(day.series.step for day in days))
    if reach <= 1e-9 * max(abs(low), abs(high)):  # too little for floats to tell heights apart
        reach = 0.01 * max(abs(low), abs(high), 1.0)
    near = marks[(marks >= low - reach) & (marks <= high + reach)]
    low, high = min(low, *near.tolist()) if len(near) else low, max(high, *near.tolist()) if len(near) else high
    spare = max(reach - (high - low), 0.0) / 2 + 0.06 * max(reach, high - low)
    return Scale(low - spare, high + spare)


def _numbers(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def curve_svg(curve: Curve, scale: Scale | None, clock: DayClock, text: str, bands: Sequence[Band] = ()) -> str:
    """One series of one day as an inline SVG element.

    Args:
        curve: the thinned series.
        scale: of its values; None if it has none.
        clock: of its day.
        text: what it shows, in words.
        bands: what was marked by hand.
    """
    labels = [f"{tick:,f}".replace("-", "−").replace(",", "\u2009") for tick in scale.ticks] if scale else []
    left = max([_LEFT, *(len(label) * _DIGIT + 2 * _BESIDE for label in labels)])
    frame = Frame(clock.elapsed_hours, scale or Scale(0.0, 1.0), left)
    heights = frame.y(frame.scale.ticks) if scale else []
    parts = [
        *_bands(frame, bands),
        *_grid(frame, heights),
        *_labels(frame, heights, labels),
        *_hours(frame, clock),
        *_curve(frame, curve),
        *_band_labels(frame, bands),
    ]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(text)}">{"".join(parts)}</svg>'


@dataclass(frozen=True, slots=True)
class Frame:
    """Where hours and values lie in a picture.

    Attributes:
        hours: how long the day is.
        scale: from the lower to the upper edge.
        left: where the day begins.
    """

    hours: float
    scale: Scale
    left: int = _LEFT

    def x(self, hours: Iterable[float]) -> list[int]:
        """The places of elapsed hours."""
        return _whole(self.left + (RIGHT - self.left) / self.hours * np.array([*hours], dtype=np.float64))

    def y(self, values: Iterable[float | Decimal]) -> list[int]:
        """The heights of values, from the top; what does not fit stands at the edge, and what is no number below."""
        low, high = self.scale.low, self.scale.high
        fitting = np.clip(np.nan_to_num(np.array([*values], dtype=np.float64), nan=low), low, high)
        return _whole(FLOOR - (FLOOR - TOP) / (high - low) * (fitting - low))


def _whole(places: Floats) -> list[int]:
    return [int(place) for place in np.rint(places)]


def _path(kind: str, steps: Iterable[str]) -> Iterator[str]:
    """A path, if there is anything in it."""
    if drawn := "".join(steps):
        yield f'<path class="{kind}" d="{drawn}"/>'


def _texts(kind: str, places: Iterable[tuple[int, int, str]]) -> Iterator[str]:
    if written := "".join(f'<text x="{x}" y="{y}">{escape(text)}</text>' for x, y, text in places):
        yield f'<g class="{kind}">{written}</g>'


def _grid(frame: Frame, heights: Sequence[int]) -> Iterator[str]:
    return _path("grid", (f"M{frame.left} {y}H{RIGHT}" for y in heights))


def _labels(frame: Frame, heights: Sequence[int], labels: Sequence[str]) -> Iterator[str]:
    middle = 36  # half the height of a digit
    return _texts("values", ((frame.left - _BESIDE, y + middle, text) for y, text in zip(heights, labels, strict=True)))


def _hours(frame: Frame, clock: DayClock) -> Iterator[str]:
    """The axis, what the clock shows along it, and where it was changed."""
    ticks = frame.x(tick.at for tick in clock.ticks)
    yield from _path("axis", [f"M{frame.left} {FOOT}H{RIGHT}", *(f"M{x} {FOOT}v30" for x in ticks)])
    yield from _texts(
        "hours", ((x, FOOT + 130, t.label) for x, t in zip(apart(ticks, _LABEL), clock.ticks, strict=True))
    )
    yield from _path("change", (f"M{x} {FOOT}V{TOP}" for x in frame.x(change.at for change in clock.changes)))


def _bands(frame: Frame, bands: Sequence[Band]) -> Iterator[str]:
    places = (frame.x((band.start, band.end)) for band in bands)
    yield from _path("marked", (f"M{begin} {TOP}H{end}V{FLOOR}H{begin}z" for begin, end in places))


def _band_labels(frame: Frame, bands: Sequence[Band]) -> Iterator[str]:
    """What was said: above the curve, from where its band begins, or so far before that it fits; none on another."""
    texts = [shortened(plain(band.label), _LONGEST_SAID) for band in bands]
    ends: list[int] = []  # of the labels of each line
    places = []
    for begun, text in zip(frame.x(band.start for band in bands), texts, strict=True):
        x = max(min(begun, RIGHT - len(text) * _LETTER), frame.left)
        line = next((line for line, end in enumerate(ends) if end <= x), len(ends))
        ends[line : line + 1] = [x + len(text) * _LETTER]
        places.append((x, TOP - _ABOVE + line * _SAID_LINE, text))
    yield from _texts("said", places)


def shortened(text: str, most: int) -> str:
    """A text of so many characters at most."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _curve(frame: Frame, curve: Curve) -> Iterator[str]:
    gaps = (frame.x(gap) for gap in curve.gaps)
    yield from _path("gaps", (f"M{begin} {FOOT - _RUG // 2}H{end}" for begin, end in gaps))
    yield from _path("line", _line(frame, curve.line))
    half, whole = _DIAMOND, 2 * _CROSS
    diamond = f"m0-{half}l{half} {half}-{half} {half}-{half}-{half}z"
    cross = f"m-{_CROSS}-{_CROSS}l{whole} {whole}m0-{whole}l-{whole} {whole}"
    for kind, points, mark in (("suspect", curve.suspect, diamond), ("bad", curve.bad, cross)):
        places = zip(frame.x(points.x), frame.y(points.y), strict=True)
        yield from _path(kind, (f"M{x} {y}{mark}" for x, y in places))


def _line(frame: Frame, line: Points) -> Iterator[str]:
    """From point to point; the pen is lifted where the line is broken."""
    at: tuple[int, int] | None = None
    for x, y, broken in zip(frame.x(line.x), frame.y(line.y), np.isnan(line.y), strict=True):
        if broken:
            at = None
            continue
        yield f"l{x - at[0]} {y - at[1]}" if at else f"M{x} {y}"
        at = x, y

"""The page of a day as one HTML file that needs nothing besides itself.

Belongs here: words, numbers and their places. Does not: what is known of the day (`gathering`), pictures (`drawing`).
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from itertools import groupby

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from air_pipeline.reports.contents import DayReport, DevicePage, ReportError, SeriesDay
from air_pipeline.reports.drawing import Scale, curve_svg, scale_of
from air_pipeline.reports.overview import overview_png
from air_pipeline.showing import plain_lines

NOTHING = "–"
MOST_UNWELL = 20
"""Things that are not well with sensors which a page names."""
OUTCOME_WORDS: Mapping[str, str] = {
    "ok": "every value was usable",
    "partial": "some values were unusable",
    "rejected": "the document was unusable",
    "http_error": "the device answered with an error",
    "timeout": "no whole answer in time",
    "unreachable": "no connection",
    "too_large": "the answer was too large",
    "skipped": "still busy with an earlier slot",
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture with its caption."""

    day: SeriesDay
    svg: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The pictures of one unit."""

    title: str
    unit: str
    panels: tuple[Panel, ...]


def page_of(report: DayReport, unwell: Sequence[tuple[str, str]] = ()) -> str:
    """What a page shows, as HTML.

    Args:
        report: of the day.
        unwell: devices, each with something that is not well with its sensors on that day and what to do.

    Raises:
        ReportError: it cannot be drawn.
    """
    with _drawing(report.day):
        return _template().render(
            report=report,
            meta=report.metadata.making(),
            devices=[(device, tuple(_groups(device)) if _has_points(device) else ()) for device in report.devices],
            notices=_notices(report),
            unwell=unwell[:MOST_UNWELL],
            more_unwell=len(unwell[MOST_UNWELL:]),
            style=files("air_pipeline.reports").joinpath("page.css").read_text(encoding="utf-8"),
        )


def picture_of(report: DayReport) -> bytes:
    """The hourly coverage of the worst devices as a small PNG.

    Raises:
        ReportError: it cannot be drawn.
    """
    with _drawing(report.day):
        return overview_png(report)


@contextmanager
def _drawing(day: date) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever a library finds wrong with a picture: the day is named, its step fails
        raise ReportError(
            f"the page of {day} cannot be drawn ({type(error).__name__}: {error}); its tables are not touched by that"
        ) from error


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("air_pipeline.reports", "."),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "count": count,
        "percent": percent,
        "ms": milliseconds,
        "names": names,
    }
    environment.globals |= {"outcome_words": OUTCOME_WORDS, "nothing": NOTHING, "explaining": explaining}
    return environment.get_template("page.html")


def _shown(value: object) -> object:
    """A text of others without what turns letters around; what is markup already is ours."""
    return plain_lines(value) if type(value) is str else value


def number(value: float | None, decimals: int | None) -> str:
    """A value in the sensor's own precision; four significant digits where that is not known."""
    if value is None:
        return NOTHING
    text = f"{value:.4g}" if decimals is None else f"{value:,.{decimals}f}"
    return text.replace("-", "−").replace(",", "\u2009")


def count(value: int) -> str:
    """A number of things, in groups of three digits."""
    return f"{value:,}".replace(",", "\u2009")


def percent(share: float | None) -> str:
    """A share; what is not all is not shown as 100 %, and what is not nothing not as 0 %."""
    if share is None:
        return NOTHING
    if share in {0, 1}:
        return f"{share:.0%}".replace("%", "\u202f%")
    return f"{min(max(share, 0.001), 0.999):.1%}".replace("%", "\u202f%")


def milliseconds(value: float | None) -> str:
    """A duration in ms."""
    return NOTHING if value is None else f"{value:,.0f}".replace(",", "\u2009")


def names(series: Sequence[str], of: int) -> str:
    """Several series by name, or in short where these are all that there are."""
    return f"all {of} series" if len(series) == of and of > 1 else ", ".join(series)


def explaining(device: str, series: str, at: str) -> str:
    """The command that says why an observation is flagged as it is."""
    return shlex.join(["air-pipeline", "explain", "--device", device, "--series", series, "--at", at])


def _notices(report: DayReport) -> tuple[str, ...]:
    """What is unusual about the clocks of the devices that are shown, each once."""
    zones = {device.clock.timezone: device.clock.notice for device in report.devices}
    return tuple(f"{zone}: {notice}" if len(zones) > 1 else notice for zone, notice in zones.items() if notice)


def _groups(device: DevicePage) -> Iterator[Group]:
    """The series of a device by unit; those of one parameter share a scale, so that they can be compared."""
    for unit, members in groupby(device.series, lambda one: one.series.unit):
        days = tuple(members)
        parameters = list(dict.fromkeys(day.series.parameter for day in days))
        scales = {name: scale_of([day for day in days if day.series.parameter == name]) for name in parameters}
        title = "Gases" if unit == "ppm" else ", ".join(parameters).replace("_", " ")
        panels = []
        for day in days:
            scale = scales[day.series.parameter]
            svg = curve_svg(day.curve, scale, device.clock, _in_words(day), day.bands)
            panels.append(Panel(day, svg, tuple(_notes(day, scale))))
        yield Group(title[:1].upper() + title[1:], unit, tuple(panels))


def _has_points(device: DevicePage) -> bool:
    """Whether there is anything to draw."""
    return any(len(p.x) for day in device.series for p in (day.curve.line, day.curve.suspect, day.curve.bad))


def _in_words(day: SeriesDay) -> str:
    """What a picture shows, for who does not see it."""
    if day.row["mean"] is None:
        return f"{day.series.name}: no valid observation"
    least, greatest, mean = (number(day.row[name], day.series.decimals) for name in ("min", "max", "mean"))
    return f"{day.series.name}: {least} to {greatest} {day.series.unit}, mean {mean}, over the local day"


def _notes(day: SeriesDay, scale: Scale | None) -> Iterator[str]:
    """What is to be known beside a picture."""
    for flag in ("suspect", "bad", "missing"):
        if total := day.row[f"{flag}_count"]:
            yield f"{count(total)} {flag}"
    if np.isnan(day.curve.bad.y).any():
        yield "bad ones at the lower edge were no number"
    marks = np.concatenate([day.curve.suspect.y, day.curve.bad.y])
    beyond = marks[scale.outside(marks)] if scale else marks[:0]
    if len(beyond):
        ends = dict.fromkeys(number(end, day.series.decimals) for end in (beyond.min(), beyond.max()))
        yield f"marks at the edge are values beyond it: {' to '.join(ends)} {day.series.unit}"
    yield from (band.note for band in day.bands)

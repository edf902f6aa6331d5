"""Pictures of a day by matplotlib: curves as inline SVG, and one small PNG for Dagster.

Belongs here: lines, marks, axes, colours of pictures. Does not: what is drawn (`contents`), the page around (`page`).

An SVG takes its colours from the page's CSS variables, so that it follows light and dark, and its text is text. Artists
are drawn with stand-in colours, which become `var(--name)` afterwards. The few lines of an axis are drawn by hand: a
page has hundreds of pictures, and with matplotlib's axes each takes three times as long. The palette is Okabe and Ito's
(2008), which does not rely on telling red from green; suspect and bad differ in shape as well.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from air_pipeline.processing.aggregates import COMPLETE_SHARE
from air_pipeline.reports.clock import DayClock
from air_pipeline.reports.contents import DayReport, SeriesDay
from air_pipeline.reports.curves import Curve, Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, VERMILLION = "#0072B2", "#D55E00"
_EMPTY = "#E8EAED"
WIDTH, HEIGHT = 300.0, 132.0
"""Of a curve, in CSS pixels at its natural size."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 8.0, 8.0, 24.0
_LABEL_WIDTH = 18.0
_RUG = 4.0
"""Height of the band under the curve in which missing slots are marked."""
_ROLES = ("line", "ink", "faint", "suspect", "suspect-edge", "bad", "missing", "change")
_STAND_INS = {role: f"#0{number:x}0{number:x}f{number:x}" for number, role in enumerate(_ROLES, 1)}
_SUSPECT = {
    "marker": "D",
    "markerfacecolor": _STAND_INS["suspect"],
    "markeredgecolor": _STAND_INS["suspect-edge"],
    "markeredgewidth": 0.7,
}
_BAD = {"marker": "x", "markeredgecolor": _STAND_INS["bad"], "markeredgewidth": 1.4}
_LEAST_STEPS = 10
"""A picture is at least so many steps of the sensor high: its noise is not to look like weather."""
_PNG_WIDTH = 420
_MOST_IN_PNG = 12


@dataclass(frozen=True, slots=True)
class Scale:
    """The values at the lower and upper edge of a picture."""

    low: float
    high: float

    def outside(self, values: Floats) -> "np.typing.NDArray[np.bool_]":
        """Which values do not fit."""
        return (values < self.low) | (values > self.high)


def scale_of(days: Sequence[SeriesDay]) -> Scale | None:
    """One scale for series that are compared: all that is valid, and of the rest what is near it; None for nothing."""
    valid = np.concatenate([_numbers(day.curve.line.y) for day in days])
    marks = np.concatenate([_numbers(points.y) for day in days for points in (day.curve.suspect, day.curve.bad)])
    if not len(valid):
        valid, marks = marks, marks[:0]
    if not len(valid):
        return None
    low, high = float(valid.min()), float(valid.max())
    reach = max(high - low, _LEAST_STEPS * max(day.series.step for day in days)) or max(abs(high), 1.0) * 0.01
    near = marks[(marks >= low - reach) & (marks <= high + reach)]
    low, high = min(low, *near.tolist()) if len(near) else low, max(high, *near.tolist()) if len(near) else high
    spare = max(reach - (high - low), 0.0) / 2 + 0.06 * max(reach, high - low)
    return Scale(low - spare, high + spare)


def curve_svg(curve: Curve, scale: Scale | None, clock: DayClock, name: str, text: str) -> str:
    """One series of one day as an inline SVG element.

    Args:
        curve: the thinned series.
        scale: of its values; None if it has none.
        clock: of its day.
        name: differs between the pictures of a page.
        text: what it shows, in words.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72)
    plot = _Plot(figure, clock.elapsed_hours, scale or Scale(0.0, 1.0))
    _draw_frame(plot, _ticks(scale) if scale else [], clock)
    _draw_curve(plot, curve)
    return _svg(figure, name, text)


@dataclass(frozen=True, slots=True, eq=False)
class _Plot:
    """A figure with one unit a CSS pixel, and where hours and values lie in it."""

    figure: "Figure"
    hours: float
    scale: Scale

    def x(self, hours: Any) -> Any:  # noqa: ANN401 - numbers or arrays of them
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * hours / self.hours

    def y(self, values: Any) -> Any:  # noqa: ANN401
        floor = _BOTTOM + _RUG + 2
        return floor + (HEIGHT - _TOP - floor) * (values - self.scale.low) / (self.scale.high - self.scale.low)

    def line(self, xy: tuple[Any, Any], role: str, width: float, *, dashed: bool = False) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.transforms import IdentityTransform

        if len(xy[0]):
            line = Line2D(*xy, color=_STAND_INS[role], linewidth=width, linestyle=(0, (2, 2)) if dashed else "-")
            line.set_solid_capstyle("round" if role == "line" else "butt")
            line.set_transform(IdentityTransform())
            self.figure.add_artist(line)

    def marks(self, xy: tuple[Any, Any], style: Mapping[str, Any]) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.transforms import IdentityTransform

        if len(xy[0]):
            marks = Line2D(*xy, linestyle="none", markersize=4.5, **style)
            marks.set_transform(IdentityTransform())
            self.figure.add_artist(marks)

    def text(self, x: float, y: float, text: str, *, beside: bool) -> None:
        """Beside a place on the left, or below it."""
        from matplotlib.text import Text
        from matplotlib.transforms import IdentityTransform

        written = Text(x, y, text, color=_STAND_INS["ink"], fontsize=10)
        written.set_horizontalalignment("right" if beside else "center")
        written.set_verticalalignment("center" if beside else "top")
        written.set_transform(IdentityTransform())
        self.figure.add_artist(written)


def _ticks(scale: Scale) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    found = np.asarray(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(scale.low, scale.high))
    return [float(one) for one in found if scale.low <= one <= scale.high]


def _draw_frame(plot: _Plot, ticks: Sequence[float], clock: DayClock) -> None:
    left, right, top = plot.x(0), plot.x(plot.hours), HEIGHT - _TOP
    plot.line(_joined([([left, right], [plot.y(one)] * 2) for one in ticks]), "faint", 0.7)
    plot.line(([left, right], [_BOTTOM, _BOTTOM]), "ink", 0.8)
    plot.line(_joined([([plot.x(tick.at)] * 2, [_BOTTOM, _BOTTOM - 3]) for tick in clock.ticks]), "ink", 0.8)
    decimals = _decimals(ticks)
    for one in ticks:
        text = f"{one:,.{decimals}f}".replace("-", "−").replace(",", "\u2009")
        plot.text(left - 5, plot.y(one), text, beside=True)
    places = _apart([plot.x(tick.at) for tick in clock.ticks])
    for place, tick in zip(places, clock.ticks, strict=True):
        plot.text(place, _BOTTOM - 5, tick.label, beside=False)
    for change in clock.changes:
        plot.line(([plot.x(change.at)] * 2, [_BOTTOM, top]), "change", 1.0, dashed=True)


def _apart(places: Sequence[float]) -> list[float]:
    """Where labels stand, so that those of an hour that came twice do not touch."""
    moved = list(places)
    for number, (one, other) in enumerate(pairwise(places)):
        short = max(_LABEL_WIDTH - (other - one), 0.0) / 2
        moved[number] -= short
        moved[number + 1] += short
    return moved


def _draw_curve(plot: _Plot, curve: Curve) -> None:
    low, high = plot.scale.low, plot.scale.high
    rug = _BOTTOM + _RUG / 2
    plot.line(_joined([([plot.x(begin), plot.x(end)], [rug, rug]) for begin, end in curve.gaps]), "missing", _RUG)
    plot.line((plot.x(curve.line.x), plot.y(curve.line.y)), "line", 1.3)
    for points, style in ((curve.suspect, _SUSPECT), (curve.bad, _BAD)):
        y = np.clip(np.where(np.isnan(points.y), low, points.y), low, high)
        plot.marks((plot.x(points.x), plot.y(y)), style)


def _joined(strokes: Sequence[tuple[list[float], list[float]]]) -> tuple[list[float], list[float]]:
    """Strokes as one path."""
    return [x for xs, _ in strokes for x in (*xs, np.nan)], [y for _, ys in strokes for y in (*ys, np.nan)]


def _decimals(ticks: Sequence[float]) -> int:
    """With how many decimals ticks are told apart."""
    if len(ticks) < 2:  # noqa: PLR2004
        return 1
    step = ticks[1] - ticks[0]
    return next((number for number in range(6) if abs(round(step, number) - step) < step / 100), 6)


def _numbers(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _svg(figure: Any, name: str, label: str) -> str:  # noqa: ANN401
    """A figure as an SVG element that fits into a page: without ids that could clash, fonts and numbers beyond need."""
    import matplotlib as mpl

    written = io.StringIO()
    figure.patch.set_visible(False)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "path.simplify": False}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = written.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = text[text.index(">") + 1 :]
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r" ?font-family: [^;\"]*;?", "", text)
    text = re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda found: re.sub(r"(\.\d)\d+", r"\1", found[0]), text)
    text = re.sub(r"\s*\n\s*", " ", text)
    for role, stand_in in _STAND_INS.items():
        text = text.replace(stand_in, f"var(--{role})")
    return f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(label)}">{text}'


def fleet_png(report: DayReport) -> bytes:
    """The hourly coverage of the worst devices as a small PNG, for Dagster's metadata."""
    from matplotlib.figure import Figure
    from PIL import Image

    shown = [(page, _mean_coverage(page.strips)) for page in report.devices[:_MOST_IN_PNG]]
    height = 46 + 16 * max(len(shown), 1)
    figure = Figure(figsize=(_PNG_WIDTH / 100, height / 100), dpi=100, facecolor="white")
    axes = figure.add_axes((0.26, 26 / height, 0.71, 1 - 46 / height))
    for row, (page, coverage) in enumerate(shown):
        begin = [(hour.start_utc - page.clock.start) / timedelta(hours=1) for hour in page.clock.hours]
        width = [hour.elapsed / timedelta(hours=1) * 0.92 for hour in page.clock.hours]
        axes.barh([row] * len(begin), width, left=begin, height=0.8, color=_EMPTY)
        colours = [BLUE if share >= COMPLETE_SHARE else VERMILLION for share in coverage]
        heights = [-0.8 * share for share in coverage]
        axes.barh([row + 0.4] * len(begin), width, left=begin, height=heights, color=colours, align="edge")
    longest = max((page.clock.elapsed_hours for page, _ in shown), default=24.0)
    axes.set(xlim=(0, longest), ylim=(max(len(shown), 1) - 0.5, -0.5))
    axes.set_yticks(range(len(shown)), [_shortened(page.summary.device) for page, _ in shown])
    clock = shown[0][0].clock if shown else None
    axes.set_xticks([tick.at for tick in clock.ticks] if clock else [], [t.label for t in clock.ticks] if clock else [])
    axes.tick_params(length=0, labelsize=7, colors="#333333")
    axes.spines[:].set_visible(False)
    coverage_text = "nothing expected" if report.counts.coverage is None else f"coverage {report.counts.coverage:.1%}"
    axes.set_title(f"{report.day}: {coverage_text}, by device and hour", fontsize=8, loc="left", color="#333333")
    written = io.BytesIO()
    figure.savefig(written, format="png")
    written.seek(0)
    small = io.BytesIO()
    Image.open(written).convert("RGB").quantize(24).save(small, "PNG", optimize=True)
    return small.getvalue()


def _mean_coverage(strips: Sequence[Any]) -> list[float]:
    """The coverage of each hour over the series of a device; 0 where nothing was expected."""
    series = sum(len(strip.series) for strip in strips)
    hours = zip(*(strip.cells for strip in strips), strict=True)
    return [
        sum(len(strip.series) * (cell.coverage or 0.0) for strip, cell in zip(strips, cells, strict=True)) / series
        for cells in hours
    ]


def _shortened(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"  # noqa: PLR2004

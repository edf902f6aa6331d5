"""What an export takes: the built days, devices and series of a stretch of time, from the days' own files.

Belongs here: choosing, and saying what is left out. Does not: reading the rows that are chosen.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from air_pipeline.deployment import Deployment
from air_pipeline.errors import AirPipelineError
from air_pipeline.places import DataPlace
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.settings.values import near as near_names
from air_pipeline.storage.commit import built_metadata
from air_pipeline.storage.day_files import built_days, day_file
from air_pipeline.storage.shelf import shelf_at
from air_pipeline.times import Time, interval

_LONG_AGO = date(1970, 1, 1)
_FARTHEST = timedelta(days=2)
"""No local date is farther from the UTC dates of its instants, in any zone."""


class ExportError(AirPipelineError):
    """What was asked for cannot be exported; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """A day that is exported: each device's own local day, [start, end) in ms UTC, as its file says, by device."""

    day: date
    windows: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is exported.

    Attributes:
        data: where the days are.
        start: the first instant, ms UTC.
        end: the instant after the last.
        days: the built days with rows in it, in order.
        missing: the dates in it that are over and not built.
        zones: each device with the zone that its last day says.
        units: each series with its unit, by name.
        means: the names of means over the sensors of a device, of those that are exported or not.
    """

    data: DataPlace
    start: int
    end: int
    days: Sequence[BuiltDay]
    missing: Sequence[date]
    zones: Mapping[str, str]
    units: Mapping[str, str]
    means: Collection[str] = ()

    def places(self, rows: pa.Table) -> npt.NDArray[np.int64]:
        """Which of the series each row is of, by number; −1 of none."""
        series: Any = rows.column("series").combine_chunks()
        numbers = {name: number for number, name in enumerate(self.units)}
        of_names: npt.NDArray[np.int64] = np.array(
            [numbers.get(str(name), -1) for name in series.dictionary.to_pylist()], np.int64
        )
        return np.asarray(of_names[np.asarray(series.indices)], np.int64)


def select(
    deployment: Deployment,
    start: Time | None = None,
    end: Time | None = None,
    devices: Collection[str] | None = None,
    series: Collection[str] | None = None,
) -> Selection:
    """What is built of devices and series in [start, end); of all without.

    Raises:
        ExportError: nothing is, or a series does not keep one unit.
        SettingsError: nobody has such a device or series.
        TableError: a file cannot be read.
        ShelfError: the object store with the files does not answer, or refuses.
        TimeError: a time is none.
    """
    _check_names(deployment.settings, devices or (), series or ())
    stretch = None
    if start is not None or end is not None:
        stretch = interval(_LONG_AGO if start is None else start, end, deployment.settings.zone, deployment.now())
    since, until = (-(2**63), 2**63 - 1) if stretch is None else map(epoch_ms, stretch)
    days, zones, units = [], {}, _Units()
    means: set[str] = set()
    candidates = _whole(deployment.data, built_days(deployment.data, "daily_aggregates"))
    around = [day for day in candidates if stretch is None or _is_near(day, stretch)]
    for day in around:
        windows = {}
        columns = ("series", "unit", "day_start", "day_end", "timezone")
        for device, rows in day_file(deployment.data, "daily_aggregates", day).device_columns(columns, devices):
            found = rows.select(columns).to_pylist()
            window = epoch_ms(found[0]["day_start"]), epoch_ms(found[0]["day_end"])
            said = {row["series"]: row["unit"] for row in found if series is None or row["series"] in series}
            if said and window[0] < until and window[1] > since:
                windows[device] = window
                zones[device] = found[0]["timezone"]
                means |= _means({row["series"] for row in found})
                units.add(said, device, day)
        if windows:
            days.append(BuiltDay(day, windows))
    if not days:
        raise ExportError(_nothing(deployment, stretch, devices, series))
    missing = _missing(deployment, stretch, around)
    in_order = dict(sorted(zones.items())), dict(sorted(units.found.items()))
    return Selection(deployment.data, since, until, days, missing, *in_order, means)


def _means(series: Collection[str]) -> set[str]:
    """Those of a device's series that are means: several others are called so behind their sensor's id."""
    members = Counter(name.partition("_")[2] for name in series)
    return {name for name in series if members[name] > 1}


def _check_names(settings: Settings, devices: Collection[str], series: Collection[str]) -> None:
    for name in devices:
        if name not in settings.known:
            settings.device(name)  # raises, and names the nearest
    units = {name for device in settings.known.values() for name in device.units}
    for name in series:
        if name not in units:
            hint = near_names(name, units, otherwise=f"; there are: {', '.join(sorted(units))}")
            raise SettingsError(f"no device in devices.yaml has a series {name!r}{hint}")


class _Units:
    """The one unit of each series, and who said it first."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._said: dict[str, str] = {}

    def add(self, units: Mapping[str, str], device: str, day: date) -> None:
        for series, unit in units.items():
            if self.found.setdefault(series, unit) != unit:
                raise ExportError(
                    f"{series} is in {self.found[series]} {self._said[series]} and in {unit} of {device} on {day}; "
                    "export what has one unit, by devices or with --from and --to"
                )
            self._said.setdefault(series, f"of {device} on {day}")


def _whole(data: DataPlace, days: Sequence[date]) -> Iterator[date]:
    """The days whose files are all there and of one making."""
    as_listed = shelf_at(data).at_once()
    return (day for day in days if built_metadata(as_listed, day, read_all=False) is not None)


def _is_near(day: date, stretch: tuple[datetime, datetime]) -> bool:
    first, last = (moment.astimezone(UTC).date() for moment in stretch)
    return first - _FARTHEST <= day <= last + _FARTHEST


def _missing(deployment: Deployment, stretch: tuple[datetime, datetime] | None, around: Sequence[date]) -> list[date]:
    """The dates in the stretch, or without one between the first and the last that are built, that are not built."""
    zone, today = deployment.settings.zone, deployment.now().astimezone(deployment.settings.zone).date()
    if stretch is None:
        first, last = around[0], around[-1]
    else:
        first = max(deployment.settings.start, stretch[0].astimezone(zone).date())
        last = min(today - timedelta(days=1), stretch[1].astimezone(zone).date())
    dates = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [day for day in dates if day not in around and _has_instants(day, zone, stretch)]


def _has_instants(day: date, zone: ZoneInfo, stretch: tuple[datetime, datetime] | None) -> bool:
    start, end = day_window(day, zone)
    return start < end and (stretch is None or (start < stretch[1] and end > stretch[0]))


def _nothing(
    deployment: Deployment,
    stretch: tuple[datetime, datetime] | None,
    devices: Collection[str] | None,
    series: Collection[str] | None,
) -> str:
    what = f"of {', '.join(series)} " if series else ""
    whose = f"of {', '.join(devices)} " if devices else ""
    if stretch is None:
        when, dates = "", ""
    else:
        since, until = (moment.astimezone(deployment.settings.zone) for moment in stretch)
        when = f"between {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} ({deployment.settings.timezone}) "
        dates = f" --from {since.date()} --to {until.date()}"
    remedy = f"build it with: air-pipeline build{dates}"
    return f"nothing {what}{whose}{when}is built, and only built days are exported; {remedy}"

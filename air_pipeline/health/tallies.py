"""What the built tables of a day say of each device, counted: read once for each file that is published.

Belongs here: which files and rows are read, and that it stays cheap. Does not: counting (`processing.tally`), what is
made of it (`measuring`).
"""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from air_pipeline.catalogue import shared_parameters
from air_pipeline.health.seen import Seen
from air_pipeline.settings import Device
from air_pipeline.storage.day_files import DayFile, day_file

if TYPE_CHECKING:
    import pyarrow as pa

    from air_pipeline.processing.tally import Tally

_Compared = tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
_LOCK = Lock()
"""Checks look at the same time, each in a thread of its own: the first reads for all."""


def newest_tallies(seen: Seen) -> "tuple[date, Mapping[str, Tally]] | None":
    """The newest day that is built, of those that are looked at, with the tally of each device of now.

    Raises:
        TableError: a table of it is missing or cannot be read.
    """
    devices = seen.deployment.settings.devices
    for day in seen.days:
        if day_file(seen.environment.data, "daily_aggregates", day).exists:
            return day, tallies_of(seen.environment.data, day, devices)
    return None


def tallies_of(
    data: Path, day: date, devices: tuple[Device, ...], daily: DayFile | None = None
) -> "Mapping[str, Tally]":
    """Device to its tally, of those of these devices of which something was expected.

    Args:
        data: the data directory.
        day: the local date.
        devices: those of the settings.
        daily: the daily aggregates, if they are not in their place yet.

    Raises:
        TableError: a table of the day is missing or cannot be read.
    """
    aggregates = daily or day_file(data, "daily_aggregates", day)
    observations = day_file(data, "observations", day)
    compared = tuple((device.id, tuple(_compared(device))) for device in devices)
    with _LOCK:
        return _tallies(aggregates, _stamp(aggregates), observations, _stamp(observations), compared)


def _compared(device: Device) -> Iterator[tuple[str, ...]]:
    """The series of a device that are compared with each other."""
    limits = device.limits
    for members in shared_parameters(device.parameters).values():
        yield tuple(member.series for member in members if "max_apart" in limits.get(member.series, {}))


def _stamp(file: DayFile) -> int:
    return file.path.stat().st_mtime_ns if file.exists else 0


@lru_cache(maxsize=1)
def _tallies(
    daily: DayFile, _daily_stamp: int, observations: DayFile, _observations_stamp: int, compared: _Compared
) -> "Mapping[str, Tally]":
    # With pandas and pyarrow, half a second and 80 MB: the definitions and the collector are spared them.
    from air_pipeline.processing.tally import OF_EACH, OF_THE_DAY, tally_of

    groups = dict(compared)
    days = {name: rows for name, rows in daily.device_columns(OF_THE_DAY) if name in groups}
    flagged = {name for name, rows in days.items() if _any_flagged(rows)}
    found = {name: tally_of(rows) for name, rows in days.items() if name not in flagged}
    for name, rows in observations.device_columns(OF_EACH, flagged) if flagged else ():
        found[name] = tally_of(days[name], rows, groups[name])
    return {name: tally for name, tally in sorted(found.items()) if any(one.expected for one in tally.values())}


def _any_flagged(rows: "pa.Table") -> bool:
    return any(any(rows.column(name).to_pylist()) for name in ("suspect_count", "bad_count"))

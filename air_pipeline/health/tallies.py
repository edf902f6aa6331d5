"""What the built tables of a day say of each device, counted: read once for each file that is published.

Belongs here: which files and rows are read, and that it stays cheap. Does not: counting (`processing.tally`), what is
made of it (`measuring`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from air_pipeline.health.seen import Seen
from air_pipeline.places import DataPlace
from air_pipeline.storage.day_files import DayFile, day_file
from air_pipeline.storage.shelf import Stamp

if TYPE_CHECKING:
    import pyarrow as pa

    from air_pipeline.processing.tally import Tally

_LOCK = Lock()
"""Checks look at the same time, each in a thread of its own: the first reads for all."""


@dataclass(frozen=True, slots=True, eq=False)
class DayTallies:
    """A built day, and the tally of each device of which something was expected; one object for the same files."""

    day: date
    devices: "Mapping[str, Tally]"


def newest_tallies(seen: Seen) -> DayTallies | None:
    """Those of the newest day that is built, of the days that are looked at.

    Raises:
        TableError: a table of it is missing or cannot be read.
    """
    data = seen.data
    newest = next((day for day in seen.days if day_file(data, "daily_aggregates", day).exists), None)
    return None if newest is None else tallies_of(data, newest)


def tallies_of(data: DataPlace, day: date, daily: DayFile | None = None) -> DayTallies:
    """The tallies of a day.

    Args:
        data: where the days are.
        day: the local date.
        daily: the daily aggregates, if they are not in their place yet.

    Raises:
        TableError: a table of the day is missing or cannot be read.
    """
    aggregates = daily or day_file(data, "daily_aggregates", day)
    observations = day_file(data, "observations", day)
    with _LOCK:
        return _tallies(aggregates, aggregates.stamp(), observations, observations.stamp())


@lru_cache(maxsize=1)
def _tallies(
    daily: DayFile, _daily_stamp: Stamp | None, observations: DayFile, _observations_stamp: Stamp | None
) -> DayTallies:
    # With pyarrow, 0.2 s and 50 MB: the definitions and the collector are spared it.
    from air_pipeline.processing.tally import (
        AGAIN,
        APART,
        OF_APART,
        OF_EACH,
        OF_THE_DAY,
        apart_of,
        cycles_of,
        spoken_of,
        tally_of,
    )

    days = dict(daily.device_columns(OF_THE_DAY))
    flagged = {name for name, rows in days.items() if _any_flagged(rows)}
    spoken = {name: spoken_of(rows) for name, rows in observations.device_columns(OF_EACH, flagged)} if flagged else {}
    compared = _compared(daily.metadata().limits)

    def spoken_by(bit: int) -> set[str]:
        return {
            name for name, said in spoken.items() if any(one.bits & bit for of_one in said.values() for one in of_one)
        }

    disagreeing = spoken_by(APART).intersection(compared)
    apart = {}
    if disagreeing:
        for name, rows in observations.device_columns(OF_APART, disagreeing):
            apart[name] = apart_of(rows, compared[name])
    cycles = {}
    if repeating := spoken_by(AGAIN):
        cycles = {name: cycles_of(rows) for name, rows in observations.device_columns(OF_EACH, repeating)}
    found = {
        name: tally_of(rows, spoken.get(name, {}), apart.get(name, {}), cycles.get(name, {}))
        for name, rows in days.items()
    }
    return DayTallies(
        daily.day, {name: one for name, one in sorted(found.items()) if any(s.expected for s in one.values())}
    )


def _any_flagged(rows: "pa.Table") -> bool:
    return any(any(rows.column(name).to_pylist()) for name in ("suspect_count", "bad_count"))


def _compared(limits: str) -> dict[str, list[list[str]]]:
    """Device to the series that were compared with each other, parameter by parameter, by the limits of the day."""
    found: dict[str, list[list[str]]] = {}
    for alike in json.loads(limits or "[]"):
        members: dict[str, list[str]] = {}
        for series, own in alike["limits"].items():
            if "max_apart" in own:
                members.setdefault(series.partition("_")[2], []).append(series)
        found |= {device: list(members.values()) for device in alike["devices"]}
    return found

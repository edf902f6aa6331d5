"""Rows of the day tables in a stretch of time: from the files of built days, else computed from the store.

Belongs here: which days a stretch means, and where the rows of each come from. Does not: what people may ask
(`archive`), and how a day is computed (`days`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, cast
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from air_pipeline.days.calendar import device_day
from air_pipeline.days.live import live_rows
from air_pipeline.days.presence import PresentDay, present_days, remembered_first_polls
from air_pipeline.deployment import Deployment
from air_pipeline.processing.columns import RULE_SET_VERSION, TableName
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.settings import Device
from air_pipeline.storage.commit import torn
from air_pipeline.storage.day_files import Holding, TableError, built_days, day_file
from air_pipeline.storage.shelf import shelf_at

Progress = Callable[[int, int], None]
"""Told how many of how many steps of a question are done."""

_FARTHEST_DATE = timedelta(days=3)
"""More than the local dates of two zones can be apart at one instant: at most 26 hours."""
_MOST_APART = timedelta(hours=26)
"""Of the first instants of one date in two zones."""
_TIMES = {"observations": "observed_at", "hourly_aggregates": "hour_start"}


@dataclass(frozen=True, slots=True)
class _Step:
    """Some devices' rows of one date: all that are wanted from the day's file, or a single one's from the store."""

    day: date
    devices: tuple[str, ...]
    live: PresentDay | None = None

    @property
    def built(self) -> bool:
        """Whether the rows come from the day's file."""
        return self.live is None


def day_rows(
    deployment: Deployment,
    table: TableName,
    stretch: tuple[datetime, datetime],
    devices: Sequence[Device],
    series: Sequence[str] | None,
    progress: Progress,
) -> pd.DataFrame:
    """The rows of a table with times in the stretch [start, end), each day's sorted by the table's key.

    A day that has a file comes from it, whatever the store and the settings say by now; any other from `start` on is
    computed as it would be built. Dailies are those of the dates that the stretch touches, with `date` as their first
    column. `attrs["torn"]` names the dates whose files are not of one making, each with why: they are being replaced;
    `attrs["rule_sets"]` the versions of the rules by which the rows are flagged: several while days are built again.

    Raises:
        StoreError: the store cannot be read.
        TableError: a file cannot be read.
        ShelfError: the object store with the files does not answer, or refuses.
        ProcessingError: the store holds what cannot be flagged.
    """
    parts: list[pa.Table] = []
    rule_sets: set[str] = set()
    steps = _steps(deployment, table, stretch, devices)
    for done, step in enumerate(steps):
        progress(done, len(steps))
        with _rows_of(step, deployment, table) as (rule_set, some):
            parts += [_dated(_wanted(rows, table, stretch, series), table, step.day) for rows in some]
            rule_sets.add(rule_set)
    progress(len(steps), len(steps))
    joined = _joined(parts or [_dated(arrow_schema(table).empty_table(), table, date.min)]).to_pandas()
    joined = _once(joined, parts, table)
    built = dict.fromkeys(step.day for step in steps if step.built)
    as_listed = shelf_at(deployment.data).at_once()
    reasons = {day.isoformat(): torn(as_listed, day, read_all=False) for day in built}
    joined.attrs["torn"] = {day: why for day, why in reasons.items() if why}
    joined.attrs["rule_sets"] = sorted(rule_sets or {RULE_SET_VERSION})
    return joined


def _wanted(
    rows: pa.Table, table: TableName, stretch: tuple[datetime, datetime], series: Sequence[str] | None
) -> pa.Table:
    """The rows that are asked for; chosen before they are pandas', as it is there that rows cost."""
    if series is not None:
        names = rows.column("series").combine_chunks().dictionary_encode()
        codes = pc.index_in(pa.array(series, pa.string()), names.dictionary)  # a third of the time of the names' own
        rows = rows.filter(pc.is_in(names.indices, codes))
    if table not in _TIMES or not rows.num_rows:
        return rows
    at = rows.column(_TIMES[table])
    if stretch[0] <= pc.min(at).as_py() and pc.max(at).as_py() < stretch[1]:
        return rows
    start, end = (pa.scalar(moment.astimezone(UTC), pa.timestamp("us", "UTC")) for moment in stretch)
    return rows.filter(pc.and_(pc.greater_equal(at, start), pc.less(at, end)))


def _steps(
    deployment: Deployment, table: TableName, stretch: tuple[datetime, datetime], devices: Sequence[Device]
) -> list[_Step]:
    """What has rows in the stretch: by each device's own local days, or for dailies by the deployment's dates."""
    settings = deployment.settings
    now_ms = epoch_ms(deployment.now())
    window = cache(day_window)
    span = tuple(map(epoch_ms, stretch))

    def touches(day: date, zone: ZoneInfo) -> bool:
        start, end = window(day, zone)
        if start == end:  # the zone skipped the date; devices elsewhere may have it
            return stretch[0] <= start < stretch[1]
        return start < stretch[1] and end > stretch[0]

    first_poll = remembered_first_polls(deployment.store, len(devices))
    steps = []
    for day, built in _dates(deployment, table, stretch):
        if table == "daily_aggregates" and not touches(day, settings.zone):
            continue
        held = _held_at_edge(deployment, table, day, stretch, window(day, settings.zone)) if built else {}

        def has_rows(device: Device, day: date = day, held: Mapping[str, Holding] = held) -> bool:
            """By what the file says, whose days may be those of another zone than the device has now."""
            if (one := held.get(device.id)) is not None:
                return one.start < span[1] and one.end > span[0]
            return touches(day, device.zone)

        chosen = [device for device in devices if table == "daily_aggregates" or has_rows(device)]
        ones = [device_day(settings, device, *map(epoch_ms, window(day, device.zone))) for device in chosen]
        ones = [one for one in ones if one.start < one.end]
        ones.sort(key=lambda one: one.device.id)
        if built:
            steps += [_Step(day, tuple(one.device.id for one in ones))] if ones else []
            continue
        begun = (one for one in ones if one.start < now_ms)
        present = present_days(deployment.store, settings, begun, first_poll)
        steps += [_Step(day, (one.device.id,), one) for one in present]
    return steps


def _held_at_edge(
    deployment: Deployment,
    table: TableName,
    day: date,
    stretch: tuple[datetime, datetime],
    window: tuple[datetime, datetime],
) -> Mapping[str, Holding]:
    """What the file of a built day holds, where it may reach over an edge of the stretch."""
    if table == "daily_aggregates" or (stretch[0] <= window[0] - _MOST_APART and window[1] + _MOST_APART <= stretch[1]):
        return {}
    try:
        return day_file(deployment.data, table, day).metadata().holdings or {}
    except TableError:  # said when its rows are read
        return {}


def _dates(deployment: Deployment, table: TableName, stretch: tuple[datetime, datetime]) -> Iterator[tuple[date, bool]]:
    """The dates near a stretch that are built or may be computed, in order, and whether they are built."""
    zone, start = deployment.settings.zone, deployment.settings.start
    first, last = (moment.astimezone(zone).date() for moment in stretch)
    today = deployment.now().astimezone(zone).date()
    built = set(built_days(deployment.data, table))
    day = max(first - _FARTHEST_DATE, min({start, *built}))
    while day <= min(last, max({today, *built})) + _FARTHEST_DATE:
        if day in built or day >= start:
            yield day, day in built
        day += timedelta(days=1)


@contextmanager
def _rows_of(step: _Step, deployment: Deployment, table: TableName) -> Iterator[tuple[str, Iterable[pa.Table]]]:
    """The version of the rules that flagged the rows of a step, and the rows of its devices."""
    if step.live is None:
        with day_file(deployment.data, table, step.day).opened() as rows:
            yield rows.made().rule_set_version, rows.groups(set(step.devices))
    else:
        yield RULE_SET_VERSION, [live_rows(deployment.store, table, step.live, step.day, deployment.now())]


def _dated(rows: pa.Table, table: TableName, day: date) -> pa.Table:
    """The rows of dailies with the date as first column: in the file it is in the path only."""
    if table != "daily_aggregates":
        return rows
    return rows.add_column(0, "date", pa.array([day] * rows.num_rows, pa.date32()).cast(pa.timestamp("ms")))


def _joined(parts: Sequence[pa.Table]) -> pa.Table:
    """Rows one below the other, which cost a fraction of what they do as frames; texts that repeat are sorted."""
    rows = pa.concat_tables(parts)
    for place, column in enumerate(rows.schema):
        if pa.types.is_dictionary(column.type):
            rows = rows.set_column(place, column, _with_sorted_texts(rows.column(place)))
    return rows


def _with_sorted_texts(column: "pa.ChunkedArray[Any]") -> "pa.DictionaryArray[Any, Any]":
    """The same texts, numbered in their order: those that occur, and no others."""
    rows: Any = column.unify_dictionaries().combine_chunks()
    occurring = rows.dictionary.take(rows.indices.unique().drop_null())
    texts = occurring.take(pc.array_sort_indices(occurring))
    if texts.equals(rows.dictionary):
        return cast("pa.DictionaryArray[Any, Any]", rows)
    return pa.DictionaryArray.from_arrays(pc.index_in(rows.dictionary, texts).take(rows.indices), texts)


def _once(rows: pd.DataFrame, parts: Sequence[pa.Table], table: TableName) -> pd.DataFrame:
    """The rows, each once: files of two zones, of a device that was moved from one to the other, share instants.

    What the later date has counts.
    """
    if (time := _TIMES.get(table)) is None:
        return rows
    seen: dict[str, datetime] = {}
    moved = set()
    for part in parts:
        spans = part.group_by("device", use_threads=False).aggregate([(time, "min"), (time, "max")])
        for device, first, last in zip(*(column.to_pylist() for column in spans.columns), strict=True):
            if device in seen and first <= seen[device]:
                moved.add(device)
            seen[device] = max(last, seen.get(device, last))
    if not moved:
        return rows
    again = rows[rows["device"].isin(moved)].duplicated(["device", "series", time], keep="last")
    return rows.drop(index=again[again].index).reset_index(drop=True)

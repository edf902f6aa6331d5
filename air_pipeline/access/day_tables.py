"""Rows of the day tables in a stretch of time: from the files of built days, else computed from the store.

Belongs here: which days a stretch means, and where the rows of each come from. Does not: what people may ask
(`archive`), and how a day is computed (`days`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from air_pipeline.days.calendar import device_day
from air_pipeline.days.live import live_rows
from air_pipeline.days.presence import PresentDay, present_alone
from air_pipeline.deployment import Deployment
from air_pipeline.processing.columns import RULE_SET_VERSION, TableName
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.settings import Device
from air_pipeline.storage.commit import torn
from air_pipeline.storage.day_files import Holding, TableError, built_days, day_file

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
        ProcessingError: the store holds what cannot be flagged.
    """
    frames = []
    steps = _steps(deployment, table, stretch, devices)
    for done, step in enumerate(steps):
        progress(done, len(steps))
        for rows in _rows_of(step, deployment, table):
            wanted = _wanted(rows, table, stretch, series)
            frames.append(_dated(wanted.to_pandas(), table, step.day))
    progress(len(steps), len(steps))
    joined = _joined(frames or [_dated(arrow_schema(table).empty_table().to_pandas(), table, date.min)])
    joined = _once(joined, frames, table)
    built = dict.fromkeys(step.day for step in steps if step.built)
    reasons = {day.isoformat(): torn(deployment.data, day, read_all=False) for day in built}
    joined.attrs["torn"] = {day: why for day, why in reasons.items() if why}
    joined.attrs["rule_sets"] = sorted({_rule_set(deployment, table, step) for step in steps} or {RULE_SET_VERSION})
    return joined


def _rule_set(deployment: Deployment, table: TableName, step: _Step) -> str:
    """The version of the rules that flagged the rows of a step, as the very file says that they come from."""
    return day_file(deployment.data, table, step.day).metadata().rule_set_version if step.built else RULE_SET_VERSION


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

    @cache
    def first_poll(device: str, since: int) -> int | None:
        return deployment.store.first_poll(device, since)

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
        present = (present_alone(deployment.store, settings, one, first_poll) for one in begun)
        steps += [_Step(day, (one.device.id,), one) for one in present if one is not None]
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


def _rows_of(step: _Step, deployment: Deployment, table: TableName) -> Iterator[pa.Table]:
    """The rows of the devices of a step."""
    if step.live is None:
        yield from day_file(deployment.data, table, step.day).tables(set(step.devices))
    else:
        yield live_rows(deployment.store, table, step.live, step.day, deployment.now())


def _dated(rows: pd.DataFrame, table: TableName, day: date) -> pd.DataFrame:
    """The rows of dailies with the date as first column: in the file it is in the path only."""
    if table == "daily_aggregates":
        rows.insert(0, "date", pd.Series([day] * len(rows), rows.index, dtype="datetime64[ms]"))
    return rows


def _once(rows: pd.DataFrame, frames: Sequence[pd.DataFrame], table: TableName) -> pd.DataFrame:
    """The rows, each once: files of two zones, of a device that was moved from one to the other, share instants.

    What the later date has counts.
    """
    if (time := _TIMES.get(table)) is None:
        return rows
    seen: dict[str, pd.Timestamp] = {}
    moved = set()
    for frame in frames:
        spans = frame.groupby("device", observed=True)[time].agg(["min", "max"])
        for device, first, last in zip(map(str, spans.index), spans["min"], spans["max"], strict=True):
            if device in seen and first <= seen[device]:
                moved.add(device)
            seen[device] = max(last, seen.get(device, last))
    if not moved:
        return rows
    again = rows[rows["device"].isin(moved)].duplicated(["device", "series", time], keep="last")
    return rows.drop(index=again[again].index).reset_index(drop=True)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows one below the other; texts that are categories stay so, over all that occur."""
    categories = [name for name in frames[0].columns if isinstance(frames[0][name].dtype, pd.CategoricalDtype)]
    for name in categories:
        occurring = sorted(
            {text for frame in frames for text in frame[name].cat.remove_unused_categories().cat.categories}
        )
        frames = [frame.assign(**{name: frame[name].cat.set_categories(occurring)}) for frame in frames]
    return pd.concat(frames, ignore_index=True)

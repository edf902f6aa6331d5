"""The points of one device in InfluxDB, as the frames that every store gives.

Belongs here: what is asked for, and how much at once. Does not: how a query is sent, and that its answer is whole
(`influxql`); how points are put together, and which one of a slot is shown (`influxdb_columns`); what frames look like
(`frames`).
"""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from air_pipeline.processing.slots import Instants, index_ms
from air_pipeline.storage.fields import MAY_BE_MISSING, POLL_COLUMNS, POLL_NUMBERS, POLL_TEXTS
from air_pipeline.storage.frames import WITH_READING, polls_frame, readings_frame, texts_at
from air_pipeline.storage.influxdb_columns import Columns, Growing, are_among
from air_pipeline.storage.influxdb_failures import BucketMissing
from air_pipeline.storage.influxql import OWN, Field, InfluxQL, Rows, during, field
from air_pipeline.storage.storable import within_time
from air_pipeline.storage.store import StoreError

# What is asked for at once, as an answer has a longest time and size: of twelve series, 60 MB.
_ROWS_AT_ONCE = 500_000

_NUMBERS, _TEXTS = {int, float, type(None)}, {str, type(None)}


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which points of a device, with which fields, of which some are texts."""

    measurement: str
    fields: str
    texts: Collection[str] = ()
    which: str = ""


_RARE = [name for name in POLL_COLUMNS if name in MAY_BE_MISSING and name != "import"]  # which is a tag
_USUAL = [name for name in POLL_COLUMNS if name not in MAY_BE_MISSING]
_READINGS = _Asked("air", "*::field")
_POLLS = _Asked("poll", ", ".join(map(field, _USUAL)), POLL_TEXTS)
# Asked for with the others, what is nowhere costs as much as what is everywhere.
_SAYING_MORE = _Asked("poll", ", ".join(map(field, _RARE)), POLL_TEXTS)
_OWN_POLLS = _Asked("poll", Field.OUTCOME, POLL_TEXTS, f"{OWN} AND ")
_WITHOUT_READING = _Asked(
    "poll",
    Field.OUTCOME,
    POLL_TEXTS,
    _OWN_POLLS.which + "".join(f"{Field.OUTCOME} != '{one}' AND " for one in WITH_READING),
)
_SHOWN = pa.array(["", *WITH_READING], pa.string())  # a point without an outcome is no poll
# Of an interval, when slots without a reading are looked for: hours of a day.
_STRETCHES = 24


class Points:
    """The points of one bucket."""

    def __init__(self, queries: InfluxQL, require_makeable: Callable[[], None]) -> None:
        """Asks nothing yet.

        Args:
            queries: gives rows.
            require_makeable: makes sure that a bucket which is not there is one that the first write makes.
        """
        self._queries = queries
        self._require_makeable = require_makeable

    def readings(self, device: str, start: int, end: int, polls: pd.DataFrame | None = None) -> pd.DataFrame:
        """The readings of one device; see `ReadingStore.readings`."""
        if polls is None:
            with suppress(BucketMissing):  # as is found below
                self._queries.look_around()
            with ThreadPoolExecutor(1) as beside:
                looked_for = beside.submit(self._looked_for, device, start, end)
                found = self._columns(_READINGS, device, start, end)
                without = looked_for.result()
        else:
            found = self._columns(_READINGS, device, start, end)
            without = _slots_without_reading(polls)
        # Values in slots without a reading are of an earlier poll and count no longer.
        found = found.only(~are_among(found.times, without))
        are_ours = found.are_ours
        if not are_ours.all():  # nor does what was imported where a poll of ours has no value
            theirs = found.times[~are_ours]
            if polls is None:
                own = self._columns(_OWN_POLLS, device, int(theirs[0]), int(theirs[-1]) + 1).times
            else:
                own = index_ms(polls[polls["import"].isna()])
            found = found.only(are_ours | ~are_among(found.times, own))
        return readings_frame(found.times, found.names, found.numbers)

    def _looked_for(self, device: str, start: int, end: int) -> Instants:
        """The slots, ms, of our own polls that gave no reading.

        Which outcomes there are in a stretch takes the server a quarter of what a list of such slots does: that is
        asked for where there are any.
        """
        first, last = within_time(start, end)
        width = max((last - first) // _STRETCHES, 1)
        which = f"{OWN} AND device::tag = $device AND {during(start, end)} GROUP BY time({width}ms)"
        try:
            [found] = self._queries.statements(
                [f"SELECT distinct({Field.OUTCOME}) AS outcome FROM poll WHERE {which}"],  # noqa: S608
                {"device": device},
            )
        except BucketMissing:  # as is found by whoever asks for readings
            return np.empty(0, np.int64)
        points = [point for series in found for point in series.points]
        begins = [int(point["time"]) for point in points if point["outcome"] not in WITH_READING]
        if not begins:
            return np.empty(0, np.int64)
        return self._columns(_WITHOUT_READING, device, max(start, begins[0]), min(end, begins[-1] + width)).times

    def polls(self, device: str, start: int, end: int) -> pd.DataFrame:
        """The polls of one device; see `ReadingStore.polls`."""
        found = self._columns(_POLLS, device, start, end)
        more = self._columns(_SAYING_MORE, device, start, end).of_the_same(found)
        numbers = dict(zip(found.names, found.numbers, strict=True))
        return polls_frame(
            found.times,
            {name: numbers[name] for name in POLL_NUMBERS if name in numbers},
            {**texts_at(found.times, more.times, more.texts), **found.texts},
        )

    def _columns(self, asked: _Asked, device: str, start: int, end: int) -> Columns:
        """The points of a device, rising by `time`."""
        growing = Growing(end)
        try:
            for rows in self._rows(asked, device, start, end):
                self._add(asked, rows, growing)
        except BucketMissing:  # nothing is made by a read
            self._require_makeable()
        return growing.columns()

    def _rows(self, asked: _Asked, device: str, start: int, end: int) -> Iterator[Rows]:
        """The points, so many a request; the last slot of one comes with the next once more."""
        found = _ROWS_AT_ONCE
        while found >= _ROWS_AT_ONCE and start < end:
            condition = f"{asked.which}device::tag = $device AND {during(start, end)} LIMIT {_ROWS_AT_ONCE}"
            found, last = 0, start
            with self._queries.rows(asked.measurement, asked.fields, condition, {"device": device}) as answer:
                for rows in answer:
                    found, last = found + rows.count, int(rows.times[-1])
                    yield rows
            start = max(last, start + 1)

    def _add(self, asked: _Asked, rows: Rows, growing: Growing) -> None:
        (_, times), *fields = rows.columns.items()
        numbers = {name: column for name, column in fields if name not in asked.texts}
        texts = {name: column for name, column in fields if name in asked.texts}
        if rows.imports:
            texts["import"] = rows.imports
        try:
            growing.add(
                np.asarray(times, dtype="int64"),
                {name: np.asarray(column, dtype="float64") for name, column in numbers.items()},
                {name: pa.array(column, pa.string()) for name, column in texts.items()},
            )
        except (OverflowError, TypeError, ValueError) as error:
            raise self._of_somebody_else(asked, rows) from error
        # To numpy "1.5" is a number, and so is a yes.
        kinds = (set(map(type, column)) for column in numbers.values() if not isinstance(column, np.ndarray))
        if not all(kind <= _NUMBERS for kind in kinds):
            raise self._of_somebody_else(asked, rows)

    def _of_somebody_else(self, asked: _Asked, rows: Rows) -> StoreError:
        """The error for values of which one is of another kind than ours."""
        found = (
            (name, value)
            for name, column in rows.columns.items()
            for value in (column.tolist() if isinstance(column, np.ndarray) else column)
            if type(value) not in (_TEXTS if name in asked.texts else _NUMBERS)
        )
        name, value = next(found, ("import", rows.imports[:1]))
        return self._queries.of_somebody_else(asked.measurement, name, value)


def _slots_without_reading(polls: pd.DataFrame) -> Instants:
    """The slots, ms, of our own polls that gave none."""
    has_reading = pc.is_in(pa.array(polls["outcome"]), value_set=_SHOWN)
    return index_ms(polls)[~np.asarray(has_reading) & polls["import"].isna().to_numpy()]

"""The points of one device in InfluxDB, as the frames that every store gives.

Belongs here: how much is asked for at once, and which point of a slot is shown. Does not: how a query is sent, and that
its answer is whole (`influxql`); what frames look like (`frames`).
"""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from air_pipeline.devices.polls import Outcome
from air_pipeline.storage.fields import POLL_COLUMNS, POLL_NUMBERS, POLL_TEXTS
from air_pipeline.storage.frames import polls_frame, readings_frame
from air_pipeline.storage.influxdb_failures import BucketMissing
from air_pipeline.storage.influxql import InfluxQL, Rows, during, identifier
from air_pipeline.storage.store import StoreError

# What is asked for at once, as an answer has a longest time and size: of twelve series, 60 MB.
_ROWS_AT_ONCE = 500_000

_WITHOUT_READING = " AND ".join(f"outcome != '{outcome.value}'" for outcome in Outcome if outcome.has_reading)

_NUMBERS, _TEXTS = {int, float, type(None)}, {str, type(None)}


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which points of a device, with which fields, of which some are texts."""

    measurement: str
    fields: str
    texts: Collection[str] = ()
    which: str = ""


_POLL_FIELDS = ", ".join(identifier(name) for name in POLL_COLUMNS if name != "import")  # which is a tag
_READINGS = _Asked("air", "*::field")
_POLLS = _Asked("poll", _POLL_FIELDS, POLL_TEXTS)
_WITHOUT_VALUES = _Asked("poll", "outcome", POLL_TEXTS, f"\"import\" = '' AND {_WITHOUT_READING} AND ")


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

    def readings(self, device: str, start: int, end: int) -> pd.DataFrame:
        """The readings of one device; see `ReadingStore.readings`."""
        with ThreadPoolExecutor(1) as beside:
            looked_for = beside.submit(self._table, _WITHOUT_VALUES, device, start, end)
            table = self._table(_READINGS, device, start, end)
            others = looked_for.result()
        if len(others):  # values in these slots are of an earlier poll and count no longer
            table = table.filter(pa.array(~np.isin(_times(table), _times(others))))
        series = [name for name in table.column_names if name not in {"time", "import"}]
        return readings_frame(_times(table), {name: _numbers(table[name]) for name in series})

    def polls(self, device: str, start: int, end: int) -> pd.DataFrame:
        """The polls of one device; see `ReadingStore.polls`."""
        table = self._table(_POLLS, device, start, end)
        present = set(table.column_names)
        return polls_frame(
            _times(table),
            {name: _numbers(table[name]) for name in POLL_NUMBERS if name in present},
            {name: table[name] for name in POLL_TEXTS if name in present},
        )

    def _table(self, asked: _Asked, device: str, start: int, end: int) -> pa.Table:
        """The points of a device, rising by `time` (ms): float64 (null: none) and strings, `import` among them."""
        parts = [pa.table({"time": pa.array([], pa.float64())})]
        try:
            parts.extend(self._columns(asked, rows) for rows in self._rows(asked, device, start, end))
        except BucketMissing:  # nothing is made by a read
            self._require_makeable()
        return _own_first(pa.concat_tables(parts, promote_options="default"))

    def _rows(self, asked: _Asked, device: str, start: int, end: int) -> Iterator[Rows]:
        """The points, so many a request; the last slot of one comes with the next once more."""
        found = _ROWS_AT_ONCE
        while found >= _ROWS_AT_ONCE:
            condition = f"{asked.which}device::tag = $device AND {during(start, end)} LIMIT {_ROWS_AT_ONCE}"
            found, last = 0, start
            with self._queries.rows(asked.measurement, asked.fields, condition, {"device": device}) as answer:
                for rows in answer:
                    found, last = found + len(rows.points), int(rows.points[-1][0])
                    yield rows
            start = max(last, start + 1)

    def _columns(self, asked: _Asked, rows: Rows) -> pa.Table:
        texts = [place for place, name in enumerate(rows.columns) if name in asked.texts]
        numbers = [place for place, name in enumerate(rows.columns) if name not in asked.texts]
        if texts:
            flat = [point[place] for point in rows.points for place in numbers]
        else:
            flat = [*chain.from_iterable(rows.points)]
        try:
            # By row, as they stand in memory: by column takes a first reading a third longer.
            table = np.array(flat, dtype="float64").reshape(-1, len(numbers))
            strings = [pa.array([point[place] for point in rows.points], pa.string()) for place in texts]
        except (TypeError, ValueError) as error:
            raise self._of_somebody_else(asked, rows) from error
        # To numpy "1.5" is a number, and so is a yes. All values of a field are of one kind: one of each tells.
        known = zip(numbers, (~np.isnan(table)).argmax(axis=0), strict=True)
        if not {type(rows.points[row][place]) for place, row in known} <= _NUMBERS:
            raise self._of_somebody_else(asked, rows)
        columns: dict[str, Any] = dict(zip([rows.columns[place] for place in numbers], table.T, strict=True))
        columns.update(zip([rows.columns[place] for place in texts], strings, strict=True))
        if rows.imports:
            columns["import"] = pa.array(rows.imports, pa.string())
        return pa.table(columns)

    def _of_somebody_else(self, asked: _Asked, rows: Rows) -> StoreError:
        """The error for values of which one is of another kind than ours."""
        kinds = [_TEXTS if name in asked.texts else _NUMBERS for name in rows.columns]
        name, value = next(
            (name, value)
            for point in rows.points
            for name, value, kind in zip(rows.columns, point, kinds, strict=True)
            if type(value) not in kind
        )
        return self._queries.of_somebody_else(asked.measurement, name, value)


def _own_first(table: pa.Table) -> pa.Table:
    """The points, no two of one slot: what is ours before what was imported, which is another series."""
    if "import" not in table.column_names or len(table) == 0:
        return table
    is_ours = np.array([not text for text in table["import"].to_pylist()])
    times = _times(table)
    return table.filter(pa.array(is_ours | ~np.isin(times, times[is_ours])))


def _times(table: pa.Table) -> npt.NDArray[np.int64]:
    return table["time"].to_numpy().astype("int64")  # of which float64 holds each exactly


def _numbers(column: "pa.ChunkedArray[pa.DoubleScalar]") -> npt.NDArray[np.float64]:
    numbers: npt.NDArray[np.float64] = column.to_numpy()  # null becomes NaN
    return numbers

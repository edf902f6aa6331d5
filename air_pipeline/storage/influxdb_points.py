"""The points of one device in InfluxDB, as the frames that every store gives.

Belongs here: how much is asked for at once, and which point of a slot is shown. Does not: how a query is sent, and that
its answer is whole (`influxql`); what frames look like (`frames`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

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


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Points, a column a field.

    Attributes:
        names: `time` (ms) first, then the fields that are numbers.
        numbers: names × points, NaN where there is none.
        texts: the other fields, and the tag `import` where something was imported; null where there is none.
    """

    names: tuple[str, ...]
    numbers: npt.NDArray[np.float64]
    texts: "Mapping[str, pa.ChunkedArray[pa.StringScalar]]"

    @property
    def times(self) -> npt.NDArray[np.int64]:
        """Of the points, ms, of which float64 holds each exactly."""
        times: npt.NDArray[np.int64] = self.numbers[0].astype("int64")
        return times

    def only(self, are_wanted: npt.NDArray[np.bool_]) -> "_Columns":
        """Those points alone."""
        if are_wanted.all():
            return self
        texts = {name: column.filter(pa.array(are_wanted)) for name, column in self.texts.items()}
        return _Columns(self.names, self.numbers[:, are_wanted], texts)


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
            looked_for = beside.submit(self._columns, _WITHOUT_VALUES, device, start, end)
            found = self._columns(_READINGS, device, start, end)
            others = looked_for.result()
        # Values in slots without a reading are of an earlier poll and count no longer.
        found = found.only(~_are_among(found.times, others.times))
        return readings_frame(found.times, found.names[1:], found.numbers[1:])

    def polls(self, device: str, start: int, end: int) -> pd.DataFrame:
        """The polls of one device; see `ReadingStore.polls`."""
        found = self._columns(_POLLS, device, start, end)
        numbers = dict(zip(found.names, found.numbers, strict=True))
        return polls_frame(found.times, {name: numbers[name] for name in POLL_NUMBERS if name in numbers}, found.texts)

    def _columns(self, asked: _Asked, device: str, start: int, end: int) -> _Columns:
        """The points of a device, rising by `time`."""
        parts = []
        try:
            parts += [self._columns_of(asked, rows) for rows in self._rows(asked, device, start, end)]
        except BucketMissing:  # nothing is made by a read
            self._require_makeable()
        return _own_first(_together(parts))

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

    def _columns_of(self, asked: _Asked, rows: Rows) -> _Columns:
        texts = [place for place, name in enumerate(rows.columns) if name in asked.texts]
        numbers = [place for place, name in enumerate(rows.columns) if name not in asked.texts]
        if texts:
            flat = [point[place] for point in rows.points for place in numbers]
        else:
            flat = [*chain.from_iterable(rows.points)]
        try:
            # By row, as they stand in memory: by column takes a first reading a third longer.
            table = np.array(flat, dtype="float64").reshape(-1, len(numbers))
            columns = {rows.columns[place]: _strings([point[place] for point in rows.points]) for place in texts}
        except (TypeError, ValueError) as error:
            raise self._of_somebody_else(asked, rows) from error
        # To numpy "1.5" is a number, and so is a yes. All values of a field are of one kind: one of each tells.
        known = zip(numbers, (~np.isnan(table)).argmax(axis=0), strict=True)
        if not {type(rows.points[row][place]) for place, row in known} <= _NUMBERS:
            raise self._of_somebody_else(asked, rows)
        if rows.imports:
            columns["import"] = _strings(rows.imports)
        names = tuple(rows.columns[place] for place in numbers)
        return _Columns(names, np.ascontiguousarray(table.T), columns)

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


def _together(parts: Sequence[_Columns]) -> _Columns:
    """All of these points. A query names the same fields from its first part to its last, another one may know more."""
    names = tuple(dict.fromkeys(chain(("time",), *(part.names for part in parts))))
    numbers = [part.numbers if part.names == names else _spread(part, names) for part in parts]
    texts = {name: _column(name, parts) for name in dict.fromkeys(chain.from_iterable(part.texts for part in parts))}
    return _Columns(names, np.concatenate([np.empty((len(names), 0)), *numbers], axis=1), texts)


def _column(name: str, parts: Iterable[_Columns]) -> "pa.ChunkedArray[pa.StringScalar]":
    """A text of all points."""
    chunks = [
        part.texts[name].chunks if name in part.texts else [pa.nulls(part.numbers.shape[1], pa.string())]
        for part in parts
    ]
    return pa.chunked_array([*chain.from_iterable(chunks)], pa.string())


def _strings(texts: Sequence[str | None]) -> "pa.ChunkedArray[pa.StringScalar]":
    return pa.chunked_array([texts], pa.string())


def _spread(part: _Columns, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """The numbers of a part with a row for each of these names."""
    spread = np.full((len(names), part.numbers.shape[1]), np.nan)
    spread[[names.index(name) for name in part.names]] = part.numbers
    return spread


def _own_first(points: _Columns) -> _Columns:
    """The points, no two of one slot: what is ours before what was imported, which is another series."""
    if "import" not in points.texts:
        return points
    is_ours = np.array([not text for text in points.texts["import"].to_pylist()], dtype=np.bool_)
    return points.only(is_ours | ~_are_among(points.times, points.times[is_ours]))


def _are_among(times: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether each of some times is one of others; both rise."""
    if not len(others):
        return np.zeros(len(times), dtype=bool)
    nearest = others[np.minimum(np.searchsorted(others, times), len(others) - 1)]
    are_among: npt.NDArray[np.bool_] = nearest == times
    return are_among

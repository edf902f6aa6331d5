"""The points of one device in InfluxDB, read day by day as CSV and counted, as the frames that every store gives.

Belongs here: that all points have come. Does not: how a query is sent (`influxql`), what frames look like (`frames`).
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from air_pipeline.devices.polls import Outcome
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.fields import POLL_NUMBERS, POLL_TEXTS
from air_pipeline.storage.frames import polls_frame, readings_frame
from air_pipeline.storage.influxql import InfluxQL, Series, during
from air_pipeline.storage.store import StoreError, StoreUnavailable

# What is read at once: 86,400 slots of 13 series are 8 MB of CSV.
_DAY_MS = 86_400_000

# In the words of pyarrow; before the fields come a name, tags and the time.
_UNFIT = re.compile(r"In CSV column #(\d+): .*invalid value '(.*)'", re.DOTALL)

_WITHOUT_READING = " AND ".join(f"outcome != '{outcome.value}'" for outcome in Outcome if outcome.has_reading)


class Points:
    """The points of one bucket."""

    def __init__(self, connection: InfluxConnection, queries: InfluxQL, ask: Callable[..., list[list[Series]]]) -> None:
        """Asks nothing yet.

        Args:
            connection: server and bucket.
            queries: gives CSV.
            ask: gives the series of queries, after making the bucket where it is missing.
        """
        self._connection = connection
        self._queries = queries
        self._ask = ask

    def readings(self, device: str, start: int, end: int) -> pd.DataFrame:
        """The readings of one device; see `ReadingStore.readings`."""
        table = self._points_of("air", device, start, end)
        if len(table):
            slots = table["time"].to_numpy()
            if others := self._without_reading(device, int(slots[0]), int(slots[-1]) + 1):
                table = table.filter(pa.array(~np.isin(slots, others)))
        return readings_frame(
            table["time"].to_numpy(),
            {name: _numbers(table[name]) for name in table.column_names if name not in {"time", "import"}},
        )

    def _without_reading(self, device: str, start: int, end: int) -> list[int]:
        """The slots (ms) whose poll has no reading: values there are of an earlier poll and count no longer."""
        ours = "\"import\" = '' AND " if self._queries.has_imports() else ""
        condition = f"device = $device AND {ours}{_WITHOUT_READING} AND {during(start, end)}"
        (result,) = self._ask(f"SELECT outcome FROM poll WHERE {condition}", parameters={"device": device})  # noqa: S608
        return [point["time"] for series in result for point in series.points]

    def polls(self, device: str, start: int, end: int) -> pd.DataFrame:
        """The polls of one device; see `ReadingStore.polls`."""
        table = self._points_of("poll", device, start, end, fields=(POLL_NUMBERS, POLL_TEXTS))
        present = set(table.column_names)
        return polls_frame(
            table["time"].to_numpy(),
            {name: _numbers(table[name]) for name in POLL_NUMBERS if name in present},
            {name: table[name].to_pylist() for name in POLL_TEXTS if name in present},
        )

    def _points_of(
        self,
        measurement: str,
        device: str,
        start: int,
        end: int,
        fields: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> pa.Table:
        """The points of one device, rising by `time`; all fields as numbers, or the named numbers and texts.

        Raises:
            StoreUnavailable: the server gave less than it counted.
        """
        empty = pa.table({"time": pa.array([], pa.int64())})
        days = self._days(measurement, device, start, end, fields)
        return pa.concat_tables([empty, *days], promote_options="default")

    def _days(
        self,
        measurement: str,
        device: str,
        start: int,
        end: int,
        fields: tuple[Sequence[str], Sequence[str]] | None,
    ) -> Iterator[pa.Table]:
        parameters = {"device": device}
        (result,) = self._ask(
            f"SELECT count(*::field) FROM {measurement} WHERE device = $device AND {during(start, end)} "  # noqa: S608
            f"GROUP BY time(1d, {start % _DAY_MS}ms) fill(none)",  # a local day is read at once
            parameters=parameters,
        )
        for point in result[0].points if result else ():
            first = max(start, point["time"])
            last = min(end, point["time"] + _DAY_MS)
            counts = {name.removeprefix("count_"): n for name, n in point.items() if name != "time" and n}
            numbers, texts = fields or (sorted(counts), ())
            numbers = [name for name in numbers if name in counts]
            texts = [name for name in texts if name in counts]
            if self._queries.has_imports():
                texts.append("import")  # a tag, which is not counted
            condition = f"device = $device AND {during(first, last)}"
            table = self._table(measurement, numbers, texts, condition, parameters)
            self._require_all(table, {name: counts[name] for name in numbers}, device)
            yield _own_first(table)

    def _table(
        self,
        measurement: str,
        numbers: Sequence[str],
        texts: Sequence[str],
        condition: str,
        parameters: Mapping[str, object],
    ) -> pa.Table:
        """The points, rising by `time` (int64, ms): float64 (null: none) and strings."""
        fields = [*numbers, *texts]
        answer = self._queries.csv(measurement, fields, condition, parameters)
        types = {"time": pa.int64(), **dict.fromkeys(numbers, pa.float64()), **dict.fromkeys(texts, pa.string())}
        if not answer:
            return pa.table({name: pa.array([], kind) for name, kind in types.items()})
        try:
            return csv.read_csv(
                io.BytesIO(answer),
                read_options=csv.ReadOptions(column_names=["name", "tags", "time", *fields], skip_rows=1),
                parse_options=csv.ParseOptions(newlines_in_values=bool(texts)),
                convert_options=csv.ConvertOptions(
                    column_types=types, include_columns=list(types), null_values=[""], strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid as error:
            if found := _UNFIT.search(str(error)):
                raise self._queries.of_somebody_else(measurement, fields[int(found[1]) - 3], found[2]) from error
            raise StoreError(
                f"Bucket '{self._connection.bucket}' at {self._connection.url} holds something in {measurement} that "
                f"air_pipeline did not write: {error}."
            ) from error

    def _require_all(self, table: pa.Table, counts: Mapping[str, int], device: str) -> None:
        """More than was counted has come in since; less means that the answer was cut, which CSV does not say."""
        for name, expected in counts.items():
            found = len(table) - table[name].null_count
            if found < expected:
                raise StoreUnavailable(
                    f"InfluxDB at {self._connection.url} counts {expected} values of {name} of device {device!r} and "
                    f"gives {found}: try again."
                )


def _own_first(table: pa.Table) -> pa.Table:
    """The points, no two of one slot: what is ours before what was imported, which is another series."""
    if "import" not in table.column_names or len(table) == 0:
        return table
    is_ours = np.array([not text for text in table["import"].to_pylist()])
    times = table["time"].to_numpy()
    return table.filter(pa.array(is_ours | ~np.isin(times, times[is_ours])))


def _numbers(column: "pa.ChunkedArray[pa.DoubleScalar]") -> npt.NDArray[np.float64]:
    numbers: npt.NDArray[np.float64] = column.to_numpy()  # null becomes NaN
    return numbers

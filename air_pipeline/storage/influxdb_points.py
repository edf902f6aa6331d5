"""The points of one device in InfluxDB, counted, and read in parts as CSV, as the frames that every store gives.

Belongs here: that all points have come. Does not: how a query is sent (`influxql`), what frames look like (`frames`).
"""

import io
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

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

# What is asked for at once: so many values (5 MB of CSV, half a day at 1 Hz), or what is in so many ms if that is more.
_VALUES_AT_ONCE = 600_000
_COUNTED_MS = 21_600_000

# What is parsed at once, bytes: often, so that little is left to do when the last comes.
_PARSED_AT_ONCE = 500_000

# In the words of pyarrow; before the fields come a name, tags and the time.
_UNFIT = re.compile(r"In CSV column #(\d+): .*invalid value '(.*)'", re.DOTALL)

_WITHOUT_READING = " AND ".join(f"outcome != '{outcome.value}'" for outcome in Outcome if outcome.has_reading)


@dataclass(frozen=True, slots=True)
class _Part:
    """Points from `start` until `end` (ms), and how many values each field has."""

    start: int
    end: int
    counts: Counter[str]


_Read = Callable[[], pa.Table]


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
        parts = self._counted("air", device, start, end)
        table = _joined(_one_ahead(self._asked_readings(device, part) for part in parts))
        return readings_frame(
            table["time"].to_numpy(),
            {name: _numbers(table[name]) for name in table.column_names if name not in {"time", "import"}},
        )

    def polls(self, device: str, start: int, end: int) -> pd.DataFrame:
        """The polls of one device; see `ReadingStore.polls`."""
        parts = self._counted("poll", device, start, end)
        table = _joined(_one_ahead(self._asked("poll", device, part, POLL_NUMBERS, POLL_TEXTS) for part in parts))
        present = set(table.column_names)
        return polls_frame(
            table["time"].to_numpy(),
            {name: _numbers(table[name]) for name in POLL_NUMBERS if name in present},
            {name: table[name] for name in POLL_TEXTS if name in present},
        )

    @contextmanager
    def _asked_readings(self, device: str, part: "_Part") -> Iterator[_Read]:
        with self._asked("air", device, part, sorted(part.counts)) as read:
            others = self._without_reading(device, part)  # while the server makes the rest

            def read_ours() -> pa.Table:
                table = read()
                return table.filter(pa.array(~np.isin(table["time"].to_numpy(), others))) if others else table

            yield read_ours

    def _without_reading(self, device: str, part: "_Part") -> list[int]:
        """The slots (ms) whose poll has no reading: values there are of an earlier poll and count no longer."""
        ours = "\"import\" = '' AND " if self._queries.has_imports() else ""
        condition = f"device = $device AND {ours}{_WITHOUT_READING} AND {during(part.start, part.end)}"
        (result,) = self._ask(f"SELECT outcome FROM poll WHERE {condition}", parameters={"device": device})  # noqa: S608
        return [point["time"] for series in result for point in series.points]

    def _counted(self, measurement: str, device: str, start: int, end: int) -> list["_Part"]:
        """The points of one device in parts that are asked for at once, as the server counts them."""
        (result,) = self._ask(
            f"SELECT count(*::field) FROM {measurement} WHERE device = $device AND {during(start, end)} "  # noqa: S608
            f"GROUP BY time({_COUNTED_MS}ms, {start % _COUNTED_MS}ms) fill(none)",
            parameters={"device": device},
        )
        parts: list[_Part] = []
        for point in result[0].points if result else ():
            counts = Counter({name.removeprefix("count_"): n for name, n in point.items() if name != "time"})
            first, last = max(start, point["time"]), min(end, point["time"] + _COUNTED_MS)
            if parts and (together := parts[-1].counts + counts).total() <= _VALUES_AT_ONCE:
                parts[-1] = _Part(parts[-1].start, last, together)
            else:
                parts.append(_Part(first, last, counts))
        return parts

    @contextmanager
    def _asked(
        self, measurement: str, device: str, part: "_Part", numbers: Sequence[str], texts: Sequence[str] = ()
    ) -> Iterator[_Read]:
        """Asks for points; what it gives reads them: rising by `time`, no two of one slot.

        Raises:
            StoreUnavailable: when they are read: the server gives less than it counted.
        """
        numbers, texts = ([name for name in names if part.counts[name]] for names in (numbers, texts))
        if self._queries.has_imports():
            texts.append("import")  # a tag, which is not counted
        condition = f"device = $device AND {during(part.start, part.end)}"
        with self._queries.csv(measurement, [*numbers, *texts], condition, {"device": device}) as answer:

            def read() -> pa.Table:
                table = self._table(measurement, numbers, texts, answer)
                self._require_all(table, {name: part.counts[name] for name in numbers}, device)
                return _own_first(table)

            yield read

    def _table(
        self, measurement: str, numbers: Sequence[str], texts: Sequence[str], answer: Iterator[bytes]
    ) -> pa.Table:
        """The points, rising by `time` (int64, ms): float64 (null: none) and strings."""
        fields = [*numbers, *texts]
        types = {"time": pa.int64(), **dict.fromkeys(numbers, pa.float64()), **dict.fromkeys(texts, pa.string())}
        read_options = csv.ReadOptions(column_names=["name", "tags", "time", *fields], use_threads=False)
        parse_options = csv.ParseOptions(newlines_in_values=bool(texts))
        convert_options = csv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=[""], strings_can_be_null=False
        )
        parsed = [pa.table({name: pa.array([], kind) for name, kind in types.items()})]
        try:
            parsed += [
                csv.read_csv(io.BytesIO(rows), read_options, parse_options, convert_options)
                for rows in _whole_rows(answer)
            ]
        except pa.ArrowInvalid as error:
            if found := _UNFIT.search(str(error)):
                raise self._queries.of_somebody_else(measurement, fields[int(found[1]) - 3], found[2]) from error
            raise StoreError(
                f"Bucket '{self._connection.bucket}' at {self._connection.url} holds something in {measurement} that "
                f"air_pipeline did not write: {error}."
            ) from error
        return pa.concat_tables(parsed)

    def _require_all(self, table: pa.Table, counts: Mapping[str, int], device: str) -> None:
        """More than was counted has come in since; less means that the answer was cut, which CSV does not say."""
        for name, expected in counts.items():
            found = len(table) - table[name].null_count
            if found < expected:
                raise StoreUnavailable(
                    f"InfluxDB at {self._connection.url} counts {expected} values of {name} of device {device!r} and "
                    f"gives {found}: try again."
                )


def _whole_rows(answer: Iterable[bytes]) -> Iterator[bytes]:
    """What follows the header, in pieces that end where rows do: a line feed between quotes is one of a text."""
    kept, is_header = b"", True
    for part in answer:
        kept += part
        if is_header and b"\n" in kept:
            kept, is_header = kept.partition(b"\n")[2], False
        if len(kept) >= _PARSED_AT_ONCE and not is_header:
            end = kept.rfind(b"\n") + 1
            if end and kept.count(b'"', 0, end) % 2 == 0:
                yield kept[:end]
                kept = kept[end:]
    if kept and not is_header:
        yield kept


def _one_ahead(parts: Iterable[AbstractContextManager[_Read]]) -> Iterator[pa.Table]:
    """What is read of each part: while the one is, the server makes the next."""
    with ExitStack() as asked:
        reads: deque[_Read] = deque()
        for part in parts:
            reads.append(asked.enter_context(part))
            if len(reads) > 1:
                yield reads.popleft()()
        if reads:
            yield reads.popleft()()


def _joined(tables: Iterable[pa.Table]) -> pa.Table:
    """Tables of which not each has each column."""
    return pa.concat_tables([pa.table({"time": pa.array([], pa.int64())}), *tables], promote_options="default")


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

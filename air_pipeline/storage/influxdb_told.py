"""What collectors tell of themselves in InfluxDB: measurements `collector` and `late`, tag `collector`, times in ms."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from itertools import chain
from typing import Any

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb_failures import of_influxdb
from air_pipeline.storage.influxql import Series
from air_pipeline.storage.line_protocol import told_line
from air_pipeline.storage.store import LateMark, StoreError, Told, late_mark

_LAST = "SELECT *::field FROM collector{} GROUP BY collector ORDER BY time DESC LIMIT 1"
_AHEAD_MS = 60_000
"""So far clocks differ: what a clock told that was further ahead does not hide what came after it."""
_MARKS = 'SELECT "day" FROM late{} GROUP BY collector'
_MARKS_OF_ONE = _MARKS.format(' WHERE "collector" = $collector')
_LAST_MARK = 'SELECT last("day") FROM late WHERE "collector" = $collector'


class ToldInInfluxDB(ABC):
    """That part of the store; see `ReadingStore` for what the methods promise."""

    _connection: InfluxConnection

    def __init__(self) -> None:
        """Has marked nothing yet."""
        self._marked_until: dict[str, int] = {}

    @abstractmethod
    def _ask(self, *queries: str, parameters: Mapping[str, object] | None = None) -> list[list[Series]]:
        """The series of each query, by one request."""

    @abstractmethod
    def _write_lines(self, lines: Sequence[str]) -> None:
        """Writes points into the bucket, which is made if there is none."""

    def tell(self, told: Told) -> None:
        """Stores what a collector tells of itself; what it told before stays, for whoever wants to draw it."""
        self._write_lines([told_line("collector", told)])

    @of_influxdb
    def last_told(self) -> dict[str, Told]:
        """Collector to what it told last."""
        until = time.time_ns() // 1_000_000 + _AHEAD_MS
        found = {}
        for name, (last, *_) in self._by_collector(_LAST.format(""), _LAST.format(f" WHERE time <= {until}ms")):
            fields = {field: value for field, value in last.items() if field != "time"}
            found[name] = Told(name, int(last["time"]), fields)
        return found

    def mark_late(self, collector: str, days: Iterable[date]) -> None:
        """Marks UTC dates; see `ReadingStore.mark_late`. A token that may not read marks them by the clock alone."""
        first = max(time.time_ns() // 1_000_000, self._marked_until.get(collector, 0) + 1)
        with suppress(StoreError):
            (result,) = self._ask(_LAST_MARK, parameters={"collector": collector})
            first = max([first, *(int(point["time"]) + 1 for series in result for point in series.points)])
        marks = [Told(collector, at, {"day": day.isoformat()}) for at, day in enumerate(sorted(days), first)]
        self._write_lines([told_line("late", mark) for mark in marks])
        if marks:  # what a token cannot read is remembered
            self._marked_until[collector] = marks[-1].at

    @of_influxdb
    def late_marks(self, passed: Mapping[str, int], collector: str | None = None) -> list[LateMark]:
        """The marks that were not passed; see `ReadingStore.late_marks`."""
        if collector is None:
            found = self._by_collector(*_marks_after(passed), parameters=_names(passed))
        else:
            found = self._by_collector(_MARKS_OF_ONE, parameters={"collector": collector})
        marks = (
            late_mark(name, at, point["day"])
            for name, points in found
            for point in points
            if (at := int(point["time"])) > passed.get(name, at - 1)
        )
        return [mark for mark in marks if mark is not None]

    def _by_collector(
        self, *queries: str, parameters: Mapping[str, object] | None = None
    ) -> Iterator[tuple[str, Sequence[Mapping[str, Any]]]]:
        for series in chain.from_iterable(self._ask(*queries, parameters=parameters)):
            if name := series.tags.get("collector"):
                yield name, series.points


def _marks_after(passed: Mapping[str, int]) -> Iterator[str]:
    """Of each collector those that come later, as marks stay for ever; and all of those that are not known yet."""
    known = _names(passed)
    for parameter, name in known.items():
        yield _MARKS.format(f' WHERE "collector" = ${parameter} AND time > {passed[name]}ms')
    others = " AND ".join(f'"collector" != ${parameter}' for parameter in known)
    yield _MARKS.format(f" WHERE {others}" if others else "")


def _names(passed: Mapping[str, int]) -> dict[str, str]:
    return {f"collector{number}": name for number, name in enumerate(passed)}

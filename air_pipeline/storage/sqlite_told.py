"""What collectors tell of themselves in the embedded store: their last word, and the days that they marked late."""

import json
import time
from collections.abc import Iterable, Mapping
from datetime import date
from sqlite3 import Connection

from air_pipeline.storage.sqlite_connections import Connections
from air_pipeline.storage.store import LateMark, Told, late_mark

TOLD_TABLES = (
    "CREATE TABLE collector (collector TEXT PRIMARY KEY, told_at INTEGER NOT NULL, fields TEXT NOT NULL)",
    """CREATE TABLE late (
        collector TEXT NOT NULL, marked_at INTEGER NOT NULL, day TEXT NOT NULL, PRIMARY KEY (collector, marked_at)
    ) WITHOUT ROWID""",
)
"""One row a collector, and one a mark; times in ms UTC."""


class ToldInSqlite:
    """That part of the store; see `ReadingStore` for what the methods promise."""

    _connections: Connections

    def tell(self, told: Told) -> None:
        """Stores what a collector tells of itself, in place of what it told before."""
        row = (told.collector, told.at, json.dumps(dict(told.fields)))
        with self._connections.writing() as connection:
            connection.execute("REPLACE INTO collector VALUES (?, ?, ?)", row)

    def last_told(self) -> dict[str, Told]:
        """Collector to what it told last."""
        with self._connections.reading() as connection:
            if connection is None or not _are_there(connection):
                return {}
            rows = connection.execute("SELECT collector, told_at, fields FROM collector").fetchall()
        return {name: Told(name, at, json.loads(fields)) for name, at, fields in rows}

    def mark_late(self, collector: str, days: Iterable[date]) -> None:
        """Marks UTC dates; see `ReadingStore.mark_late`."""
        with self._connections.writing() as connection:
            query = "SELECT coalesce(max(marked_at), 0) FROM late WHERE collector = ?"
            (last,) = connection.execute(query, (collector,)).fetchone()
            first = max(time.time_ns() // 1_000_000, last + 1)
            rows = [(collector, at, day.isoformat()) for at, day in enumerate(sorted(days), first)]
            connection.executemany("INSERT INTO late VALUES (?, ?, ?)", rows)

    def late_marks(self, passed: Mapping[str, int], collector: str | None = None) -> list[LateMark]:
        """The marks that were not passed; see `ReadingStore.late_marks`."""
        with self._connections.reading() as connection:
            if connection is None or not _are_there(connection):
                return []
            rows = connection.execute(
                "SELECT collector, marked_at, day FROM late WHERE ?1 IS NULL OR collector = ?1"
                " ORDER BY collector, marked_at",
                (collector,),
            ).fetchall()
        marks = (late_mark(name, at, day) for name, at, day in rows if at > passed.get(name, at - 1))
        return [mark for mark in marks if mark is not None]


def _are_there(connection: Connection) -> bool:
    """Whether the file has the tables: one that nothing was written into since can be of an older version."""
    query = "SELECT count(*) FROM pragma_table_list WHERE name IN ('collector', 'late')"
    return bool(connection.execute(query).fetchone()[0] == len(TOLD_TABLES))

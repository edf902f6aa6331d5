"""The embedded store: the tables `air` and `poll` in one SQLite file, with the meaning they have in InfluxDB.

Both have a row a device and slot. `air` has a column a series, added when the first value of it comes: a device-day is
then one range of one B-tree, a poll takes some 185 bytes, and any SQLite tool shows it. What SQLite's errors mean is in
`sqlite_connections`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.storage import sqlite_imports
from air_pipeline.storage.fields import POLL_COLUMNS, POLL_RARE
from air_pipeline.storage.latest import latest_of
from air_pipeline.storage.sqlite_connections import Connections, Kind, Tables, Trouble
from air_pipeline.storage.sqlite_queries import (
    ASKED,
    ASKED_BEFORE,
    DEVICES,
    EMPTIED,
    FIRST_POLLS,
    IDENTITIES,
    KEY,
    OF_DEVICE,
    device_rows,
    per_device,
    quoted,
    replace,
)
from air_pipeline.storage.sqlite_told import TOLD_TABLES, ToldInSqlite
from air_pipeline.storage.stated import asked_of, between_of, nearest, series_of_problems
from air_pipeline.storage.storable import (
    EMPTY_VALUE,
    air_values,
    body_text,
    cycle_text,
    identity_text,
    number,
    require_storable,
    series_text,
    text,
    within_time,
)
from air_pipeline.storage.store import (
    EARLIEST_MS,
    LATEST_MS,
    Asked,
    Before,
    Latest,
    PollsRejected,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    Summary,
)

if TYPE_CHECKING:
    import pandas as pd

_TABLES = Tables(
    steps=(
        (
            """CREATE TABLE air (
                device TEXT NOT NULL, observed_at INTEGER NOT NULL, PRIMARY KEY (device, observed_at)
            ) WITHOUT ROWID""",
            """CREATE TABLE poll (
                device TEXT NOT NULL, observed_at INTEGER NOT NULL, outcome TEXT NOT NULL, duration_ms REAL NOT NULL,
                http_status REAL, interval_s REAL NOT NULL, problems TEXT NOT NULL, body TEXT,
                PRIMARY KEY (device, observed_at)
            ) WITHOUT ROWID""",
        ),
        (
            "ALTER TABLE poll ADD COLUMN series TEXT",
            # Said once, and asked for of each day: without an index the search would go back to that day.
            "CREATE INDEX poll_series ON poll (device, observed_at) WHERE series IS NOT NULL",
        ),
        ("ALTER TABLE poll ADD COLUMN cycle TEXT", *sqlite_imports.STEP, *TOLD_TABLES),
        (
            "ALTER TABLE poll ADD COLUMN identity TEXT",
            "CREATE INDEX poll_identity ON poll (device, observed_at) WHERE identity IS NOT NULL",  # said once, too
        ),
    ),
)

VERSION = _TABLES.version
"""Of the file."""
_ERRORS: Mapping[Kind, type[StoreError]] = {
    Kind.PASSING: StoreUnavailable,
    Kind.REPLACED: StoreUnavailable,
    Kind.RIGHTS: StoreRefused,
}

# Rows that are Python objects at one time: what the processor's caches hold.
_ROWS_AT_ONCE = 1_000


class SqliteStore(ToldInSqlite):
    """The reading store in one SQLite file, made at the first write. Safe from several threads and processes.

    A file that does not exist yet is an empty store to its readers. See `ReadingStore` for what the methods promise.
    """

    def __init__(self, path: Path, timeout_s: float = 10.0) -> None:
        """Opens nothing yet.

        Args:
            path: the file.
            timeout_s: how long a write waits for those of other processes.
        """
        # What was written leaves the outbox: it must be on the disk, not on its way there.
        self._connections = Connections(path, _TABLES, timeout_s, _error, synchronous="FULL")

    @property
    def identity(self) -> str:
        """The word sqlite and the file."""
        return f"sqlite {self._connections.path}"

    def write(self, polls: Sequence[Poll]) -> None:
        """Stores polls in one transaction; see `ReadingStore.write`."""
        require_storable(polls)
        if not polls:
            return
        in_turn = sorted(polls, key=lambda poll: poll.import_id is None)  # what is ours after what was imported
        last = list({(poll.device, int(poll.observed_at)): poll for poll in in_turn}.values())
        with self._connections.writing() as connection:
            last = sqlite_imports.written(connection, last)
            readings = [(poll, values) for poll in last if (values := air_values(poll))]
            without = [(poll.device, int(poll.observed_at)) for poll in last if not air_values(poll)]
            series = sorted({name for _, values in readings for name in values})
            _add_series(connection, series)
            connection.executemany("DELETE FROM air WHERE device = ? AND observed_at = ?", without)
            connection.executemany(
                replace("air", series),
                ((p.device, int(p.observed_at), *map(values.get, series)) for p, values in readings),
            )
            connection.executemany(replace("poll", POLL_COLUMNS), map(_poll_row, last))

    def readings(self, device: str, start: int, end: int, polls: "pd.DataFrame | None" = None) -> "pd.DataFrame":  # noqa: ARG002
        """The readings of one device; see `ReadingStore.readings`. Nothing of an earlier poll is kept here."""
        from air_pipeline.storage.frames import readings_of_rows  # with pandas, 0.4 s and 90 MB: not for the collector

        with self._connections.reading() as connection:
            if connection is None:
                return readings_of_rows([], ())
            series = _series(connection)
            rows = connection.execute(device_rows("air", series), (device, *within_time(start, end)))
            return readings_of_rows(series, _in_parts(rows))

    def polls(self, device: str, start: int, end: int) -> "pd.DataFrame":
        """The polls of one device; see `ReadingStore.polls`."""
        from air_pipeline.storage.frames import polls_of_rows  # with pandas, as above

        with self._connections.reading() as connection:
            if connection is None:
                return polls_of_rows(())
            there = _columns(connection, "poll")
            usual, rare = ([name for name in there if (name in POLL_RARE) is is_rare] for is_rare in (False, True))
            # A text that is not there costs as much to hand over as one that is.
            statements = device_rows("poll", usual), device_rows("poll", rare, saying=True)
            all_rows, few_rows = (connection.execute(one, (device, *within_time(start, end))) for one in statements)
            return polls_of_rows(_in_parts(all_rows), usual, _in_parts(few_rows), rare)

    def latest(self, start: int = EARLIEST_MS, end: int = LATEST_MS) -> dict[str, Latest]:
        """The last poll and the last reading of every device; see `ReadingStore.latest`."""
        span = within_time(start, end)
        with self._connections.reading() as connection:
            if connection is None:
                return {}
            series = _series(connection)
            polls = _last_rows(connection, "poll", _columns(connection, "poll"), span)
            readings = _last_rows(connection, "air", series, span)
        found = {}
        for device, (time, fields) in polls.items():
            reading_at, values = readings.get(device, (None, {}))
            found[device] = latest_of(device, time, fields, reading_at, values)
        return found

    def outcome_counts(self, start: int, end: int, timeout_s: float = 30.0) -> dict[str, dict[str, int]]:
        """Device to outcome to number of polls; see `ReadingStore.outcome_counts`."""
        counts: dict[str, dict[str, int]] = {}
        with self._connections.reading(deadline_s=timeout_s) as connection:
            if connection is not None:
                rows = connection.execute(
                    per_device("poll", "outcome, count(*)", group="name, outcome"), within_time(start, end)
                )
                for device, outcome, count in rows:
                    counts.setdefault(device, {})[outcome] = count
        return counts

    def summaries(self, start: int, end: int) -> dict[str, Summary]:
        """Device to summary; see `ReadingStore.summaries`."""
        span = within_time(start, end)
        with self._connections.reading() as connection:
            if connection is None:
                return {}
            of_polls = connection.execute(
                per_device("poll", "count(*), total(duration_ms)", group="name"), span
            ).fetchall()
            counts = ", ".join(["count(*)", *(f"count({quoted(name)})" for name in _series(connection))])
            of_air = connection.execute(per_device("air", counts, group="name"), span).fetchall()
        polls = {device: (count, duration) for device, count, duration in of_polls}
        values = {device: sum(counts) for device, _, *counts in of_air}
        return {
            device: Summary(*polls.get(device, (0, 0.0)), values=values.get(device, 0))
            for device in sorted({*polls, *values})
        }

    def first_poll(self, device: str, since: int = EARLIEST_MS) -> int | None:
        """The slot of the first poll from a time on."""
        first, _ = within_time(since, since)
        row = self._row("SELECT min(observed_at) FROM poll WHERE device = ? AND observed_at >= ?", device, first)
        return None if row is None or row[0] is None else int(row[0])

    def first_polls(self, start: int, end: int, device: str | None = None) -> dict[str, int]:
        """Device to the slot of its first poll in the interval; see `ReadingStore.first_polls`."""
        with self._connections.reading() as connection:
            if connection is None:
                return {}
            rows = connection.execute(FIRST_POLLS, (device, device, *within_time(start, end)))
            return {name: int(slot) for name, slot in rows}

    def emptied(self, start: int, end: int, device: str | None = None) -> dict[str, tuple[int, ...]]:
        """Device to the slots in which a value came as an empty text; see `ReadingStore.emptied`."""
        with self._connections.reading() as connection:
            if connection is None:
                return {}
            found: dict[str, list[int]] = {}
            for name, slot in connection.execute(EMPTIED, (*within_time(start, end), EMPTY_VALUE, device, device)):
                found.setdefault(name, []).append(slot)
        return {name: tuple(slots) for name, slots in found.items()}

    def before(self, device: str, time: int) -> Before | None:
        """What the last poll of a device before a time says; see `ReadingStore.before`."""
        _, end = within_time(time, time)
        row = self._row(
            "SELECT observed_at, interval_s, outcome FROM poll WHERE device = ? AND observed_at < ?"
            " ORDER BY observed_at DESC LIMIT 1",
            device,
            end,
        )
        return None if row is None else Before(int(row[0]), float(row[1]), row[2] == Outcome.ENDED.value)

    def asked(self, start: int, end: int, device: str | None = None) -> dict[str, Asked]:
        """Device to what polls say that it was asked for; see `ReadingStore.asked`."""
        first, last = within_time(start, end)
        with self._connections.reading() as connection:
            if connection is None or "series" not in _columns(connection, "poll"):
                return {}
            before = connection.execute(ASKED_BEFORE, (first, device, device)).fetchall()
            within = connection.execute(ASKED, (first, last, device, device)).fetchall()
        return asked_of(before, within)

    def identities(self) -> dict[str, str]:
        """Device to what it said last which one it is; see `ReadingStore.identities`."""
        with self._connections.reading() as connection:
            if connection is None or "identity" not in _columns(connection, "poll"):
                return {}
            return dict(connection.execute(IDENTITIES).fetchall())

    def stated(self, device: str, start: int, end: int) -> frozenset[str]:
        """The series of which polls of a device have a value or a problem; see `ReadingStore.stated`."""
        of_device = (device, *within_time(start, end))
        with self._connections.reading() as connection:
            if connection is None:
                return frozenset()
            names = _series(connection)
            counts = ", ".join(["count(*)", *(f"count({quoted(name)})" for name in names)])
            _, *found = connection.execute(f"SELECT {counts} FROM air {OF_DEVICE}", of_device).fetchone()  # noqa: S608 - quoted
            texts = connection.execute(f"SELECT DISTINCT problems FROM poll {OF_DEVICE}", of_device).fetchall()  # noqa: S608
        there = {name for name, count in zip(names, found, strict=True) if count}
        return series_of_problems(problems for (problems,) in texts) | there

    def nearest_stated(self, device: str, time: int, *, earlier: bool) -> frozenset[str]:
        """The series of the nearest poll that has a value or a problem; see `ReadingStore.nearest_stated`."""
        edge, _ = within_time(time, time)
        where, order = ("<", "DESC") if earlier else (">=", "ASC")
        of_device, near = f"WHERE device = ? AND observed_at {where} ?", f"ORDER BY observed_at {order} LIMIT 1"
        with self._connections.reading() as connection:
            if connection is None:
                return frozenset()
            names = _series(connection)
            columns = ", ".join(quoted(name) for name in ("observed_at", *names))
            air = connection.execute(f"SELECT {columns} FROM air {of_device} {near}", (device, edge)).fetchone()  # noqa: S608
            values = air and (air[0], [n for n, value in zip(names, air[1:], strict=True) if value is not None])
            span = (device, edge, *between_of(values, earlier=earlier))
            poll = connection.execute(
                f"SELECT observed_at, problems FROM poll {of_device} AND observed_at >= ? AND observed_at <= ?"  # noqa: S608
                f" AND problems <> '' {near}",
                span,
            ).fetchone()
        return nearest([values, poll and (poll[0], series_of_problems([poll[1]]))], earlier=earlier)

    def imports(self, start: int, end: int) -> dict[str, dict[str, Summary]]:
        """Device to import to summary; see `ReadingStore.imports`."""
        with self._connections.reading() as connection:
            if connection is None or "import" not in _columns(connection, "poll"):
                return {}
            return sqlite_imports.found(connection, [*map(quoted, _series(connection))], *within_time(start, end))

    def delete_import(self, device: str, import_id: str, start: int, end: int) -> None:
        """Deletes what came with one import; see `ReadingStore.delete_import`."""
        with self._connections.writing() as connection:
            sqlite_imports.delete(connection, device, import_id, *within_time(start, end))

    def delete(self, device: str, start: int, end: int) -> None:
        """Deletes the polls and values of one device; see `ReadingStore.delete`."""
        with self._connections.writing() as connection:
            for table in ("air", "poll"):
                statement = f"DELETE FROM {table} WHERE device = ? AND observed_at >= ? AND observed_at < ?"  # noqa: S608
                connection.execute(statement, (device, *within_time(start, end)))

    def flux(self, query: str) -> "pd.DataFrame":  # noqa: ARG002 - the protocol's
        """SQLite speaks no Flux.

        Raises:
            StoreError: always.
        """
        raise StoreError(
            f"{self._connections.path} is an SQLite file and speaks no Flux: Flux needs InfluxDB (set INFLUXDB_V2_URL, "
            "INFLUXDB_V2_TOKEN, INFLUXDB_V2_ORG and INFLUXDB_V2_BUCKET)."
        )

    def close(self) -> None:
        """Closes the connections; the next call opens new ones."""
        self._connections.close()

    def _row(self, query: str, *parameters: object) -> tuple[Any, ...] | None:
        with self._connections.reading() as connection:
            if connection is None:
                return None
            row: tuple[Any, ...] | None = connection.execute(query, parameters).fetchone()
            return row


def _error(path: Path, trouble: Trouble) -> StoreError:
    said = f"{path} {trouble.what}"
    return _ERRORS.get(trouble.kind, StoreError)(f"{said}: {trouble.hint}" if trouble.hint else f"{said}.")


def _in_parts(rows: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    return iter(partial(rows.fetchmany, _ROWS_AT_ONCE), [])


def _series(connection: sqlite3.Connection) -> list[str]:
    return sorted(_columns(connection, "air"))


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table beside its key; a file that nothing was written into since can be of an older version."""
    names = (name for (name,) in connection.execute(f"SELECT name FROM pragma_table_info('{table}')"))  # noqa: S608
    return [name for name in names if name not in KEY]


def _add_series(connection: sqlite3.Connection, series: Iterable[str]) -> None:
    known = {name.lower(): name for name in _series(connection)}  # SQLite's column names ignore case
    for name in series:
        if known.setdefault(name.lower(), name) != name:
            raise PollsRejected(f"The series {name!r} differs from {known[name.lower()]!r} in case only: rename it.")
    for name in set(series) - set(_series(connection)):
        connection.execute(f"ALTER TABLE air ADD COLUMN {quoted(name)} REAL")


def _poll_row(poll: Poll) -> tuple[object, ...]:
    fields: Mapping[str, object] = {
        "outcome": poll.outcome.value,
        "duration_ms": number(poll.duration_ms),
        "http_status": poll.http_status,
        "interval_s": number(poll.interval_s),
        "problems": text(poll.problems_json),
        "body": body_text(poll),
        "series": series_text(poll),
        "cycle": cycle_text(poll),
        "identity": identity_text(poll),
        "import": poll.import_id,
    }
    return (poll.device, int(poll.observed_at), *(fields[name] for name in POLL_COLUMNS))


def _last_rows(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], span: tuple[int, int]
) -> dict[str, tuple[int, dict[str, Any]]]:
    """Device to the time of its last row and what is not NULL in it."""
    names = ", ".join(quoted(name) for name in (*KEY, *columns))
    rows = connection.execute(
        f"{DEVICES.format(table=table)} SELECT {names} FROM known CROSS JOIN {table} ON device = name "  # noqa: S608 - quoted
        f"AND observed_at = (SELECT max(observed_at) FROM {table} WHERE device = name "
        "AND observed_at >= ? AND observed_at < ?)",
        span,
    )
    return {
        device: (time, {name: value for name, value in zip(columns, fields, strict=True) if value is not None})
        for device, time, *fields in rows
    }

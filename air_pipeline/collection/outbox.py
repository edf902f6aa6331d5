"""The outbox: every poll is here from its answer until the store has it, whatever happens to processes and stores.

Belongs here: the SQLite file `outbox.sqlite` in the state directory. Does not: when things are sent (`delivery`).
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from air_pipeline.devices.polls import Poll, poll_from_json, poll_to_json
from air_pipeline.errors import AirPipelineError
from air_pipeline.storage.sqlite_connections import Connections, Tables, Trouble

_TABLES = Tables(
    version=1,
    statements=(
        "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, observed_at INTEGER NOT NULL, poll TEXT NOT NULL)",
        """CREATE TABLE IF NOT EXISTS quarantine (
            id INTEGER PRIMARY KEY, observed_at INTEGER NOT NULL, poll TEXT NOT NULL, reason TEXT NOT NULL,
            since REAL NOT NULL
        )""",
        """CREATE TABLE IF NOT EXISTS devices (
            device TEXT PRIMARY KEY, last_slot INTEGER, rejected TEXT NOT NULL DEFAULT '',
            notes TEXT NOT NULL DEFAULT ''
        )""",
        """CREATE TABLE IF NOT EXISTS delivery (
            one INTEGER PRIMARY KEY CHECK (one = 1), failures INTEGER NOT NULL, retry_at REAL NOT NULL,
            error TEXT NOT NULL
        )""",
        "CREATE TABLE IF NOT EXISTS late (day TEXT PRIMARY KEY)",
        "INSERT OR IGNORE INTO delivery VALUES (1, 0, 0, '')",
    ),
    unnumbered="late",  # the last that was made
)
VERSION = _TABLES.version
"""Of the file."""
_LET_GO = "DELETE FROM outbox WHERE id = ? AND poll = ?"
_ALL_TIME = (-(2**63), 2**63 - 1)
_BUSY_TIMEOUT_S = 30.0
_LOOK_TIMEOUT_S = 2.0


class OutboxError(AirPipelineError):
    """The outbox cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A poll that the store does not have yet, with its number and text in the outbox.

    Both together are its identity: in another file, put in this one's place meanwhile, its number is another poll's.
    """

    number: int
    poll: Poll
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A poll that the store will never take, and why."""

    number: int
    poll: Poll
    reason: str


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How delivery stands.

    Attributes:
        pending: polls that the store does not have yet.
        oldest: the slot of the oldest of them, ms UTC; None if there is none.
        quarantined: polls that the store will never take.
        failures: attempts that failed since the last that did not.
        retry_at: no attempt before this time, seconds UTC.
        error: why the last attempt failed; empty if it did not.
    """

    pending: int
    oldest: int | None
    quarantined: int
    failures: int
    retry_at: float
    error: str


class Outbox:
    """The outbox of one state directory; safe from several threads and processes.

    Args:
        path: the SQLite file.
        make: whether it is made if it is not there; else that is an error, and the outbox is only to be read.

    Raises:
        OutboxError: by every method, when the file cannot be read or written.
    """

    def __init__(self, path: Path, *, make: bool = True) -> None:
        if not make:
            self._polls = self._claims = Connections(path, _TABLES, _LOOK_TIMEOUT_S, _error, make=False)
            with self._claims.reading():
                return
        # What was polled survives a power cut (FULL); which slots were begun need only survive the process.
        self._polls = Connections(path, _TABLES, _BUSY_TIMEOUT_S, _error, synchronous="FULL")
        self._claims = Connections(path, _TABLES, _BUSY_TIMEOUT_S, _error, synchronous="NORMAL")
        self._polls.make()

    def close(self) -> None:
        """Closes the file."""
        self._polls.close()
        self._claims.close()

    def begin(self, slots: Mapping[str, int]) -> None:
        """Remembers the slot that each of these devices has begun, before it is asked."""
        statement = (
            "INSERT INTO devices (device, last_slot) VALUES (?, ?)"
            " ON CONFLICT (device) DO UPDATE SET last_slot = excluded.last_slot"
        )
        self._write(self._claims, statement, slots.items())

    def last_slots(self) -> dict[str, int]:
        """The last slot that each device has begun."""
        rows = self._read("SELECT device, last_slot FROM devices WHERE last_slot IS NOT NULL")
        return dict(rows)

    def add(self, polls: Sequence[Poll]) -> None:
        """Takes polls in; they are on the disk when it returns."""
        rows = [(poll.observed_at, poll_to_json(poll)) for poll in polls]
        self._write(self._polls, "INSERT INTO outbox (observed_at, poll) VALUES (?, ?)", rows)

    def pending(self, limit: int) -> list[Pending]:
        """The polls that came in first, at most so many."""
        rows = self._read("SELECT id, poll FROM outbox ORDER BY id LIMIT ?", limit)
        return [Pending(number, poll_from_json(text), text) for number, text in rows]

    def newest(self, limit: int) -> dict[str, Poll]:
        """The last poll of each device among those that came in last, at most so many."""
        rows = self._read("SELECT poll FROM outbox ORDER BY id DESC LIMIT ?", limit)
        polls = [poll_from_json(poll) for (poll,) in rows]
        return {poll.device: poll for poll in sorted(polls, key=lambda poll: poll.observed_at)}

    def delivered(self, polls: Iterable[Pending]) -> None:
        """Lets go of polls that the store has."""
        self._write(self._claims, _LET_GO, ((one.number, one.text) for one in polls))

    def quarantine(self, one: Pending, reason: str) -> None:
        """Sets a poll aside that the store will never take."""
        with self._polls.writing() as connection:
            connection.execute(
                "INSERT INTO quarantine (observed_at, poll, reason, since) VALUES (?, ?, ?, ?)",
                (one.poll.observed_at, one.text, reason, time.time()),
            )
            connection.execute(_LET_GO, (one.number, one.text))

    def quarantined(self, limit: int = 100) -> list[Quarantined]:
        """The newest of the polls that were set aside."""
        rows = self._read("SELECT id, poll, reason FROM quarantine ORDER BY id DESC LIMIT ?", limit)
        return [Quarantined(number, poll_from_json(poll), reason) for number, poll, reason in rows]

    def reasons(self, limit: int) -> list[str]:
        """Why the newest of the polls in quarantine were set aside."""
        return [
            str(reason) for (reason,) in self._read("SELECT reason FROM quarantine ORDER BY id DESC LIMIT ?", limit)
        ]

    def release(self) -> int:
        """Puts everything that was set aside back into the outbox, to be tried again; how many polls that is."""
        with self._polls.writing() as connection:
            connection.execute("INSERT INTO outbox (observed_at, poll) SELECT observed_at, poll FROM quarantine")
            return connection.execute("DELETE FROM quarantine").rowcount

    def polls_of(self, device: str, start: int, end: int) -> tuple[int, int]:
        """How many polls of one device in [start, end), ms UTC, wait, and how many were set aside."""
        waiting, aside = (len(self._numbers(table, device, start, end)) for table in ("outbox", "quarantine"))
        return waiting, aside

    def rename(self, device: str, name: str) -> None:
        """Gives everything that is here of a device to one of another name, in one transaction."""
        with self._polls.writing() as connection:
            for table in ("outbox", "quarantine"):
                for number, text in self._numbers(table, device, *_ALL_TIME):
                    poll = poll_to_json(replace(poll_from_json(text), device=name))
                    connection.execute(f"UPDATE {table} SET poll = ? WHERE id = ?", (poll, number))  # noqa: S608
            connection.execute(
                "INSERT INTO devices SELECT ?, last_slot, rejected, notes FROM devices WHERE device = ?"
                " ON CONFLICT (device) DO UPDATE SET last_slot ="
                " max(coalesce(last_slot, excluded.last_slot), coalesce(excluded.last_slot, last_slot))",
                (name, device),
            )
            connection.execute("DELETE FROM devices WHERE device = ?", (device,))

    def delete(self, device: str, start: int, end: int, *, forget: bool) -> None:
        """Deletes the polls of a device in [start, end), ms UTC; where it is to be forgotten, its last slot too."""
        with self._polls.writing() as connection:
            for table in ("outbox", "quarantine"):
                for number, _ in self._numbers(table, device, start, end):
                    connection.execute(f"DELETE FROM {table} WHERE id = ?", (number,))  # noqa: S608
            if forget:
                connection.execute("DELETE FROM devices WHERE device = ?", (device,))

    def _numbers(self, table: str, device: str, start: int, end: int) -> list[tuple[int, str]]:
        """The number and text of each poll of a device in one of the two tables."""
        query = f"SELECT id, poll FROM {table} WHERE observed_at >= ? AND observed_at < ? AND instr(poll, ?)"  # noqa: S608
        rows = self._read(query, start, end, json.dumps(device))
        return [(number, text) for number, text in rows if json.loads(text)["device"] == device]

    def status(self) -> OutboxStatus:
        """How delivery stands."""
        with self._claims.reading() as connection:
            if connection is None:
                return OutboxStatus(pending=0, oldest=None, quarantined=0, failures=0, retry_at=0.0, error="")
            pending, oldest = connection.execute("SELECT COUNT(*), MIN(observed_at) FROM outbox").fetchone()
            (quarantined,) = connection.execute("SELECT COUNT(*) FROM quarantine").fetchone()
            failures, retry_at, error = connection.execute("SELECT failures, retry_at, error FROM delivery").fetchone()
        return OutboxStatus(
            pending=pending,
            oldest=oldest,
            quarantined=quarantined,
            failures=failures,
            retry_at=retry_at,
            error=error,
        )

    def attempted(self, *, failures: int, retry_at: float, error: str) -> None:
        """Remembers how the last attempt went, for restarts and for people."""
        self._write(
            self._claims, "UPDATE delivery SET failures = ?, retry_at = ?, error = ?", [(failures, retry_at, error)]
        )

    def mark_late(self, days: Iterable[date]) -> None:
        """Remembers UTC dates for which readings reached the store so late that days may have been built without."""
        self._write(self._claims, "INSERT OR IGNORE INTO late VALUES (?)", ((day.isoformat(),) for day in days))

    def late_days(self) -> set[date]:
        """The UTC dates that were marked late."""
        return {date.fromisoformat(day) for (day,) in self._read("SELECT day FROM late")}

    def forget_late(self, days: Iterable[date]) -> None:
        """Forgets marks, once the days around them were built again."""
        self._write(self._claims, "DELETE FROM late WHERE day = ?", ((day.isoformat(),) for day in days))

    def last_rejected(self) -> dict[str, str]:
        """The digest of the last rejected document of each device that had one."""
        return {
            str(d): str(digest) for d, digest in self._read("SELECT device, rejected FROM devices WHERE rejected != ''")
        }

    def notes(self) -> dict[str, str]:
        """What each device sends that the settings do not know, in words, where there is something."""
        return {
            str(device): str(text) for device, text in self._read("SELECT device, notes FROM devices WHERE notes != ''")
        }

    def remember(self, device: str, *, rejected: str | None = None, notes: str | None = None) -> None:
        """Keeps the digest of a rejected document, or what was noted about a device's documents."""
        for column, value in (("rejected", rejected), ("notes", notes)):
            if value is not None:
                statement = (
                    f"INSERT INTO devices (device, {column}) VALUES (?, ?)"  # noqa: S608 -- one of two names above
                    f" ON CONFLICT (device) DO UPDATE SET {column} = excluded.{column}"
                )
                self._write(self._claims, statement, [(device, value)])

    def _read(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        with self._claims.reading() as connection:
            return [] if connection is None else connection.execute(statement, arguments).fetchall()

    @staticmethod
    def _write(connections: Connections, statement: str, rows: Iterable[Sequence[object]]) -> None:
        with connections.writing() as connection:
            connection.executemany(statement, rows)


def _error(path: Path, trouble: Trouble) -> OutboxError:
    said = f"the outbox {path} cannot be used: it {trouble.what}"
    return OutboxError(f"{said}; {trouble.hint}" if trouble.hint else said)


def existing_outbox(path: Path) -> Outbox | None:
    """An outbox to be read, if there is one; nothing is made.

    Raises:
        OutboxError: it cannot be read.
    """
    return Outbox(path, make=False) if path.exists() else None

"""The outbox: every poll is here from its answer until the store has it, whatever happens to processes and stores.

Belongs here: the SQLite file `outbox.sqlite` in the state directory. Does not: when things are sent (`delivery`).
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Literal, TypeVar

from air_pipeline.collection import outbox_devices
from air_pipeline.collection.outbox_rows import (
    LARGEST_BYTES,
    Batch,
    Pending,
    Quarantined,
    Row,
    RowUnreadable,
    encoded,
    poll_of,
    quarantined_of,
    text_of,
)
from air_pipeline.collection.outbox_status import OutboxStatus, is_current, status_in
from air_pipeline.collection.outbox_tables import OUTBOX_TABLES
from air_pipeline.collection.setting_aside import Aside, Remembered, name_aside, remembered_in, set_aside_files
from air_pipeline.devices.polls import Poll
from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.storage.sqlite_connections import Connections, Kind, Trouble
from air_pipeline.storage.sqlite_files import File, set_aside
from air_pipeline.storage.store import EARLIEST_MS, LATEST_MS

log = logging.getLogger(__name__)

# A row is one poll, by its number and its text.
_LET_GO = "DELETE FROM outbox WHERE id = ? AND poll = ?"
_AS_IT_IS = f"CASE WHEN length(CAST(poll AS BLOB)) <= {LARGEST_BYTES} THEN CAST(poll AS BLOB) END"
_LARGEST_BATCH_BYTES = 4 * LARGEST_BYTES
_BUSY_TIMEOUT_S = 30.0
_LOOK_TIMEOUT_S = 2.0
_TRIES = 5
_WASTE_BYTES = 16_000_000

_Result = TypeVar("_Result")

Remembering = Literal["rejected", "notes", "identity"]
"""The digest of a device's last rejected document; what it sends that the settings do not know; which one it is."""


class OutboxError(AirPipelineError):
    """The outbox cannot be used; the message names the file and what to do."""

    def __init__(self, message: str, kind: Kind = Kind.OTHER) -> None:
        super().__init__(message)
        self.kind = kind


class Outbox:
    """The outbox of one state directory; safe from several threads and processes.

    Whoever collects has it so: it is made if it is not there; a damaged one is set aside, a new one begun, and what
    can be read of the damaged one is delivered (`salvage`). One that was removed or replaced is left for the one that
    is there, whenever something is written.

    Args:
        path: the SQLite file.
        make: false for everybody else, see `existing_outbox`: it has to be there, and stays where it is.
        timeout_s: how long a write waits for those of others.
        read: makes polls of the rows that wait.

    Raises:
        OutboxError: by every method, when the file cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        *,
        make: bool = True,
        timeout_s: float = _BUSY_TIMEOUT_S,
        read: Callable[[bytes | None], Poll] = poll_of,
    ) -> None:
        self._make = make
        self._poll_of = read
        # What was polled survives a power cut (FULL); which slots were begun need only survive the process.
        self._polls = Connections(path, OUTBOX_TABLES, timeout_s, _error, synchronous="FULL", make=make)
        if not make:
            self._claims = self._polls
            with self._claims.reading():
                return
        self._claims = Connections(path, OUTBOX_TABLES, timeout_s, _error, synchronous="NORMAL")
        self._file = self._polls.file()
        self._whole(self._polls.make)
        self._take_over()

    @property
    def path(self) -> Path:
        """The file."""
        return self._polls.path

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
        """The last slot that each device has begun, as far as it is a time that a slot can have."""
        query = (
            "SELECT device, last_slot FROM devices"
            " WHERE typeof(device) = 'text' AND typeof(last_slot) = 'integer' AND last_slot BETWEEN ? AND ?"
        )
        return dict(self._read(query, EARLIEST_MS, LATEST_MS))

    def add(self, polls: Sequence[Poll]) -> None:
        """Takes polls in; they are on the disk when it returns."""
        self.add_encoded([encoded(poll) for poll in polls])

    def add_encoded(self, rows: Iterable[Row]) -> None:
        """Takes polls in that are encoded already; they are on the disk when it returns."""
        statement = "INSERT INTO outbox (observed_at, poll) VALUES (?, ?)"
        self._write(self._polls, statement, ((row.observed_at, row.text) for row in rows))

    def pending(self, limit: int) -> list[Pending]:
        """The polls that came in first, of at most so many rows."""
        return self.batch(limit).polls

    def batch(self, limit: int, *, newest: bool = False) -> Batch:
        """What came in first, or last; at most so many rows, fewer where they are large."""
        query = f"SELECT id, {_AS_IT_IS} FROM outbox ORDER BY id {'DESC' if newest else ''} LIMIT ?"  # noqa: S608

        def read(connection: Connection | None) -> Batch:
            polls, unreadable, size = [], {}, 0
            for number, raw in () if connection is None else connection.execute(query, (limit,)):
                try:
                    polls.append(Pending(number, self._poll_of(raw), raw.decode()))
                except RowUnreadable as error:
                    unreadable[number] = str(error)
                size += len(raw or b"")
                if size > _LARGEST_BATCH_BYTES:
                    return Batch(polls, unreadable, is_all=False)
            return Batch(polls, unreadable, is_all=len(polls) + len(unreadable) < limit)

        return self._look(read)

    def newest(self, limit: int) -> dict[str, Poll]:
        """The last poll of each device among those that came in last, at most so many."""
        polls = [pending.poll for pending in self.batch(limit, newest=True).polls]
        return {poll.device: poll for poll in sorted(polls, key=lambda poll: poll.observed_at)}

    def delivered(self, polls: Iterable[Pending]) -> None:
        """Lets go of polls that the store has."""
        self._write(self._claims, _LET_GO, ((one.number, one.text) for one in polls))

    def quarantine(self, some: Sequence[Pending], reason: str) -> None:
        """Sets polls aside that the store will never take, in one transaction."""

        def change(connection: Connection) -> None:
            connection.executemany(
                "INSERT INTO quarantine (observed_at, poll, reason, since) VALUES (?, ?, ?, ?)",
                ((one.poll.observed_at, one.text, reason, time.time()) for one in some),
            )
            connection.executemany(_LET_GO, ((one.number, one.text) for one in some))

        self._change(self._polls, change)

    def quarantine_unreadable(self, numbers: Iterable[int]) -> None:
        """Sets rows aside that cannot be read, as they are; those that can be read stay."""

        def change(connection: Connection) -> None:
            for number in numbers:
                row = connection.execute(f"SELECT {_AS_IT_IS} FROM outbox WHERE id = ?", (number,)).fetchone()  # noqa: S608
                try:
                    if row is not None:
                        poll_of(row[0])
                except RowUnreadable as error:
                    connection.execute(
                        "INSERT INTO quarantine (observed_at, poll, reason, since)"
                        " SELECT observed_at, poll, ?, ? FROM outbox WHERE id = ?",
                        (f"the row cannot be read: {error}", time.time(), number),
                    )
                    connection.execute("DELETE FROM outbox WHERE id = ?", (number,))

        self._change(self._polls, change)

    def quarantined(self, limit: int = 100) -> list[Quarantined]:
        """The newest of what was set aside."""
        query = f"SELECT id, observed_at, {_AS_IT_IS}, CAST(reason AS BLOB) FROM quarantine ORDER BY id DESC LIMIT ?"  # noqa: S608
        return [quarantined_of(*row) for row in self._read(query, limit)]

    def reasons(self, limit: int) -> list[str]:
        """Why the newest of what is in quarantine was set aside."""
        rows = self._read("SELECT CAST(reason AS BLOB) FROM quarantine ORDER BY id DESC LIMIT ?", limit)
        return [text_of(reason) for (reason,) in rows]

    def release(self) -> int:
        """Puts everything that was set aside back into the outbox, to be tried once more; how many rows that is."""

        def change(connection: Connection) -> int:
            connection.execute("INSERT INTO outbox (observed_at, poll) SELECT observed_at, poll FROM quarantine")
            return connection.execute("DELETE FROM quarantine").rowcount

        return self._change(self._polls, change)

    def polls_of(self, device: str, start: int, end: int) -> tuple[int, int]:
        """How many polls of one device in [start, end), ms UTC, wait, and how many were set aside."""
        return self._look(partial(outbox_devices.count, device=device, start=start, end=end))

    def rename(self, device: str, name: str) -> None:
        """Gives everything that is here of a device to one of another name, in one transaction."""
        self._change(self._polls, partial(outbox_devices.rename, device=device, name=name))

    def delete(self, device: str, start: int, end: int, *, forget: bool) -> None:
        """Deletes the polls of a device in [start, end), ms UTC; where it is to be forgotten, its last slot too."""
        self._change(self._polls, partial(outbox_devices.delete, device=device, start=start, end=end, forget=forget))

    def status(self) -> OutboxStatus:
        """How delivery stands; in milliseconds, however much waits."""
        return self._look(status_in)

    def look_after(self) -> None:
        """Reads what others read of it, so that they meet no damage that stays; gives back space it needs no more."""
        self.reasons(1), self.notes(), self.newest(1), self.late_marks()
        if not self.status().pending:
            self._whole(lambda: self._claims.shrink(_WASTE_BYTES))

    def attempted(self, *, failures: int, retry_at: float, error: str) -> None:
        """Remembers how the last attempt went, for restarts and for people."""
        statement = "INSERT OR REPLACE INTO delivery VALUES (1, ?, ?, ?)"
        self._write(self._claims, statement, [(failures, retry_at, error)])

    def mark_late(self, days: Iterable[date]) -> None:
        """Remembers UTC dates for which readings reached the store so late that days may have been built without."""
        self._write(self._claims, "INSERT OR REPLACE INTO late (day) VALUES (?)", ((day.isoformat(),) for day in days))

    def late_marks(self) -> dict[date, int]:
        """The UTC dates that were marked late, and the number of each mark; what is no date is nobody's."""
        query = "SELECT rowid, day FROM late WHERE typeof(day) = 'text' AND day = date(day) AND day BETWEEN ? AND ?"
        rows = self._read(query, *(from_epoch_ms(edge).date().isoformat() for edge in (EARLIEST_MS, LATEST_MS)))
        return {date.fromisoformat(day): number for number, day in rows}

    def forget_late(self, marks: Mapping[date, int]) -> None:
        """Forgets marks, once the days around them were built again; a day that was marked anew stays marked."""
        rows = ((day.isoformat(), number) for day, number in marks.items())
        self._write(self._claims, "DELETE FROM late WHERE day = ? AND number <= ?", rows)

    def remembered(self, what: Remembering) -> dict[str, str]:
        """Device to what is remembered of it, where there is something."""
        rows = self._read(f"SELECT device, {what} FROM devices WHERE {what} != ''")  # noqa: S608 -- one of three names
        return {str(device): str(text) for device, text in rows}

    def notes(self) -> dict[str, str]:
        """What each device sends that the settings do not know, in words, where there is something."""
        return self.remembered("notes")

    def remember(self, device: str, **what: str) -> None:
        """Keeps something of a device, by the names of `Remembering`."""
        for column, value in what.items():
            statement = (
                f"INSERT INTO devices (device, {column}) VALUES (?, ?)"  # noqa: S608 -- one of three names
                f" ON CONFLICT (device) DO UPDATE SET {column} = excluded.{column}"
            )
            self._write(self._claims, statement, [(device, value)])

    def asides(self) -> list[Aside]:
        """The damaged files that were set aside and are still there."""
        query = "SELECT file, CAST(next_page AS INTEGER), CAST(saved AS INTEGER), is_done FROM aside"
        rows = self._look(lambda c: c.execute(query).fetchall() if c is not None and is_current(c) else [])
        known = {str(file): Aside(str(file), page, saved, bool(is_done)) for file, page, saved, is_done in rows}
        return [known.get(file.name, Aside(file.name)) for file in set_aside_files(self._polls.path)]

    def save(self, aside: Aside, polls: Sequence[tuple[int, str]], quarantined: Sequence[tuple[int, str, str]]) -> None:
        """Takes in what was read of a damaged file, and how far that is, at once.

        Args:
            aside: the file as it stands afterwards.
            polls: slot and text.
            quarantined: slot, text and reason.
        """

        def change(connection: Connection) -> None:
            connection.executemany("INSERT INTO outbox (observed_at, poll) VALUES (?, ?)", polls)
            rows = ((*row, time.time()) for row in quarantined)
            connection.executemany(
                "INSERT INTO quarantine (observed_at, poll, reason, since) VALUES (?, ?, ?, ?)", rows
            )
            row = (aside.file, aside.next_page, aside.saved, aside.is_done)
            connection.execute("INSERT OR REPLACE INTO aside VALUES (?, ?, ?, ?)", row)

        self._change(self._polls, change)

    def recall(self, remembered: Remembered) -> None:
        """Takes over what a damaged file remembers beside polls, where nothing newer is known."""

        def change(connection: Connection) -> None:
            connection.executemany("INSERT OR IGNORE INTO devices VALUES (?, ?, ?, ?, ?)", remembered.devices)
            connection.executemany("INSERT OR IGNORE INTO late (day) VALUES (?)", remembered.late)

        self._change(self._claims, change)

    def _take_over(self) -> None:
        """Takes over at once what damaged files remember of slots, that none is polled twice; polls come later."""
        known = {file for (file,) in self._read("SELECT file FROM aside")}
        for file in set_aside_files(self._polls.path):
            if file.name not in known:
                self.recall(remembered_in(file))
                self.save(Aside(file.name), (), ())

    def _whole(self, act: Callable[[], _Result]) -> _Result:
        """Does something with the outbox that is there; for whoever collects, a damaged one is set aside first."""
        for last in (*[False] * (_TRIES - 1), True):
            file = self._polls.file()
            if self._make and file != self._file:
                if self._file is not None:
                    log.error(
                        "the outbox %s was removed or replaced while in use; going on with what is there, and what"
                        " waited in the other file is in none that is delivered",
                        self._polls.path,
                    )
                self._file = file
            try:
                return act()
            except OutboxError as error:
                if last or not self._make or error.kind not in {Kind.DAMAGED, Kind.REPLACED}:
                    raise
                if error.kind is Kind.DAMAGED and file is not None:
                    self._set_aside(file, error)
        raise AssertionError  # the last try returns or raises

    def _set_aside(self, file: File, error: OutboxError) -> None:
        name = name_aside(self._polls.path)
        self._file = None
        try:
            if set_aside(self._polls.path, file, name):
                log.error("%s This one is set aside as %s.", error, name)
                self._polls.make()
                self._file = self._polls.file()
                self._take_over()
        except OSError as failure:
            raise OutboxError(f"{error} It cannot be set aside ({failure}).", Kind.PASSING) from error

    def _look(self, read: Callable[[Connection | None], _Result]) -> _Result:
        def act() -> _Result:
            with self._claims.reading() as connection:
                return read(connection)

        return self._whole(act)

    def _read(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        return self._look(lambda c: [] if c is None else c.execute(statement, arguments).fetchall())

    def _change(self, connections: Connections, change: Callable[[Connection], _Result]) -> _Result:
        def act() -> _Result:
            with connections.writing() as connection:
                return change(connection)

        return self._whole(act)

    def _write(self, connections: Connections, statement: str, rows: Iterable[Sequence[object]]) -> None:
        again = list(rows)
        self._change(connections, lambda connection: connection.executemany(statement, again))


def _error(path: Path, trouble: Trouble) -> OutboxError:
    said = f"the outbox {path} cannot be used: it {trouble.what}"
    if trouble.kind is Kind.DAMAGED:
        sqlite = trouble.hint.partition(". ")[0]
        remedy = "A collector sets it aside by itself, begins a new one and delivers what can be read"
        return OutboxError(f"{said} ({sqlite}). {remedy}.", trouble.kind)
    return OutboxError(f"{said}; {trouble.hint}" if trouble.hint else said, trouble.kind)


def existing_outbox(path: Path, timeout_s: float = _LOOK_TIMEOUT_S) -> Outbox | None:
    """An outbox to be looked at, if there is one; nothing is made, and nothing written but what is asked for.

    Raises:
        OutboxError: it cannot be read.
    """
    return Outbox(path, make=False, timeout_s=timeout_s) if path.exists() else None

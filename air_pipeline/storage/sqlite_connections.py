"""Connections to one SQLite file that many threads and processes read and write.

Belongs here: opening, sharing, transactions, and what SQLite's errors mean. Does not: tables (`sqlite`).
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from air_pipeline.storage.store import StoreError, StoreRefused, StoreUnavailable

# How often SQLite's virtual machine looks at the clock in a read with a deadline: every so many steps, well under 1 ms.
_STEPS_PER_LOOK = 10_000

# Connections that a forked child inherited: used or closed there, they would spoil the parent's locks.
_inherited: list[sqlite3.Connection] = []


class Connections:
    """Connections to one file, handed out to one thread at a time and kept for the next; safe across fork."""

    def __init__(self, path: Path, tables: Sequence[str], version: int, timeout_s: float) -> None:
        """Opens nothing yet.

        Args:
            path: the file; made, with its folder, at the first write.
            tables: the statements that make them in a new file.
            version: of the tables, kept in the file's user_version; more means that this program is too old.
            timeout_s: how long a writer waits for another one.
        """
        self.path = path.absolute()
        self._tables = tables
        self._version = version
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._idle: list[tuple[sqlite3.Connection, tuple[int, int]]] = []
        self._process = os.getpid()

    @contextmanager
    def reading(self, deadline_s: float | None = None) -> Iterator[sqlite3.Connection | None]:
        """A snapshot to read from; None if the file, or what is in it, has not been made yet."""
        with self._failures(deadline_s):
            if not self.path.exists():
                yield None
                return
            with self._connection("rw") as connection:
                if not self._has_tables(connection):
                    yield None
                    return
                if deadline_s is not None:
                    end = time.monotonic() + deadline_s
                    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_PER_LOOK)
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
                connection.set_progress_handler(None, 0)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock and is on the disk once the block is left without an error."""
        with self._failures():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._connection("rwc") as connection:
                connection.execute("BEGIN IMMEDIATE")
                if not self._has_tables(connection):
                    for table in self._tables:
                        connection.execute(table)
                    connection.execute(f"PRAGMA user_version = {self._version}")
                yield connection
                connection.execute("COMMIT")

    def close(self) -> None:
        """Closes what is idle; what is in use is closed by its user's leaving."""
        with self._lock:
            idle, self._idle = self._idle, []
            process, self._process = self._process, os.getpid()
        if process != os.getpid():
            _inherited.extend(connection for connection, _ in idle)
            return
        for connection, _ in idle:
            connection.close()

    @contextmanager
    def _connection(self, mode: str) -> Iterator[sqlite3.Connection]:
        connection, file = self._take(mode)
        try:
            yield connection
        except BaseException:
            connection.close()  # which rolls back
            raise
        with self._lock:
            self._idle.append((connection, file))

    def _take(self, mode: str) -> tuple[sqlite3.Connection, tuple[int, int]]:
        if self._process != os.getpid():
            self.close()
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection, file = self._idle.pop()
            # A file that was put aside or restored under us would go on taking writes that nobody finds again.
            if self.path.exists() and file == self._file():
                return connection, file
            connection.close()
        connection = self._open(mode)
        return connection, self._file()

    def _has_tables(self, connection: sqlite3.Connection) -> bool:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > self._version:
            raise StoreError(f"{self.path} was made by a newer air_pipeline: update this one.")
        return bool(version)

    def _file(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino

    def _open(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode={mode}",
            uri=True,
            timeout=self._timeout_s,
            isolation_level=None,
            check_same_thread=False,  # handed from thread to thread, never shared
        )
        try:
            # What was written leaves the outbox: it must be on the disk, not on its way there.
            connection.execute("PRAGMA synchronous = FULL")
            self._use_wal(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Switches a new file to WAL; SQLite does not wait by itself where several do that at once."""
        end = time.monotonic() + self._timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.01)
            else:
                return

    @contextmanager
    def _failures(self, deadline_s: float | None = None) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._meaning(error, deadline_s) from error
        except PermissionError as error:
            raise StoreRefused(f"{self.path} may not be read and written: {error.strerror}.") from error
        except OSError as error:
            raise StoreUnavailable(f"{self.path} cannot be used: {error.strerror}.") from error

    def _meaning(self, error: sqlite3.Error, deadline_s: float | None) -> StoreError:
        code = _primary_code(error)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreUnavailable(
                f"{self.path} was locked by another program for {self._timeout_s:g} s: is a backup or an editor open?"
            )
        if code == sqlite3.SQLITE_INTERRUPT:
            return StoreUnavailable(f"{self.path} did not answer within {deadline_s} s.")
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM):
            return StoreUnavailable(f"{self.path} cannot be read or written now: {error}. Is there space on the disk?")
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY):
            return StoreRefused(
                f"{self.path} cannot be opened: {error}. This program must be able to read and write it and its folder."
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return StoreError(
                f"{self.path} is damaged or no SQLite file: {error}. Restore a copy, or put it aside for a new one."
            )
        return StoreError(f"{self.path} cannot do that: {error}.")


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bits say more than is needed here

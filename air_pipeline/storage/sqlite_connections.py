"""Connections to one SQLite file that many threads and processes read and write.

Belongs here: opening, sharing, transactions, the version of a file's tables, and what SQLite's errors mean. Does not:
the file as the system sees it (`sqlite_files`), tables, and the errors that owners of files raise (`sqlite`,
`collection.outbox`).
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Literal

from air_pipeline.errors import AirPipelineError
from air_pipeline.storage.sqlite_files import File, abandon, beside, file_at, make_file

# How often SQLite's virtual machine looks at the clock in a read with a deadline: every so many steps, well under 1 ms.
_STEPS_PER_LOOK = 10_000

# Connections that a forked child inherited: used or closed there, they would spoil the parent's locks.
_inherited: list[sqlite3.Connection] = []


@dataclass(frozen=True, slots=True)
class _Taken:
    """A connection, which file it was opened on, and which stood beside that."""

    connection: sqlite3.Connection
    file: File | None
    beside: frozenset[File]


@dataclass(frozen=True, slots=True)
class Tables:
    """What is in a file.

    Attributes:
        steps: the statements that lead from each version to the next, from an empty file on; those of the first find
            tables made in a file from before versions.
        unnumbered: the table by which a file from before versions is known; empty if there never was one.
    """

    steps: Sequence[Sequence[str]]
    unnumbered: str = ""

    @property
    def version(self) -> int:
        """Kept in the file's user_version; more there means that this program is too old."""
        return len(self.steps)


class Kind(Enum):
    """What it takes to use a file that cannot be used."""

    PASSING = auto()
    """Time, or space on the disk."""
    RIGHTS = auto()
    """Permission to read and write it and its folder."""
    DAMAGED = auto()
    """Another file."""
    NEWER = auto()
    """A newer program."""
    REPLACED = auto()
    """Nothing: another file is there by now, and the same can be done with that."""
    OTHER = auto()
    """SQLite's words tell."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a file cannot be used.

    Attributes:
        kind: for the program.
        what: for a person; goes on from the name of the file.
        hint: what SQLite says and what to do; may be empty.
    """

    kind: Kind
    what: str
    hint: str = ""


_NEWER = Trouble(Kind.NEWER, "was made by a newer air_pipeline", "update this one.")


class Connections:
    """Connections to one file, handed out to one thread at a time and kept for the next; safe across fork.

    A file that was put aside or replaced is noticed whenever a connection is handed out.
    """

    def __init__(
        self,
        path: Path,
        tables: Tables,
        timeout_s: float,
        error: Callable[[Path, Trouble], AirPipelineError],
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        make: bool = True,
    ) -> None:
        """Opens nothing yet.

        Args:
            path: the file.
            tables: what is in it.
            timeout_s: how long a writer waits for another one.
            error: what is raised when it cannot be used.
            synchronous: what was written survives a power cut (FULL), or the end of the process alone (NORMAL).
            make: whether the file is made, with its folder, at the first write; else its absence is an error.
        """
        self.path = path.absolute()
        self._tables = tables
        self._timeout_s = timeout_s
        self._error = error
        self._synchronous = synchronous
        self._make = make
        # Shared by threads without a lock, which a fork could leave held: append and pop are one step each.
        self._idle: list[_Taken] = []
        self._process = os.getpid()

    @contextmanager
    def reading(self, deadline_s: float | None = None) -> Iterator[sqlite3.Connection | None]:
        """A snapshot to read from; None if the file, or what is in it, has not been made yet."""
        if self._make and self.file() is None:
            yield None
            return
        taken = self._take("rw")  # not "ro": who reads a file in WAL mode has to write beside it
        connection = taken.connection
        try:
            if deadline_s is not None:
                end = time.monotonic() + deadline_s
                connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_PER_LOOK)
            connection.execute("BEGIN")
            yield connection if self._has_tables(connection) else None
            if deadline_s is not None:
                connection.set_progress_handler(None, 0)
        except BaseException as error:
            self._end(taken, error, deadline_s)
            raise
        self._end(taken, None)

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that holds the write lock and is committed once the block is left without an error."""
        return _Writing(self._begin_writing, self._end, self._require)

    def make(self) -> None:
        """Makes the file and its tables now, if they are not there; waits for no writer if they are."""
        with self.reading() as connection:
            if connection is not None and self._version(connection) == self._tables.version:
                return
        with self.writing():
            pass

    def shrink(self, waste: int) -> None:
        """Gives space back to the disk, if more than so many bytes of the file are free and less than that is in use.

        What is in use is written anew, which holds up whoever writes.
        """
        taken = self._take("rw")
        try:
            names = ("page_size", "page_count", "freelist_count")
            size, pages, free = (taken.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
            if size * free > waste >= size * (pages - free):
                taken.connection.execute("VACUUM")
                taken.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            taken.connection.execute("BEGIN")
        except BaseException as error:
            self._end(taken, error)
            raise
        self._end(taken, None)

    def file(self) -> File | None:
        """Which file is there now, if one is."""
        try:
            return file_at(self.path)
        except OSError as error:
            raise self._meaning(error) from error

    def close(self) -> None:
        """Closes what is idle; what is in use is closed by its user's leaving."""
        inherited = self._process != os.getpid()
        while taken := self._next_idle():
            if inherited:
                _inherited.append(taken.connection)
            else:
                self._let_go(taken)
        self._process = os.getpid()

    def _begin_writing(self) -> _Taken:
        taken = self._take("rwc" if self._make else "rw")
        connection = taken.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            version = self._version(connection)
            if version != self._tables.version:
                for statements in self._tables.steps[version:]:
                    for statement in statements:
                        connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {self._tables.version}")
        except BaseException as error:
            self._end(taken, error)
            raise
        return taken

    def _end(self, taken: _Taken, error: BaseException | None, deadline_s: float | None = None) -> None:
        """Commits and keeps the connection for the next; after an error, closes it, which rolls back."""
        if error is None:
            try:
                taken.connection.execute("COMMIT")
            except sqlite3.Error as failure:
                error = failure
            else:
                self._idle.append(taken)
                return
        self._let_go(taken)
        if isinstance(error, (sqlite3.Error, OSError)):
            raise self._meaning(error, deadline_s) from error

    def _require(self, file: File | None) -> None:
        """What was committed has to be in the file that others find."""
        if file != self.file():
            what = "was replaced by another file while it was written"
            raise self._error(self.path, Trouble(Kind.REPLACED, what, "try again."))

    def _meaning(self, error: sqlite3.Error | OSError, deadline_s: float | None = None) -> AirPipelineError:
        return self._error(self.path, trouble_of(error, self._timeout_s, deadline_s))

    def _take(self, mode: str) -> _Taken:
        if self._process != os.getpid():
            self.close()
        stale: frozenset[File] = frozenset()
        try:
            while taken := self._next_idle():
                # A file that was put aside or restored under us would go on taking writes that nobody finds again.
                if taken.file is not None and taken.file == file_at(self.path):
                    return taken
                stale |= taken.beside
                self._let_go(taken)
            if mode == "rwc" or (stale and self._make and file_at(self.path) is not None):
                make_file(self.path, stale)
            file = file_at(self.path)
            connection = self._open(mode)
            return _Taken(connection, file, beside(self.path))
        except (sqlite3.Error, OSError) as error:
            raise self._meaning(error) from error

    def _let_go(self, taken: _Taken) -> None:
        try:
            is_there = taken.file is not None and taken.file == file_at(self.path)
        except OSError:
            is_there = False
        if is_there:
            taken.connection.close()
            return
        with suppress(sqlite3.Error):
            if taken.connection.in_transaction:
                taken.connection.execute("ROLLBACK")
        abandon(taken.connection)

    def _next_idle(self) -> _Taken | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _version(self, connection: sqlite3.Connection) -> int:
        version: int
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > self._tables.version:
            raise self._error(self.path, _NEWER)
        return version

    def _has_tables(self, connection: sqlite3.Connection) -> bool:
        if self._version(connection):
            return True
        if not self._tables.unnumbered:
            return False
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return connection.execute(query, (self._tables.unnumbered,)).fetchone() is not None

    def _open(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode={mode}",
            uri=True,
            timeout=self._timeout_s,
            isolation_level=None,
            check_same_thread=False,  # handed from thread to thread, never shared
        )
        try:
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            if self._make:
                self._use_wal(connection)
            connection.execute("PRAGMA user_version").fetchone()  # from here on, what stands beside the file is there
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


class _Writing:
    """The block of a transaction that writes: a generator takes three times as long, and each slot begins with one."""

    __slots__ = ("_begin", "_end", "_require", "_taken")

    def __init__(
        self,
        begin: Callable[[], _Taken],
        end: Callable[[_Taken, BaseException | None], None],
        require: Callable[[File | None], None],
    ) -> None:
        self._begin = begin
        self._end = end
        self._require = require

    def __enter__(self) -> sqlite3.Connection:
        self._taken = self._begin()
        return self._taken.connection

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._end(self._taken, error)
        if error is None:
            self._require(self._taken.file)


def trouble_of(error: sqlite3.Error | OSError, timeout_s: float, deadline_s: float | None = None) -> Trouble:
    """What an error means that came from using a file of SQLite.

    Args:
        error: of SQLite or of the system.
        timeout_s: how long locks were waited for.
        deadline_s: how long a read was given, if it had a deadline.
    """
    if isinstance(error, PermissionError):
        return Trouble(Kind.RIGHTS, "may not be read and written", f"{error.strerror}.")
    if isinstance(error, OSError):
        return Trouble(Kind.PASSING, "cannot be reached", f"{error.strerror}.")
    code = _primary_code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        what = f"was locked by another program for {timeout_s:g} s"
        return Trouble(Kind.PASSING, what, "is a backup or an editor open?")
    if code == sqlite3.SQLITE_INTERRUPT:
        return Trouble(Kind.PASSING, f"did not answer within {deadline_s} s")
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM):
        return Trouble(Kind.PASSING, "cannot be read or written now", f"{error}. Is there space on the disk?")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY):
        hint = f"{error}. This program must be able to read and write it and its folder."
        return Trouble(Kind.RIGHTS, "cannot be opened", hint)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        hint = f"{error}. Restore a copy, or put it aside for a new one."
        return Trouble(Kind.DAMAGED, "is damaged or no SQLite file", hint)
    return Trouble(Kind.OTHER, "cannot do that", f"{error}.")


def fault_of_copy(path: Path, version: int | None) -> Trouble | None:
    """What is wrong with a file that nobody writes, read from its first page to its last; nothing is made beside it.

    Args:
        path: the file.
        version: the newest that this program knows; None where the file has none of ours.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if version is not None and found > version:
                return _NEWER
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return trouble_of(error, 0.0)
    return None if said == "ok" else Trouble(Kind.DAMAGED, "is damaged", f"{' '.join(said.split())}.")


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bits say more than is needed here

"""The shelf: where the files of the days stand, behind a few verbs that a folder and an object store have alike.

Belongs here: the verbs, where each file is, the folder. Does not: object stores (`object_shelf`), what is in the files.

A file appears whole or not at all: it is staged beside the shelf or on it under another name, checked there, and put in
its place once it is on the disk. What belongs to no day (`datapackage.json`) stands there too: its day is None.
"""

import os
import stat
import sys
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from air_pipeline.errors import AirPipelineError
from air_pipeline.places import DataPlace, ObjectAddress
from air_pipeline.replacing import open_at_once, put_in_place, staged_file
from air_pipeline.settings import SettingsError


class ShelfError(AirPipelineError):
    """A shelf elsewhere refuses what was asked. The message says which, why and what to do.

    It is no `TableError`: what a day holds is then not known, and nothing may be concluded from it.
    """


class ShelfUnavailable(ShelfError):
    """It does not answer, and may well do so later."""


class Stamp(NamedTuple):
    """What changes whenever a file is replaced."""

    size: int
    changed: float
    """When, in seconds since 1970 UTC."""
    version: str
    """Whatever else tells one from another."""

    @property
    def changed_at(self) -> datetime:
        """When it was put there."""
        return datetime.fromtimestamp(self.changed, UTC)


class Shelf(Protocol):
    """The files of days; a name is `folder/file`, in which each day has its own folder (`place_of`).

    Every verb may raise an OSError, and a shelf elsewhere a `ShelfError` instead, whose message is for a person.
    """

    def place(self, day: date | None, name: str) -> DataPlace:
        """Where a file is, or would be."""
        ...

    def staged(self, day: date | None, name: str) -> AbstractContextManager[tuple[Path, int]]:
        """A new, empty local file and a descriptor of it, gone by the end of the block unless put in its place."""
        ...

    def put_file(self, day: date | None, name: str, local: Path) -> None:
        """Puts a staged file, which is on the disk, in its place: a reader sees the old one or the new one."""
        ...

    def open(self, day: date | None, name: str) -> AbstractContextManager[BinaryIO]:
        """A file to read from, at any position; never waits, as for who writes into a pipe.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def head(self, day: date | None, name: str, size: int | None = None) -> bytes:
        """The first bytes of a file, or all of them, asked for at once.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def days(self, name: str) -> list[date]:
        """The local dates that have such a file, in order."""
        ...

    def stamp(self, day: date | None, name: str) -> Stamp | None:
        """What changes whenever the file is replaced; None where there is none."""
        ...

    def at_once(self) -> "Shelf":
        """The shelf as it is now, for a question that looks at many days: it may list what it was asked for one by one.

        What is put there meanwhile may not be seen.
        """
        ...


def place_of(day: date | None, name: str) -> str:
    """Where a file is on its shelf: `observations/date=2026-11-21/observations.parquet`, of no day as it is called."""
    if day is None:
        return name
    folder, file = name.split("/")
    return f"{folder}/date={day.isoformat()}/{file}"


def day_of(folder: str) -> date | None:
    """The local date of a day's own folder, the last part of its path; None of somebody else's.

    Only as `place_of` spells it: `date=20261121` is another folder, in which nothing of ours is.
    """
    with suppress(ValueError):
        day = date.fromisoformat(folder.removeprefix("date="))
        return day if folder == f"date={day.isoformat()}" else None
    return None


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory of this machine, or one that it has mounted.

    A staged file is on the same file system as its place and named in one step; one that a killed writer left is
    removed by the next. Files have the directory's rights.
    """

    path: Path

    def place(self, day: date | None, name: str) -> Path:
        """Where a file is, or would be."""
        return self.path / place_of(day, name)

    def staged(self, day: date | None, name: str) -> AbstractContextManager[tuple[Path, int]]:
        """See `Shelf`."""
        return staged_file(self.place(day, name), like=self.path)

    def put_file(self, day: date | None, name: str, local: Path) -> None:
        """See `Shelf`."""
        put_in_place(local, self.place(day, name))

    def open(self, day: date | None, name: str) -> BinaryIO:
        """See `Shelf`."""
        return open(self.place(day, name), "rb", opener=open_at_once)

    def head(self, day: date | None, name: str, size: int | None = None) -> bytes:
        """See `Shelf`."""
        with self.open(day, name) as file:
            return file.read(-1 if size is None else size)

    def days(self, name: str) -> list[date]:
        """See `Shelf`."""
        folder, file = name.split("/")
        found = (day_of(path.parent.name) for path in (self.path / folder).glob(f"date=*/{file}"))
        return sorted(day for day in found if day is not None)

    def stamp(self, day: date | None, name: str) -> Stamp | None:
        """See `Shelf`."""
        return stamp_of(self.place(day, name))

    def at_once(self) -> "Folder":
        """See `Shelf`: looking is cheap here."""
        return self


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a file of this machine; None where there is none.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        seen = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(seen.st_mode):
        return None
    return Stamp(seen.st_size, seen.st_mtime, f"{seen.st_ino} {seen.st_mtime_ns} {seen.st_ctime_ns}")


def shelf_at(place: "DataPlace | Shelf") -> Shelf:
    """The shelf at a place; a shelf, such as one `at_once`, is its own."""
    if isinstance(place, Path):
        return Folder(place)
    if isinstance(place, ObjectAddress):
        return _object_shelf(place)
    return place


def _object_shelf(address: ObjectAddress) -> Shelf:
    try:
        from air_pipeline.storage.object_shelf import ObjectShelf  # half a second, and a library that is an extra
    except ImportError as error:
        raise SettingsError(
            f"environment: AIR_PIPELINE_DATA is {address}, and {error.name} is not installed, which reads and writes"
            f" there; install it: {sys.executable} -m pip install 'air-pipeline[s3]'"
        ) from None
    return ObjectShelf(address)


def put_text(shelf: Shelf, day: date | None, name: str, text: str) -> None:
    """Puts a small file on a shelf, whole and durably.

    Raises:
        OSError, ShelfError: it cannot be written.
    """
    with shelf.staged(day, name) as (partial, descriptor):
        partial.write_bytes(text.encode("utf-8"))
        os.fsync(descriptor)
        shelf.put_file(day, name, partial)

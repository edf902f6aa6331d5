"""A day's commit, `days/date=…/built.json`: written last, it names the files of the day that were made together.

Belongs here: writing it, and telling a day whose files are not those that it names. Does not: whether they are what
would be built now (`days.inputs`).

A day is built table by table, and each file is replaced whole; whoever is killed in between leaves files of two
makings. A file that was deleted, damaged or restored from a backup is noticed in the same way. A day without a commit
was built by a version that wrote none: it counts if the files themselves say that they were made alike.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Any

from air_pipeline.places import DataPlace
from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.data_package import describe_tables
from air_pipeline.storage.day_files import DayFile, DayMetadata, DayUnreadable, TableError, day_file
from air_pipeline.storage.pages import PAGE, PageFile, page_file
from air_pipeline.storage.shelf import Shelf, Stamp, put_text, shelf_at

VERSION = 2
"""Of what is in the file. One of a later version says nothing to this one."""
_KNOWN = range(1, VERSION + 1)
_NAME = "days/built.json"
_BLOCK_BYTES = 1 << 20


def commit_path(data: DataPlace, day: date) -> DataPlace:
    """Where the commit of a local date is, or would be."""
    return shelf_at(data).place(day, _NAME)


def commit_day(data: DataPlace, day: date) -> str:
    """Says that the files of a day are of one making; if they are not, nothing is written and this says why.

    There is no time in it: the same inputs give the same bytes.

    Raises:
        TableError: it cannot be written.
    """
    shelf = shelf_at(data)
    try:
        made = _made_alike(shelf, day)
        files = {name: _print_of(file) for name, file in _files(shelf, day)}
        said = {"version": VERSION, "day": day.isoformat(), "made": made.to_json(), "files": files}
        describe_tables(data)
        put_text(shelf, day, _NAME, f"{json.dumps(said, indent=1)}\n")
    except _Torn as found:
        return str(found)
    except OSError as error:
        raise TableError(
            f"{shelf.place(day, _NAME)} cannot be written ({error}); see to rights and space there"
        ) from error
    return ""


def built_metadata(data: DataPlace | Shelf, day: date, *, read_all: bool = True) -> DayMetadata | None:
    """How a day was built; None unless all of its tables and its page are there and of one making.

    Args:
        data: where the days are.
        day: the local date.
        read_all: whether the files are read for it; else their sizes must do, or without a commit their footers.
    """
    shelf = shelf_at(data)
    try:
        return _built(shelf, day, read_all=read_all) or _made_alike(shelf, day)
    except _Torn:
        return None


def committed_metadata(data: DataPlace, day: date) -> DayMetadata | None:
    """How a day was built, as its commit says, whatever became of its files since; None where it says nothing."""
    try:
        commit = _read(shelf_at(data), day)
    except _Torn:
        return None
    return None if commit is None else DayMetadata.from_json(commit["made"])


def torn(data: DataPlace | Shelf, day: date, *, read_all: bool = True) -> str:
    """Why the files of a day are not of one making, in words; empty if they are.

    Args:
        data: where the days are.
        day: the local date.
        read_all: whether the files are read for it; else their sizes must do, and a day without a commit passes.
    """
    try:
        _built(shelf_at(data), day, read_all=read_all)
    except _Torn as found:
        return str(found)
    return ""


class _Torn(Exception):
    """What is not as it should be."""


def _built(shelf: Shelf, day: date, *, read_all: bool) -> DayMetadata | None:
    commit = _read(shelf, day)
    if commit is None:
        return _made_alike(shelf, day) if read_all else None
    for name, file in _files(shelf, day):
        wanted = commit["files"].get(name)
        try:
            found = _print_of(file) if read_all else {"size": _stamp_of(file).size}
        except OSError as error:
            raise _Torn(f"{name} cannot be read ({error.strerror})") from error
        if any(wanted is None or wanted[key] != found[key] for key in found):
            raise _Torn(f"{name} is another than the one of which built.json says that it was made with the others")
    return DayMetadata.from_json(commit["made"])


def _read(shelf: Shelf, day: date) -> dict[str, Any] | None:
    """What a commit says; None where there is none, or one of a later version."""
    try:
        said: dict[str, Any] = json.loads(shelf.head(day, _NAME))
        if said["version"] not in _KNOWN:
            return None
        DayMetadata.from_json(said["made"])
        for one in said["files"].values():
            one["size"], one["sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _Torn(f"{shelf.place(day, _NAME)} cannot be read") from error
    return said


def _made_alike(shelf: Shelf, day: date) -> DayMetadata:
    """How all files of a day were made, as each says of itself."""
    made: dict[str, DayMetadata] = {}
    for name, file in _files(shelf, day):
        try:
            made[name] = file.metadata(of_any_columns=True)
        except TableError as error:
            raise _Torn(
                f"{name} cannot be read" if isinstance(error, DayUnreadable) else f"{name} is missing"
            ) from error
    first, *others = made.items()
    for name, one in others:
        if one != first[1]:
            raise _Torn(f"{name} was made from something else than {first[0]}")
    return first[1]


def _files(shelf: Shelf, day: date) -> Iterator[tuple[str, DayFile | PageFile]]:
    """The files of a day by name, in the order in which they are made."""
    for table in TABLES:
        yield table, day_file(shelf, table, day)
    yield PAGE, page_file(shelf, day)


def _print_of(file: DayFile | PageFile) -> dict[str, Any]:
    stamp = _stamp_of(file)
    return {"size": stamp.size, "sha256": _digest(file, stamp)}


def _stamp_of(file: DayFile | PageFile) -> Stamp:
    if stamp := file.stamp():
        return stamp
    with file.shelf.open(file.day, file.name):  # says what is there instead, if anything
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file.path))


@lru_cache(maxsize=4096)
def _digest(file: DayFile | PageFile, stamp: Stamp) -> str:
    """Read once for each file that is put there: a tick compares the same days again and again."""
    del stamp
    digest = hashlib.sha256()
    with file.shelf.open(file.day, file.name) as opened:
        while block := opened.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()

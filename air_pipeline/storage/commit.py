"""A day's commit, `days/date=…/built.json`: written last, it names the files of the day that were made together.

Belongs here: writing it, and telling a day whose files are not those that it names. Does not: whether they are what
would be built now (`days.inputs`).

A day is built table by table, and each file is replaced whole; whoever is killed in between leaves files of two
makings. A file that was deleted, damaged or restored from a backup is noticed in the same way. A day without a commit
was built by a version that wrote none: it counts if the files themselves say that they were made alike.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from air_pipeline.processing.columns import TABLES
from air_pipeline.replacing import open_at_once, replace_file
from air_pipeline.storage.data_package import describe_tables
from air_pipeline.storage.day_files import DayFile, DayMetadata, DayUnreadable, TableError, day_file
from air_pipeline.storage.pages import PAGE, PageFile, page_file

VERSION = 2
"""Of what is in the file. One of a later version says nothing to this one."""
_KNOWN = range(1, VERSION + 1)


def commit_path(data: Path, day: date) -> Path:
    """Where the commit of a local date is, or would be."""
    return data / "days" / f"date={day.isoformat()}" / "built.json"


def commit_day(data: Path, day: date) -> str:
    """Says that the files of a day are of one making; if they are not, nothing is written and this says why.

    There is no time in it: the same inputs give the same bytes.

    Raises:
        TableError: it cannot be written.
    """
    path = commit_path(data, day)
    try:
        made = _made_alike(data, day)
        files = {name: _print_of(file.path) for name, file in _files(data, day)}
        said = {"version": VERSION, "day": day.isoformat(), "made": made.to_json(), "files": files}
        describe_tables(data)
        replace_file(path, f"{json.dumps(said, indent=1)}\n")
    except _Torn as found:
        return str(found)
    except OSError as error:
        raise TableError(f"{path} cannot be written ({error}); see to rights and space there") from error
    return ""


def built_metadata(data: Path, day: date, *, read_all: bool = True) -> DayMetadata | None:
    """How a day was built; None unless all of its tables and its page are there and of one making.

    Args:
        data: the data directory.
        day: the local date.
        read_all: whether the files are read for it; else their sizes must do, or without a commit their footers.
    """
    try:
        return _built(data, day, read_all=read_all) or _made_alike(data, day)
    except _Torn:
        return None


def committed_metadata(data: Path, day: date) -> DayMetadata | None:
    """How a day was built, as its commit says, whatever became of its files since; None where it says nothing."""
    try:
        commit = _read(commit_path(data, day))
    except _Torn:
        return None
    return None if commit is None else DayMetadata.from_json(commit["made"])


def torn(data: Path, day: date, *, read_all: bool = True) -> str:
    """Why the files of a day are not of one making, in words; empty if they are.

    Args:
        data: the data directory.
        day: the local date.
        read_all: whether the files are read for it; else their sizes must do, and a day without a commit passes.
    """
    try:
        _built(data, day, read_all=read_all)
    except _Torn as found:
        return str(found)
    return ""


class _Torn(Exception):
    """What is not as it should be."""


def _built(data: Path, day: date, *, read_all: bool) -> DayMetadata | None:
    commit = _read(commit_path(data, day))
    if commit is None:
        return _made_alike(data, day) if read_all else None
    for name, file in _files(data, day):
        wanted = commit["files"].get(name)
        try:
            found = _print_of(file.path) if read_all else {"size": file.path.stat().st_size}
        except OSError as error:
            raise _Torn(f"{name} cannot be read ({error.strerror})") from error
        if any(wanted is None or wanted[key] != found[key] for key in found):
            raise _Torn(f"{name} is another than the one of which built.json says that it was made with the others")
    return DayMetadata.from_json(commit["made"])


def _read(path: Path) -> dict[str, Any] | None:
    """What a commit says; None where there is none, or one of a later version."""
    try:
        with open(path, encoding="utf-8", opener=open_at_once) as file:
            said: dict[str, Any] = json.load(file)
        if said["version"] not in _KNOWN:
            return None
        DayMetadata.from_json(said["made"])
        for one in said["files"].values():
            one["size"], one["sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _Torn(f"{path} cannot be read") from error
    return said


def _made_alike(data: Path, day: date) -> DayMetadata:
    """How all files of a day were made, as each says of itself."""
    made: dict[str, DayMetadata] = {}
    for name, file in _files(data, day):
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


def _files(data: Path, day: date) -> Iterator[tuple[str, DayFile | PageFile]]:
    """The files of a day by name, in the order in which they are made."""
    for table in TABLES:
        yield table, day_file(data, table, day)
    yield PAGE, page_file(data, day)


def _print_of(path: Path) -> dict[str, Any]:
    seen = path.stat()
    return {
        "size": seen.st_size,
        "sha256": _digest(path, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns),
    }


@lru_cache(maxsize=4096)
def _digest(path: Path, *stamp: int) -> str:
    """Read once for each file that is put there: a tick compares the same days again and again."""
    del stamp
    with open(path, "rb", opener=open_at_once) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Files that are replaced whole: staged under another name in the same directory, and named once they are on disk.

Belongs here: what tables, pages and the small files of the state directory have in common on the way to the disk. Does
not: what is in them.

A reader sees the old file or the new one. A staged file is locked for as long as its writer lives, so that the next
writer of that file can tell what a killed one left and remove it.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

_PARTIAL = ".partial"
_USUAL_RIGHTS = 0o666


@contextmanager
def staged_file(target: Path, mode: int = 0o666, like: Path | None = None) -> Iterator[tuple[Path, int]]:
    """A new, empty file beside the target, and a descriptor of it; gone by the end of the block unless put in place.

    Args:
        target: the file that it is to be.
        mode: its rights, less those that the process's umask takes away.
        like: a directory above the target, whose rights the file and the directories on the way have instead.

    Raises:
        OSError: the directory cannot be written.
    """
    if like is not None:
        _make_below(like, target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers_of(target)
    partial, descriptor = _create_locked(target, mode)
    try:
        if like is not None:
            os.fchmod(descriptor, _rights(like) & mode)
        yield partial, descriptor
    finally:
        partial.unlink(missing_ok=True)
        os.close(descriptor)


def _make_below(like: Path, directory: Path) -> None:
    like.mkdir(parents=True, exist_ok=True)
    for path in reversed([path for path in (directory, *directory.parents) if path.is_relative_to(like)]):
        with suppress(FileExistsError):
            path.mkdir()
            path.chmod(_rights(like))


def _rights(directory: Path) -> int:
    """Of a directory, and never to write for everybody."""
    return stat.S_IMODE(directory.stat().st_mode) & 0o2775


def put_in_place(partial: Path, target: Path) -> None:
    """Gives a staged file, which is on disk already, the name of its target.

    Raises:
        OSError: the directory cannot be written.
    """
    partial.replace(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_at_once(path: Path | str, flags: int, mode: int = 0o666) -> int:
    """A descriptor of a file; never waits, as for who writes into a pipe.

    Raises:
        OSError: it cannot be opened, or is no file.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK, mode)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file; remove it", str(path))
    return descriptor


def replace_file(path: Path, text: str, mode: int = 0o666) -> None:
    """Writes a small file whole or not at all, and durably; several processes and threads may do so at once.

    Raises:
        OSError: it cannot be written.
    """
    with staged_file(path, mode) as (partial, descriptor):
        partial.write_bytes(text.encode("utf-8"))
        os.fsync(descriptor)
        put_in_place(partial, path)


def remove_leftovers_of(target: Path) -> list[Path]:
    """Removes what killed writers of this file left, and says what; files of living writers stay."""
    removed = []
    for path in sorted(target.parent.glob(f".{target.name}.*{_PARTIAL}")):
        with suppress(FileNotFoundError, BlockingIOError, PermissionError):  # gone, being written, or another user's
            descriptor = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                removed.append(path)
            finally:
                os.close(descriptor)
    return removed


def remove_leftovers_below(directory: Path) -> list[Path]:
    """Removes what killed writers left anywhere below a directory, and says what; files of living writers stay."""
    targets = {path.with_name(path.name[1:].rsplit(".", 2)[0]) for path in directory.rglob(f".*{_PARTIAL}")}
    return [path for target in sorted(targets) for path in remove_leftovers_of(target)]


def _create_locked(target: Path, mode: int) -> tuple[Path, int]:
    while True:
        partial = target.with_name(f".{target.name}.{uuid4().hex}{_PARTIAL}")
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return partial, descriptor
        os.close(descriptor)  # another writer took it for a leftover before it was locked


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Waits until nobody else is within it: for who reads a file of people, changes it and puts it in place.

    Raises:
        OSError: the directory cannot be read.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def rights_of(file: Path) -> int:
    """The rights of a file, for the one that takes its place; the usual ones where there is none."""
    with suppress(FileNotFoundError):
        return stat.S_IMODE(file.stat().st_mode)
    return _USUAL_RIGHTS

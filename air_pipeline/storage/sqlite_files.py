"""A file of SQLite as the system sees it: which one is there, what stands beside it, how it is made and set aside.

Belongs here: names, inodes and locks. Does not: connections (`sqlite_connections`), what is in a file (`sqlite_pages`).

SQLite finds a file's write-ahead log by its name alone. Whoever removes, restores or renames a file that is in use
leaves the log of the old one beside the new one, where it would be taken for its own.
"""

import ctypes
import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

File = tuple[int, int]
"""Which file it is, whatever its name: device and inode."""
BESIDE = ("-wal", "-shm")
"""What SQLite puts beside a file in use: what was written last, and an index of that."""


def file_at(path: Path) -> File | None:
    """Which file is there, if one is.

    Raises:
        OSError: it cannot be seen.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def beside(path: Path) -> frozenset[File]:
    """Which files stand beside one in use."""
    return frozenset(file for suffix in BESIDE if (file := file_at(_with(path, suffix))) is not None)


def make_file(path: Path, stale: frozenset[File]) -> None:
    """Makes an empty file, which is an empty database, if there is none; for its owner alone, as those beside it.

    Args:
        path: the file.
        stale: what stood beside the one that was here before.

    Raises:
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not stale:
        return
    with _alone_in(path.parent):
        is_there = path.exists()
        for suffix in BESIDE:
            found = file_at(_with(path, suffix))
            if found is not None and (not is_there or found in stale):
                _with(path, suffix).unlink(missing_ok=True)
        # It is not opened here: closing it again would give back the locks that this process has on it (fcntl(2)).
        with suppress(FileExistsError, PermissionError):  # where only root may do so, the umask decides
            os.mknod(path, stat.S_IFREG | 0o600)


def set_aside(path: Path, file: File, name: Path) -> bool:
    """Gives a file, and what is beside it, other names; whether it was still there.

    A kill in between leaves the file under both names, or under the new one alone.

    Args:
        path: the file.
        file: which one it has to be: another one, put there meanwhile, stays.
        name: its name from now on, in the same folder.

    Raises:
        OSError: the folder cannot be written.
    """
    with _alone_in(path.parent) as folder:
        if file_at(path) != file:
            return False
        suffixes = [*(suffix for suffix in BESIDE if _with(path, suffix).exists()), ""]
        try:
            for suffix in suffixes:
                os.link(_with(path, suffix), _with(name, suffix))
            os.fsync(folder)
            for suffix in reversed(suffixes):
                _with(path, suffix).unlink(missing_ok=True)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            for suffix in suffixes:  # a file system without links
                _with(path, suffix).rename(_with(name, suffix))
        os.fsync(folder)
    return True


def abandon(connection: sqlite3.Connection) -> None:
    """Lets go of a connection to a file that is no longer under its name, without closing it, ever.

    SQLite's close would remove what stands beside that name, which by now is the log of the file in its place.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


@contextmanager
def _alone_in(folder: Path) -> Iterator[int]:
    """For one thread of one process at a time; gives a descriptor of the folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix) if suffix else path

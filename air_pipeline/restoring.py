"""A state directory put back from a backup of `deploy/backup`: whole, or as if nothing had been done.

Belongs here: whether a backup can be used, and the exchange of directories. Does not: what becomes of the days then
(`days`), how a backup is made (`deploy/backup`).

The backup is copied beside the state directory, under another name and with a marker in it. Once all of it is on the
disk the two directories change their names in one step: whenever the process is killed, the one or the other stands.
"""

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from air_pipeline.collection.lease import CollectorLock, CollectorRunning, holder
from air_pipeline.collection.outbox_tables import OUTBOX_TABLES
from air_pipeline.environment import Environment
from air_pipeline.errors import AirPipelineError
from air_pipeline.replacing import open_at_once
from air_pipeline.state import StateDirectory
from air_pipeline.storage import sqlite
from air_pipeline.storage.sqlite_connections import fault_of_copy

_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_HERE = -100  # AT_FDCWD
_DIRECTORY_MODE, _FILE_MODE = 0o700, 0o600
_NEVER_RESTORED = (".lock", ".lease", ".log", ".log.1", ".partial")


class RestoreError(AirPipelineError):
    """A backup cannot be put back; nothing was changed, and the message says what to do."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that can be used.

    Attributes:
        path: where it is.
        made: when it was made.
        files: what is put back of it, relative to `path`.
        size: of these, in bytes.
        days: how many days of tables are among them.
        omitted_data: whether it has tables that are not put back, as AIR_PIPELINE_DATA names another place.
    """

    path: Path
    made: datetime
    files: tuple[Path, ...]
    size: int
    days: int
    omitted_data: bool

    def has(self, name: str) -> bool:
        """Whether a file or directory of this name is put back."""
        return any(file.parts[0] == name for file in self.files)


def examine_backup(path: Path, environment: Environment) -> Backup:
    """Looks at every file of a backup; nothing is written, not even beside it.

    Args:
        path: the directory that `deploy/backup` made.
        environment: of the deployment that is to use it.

    Raises:
        RestoreError: it is none, is not whole, a file in it is damaged or was written by a newer program.
        SettingsError: it is of a newer program, or belongs to another store than the environment names.
    """
    path = path.absolute()
    state = StateDirectory(path)
    if path.name.endswith(".partial"):
        raise RestoreError(f"{path} is a backup that was not finished; name a whole one")
    if not (state.outbox.exists() or state.readings.exists() or state.binding.exists()):
        raise RestoreError(
            f"{path} is no backup of a state directory: it has neither an outbox nor a store; name the directory that"
            " deploy/backup made"
        )
    state.check_store(environment.store)
    omitted_data = environment.data != environment.state.path / "data" and (path / "data").is_dir()
    try:
        there = sorted(path.rglob("*"))
        if link := next((file for file in there if file.is_symlink()), None):
            raise RestoreError(
                f"{link} is a symbolic link, which deploy/backup never makes: whatever it leads to would be restored."
                " Nothing was changed; remove it"
            )
        found = [file.relative_to(path) for file in there if file.is_file()]
        files = tuple(
            file
            for file in found
            if not file.name.endswith(_NEVER_RESTORED) and not (omitted_data and file.parts[0] == "data")
        )
        size = sum((path / file).stat().st_size for file in files)
        for file in files:
            _check_file(path / file)
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise RestoreError(f"{error.filename or path} cannot be read: {error.strerror}; nothing was changed") from None
    days = sum(file.parts[:2] == ("data", "observations") for file in files)
    return Backup(path, made, files, size, days, omitted_data)


def _check_file(file: Path) -> None:
    if file.name.endswith(("-wal", "-journal")) and file.stat().st_size:
        raise RestoreError(
            f"{file} was copied from a database that was being written: its copy cannot be relied on. Nothing was"
            " changed; take backups with deploy/backup"
        )
    versions = {"outbox.sqlite": OUTBOX_TABLES.version, "readings.sqlite": sqlite.VERSION}
    if file.name in versions or file.suffix == ".db":
        fault = fault_of_copy(file, versions.get(file.name))
        if fault:
            hint = f"; {fault.hint}" if fault.hint else ""
            raise RestoreError(f"{file} cannot be used: it {fault.what}{hint} Nothing was changed")


def in_use(state: StateDirectory) -> bool:
    """Whether there is anything in a state directory that somebody could miss."""
    nobody_s = {state.version.name, state.collector_lock.name, state.up_lock.name, state.collector_lease.name}
    names = {path.name for path in state.path.iterdir()} if state.path.is_dir() else set()
    return any(name not in nobody_s and not name.endswith(".partial") for name in names)


def kept_as(state: StateDirectory, now: datetime) -> Path:
    """Where a state directory is kept that a restored one takes the place of."""
    path = _place(state)
    return path.with_name(f"{path.name}.before-{now.astimezone(UTC):%Y-%m-%dT%H%M%SZ}")


def check_nothing_runs(state: StateDirectory) -> None:
    """Makes sure that neither a collector nor `up` uses a state directory.

    Raises:
        RestoreError: one of them does.
    """
    if state.path.is_dir():
        if running := holder(state):
            raise _still_running(f"a collector (process {running.pid})", state)
        if state.up_lock.exists():
            with _up_stopped(state):
                pass


def finish_interrupted(state: StateDirectory, now: datetime) -> str:
    """Tidies up after a restore that was killed: which backup stands since then, if one does; else empty.

    Raises:
        RestoreError: the directories cannot be written.
    """
    staged = _staged(state)
    try:
        if staged.exists():
            if _marker(staged).exists():  # the copy was not whole, or not in place yet
                shutil.rmtree(staged)
            else:
                staged.rename(kept_as(state, now))
        mark = _marker(state.path)
        if mark.exists():
            backup = state.read(mark)
            mark.unlink()
            return backup
    except OSError as error:
        raise _unusable(state, error) from None
    return ""


def restore(backup: Backup, state: StateDirectory, now: datetime) -> Path | None:
    """Puts a backup in the place of the state directory; where that is kept now, if there was anything in it.

    Raises:
        RestoreError: something runs, or the directories cannot be written; then the old one stands as it was.
    """
    owner = state.path if state.path.exists() else backup.path / backup.files[0]
    staged = _staged(state)
    try:
        owned_by = owner.stat()
        with _nothing_running(state):
            _copy(backup, staged, (owned_by.st_uid, owned_by.st_gid))
            kept = kept_as(state, now) if in_use(state) else None
            if kept is None:
                shutil.rmtree(_place(state))  # locks
                staged.rename(_place(state))
            else:
                _exchange(staged, _place(state))
            _sync(staged.parent)
            finish_interrupted(state, now)
            return kept
    except OSError as error:
        if _marker(staged).exists():  # without it, it is what was there before
            shutil.rmtree(staged, ignore_errors=True)
        raise _unusable(state, error) from None


def _place(state: StateDirectory) -> Path:
    """Where the state directory is itself, if its path is a link: that stays, and what it leads to is replaced."""
    return state.path.resolve()


def _staged(state: StateDirectory) -> Path:
    path = _place(state)
    return path.with_name(f"{path.name}.restoring")


def _marker(directory: Path) -> Path:
    """In a restored directory until its restore is over: says from which backup it is."""
    return directory / "restoring"


def _copy(backup: Backup, staged: Path, owner: tuple[int, int]) -> None:
    """Copies the backup, whole and on the disk, for its user alone."""
    staged.mkdir(_DIRECTORY_MODE)
    _marker(staged).write_text(f"{backup.path}\n", encoding="utf-8")
    directories = {staged}
    for file in backup.files:
        target = staged / file
        for folder in reversed(target.relative_to(staged).parents):
            (staged / folder).mkdir(_DIRECTORY_MODE, exist_ok=True)
            directories.add(staged / folder)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        with open(backup.path / file, "rb", opener=_as_examined) as source, os.fdopen(descriptor, "wb") as copied:
            shutil.copyfileobj(source, copied, 1 << 20)
            copied.flush()
            os.fsync(descriptor)
        shutil.copystat(backup.path / file, target)
        target.chmod(_FILE_MODE)
        _give(target, owner)
    for directory in directories:
        directory.chmod(_DIRECTORY_MODE)
        _give(directory, owner)
        _sync(directory)


def _as_examined(name: str, flags: int) -> int:
    """Opens a file of the backup; a link that was put in its place meanwhile is not followed."""
    return open_at_once(name, flags | os.O_NOFOLLOW)


def _give(path: Path, owner: tuple[int, int]) -> None:
    if os.geteuid() == 0:
        os.chown(path, *owner)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> None:
    """Gives two directories each other's names, in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


@contextmanager
def _nothing_running(state: StateDirectory) -> Iterator[None]:
    """Keeps collectors and `up` from a state directory within the block."""
    try:
        with CollectorLock(state), _up_stopped(state):
            yield
    except CollectorRunning as running:
        raise _still_running(f"a collector (process {running.holder.pid if running.holder else '?'})", state) from None


@contextmanager
def _up_stopped(state: StateDirectory) -> Iterator[None]:
    with state.open(state.up_lock, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _still_running(f"air-pipeline up (process {file.read() or '?'})", state) from None
        yield


def _still_running(what: str, state: StateDirectory) -> RestoreError:
    return RestoreError(f"{what} runs on {state}; stop it first, then restore. Nothing was changed")


def _unusable(state: StateDirectory, error: OSError) -> RestoreError:
    if error.errno in (errno.EBUSY, errno.EXDEV):
        why = f"{state} is where something is mounted, and so cannot change places; set AIR_PIPELINE_STATE to a"
        return RestoreError(f"{why} directory below it, which is empty. The state there is as it was")
    if error.errno in (errno.EINVAL, errno.ENOSYS):
        why = f"the file system of {state} cannot exchange two directories in one step"
        return RestoreError(f"{why}; move {state} aside yourself, and restore again. It is as it was")
    if error.errno == errno.ENOTEMPTY:
        return RestoreError(f"something has begun to write into {state} meanwhile; stop it, and restore again")
    return RestoreError(
        f"{error.filename or state} cannot be written ({error.strerror}); the state in {state} is as it was. This user"
        f" must be able to write into {state.path.parent}, and there must be room"
    )

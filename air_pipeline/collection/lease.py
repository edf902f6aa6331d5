"""Who may collect, and how long.

One collector a state directory: the lock. One that Dagster keeps goes on only while it is wanted: the lease.
"""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import IO, Self

from air_pipeline.boottime import boot_id, boottime
from air_pipeline.environment import Environment
from air_pipeline.errors import AirPipelineError
from air_pipeline.records import read_record, write_record
from air_pipeline.replacing import open_at_once
from air_pipeline.settings import MAIN, SettingsError
from air_pipeline.state import StateDirectory

LEASE_S = 75.0
"""How long a collector goes on without being wanted again: several ticks of its sensor, so that Dagster may restart."""
_TRIES = 10
_TRY_EVERY_S = 0.05
_NAME_BYTES = 256

_started: set[int] = set()
"""Process ids of the collectors that this process started and that may not have ended."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the lock.

    Attributes:
        pid: its process id.
        since: when it took the lock, seconds UTC.
        leased: whether it ends with the lease.
        name: of the collector.
    """

    pid: int
    since: float
    leased: bool
    name: str = MAIN


class CollectorRunning(AirPipelineError):
    """Another collector holds this state directory's lock."""

    def __init__(self, state: StateDirectory, holder: Holder | None) -> None:
        self.holder = holder
        process = f"process {holder.pid}" if holder else "another process"
        super().__init__(
            f"{process} already collects into {state}; stop it first, or choose another AIR_PIPELINE_STATE"
        )


class CollectorLock:
    """The lock of one state directory; released when the process ends, however it ends."""

    def __init__(self, state: StateDirectory, *, leased: bool = False, name: str = MAIN) -> None:
        self._state = state
        self._leased = leased
        self._name = name
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock, and waits until nobody asks devices by hand any more.

        Raises:
            CollectorRunning: somebody else has it.
            SettingsError: it cannot be made.
        """
        self._state.make()
        for _ in range(_TRIES):  # somebody who only looks (`holder`) has it for a moment
            if (file := self._locked_file()) is not None:
                self._file = file
                break
            time.sleep(_TRY_EVERY_S)
        else:
            raise CollectorRunning(self._state, holder(self._state))
        with asking_by_hand(self._state):
            pass

    def keep(self) -> None:
        """Makes sure that the lock is still the one that others find; if its file was removed, takes the one of now.

        Raises:
            CollectorRunning: somebody else has that.
        """
        try:
            if self._file is None or self._is_in_place(self._file) or not self._state.path.is_dir():
                return
            file = self._locked_file()
        except (OSError, SettingsError):  # the disk does not say, now
            return
        if file is None:
            raise CollectorRunning(self._state, holder(self._state))
        os.close(self._file)
        self._file = file

    def release(self) -> None:
        """Gives the lock back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _locked_file(self) -> int | None:
        """The file, locked, with our name in it; None while somebody else has it, or where it was removed just now."""
        path = self._state.collector_lock
        try:
            file = open_at_once(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SettingsError(
                f"environment: {path} cannot be written ({error.strerror}); the state directory must be one that this"
                " user may read and write"
            ) from None
        if not _lock(file, fcntl.LOCK_EX) or not self._is_in_place(file):
            os.close(file)
            return None
        who = asdict(Holder(os.getpid(), time.time(), self._leased, self._name))
        if self._name == MAIN:  # older programs know no names
            del who["name"]
        name = json.dumps(who)
        # Written over what is there, a full disk takes it; without it, it is a lock all the same.
        with suppress(OSError):
            os.pwrite(file, f"{name:<{_NAME_BYTES}}".encode(), 0)
        return file

    def _is_in_place(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._state.collector_lock.stat())
        except FileNotFoundError:
            return False


def _lock(file: IO[str] | int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def asking_by_hand(state: StateDirectory) -> Iterator[None]:
    """Waits until nobody else asks devices by hand, and keeps others from it; where there is no directory, nobody does.

    A collector waits for it once, when it starts: who asks by hand looks for one first.
    """
    try:
        directory = os.open(state.path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield
        return
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def holder(state: StateDirectory) -> Holder | None:
    """The collector that runs on a state directory; None if none does.

    Raises:
        SettingsError: its lock cannot be read.
    """
    for _ in range(_TRIES):
        try:
            with state.open(state.collector_lock, "r") as file:
                if _lock(file, fcntl.LOCK_SH):
                    return None
                return Holder(**json.loads(file.read()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SettingsError(
                f"environment: {state.collector_lock} cannot be read ({error.strerror}); remove it, or give this user"
                " the right to"
            ) from None
        except (ValueError, TypeError):  # it has the lock and has not written its name yet
            time.sleep(_TRY_EVERY_S)
    return Holder(0, time.time(), leased=False)


def extend_lease(state: StateDirectory, seconds: float = LEASE_S) -> None:
    """Wants the leased collector for so long from now.

    A disk that does not take that is no error: a collector ends by its lease only while it could be extended.

    Raises:
        SettingsError: this user may not.
    """
    state.make()
    try:
        write_record(state.collector_lease, {"boot": boot_id(), "until": boottime() + seconds})
    except PermissionError as error:
        raise SettingsError(f"environment: {state.collector_lease} cannot be written ({error.strerror})") from None
    except OSError:
        pass


def end_lease(state: StateDirectory) -> None:
    """Wants the leased collector no more: it ends within a second or two, once its polls are done."""
    try:
        state.collector_lease.unlink(missing_ok=True)
    except OSError:  # it stays, and with it the collector: so that is told
        running = holder(state)
        if running is not None and running.leased:
            os.kill(running.pid, signal.SIGTERM)


def lease_holds(state: StateDirectory) -> bool:
    """Whether the leased collector is wanted now: since this start of the machine, and by the time that goes by."""
    try:
        lease = read_record(state.collector_lease) or {}
        return lease.get("boot") == boot_id() and boottime() < float(lease["until"])
    except (OSError, KeyError, TypeError, ValueError):
        return False


def lease_has_ended(state: StateDirectory) -> bool:
    """Whether the collector is wanted no more: not where nobody could say that it still is, as on a read-only disk."""
    return not lease_holds(state) and os.access(state.path, os.W_OK)


def start_collector(environment: Environment) -> int:
    """Starts a leased collector in a process of its own, which outlives this one; its process id.

    It writes to `collector.log` in the state directory. If another one runs, it ends at once by itself.
    """
    _reap()
    environment.state.make()
    with environment.state.open(environment.state.collector_log, "ab") as log:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "air_pipeline", "collect", "--leased"],
            {**os.environ, **environment.variables()},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM),
        )
    _started.add(pid)
    return pid


def _reap() -> None:
    """Takes note of collectors of this process that have ended, so that they leave no zombies."""
    for pid in list(_started):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # somebody else took note of it
            ended = pid
        if ended:
            _started.discard(pid)

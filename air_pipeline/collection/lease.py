"""Who may collect, and how long.

One collector a state directory: the lock. One that Dagster keeps goes on only while it is wanted: the lease.
"""

import fcntl
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from typing import IO, Self

from air_pipeline.environment import Environment
from air_pipeline.errors import AirPipelineError
from air_pipeline.settings import SettingsError
from air_pipeline.state import StateDirectory

LEASE_S = 75.0
"""How long a collector goes on without being wanted again: several ticks of its sensor, so that Dagster may restart."""
_TRIES = 10
_TRY_EVERY_S = 0.05

_started: set[int] = set()
"""Process ids of the collectors that this process started and that may not have ended."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the lock.

    Attributes:
        pid: its process id.
        since: when it took the lock, seconds UTC.
        leased: whether it ends with the lease.
    """

    pid: int
    since: float
    leased: bool


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

    def __init__(self, state: StateDirectory, *, leased: bool = False) -> None:
        self._state = state
        self._leased = leased
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Takes the lock.

        Raises:
            CollectorRunning: somebody else has it.
        """
        self._state.make()
        file = self._state.open(self._state.collector_lock, "a+")
        for _ in range(_TRIES):  # somebody who only looks (`holder`) has it for a moment
            if _lock(file, fcntl.LOCK_EX):
                file.truncate(0)
                file.write(json.dumps(asdict(Holder(os.getpid(), time.time(), self._leased))))
                file.flush()
                self._file = file
                return
            time.sleep(_TRY_EVERY_S)
        file.close()
        raise CollectorRunning(self._state, holder(self._state))

    def release(self) -> None:
        """Gives the lock back."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
    """Wants the leased collector for so long from now."""
    state.write(state.collector_lease, f"{time.time() + seconds:.3f}\n")


def end_lease(state: StateDirectory) -> None:
    """Wants the leased collector no more: it ends within a second or two, once its polls are done."""
    state.collector_lease.unlink(missing_ok=True)


def lease_holds(state: StateDirectory) -> bool:
    """Whether the leased collector is wanted now."""
    try:
        return time.time() < float(state.collector_lease.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


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

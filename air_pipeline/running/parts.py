"""The processes that `up` starts, keeps running and ends, with everything that they started themselves."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from air_pipeline.collection.lease import end_lease, holder
from air_pipeline.processes import end_with_parent
from air_pipeline.state import StateDirectory

STOP_WITHIN_S = 15.0
COLLECTOR_STOP_WITHIN_S = 20.0
GONE_WITHIN_S = 5.0
"""How long is waited for a process that has done its work, or was killed, to be gone from the machine."""
_RESTART_AFTER_S = 5.0


@dataclass(slots=True)
class Part:
    """One of the processes.

    Attributes:
        name: for people.
        command: the program and its arguments.
        process: once it was started.
        started: when that was, monotonic.
        left_behind: groups of former processes, such as a run that they began.
    """

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    left_behind: list[int] = field(default_factory=list)


def start_part(part: Part, variables: dict[str, str], output: IO[bytes]) -> None:
    """Starts a process that ends with this one, in a group of its own.

    Args:
        part: which.
        variables: its whole environment.
        output: where it writes.
    """
    part.started = time.monotonic()
    part.process = subprocess.Popen(  # noqa: S603 -- this interpreter, Dagster's programs
        part.command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # Ctrl-C is ours: they are stopped in order
        preexec_fn=end_with_parent,  # noqa: PLW1509 -- nothing else runs in this process yet or takes locks
    )


def revive(parts: list[Part], variables: dict[str, str], output: IO[bytes]) -> Iterator[str]:
    """Starts again whatever has ended by itself, and says so."""
    for part in parts:
        part.left_behind = [group for group in part.left_behind if _signal_group(group, 0)]
        if part.process is None or part.process.poll() is None:
            continue
        if time.monotonic() - part.started > _RESTART_AFTER_S:
            ended = part.process.pid
            try:
                start_part(part, variables, output)
            except OSError as error:  # there are no more processes, files or memory: the others go on meanwhile
                yield f"the {part.name} has ended and cannot be started now ({error.strerror}); it is tried again"
            else:
                yield f"the {part.name} has ended and is started again"
                part.left_behind.append(ended)  # a run goes on to its end


def _signal_group(group: int, number: int) -> bool:
    """Sends a signal to a process group; whether there is such a group of ours."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def stop_parts(parts: Sequence[Part]) -> None:
    """Ends all parts with everything they started: the daemon before the others, so that it asks them for nothing."""
    deadline = time.monotonic() + STOP_WITHIN_S
    last_first = list(reversed(parts))
    for together in (last_first[:1], last_first[1:]):
        for part in together:
            if part.process is not None and part.process.poll() is None:
                part.process.send_signal(signal.SIGINT)
        for part in together:
            if part.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    part.process.wait(max(deadline - time.monotonic(), 0.1))
    groups: list[int] = []
    for part in parts:
        if part.process is not None:
            # The group holds what the part left behind, such as a run in the middle of a step.
            for group in (part.process.pid, *part.left_behind):
                _signal_group(group, signal.SIGKILL)
                groups.append(group)
            part.process.wait()
    _wait_until_gone(lambda: any(_signal_group(group, 0) for group in groups))


def stop_collector(state: StateDirectory) -> str:
    """Ends the leased collector and waits for it; one that runs by itself goes on. Says so if it does not end."""
    running = holder(state)  # asked first: a quick one has given back its lock before anybody could ask again
    end_lease(state)
    deadline = time.monotonic() + COLLECTOR_STOP_WITHIN_S
    pid = None
    while running is not None and running.leased:
        pid = running.pid
        if time.monotonic() > deadline:
            return f"the collector (process {pid}) has not ended yet"
        time.sleep(0.1)
        running = holder(state)
    if pid is not None:
        _wait_until_gone(lambda: _is_process(pid))  # it lives on for a moment after giving back its lock
    return ""


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_until_gone(is_there: Callable[[], bool]) -> None:
    """Waits a little, not for ever: where nothing takes note of ended processes, they stay in the list of processes."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while is_there() and time.monotonic() < deadline:
        time.sleep(0.02)

"""Processes that build days and tell of each as it ends.

Belongs here: their start, their end however it comes, who gets what. Does not: what there is to build (`ranges`).

For the underlying Dagster concept, see docs.dagster.io: job execution.
"""

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import NamedTuple

from air_pipeline.errors import AirPipelineError
from air_pipeline.instance.day_builder import DayBuilder, OpenJobs
from air_pipeline.processes import end_with_parent

ENDED = "not built, as a worker process was ended from outside; if memory is short, try fewer --workers"
"""What is said of the days of a worker that is gone."""


class Task(NamedTuple):
    """Days for one run; alone: for a run of the day's own."""

    days: tuple[date, ...]
    alone: bool = False


@dataclass(eq=False, slots=True)
class _Worker:
    process: SpawnProcess
    line: "Connection[Task, tuple[date, str] | None]"
    left: list[date] = field(default_factory=list)


class Workers:
    """Worker processes, which end when they are closed, or with this one."""

    def __init__(self, number: int, open_jobs: OpenJobs, *, force: bool) -> None:
        """Starts them.

        Args:
            number: how many.
            open_jobs: gives the jobs that build days.
            force: whether to build even what would be built from less than before.
        """
        self._all: list[_Worker] = []
        try:
            with _without_interrupts():
                for _ in range(number):
                    self._all.append(_started(open_jobs, force=force))
        except KeyboardInterrupt:
            self.close()
            raise

    def build(self, tasks: Iterable[Task]) -> Iterator[tuple[date, str]]:
        """Builds the days of the tasks, and tells of each as it ends, with what went wrong.

        A worker that is gone costs the days that it had and had not built; what no worker is left for is not built.
        """
        waiting, idle = deque(tasks), list(self._all)
        while waiting or len(idle) < len(self._all):
            while waiting and idle:
                worker, task = idle.pop(), waiting.popleft()
                worker.left = list(task.days)
                with suppress(OSError):  # it is gone, which is heard below
                    worker.line.send(task)
            busy = [worker for worker in self._all if worker not in idle]
            if not busy:  # none is left
                yield from ((day, ENDED) for task in waiting for day in task.days)
                return
            heard = wait([worker.line for worker in busy])
            for worker in (one for one in busy if one.line in heard):
                try:
                    told = worker.line.recv()
                except (EOFError, OSError):
                    self._all.remove(worker)
                    yield from ((day, ENDED) for day in worker.left)
                    continue
                if told is None:
                    idle.append(worker)
                else:
                    worker.left.remove(told[0])
                    yield told

    def close(self) -> None:
        """Whoever stops listening wants no more days: those under way come to their end, unless Ctrl-C comes again."""
        for worker in self._all:
            worker.line.close()
        try:
            for worker in self._all:
                worker.process.join()
        except KeyboardInterrupt:
            for worker in self._all:
                worker.process.kill()
            raise


def _started(open_jobs: OpenJobs, *, force: bool) -> _Worker:
    context = get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_work, args=(its, open_jobs), kwargs={"force": force})
    process.start()
    its.close()  # so that its end is heard
    return _Worker(process, ours)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C waits until the end of the block; processes that are started in it never hear of it."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))  # which any thread may be given
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


class _Teller:
    """In a worker: tells the parent of each day, and goes on for as long as that listens."""

    def __init__(self, line: "Connection[tuple[date, str] | None, Task]") -> None:
        self._line = line
        self.left: list[date] = []

    def ended(self, day: date, said: str) -> None:
        """Tells."""
        if day in self.left:
            self.left.remove(day)
            with suppress(OSError):  # it listens no more
                self._line.send((day, said))

    def goes_on(self) -> bool:
        """Nothing is sent while days are under way: what can be read is the end."""
        return not self._line.poll()


def _work(line: "Connection[tuple[date, str] | None, Task]", open_jobs: OpenJobs, *, force: bool) -> None:
    """What a worker does: a task after the other, until nobody listens."""
    os.setsid()  # what a terminal says is the parent's
    end_with_parent(signal.SIGKILL)  # which leaves nothing half done: files are put in place whole
    parent = parent_process()
    if parent is not None and not parent.is_alive():  # it ended before that
        os._exit(1)
    teller, builder, mistake = _Teller(line), None, ""
    try:
        builder = DayBuilder(open_jobs, teller)
    except AirPipelineError as error:
        mistake = str(error)
    with suppress(EOFError, OSError, KeyboardInterrupt):  # nobody listens, or somebody ends this process
        while True:
            task = line.recv()
            teller.left = list(task.days)
            said = mistake
            if builder is not None and task.alone:
                teller.ended(task.days[0], builder.build(task.days[0], force=force))
            elif builder is not None:
                said = builder.build_many(task.days, force=force)
            for day in tuple(teller.left) if teller.goes_on() else ():
                teller.ended(day, said or "the run ended before it came to this day")
            line.send(None)

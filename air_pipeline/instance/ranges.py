"""Many days on one machine without launching runs: a few in this process, more in warm ones beside it.

Belongs here: which process builds which day. Does not: building one (`day_builder`), which days need it (`days.range`).

For the underlying Dagster concept, see docs.dagster.io: job execution.
"""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import date
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

import dagster as dg

from air_pipeline.instance.day_builder import DayBuilder
from air_pipeline.instance.storage import open_storage
from air_pipeline.processes import end_with_parent

FEW_DAYS = 4
"""So many days are built sooner here than by processes that first have to start: each takes as long as two days do."""

LOOK_EVERY_S = 1.0
"""How often it is looked whether there are workers still, while no day ends."""

OpenJob = Callable[[], dg.JobDefinition]
"""Gives the job that builds a day; a function of a module, so that another process can find it."""


def build_range(
    home: Path, days: Sequence[date], open_job: OpenJob, *, force: bool, workers: int = 0
) -> Iterator[tuple[date, str]]:
    """Builds days, oldest first: a few in this process, more in processes of their own.

    The newest comes last and alone: what Dagster shows as latest, materializations and checks, is then that day's.

    Args:
        home: DAGSTER_HOME, where the events go.
        days: the local dates.
        open_job: gives the job that builds a day.
        force: whether to build even what would be built from less than before.
        workers: how many processes; 0 for one a core, or none for a few days.

    Yields:
        Each day as it ends, with what went wrong; empty if nothing did.

    Raises:
        SettingsError: the environment or the settings cannot be used.
        StorageError: Dagster's storage cannot be used.
    """
    if not days:
        return
    os.environ["DAGSTER_HOME"] = str(home)
    open_storage(home)  # made by one, and rid of the runs of builds that were killed
    if not workers and len(days) <= FEW_DAYS:
        builder = DayBuilder(open_job)
        for day in sorted(days):
            yield day, builder.build(day, force=force)
        return
    processes = min(workers or os.cpu_count() or 1, len(days))
    context = get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_open, initargs=(open_job,))
    try:
        *before, newest = sorted(days)
        for together in (before, [newest]):
            with _without_interrupts():
                futures = {_submitted(pool, day, force=force): day for day in together}
            for future in _as_they_end(futures):
                yield futures[future], _outcome(future)
    finally:
        _end(pool)


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


def _end(pool: ProcessPoolExecutor) -> None:
    """Whoever stops listening wants no more days: those under way come to their end; a second Ctrl-C ends them too."""
    try:
        pool.shutdown(cancel_futures=True)
    except KeyboardInterrupt:
        for worker in active_children():
            worker.kill()
        raise


_builder: list[DayBuilder] = []
"""In a worker process: its builder."""


def _open(open_job: OpenJob) -> None:
    os.setsid()  # what a terminal says is the parent's
    end_with_parent(signal.SIGKILL)  # which leaves nothing half done: files are put in place whole
    parent = parent_process()
    if parent is not None and not parent.is_alive():  # it ended before that
        os._exit(1)
    _builder.append(DayBuilder(open_job))


def _build(day: date, *, force: bool) -> str:
    return _builder[0].build(day, force=force)


def _submitted(pool: ProcessPoolExecutor, day: date, *, force: bool) -> "Future[str]":
    try:
        return pool.submit(_build, day, force=force)
    except (BrokenProcessPool, BrokenPipeError):  # a worker was ended before this day's turn, or at its own start
        broken: Future[str] = Future()
        broken.set_exception(BrokenProcessPool())
        return broken


def _as_they_end(futures: Iterable[Future[str]]) -> Iterator[Future[str]]:
    """Each future as it is done; and, once there are no workers any more, those that nobody will do.

    A day that is submitted in the very moment in which the workers are ended is forgotten by Python 3.11's pool.
    """
    left = set(futures)
    while left:
        done, left = wait(left, LOOK_EVERY_S, FIRST_COMPLETED)
        if not done and not active_children():
            done, left = left, set()
        yield from done


def _outcome(future: Future[str]) -> str:
    try:
        return future.result(timeout=0)
    except (BrokenProcessPool, TimeoutError):
        return "not built, as a worker process was ended from outside; if memory is short, try fewer --workers"

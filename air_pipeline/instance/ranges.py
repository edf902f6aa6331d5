"""Many days on one machine without launching runs.

Worker processes stay warm, and leave the same events as runs do.

For the underlying Dagster concept, see docs.dagster.io: job execution.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import dagster as dg

from air_pipeline.assets.days import FORCE_TAG
from air_pipeline.definitions import build_definitions
from air_pipeline.deployment import open_deployment

# What went wrong is said once, by the command; the events are in Dagster's storage.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class DayBuilder:
    """Builds days in this process, with the deployment of the environment and the instance of DAGSTER_HOME."""

    def __init__(self) -> None:
        """Opens both.

        Raises:
            SettingsError: the environment or the settings cannot be used.
        """
        self._job = build_definitions(open_deployment()).resolve_job_def("build_day")
        self._instance = dg.DagsterInstance.get()

    def build(self, day: date, *, force: bool) -> str:
        """Builds one day; what went wrong, empty if nothing did."""
        try:
            result = self._job.execute_in_process(
                partition_key=day.isoformat(),
                instance=self._instance,
                raise_on_error=False,
                tags={FORCE_TAG: "true"} if force else {},
                run_config=_QUIET,
            )
        except dg.DagsterError as error:  # no run came about, such as for a date that is no partition
            return str(error).strip()
        return "" if result.success else _failure(result)


def build_range(home: Path, days: Sequence[date], *, force: bool, workers: int = 0) -> Iterator[tuple[date, str]]:
    """Builds days, oldest first, in processes of their own.

    The newest comes last and alone: what Dagster shows as latest, materializations and checks, is then that day's.

    Args:
        home: DAGSTER_HOME, where the events go.
        days: the local dates.
        force: whether to build even what would be built from fewer polls than before.
        workers: how many processes; 0 for one a core.

    Yields:
        Each day as it ends, with what went wrong; empty if nothing did.
    """
    if not days:
        return
    os.environ["DAGSTER_HOME"] = str(home)
    DayBuilder()  # a mistake in the settings is reported once, here, and storage is made before all want it
    processes = min(workers or os.cpu_count() or 1, len(days))
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_open)
    try:
        *before, newest = sorted(days)
        for together in (before, [newest]):
            futures = {pool.submit(_build, day, force=force): day for day in together}
            for future in as_completed(futures):
                yield futures[future], _outcome(future)
    finally:
        pool.shutdown(cancel_futures=True)  # whoever stops listening wants no more days


_builder: list[DayBuilder] = []
"""In a worker process: its builder."""


def _open() -> None:
    _builder.append(DayBuilder())


def _build(day: date, *, force: bool) -> str:
    return _builder[0].build(day, force=force)


def _outcome(future: Future[str]) -> str:
    try:
        return future.result()
    except BrokenProcessPool:
        return "not built, as a worker process was ended from outside; if memory is short, try fewer --workers"


def _failure(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data and failure.user_failure_data.description:
                return failure.user_failure_data.description
            if failure.error:
                return (failure.error.cause or failure.error).message.strip()
    return "the run failed before its first step"

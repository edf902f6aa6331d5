"""Many days on one machine without launching runs.

Worker processes stay warm, and leave the same events as runs do.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import dagster as dg

# What went wrong is said once, by the command; the events are in Dagster's storage.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def build_range(home: Path, days: Sequence[date], *, force: bool, workers: int = 0) -> Iterator[tuple[date, str]]:
    """Builds days, newest first, in processes of their own.

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
    _definitions()  # a mistake in the settings is reported once, here, and storage is made before all want it
    processes = min(workers or os.cpu_count() or 1, len(days))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(build_one, day, force=force): day for day in sorted(days, reverse=True)}
        for future in as_completed(futures):
            yield futures[future], future.result()


def build_one(day: date, *, force: bool) -> str:
    """Builds one day in this process; what went wrong, empty if nothing did."""
    from air_pipeline.assets.days import FORCE_TAG

    definitions, instance = _definitions()
    job = definitions.resolve_job_def("build_day")
    tags = {FORCE_TAG: "true"} if force else {}
    result = job.execute_in_process(
        partition_key=day.isoformat(), instance=instance, raise_on_error=False, tags=tags, run_config=_QUIET
    )
    return "" if result.success else _failure(result)


@cache
def _definitions() -> tuple[dg.Definitions, dg.DagsterInstance]:
    from air_pipeline.definitions import build_definitions
    from air_pipeline.deployment import open_deployment

    return build_definitions(open_deployment()), dg.DagsterInstance.get()


def _failure(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data and failure.user_failure_data.description:
                return failure.user_failure_data.description
            if failure.error:
                return (failure.error.cause or failure.error).message.strip()
    return "the run failed before its first step"

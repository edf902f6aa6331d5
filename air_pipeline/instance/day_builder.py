"""Days built in this process, with the same events in Dagster's storage as launched runs have.

For the underlying Dagster concept, see docs.dagster.io: job execution.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any, NamedTuple, Protocol

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from sqlalchemy.exc import DBAPIError

from air_pipeline.instance.engines import kept_engines
from air_pipeline.instance.lost_runs import PROCESS_TAG, this_process
from air_pipeline.instance.runs_of_days import DAYS_TAG, FORCE_TAG, days_to_text, failure_of

# What went wrong is said once, by the command; the events are in Dagster's storage.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


# What is written meanwhile goes where the command writes. Otherwise Dagster would start two processes a run to copy it
# there from a file, which a Ctrl-C at the terminal meets too: one of them with a traceback.
_NO_COPIES: dict[str, Any] = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}
_ENDING = {signal.SIGINT, signal.SIGTERM}


class Watch(Protocol):
    """Who follows a run of many days while it goes on."""

    def ended(self, day: date, said: str) -> None:
        """Hears of each day, with what went wrong; empty if nothing did."""
        ...

    def goes_on(self) -> bool:
        """Whether the next day is wanted; asked before each."""
        ...


class Unwatched:
    """Nobody follows it: it goes on to its end."""

    def ended(self, day: date, said: str) -> None:
        """Hears of it."""

    def goes_on(self) -> bool:
        """Always."""
        return True


class DayJobs(NamedTuple):
    """The jobs that build days: one of a day, and one of many."""

    day: dg.JobDefinition
    days: dg.JobDefinition


OpenJobs = Callable[[Watch], DayJobs]
"""Gives the jobs, the runs of many days under a watch; a function of a module, so that another process can find it."""


class DayBuilder:
    """Builds days in this process, into the instance of DAGSTER_HOME."""

    def __init__(self, open_jobs: OpenJobs, watch: Watch | None = None) -> None:
        """Opens the instance, whose storage is made if there is none, and the jobs.

        Args:
            open_jobs: gives the jobs.
            watch: follows the runs of many days.

        Raises:
            SettingsError: the environment or the settings cannot be used.
        """
        ref = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=_NO_COPIES)
        self._instance = dg.DagsterInstance.from_ref(ref)
        self._jobs = open_jobs(watch or Unwatched())

    def build(self, day: date, *, force: bool) -> str:
        """Builds one day by a run of its own; what went wrong, empty if nothing did.

        Raises:
            KeyboardInterrupt: somebody wants no more. Dagster makes an interrupt the failure of the step under way, and
                loses one that comes between steps.
        """
        with kept_engines():  # a run of many days keeps its own, whoever began it
            return self._run(self._jobs.day, {}, force=force, partition=day.isoformat())

    def build_many(self, days: Sequence[date], *, force: bool) -> str:
        """Builds days by one run; what went wrong with the run. The watch hears of each day.

        Raises:
            KeyboardInterrupt: as `build`.
        """
        return self._run(self._jobs.days, {DAYS_TAG: days_to_text(days)}, force=force)

    def _run(self, job: dg.JobDefinition, tags: Mapping[str, str], *, force: bool, partition: str | None = None) -> str:
        with _hearing() as interrupted:
            said = self._ran(job, {**tags, **({FORCE_TAG: "true"} if force else {})}, partition)
            if interrupted():
                raise KeyboardInterrupt
        return said

    def _ran(self, job: dg.JobDefinition, tags: Mapping[str, str], partition: str | None) -> str:
        try:
            result = job.execute_in_process(
                instance=self._instance,
                raise_on_error=False,
                tags={PROCESS_TAG: this_process(), **tags},
                run_config=_QUIET,
                partition_key=partition,
            )
        except dg.DagsterError as error:  # no run came about, such as for a date that is no partition
            return str(error).strip()
        except DBAPIError as error:
            return f"Dagster's storage cannot be used ({error.orig}); see to space and rights there, and build again"
        if result.success:
            return ""
        return next(filter(None, map(failure_of, result.all_events)), "the run failed before its first step")


@contextmanager
def _hearing() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether a signal has come meanwhile, whoever has put which handler in its place."""
    out, into = os.pipe()
    os.set_blocking(out, False)
    os.set_blocking(into, False)
    before = signal.set_wakeup_fd(into, warn_on_full_buffer=False)

    def has_come() -> bool:
        with suppress(BlockingIOError):
            return bool(_ENDING.intersection(os.read(out, 4096)))
        return False

    try:
        yield has_come
    finally:
        signal.set_wakeup_fd(before)
        os.close(out)
        os.close(into)

"""A day built in this process, with the same events in Dagster's storage as a run has.

For the underlying Dagster concept, see docs.dagster.io: job execution.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from air_pipeline.instance.lost_runs import PROCESS_TAG, this_process
from air_pipeline.instance.runs_of_days import FORCE_TAG, failure_of

# What went wrong is said once, by the command; the events are in Dagster's storage.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


# What is written meanwhile goes where the command writes. Otherwise Dagster would start two processes a run to copy it
# there from a file, which a Ctrl-C at the terminal meets too: one of them with a traceback.
_NO_COPIES: dict[str, Any] = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}
_ENDING = {signal.SIGINT, signal.SIGTERM}


class DayBuilder:
    """Builds days in this process, into the instance of DAGSTER_HOME."""

    def __init__(self, open_job: Callable[[], dg.JobDefinition]) -> None:
        """Opens the instance, whose storage is made if there is none, and the job.

        Args:
            open_job: gives the job that builds a day.

        Raises:
            SettingsError: the environment or the settings cannot be used.
        """
        ref = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=_NO_COPIES)
        self._instance = dg.DagsterInstance.from_ref(ref)
        self._job = open_job()

    def build(self, day: date, *, force: bool) -> str:
        """Builds one day; what went wrong, empty if nothing did.

        Raises:
            KeyboardInterrupt: somebody wants no more. Dagster makes an interrupt the failure of the step under way, and
                loses one that comes between steps.
        """
        with _hearing() as interrupted:
            said = self._built(day, force=force)
            if interrupted():
                raise KeyboardInterrupt
        return said

    def _built(self, day: date, *, force: bool) -> str:
        try:
            result = self._job.execute_in_process(
                partition_key=day.isoformat(),
                instance=self._instance,
                raise_on_error=False,
                tags={PROCESS_TAG: this_process()} | ({FORCE_TAG: "true"} if force else {}),
                run_config=_QUIET,
            )
        except dg.DagsterError as error:  # no run came about, such as for a date that is no partition
            return str(error).strip()
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

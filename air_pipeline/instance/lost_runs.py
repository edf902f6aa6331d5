"""Runs that ended with an earlier `up`, in a power cut for one, without a word.

Dagster would take each for running for two more hours, and leave it its place in the queue. `up` starts this as a
process of its own, and so stays small itself; before all others, because processes that make Dagster's storage at the
same time can leave it unusable (alembic_version with two heads).

For the underlying Dagster concept, see docs.dagster.io: run monitoring.
"""

import json
import socket

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

_BEGUN = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def give_up_lost_runs(instance: dg.DagsterInstance) -> int:
    """Marks the runs whose code server is gone as failed, so that they are tried again, or as canceled; how many.

    Runs that no code server of this machine was asked for (`air-pipeline build`, other launchers) are left alone.
    """
    lost = [run for run in instance.get_runs(dg.RunsFilter(statuses=_BEGUN)) if _is_lost(run)]
    for run in lost:
        canceling = run.status is dg.DagsterRunStatus.CANCELING
        report = instance.report_run_canceled if canceling else instance.report_run_failed
        report(run, "The process of this run ended with an earlier `air-pipeline up`.")
    return len(lost)


def _is_lost(run: dg.DagsterRun) -> bool:
    path = json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("socket")
    return path is not None and not _answers(path)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
        except OSError:
            return False
    return True


if __name__ == "__main__":
    with dg.DagsterInstance.get() as here:
        give_up_lost_runs(here)

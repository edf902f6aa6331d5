"""What tests of the schedule `build_days` do: days in all states, runs as the daemon leaves them, marks."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime

import dagster as dg
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import PARTITION_NAME_TAG

from air_pipeline.collection.outbox import Outbox
from air_pipeline.days.compared import read_compared
from air_pipeline.instance.runs_of_days import FINGERPRINT_TAG
from air_pipeline_tests.days.deployments import build as build_tables

NOON = datetime(2026, 3, 6, 12, tzinfo=UTC)
FINISHED = [date(2026, 3, number) for number in (5, 4, 3, 2, 1)]
"""The days that are over at that noon, newest first."""


def built(deployment, *days):
    """Builds days without Dagster, which takes a tenth of the time."""
    for day in days:
        build_tables(deployment, day)


def wanted(answer):
    return [date.fromisoformat(request.partition_key) for request in answer.run_requests]


def run(instance, status, day, fingerprint="", *, begun=True, **tags):
    """A run of a day as the daemon leaves it."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("air_pipeline"), "__repository__")
    known = {PARTITION_NAME_TAG: str(day), **tags}
    if fingerprint:
        known[FINGERPRINT_TAG] = fingerprint
    made = dg.DagsterRun(
        "build_day",
        status=dg.DagsterRunStatus[status],
        tags=known,
        remote_job_origin=RemoteJobOrigin(repository, "build_day"),
    )
    instance.run_storage.add_run(made.with_status(dg.DagsterRunStatus.STARTING) if ended(made) else made)
    if ended(made):
        events = [dg.DagsterEventType.RUN_START] if begun else []
        for kind in [*events, _ENDINGS[made.status]]:
            instance.report_dagster_event(dg.DagsterEvent(kind.value, "build_day"), made.run_id)


def ended(run):
    return run.status in _ENDINGS


_ENDINGS = {
    dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterRunStatus.CANCELED: dg.DagsterEventType.RUN_CANCELED,
}


def at(*when):
    return round(datetime(2026, 3, *when, tzinfo=UTC).timestamp() * 1000)


def rewrite(deployment, statement, *parameters):
    with closing(sqlite3.connect(deployment.environment.state.readings)) as store, store:
        assert store.execute(statement, parameters).rowcount > 0


def change(deployment, *when):
    """Makes the store hold something else of one slot."""
    rewrite(deployment, "UPDATE poll SET duration_ms = 99 WHERE observed_at = ?", at(*when))


class MarksHere:
    """Marks of late readings in the outbox of this machine."""

    def __call__(self, deployment):
        with closing(Outbox(deployment.environment.state.outbox)) as box:
            return set(box.late_marks())

    def put(self, deployment, *days):
        with closing(Outbox(deployment.environment.state.outbox)) as box:
            box.mark_late(days)


class MarksInTheStore:
    """Those that a collector told through the store, wherever it is: never deleted, but passed."""

    def __call__(self, deployment):
        compared = read_compared(deployment.environment)
        return {*compared.late, *(mark.day for mark in deployment.store.late_marks(compared.passed))}

    def put(self, deployment, *days):
        deployment.store.mark_late("edge-1", days)

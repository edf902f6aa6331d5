"""The sensor `notify`: tells a person what is not well, and when it is well again.

Its ticks are its own: whatever a mail server or a webhook does, collecting and building do not wait for it.

For the underlying Dagster concept, see docs.dagster.io: sensors.
"""

import socket
from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from air_pipeline.assets.checks import days_built_evaluation
from air_pipeline.assets.days import AGAIN_TAG
from air_pipeline.automation.collecting import Cursor, due_verdicts
from air_pipeline.collection.outbox import OutboxError
from air_pipeline.collection.report import Verdict, look
from air_pipeline.deployment import Deployment, present
from air_pipeline.notifying.looking import day_summary, days_built_verdict, sight, watched_days
from air_pipeline.notifying.sending import channels
from air_pipeline.notifying.telling import tell
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import SettingsError
from air_pipeline.storage.opening import open_store

TICK_S = 30
STORE_WITHIN_S = 2.0
_MOST_RUNS = 200
_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]


def notify_sensor() -> dg.SensorDefinition:
    """The sensor."""

    @dg.sensor(
        name="notify",
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells a person, as `notify` in devices.yaml says, when a check of `raw_readings` turns bad or good again,"
            " when a device falls silent, when a day is not built or its run fails; and a digest a day. Once per"
            " change, not in the quiet hours. Try it with: air-pipeline notify --test\n\nAlso evaluates the check"
            " `days_built`, on change and hourly. Ticks start no runs, so they are all called skipped."
        ),
    )
    def notify(context: dg.SensorEvaluationContext, deployment: dg.ResourceParam[Deployment]) -> dg.SensorResult:
        current = present(deployment)
        now = current.now()
        cursor, due = _due(Cursor.from_text(context.cursor), days_built_verdict(current, now), now)
        try:
            said = _tell(current, context.instance, now)
        except (OutboxError, SettingsError, OSError) as error:
            said = f"nobody is told: {error}"
        return dg.SensorResult(
            asset_events=[days_built_evaluation(verdict) for verdict in due], cursor=cursor.to_text(), skip_reason=said
        )

    return notify


def _due(cursor: Cursor, found: Verdict, now: datetime) -> tuple[Cursor, list[Verdict]]:
    """The check of days on change and hourly, as those of `raw_readings` are by the sensor `collect`."""
    due = due_verdicts(cursor, [found], now.timestamp())
    return (Cursor(passed={found.check: found.passed}, checked=now.timestamp()) if due else cursor), due


def _tell(deployment: Deployment, instance: dg.DagsterInstance, now: datetime) -> str:
    """A round of telling; what became of it."""
    rules, environment = deployment.settings.notify, deployment.environment
    if rules is None:
        return "devices.yaml has no `notify`, so nobody is told"
    environment.state.make()
    with closing(open_store(environment.influxdb, environment.state)) as store:
        report = look(deployment, store, epoch_ms(now), now, STORE_WITHIN_S)
    failed = failed_builds(instance, watched_days(deployment, now))
    return tell(
        environment.state,
        rules,
        channels(rules),
        sight(deployment, report, failed, now),
        lambda: day_summary(deployment, report, now),
        deployment.settings.zone,
        now,
        socket.gethostname(),
    )


def failed_builds(instance: dg.DagsterInstance, days: Sequence[date]) -> dict[date, str]:
    """The days whose last run that ended failed, for a reason that does not pass, and which run that was."""
    if not days:
        return {}
    names = [day.isoformat() for day in days]
    records = instance.get_run_records(
        dg.RunsFilter(tags={PARTITION_NAME_TAG: names}, statuses=_ENDED), limit=_MOST_RUNS
    )
    last: dict[str, dg.DagsterRun] = {}
    for record in records:  # newest first
        last.setdefault(record.dagster_run.tags[PARTITION_NAME_TAG], record.dagster_run)
    return {
        date.fromisoformat(name): run.run_id[:8]
        for name, run in last.items()
        if run.status is dg.DagsterRunStatus.FAILURE and AGAIN_TAG not in run.tags
    }

"""The sensor `notify`: tells a person what is not well, and when it is well again.

Its ticks are its own: whatever a mail server or a webhook does, collecting and building do not wait for it.
"""

import socket
from collections.abc import Sequence
from contextlib import closing
from datetime import date

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from air_pipeline.assets.collection import present
from air_pipeline.assets.days import AGAIN_TAG
from air_pipeline.collection.outbox import OutboxError
from air_pipeline.collection.report import look
from air_pipeline.deployment import Deployment
from air_pipeline.environment import make_state_directory
from air_pipeline.notifying.looking import day_summary, sight, watched_days
from air_pipeline.notifying.sending import channels
from air_pipeline.notifying.telling import tell
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
            " change, not in the quiet hours. Ticks start no runs, so they are all called skipped. Try it with:"
            " air-pipeline notify --test"
        ),
    )
    def notify(context: dg.SensorEvaluationContext, deployment: dg.ResourceParam[Deployment]) -> dg.SkipReason:
        current = present(deployment)
        rules = current.settings.notify
        if rules is None:
            return dg.SkipReason("devices.yaml has no `notify`, so nobody is told")
        now = current.now()
        try:
            make_state_directory(current.place)
            with closing(open_store(current.place.influxdb, current.place.state)) as store:
                report = look(current, store, round(now.timestamp() * 1000), now, STORE_WITHIN_S)
            failed = failed_builds(context.instance, watched_days(current, now))
            said = tell(
                current.place.state,
                rules,
                channels(rules),
                sight(current, report, failed, now),
                lambda: day_summary(current, report, now),
                current.settings.zone,
                now,
                socket.gethostname(),
            )
        except (OutboxError, SettingsError, OSError) as error:
            return dg.SkipReason(f"nobody is told: {error}")
        return dg.SkipReason(said)

    return notify


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

"""The sensor `notify`: tells a person what is not well, and when it is well again.

Its ticks are its own: whatever a mail server or a webhook does, collecting and building do not wait for it.

For the underlying Dagster concept, see docs.dagster.io: sensors.
"""

import socket
from datetime import datetime
from functools import partial
from itertools import islice

import dagster as dg

from air_pipeline.assets.checks import evaluations
from air_pipeline.automation.collecting import CHECKS_EVERY_S, Cursor, due_checks, is_over
from air_pipeline.collection.outbox import OutboxError
from air_pipeline.days.calendar import finished_days
from air_pipeline.deployment import Deployment, present
from air_pipeline.health import Finding
from air_pipeline.health.checks import OF_ALL_DAYS, OF_MANY_MACHINES, summaries, told_checks
from air_pipeline.health.days import days_built
from air_pipeline.health.seen import WATCHED_DAYS, Seen, seen_by_dagster
from air_pipeline.instance.handing_over import handed_over
from air_pipeline.instance.runs_of_days import days_that_failed
from air_pipeline.notifying.looking import day_summary, sight
from air_pipeline.notifying.sending import channels
from air_pipeline.notifying.telling import tell
from air_pipeline.settings import SettingsError

TICK_S = 30


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
            " `days_built`, on change and every six hours, as those of an object store and of workers, where there are"
            " any; and the others of all days, every six hours. Ticks start no runs, so they are all called skipped."
        ),
    )
    def notify(context: dg.SensorEvaluationContext, deployment: dg.ResourceParam[Deployment]) -> dg.SensorResult:
        current = present(deployment)
        now = current.now()
        seen = _seen(current, context.instance, now)
        cursor, due = _due(Cursor.from_text(context.cursor), seen)
        try:
            said = _tell(current, seen, now)
        except (OutboxError, SettingsError, OSError) as error:
            said = f"nobody is told: {error}"
        return dg.SensorResult(asset_events=list(evaluations(due)), cursor=cursor.to_text(), skip_reason=said)

    return notify


def _seen(deployment: Deployment, instance: dg.DagsterInstance, now: datetime) -> Seen:
    """What is seen, with the runs of the watched days that failed."""
    days = list(islice(finished_days(deployment.settings, now), WATCHED_DAYS))
    failed = {day: run.run_id[:8] for day, run in days_that_failed(instance, days).items()}
    look = partial(handed_over, deployment.environment, instance, now)
    return seen_by_dagster(deployment, failed_runs=failed, look_at_launcher=look)


def _due(cursor: Cursor, seen: Seen) -> tuple[Cursor, list[Finding]]:
    """The checks of days on change and every few hours, as those of `raw_readings` are by the sensor `collect`.

    How all days were built is looked at every few hours: there may be a thousand.
    """
    now = seen.now.timestamp()
    is_whole = is_over(cursor.checked, CHECKS_EVERY_S, now)
    looked_at = (*OF_MANY_MACHINES, *(OF_ALL_DAYS if is_whole else (days_built,)))
    due = due_checks(cursor, summaries(looked_at, seen, seen.now), now)
    if not due:
        return cursor, due
    passed = {**cursor.passed, **{found.check: not found.is_bad for found in due}}
    checked = now if is_whole else cursor.checked
    return Cursor(passed=passed, checked=checked), due


def _tell(deployment: Deployment, seen: Seen, now: datetime) -> str:
    """A round of telling; what became of it."""
    rules, environment = deployment.settings.notify, deployment.environment
    if rules is None:
        return "devices.yaml has no `notify`, so nobody is told"
    environment.state.make()
    return tell(
        environment.state,
        rules,
        channels(rules),
        sight(told_checks(), seen),
        lambda: day_summary(seen),
        deployment.settings.zone,
        now,
        socket.gethostname(),
    )

"""The sensor `collect`: its switch in the UI is the switch of collecting.

A tick extends the collector's lease and starts a collector if none runs; then it reports what came in, now and then. It
takes milliseconds and never waits for a device.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import dagster as dg

from air_pipeline.assets.collection import FIRST_REPORT, RAW_READINGS, check_evaluations, report_metadata
from air_pipeline.collection.lease import extend_lease, holder, start_collector
from air_pipeline.collection.outbox import OutboxError
from air_pipeline.collection.report import Report, Verdict, look, verdicts
from air_pipeline.deployment import Deployment
from air_pipeline.environment import load_settings
from air_pipeline.settings import SettingsError
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import StoreError

TICK_S = 15
REPORT_EVERY_S = 5 * 60
CHECKS_EVERY_S = 60 * 60
STORE_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """What the sensor remembers from tick to tick.

    Attributes:
        until: up to where was reported, ms UTC; None at first.
        reported: when the last report was made, seconds UTC.
        passed: what each check found last.
        checked: when all checks were last reported, seconds UTC.
    """

    until: int | None = None
    reported: float = 0.0
    passed: Mapping[str, bool] = field(default_factory=dict)
    checked: float = 0.0

    @classmethod
    def from_text(cls, text: str | None) -> "Cursor":
        """The cursor as Dagster keeps it; a fresh one for whatever cannot be read."""
        try:
            return cls(**json.loads(text)) if text else cls()
        except (ValueError, TypeError):
            return cls()

    def to_text(self) -> str:
        """The inverse of `from_text`."""
        return json.dumps(asdict(self))


def report_is_due(cursor: Cursor, report: Report, now: float) -> bool:
    """As soon as the first readings are in, then every five minutes if anything came in."""
    return report.polls > 0 and (cursor.until is None or now - cursor.reported >= REPORT_EVERY_S)


def due_verdicts(cursor: Cursor, found: list[Verdict], now: float) -> list[Verdict]:
    """The checks to report: those that changed, and all of them once an hour."""
    if now - cursor.checked >= CHECKS_EVERY_S:
        return found
    return [verdict for verdict in found if cursor.passed.get(verdict.check) != verdict.passed]


def collect_sensor() -> dg.SensorDefinition:
    """The sensor."""

    @dg.sensor(
        name="collect",
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Keeps the collector: on, it collects; off, collecting ends within 90 seconds. Reports what came in as"
            " materializations of `raw_readings`, every five minutes, and its checks whenever they change. With"
            " `collector: external` in devices.yaml it only reports."
        ),
    )
    def collect(
        context: dg.SensorEvaluationContext, deployment: dg.ResourceParam[Deployment]
    ) -> dg.SensorResult | dg.SkipReason:
        started = _keep_collector(context, deployment)
        cursor = Cursor.from_text(context.cursor)
        now = deployment.now()
        since = cursor.until
        if since is None:
            since = round((now - FIRST_REPORT).timestamp() * 1000)
        current = _with_present_mistake(deployment)
        try:
            with closing(open_store(deployment.place.influxdb, deployment.place.state)) as store:
                report = look(current, store, since, now, STORE_WITHIN_S)
        except (StoreError, OutboxError) as error:
            return dg.SkipReason(f"{started}the store was not asked: {error}")
        found = verdicts(current, report, now)
        events: list[Any] = []
        if report_is_due(cursor, report, now.timestamp()):
            events.append(dg.AssetMaterialization(RAW_READINGS, metadata=report_metadata(report)))
            cursor = Cursor(report.until, now.timestamp(), cursor.passed, cursor.checked)
        due = due_verdicts(cursor, found, now.timestamp())
        events += check_evaluations(due)
        passed = {verdict.check: verdict.passed for verdict in found}
        checked = now.timestamp() if len(due) == len(found) else cursor.checked
        cursor = Cursor(cursor.until, cursor.reported, passed, checked)
        if not events:
            context.update_cursor(cursor.to_text())
            return dg.SkipReason(f"{started}{report.polls} polls since the last report")
        return dg.SensorResult(asset_events=events, cursor=cursor.to_text())

    return collect


def _keep_collector(context: dg.SensorEvaluationContext, deployment: Deployment) -> str:
    """Extends the lease and starts a collector if none runs; says so."""
    if deployment.settings.collector == "external":
        return ""
    extend_lease(deployment.place.state)
    if holder(deployment.place.state) is not None:
        return ""
    pid = start_collector(deployment.place)
    context.log.info("no collector ran: process %d was started", pid)
    return f"started a collector (process {pid}); "


def _with_present_mistake(deployment: Deployment) -> Deployment:
    """The deployment with what is wrong with `devices.yaml` now, rather than when the definitions were loaded."""
    try:
        mistake = load_settings(deployment.place).mistake
    except SettingsError as error:
        mistake = error
    return replace(deployment, mistake=mistake)

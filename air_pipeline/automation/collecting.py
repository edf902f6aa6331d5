"""The sensor `collect`: its switch in the UI is the switch of collecting.

A tick extends the collector's lease and starts a collector if none runs; then it reports what came in, now and then. It
takes milliseconds and never waits for a device.

For the underlying Dagster concept, see docs.dagster.io: sensors.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from air_pipeline.assets.checks import evaluations
from air_pipeline.assets.devices import devices_materialization
from air_pipeline.assets.names import DEVICES, RAW_READINGS
from air_pipeline.assets.raw_readings import FIRST_REPORT, REPORT_EVERY, materialization
from air_pipeline.collection.lease import extend_lease, holder, start_collector
from air_pipeline.collection.outbox import OutboxError
from air_pipeline.collection.report import Report, look
from air_pipeline.deployment import Deployment, present, settings_stamp
from air_pipeline.health import Finding
from air_pipeline.health.checks import checks_of, summaries
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.health.space import sample_space
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.storage.opening import open_store

TICK_S = 15
REPORT_EVERY_S = REPORT_EVERY.total_seconds()
CHANGES_EVERY_S = 5 * 60.0
"""Other devices that are not well are reported sooner; those that come and go do not make the history grow for it."""
CHECKS_EVERY_S = 6 * 60 * 60
"""What a check found is reported at once when it changes, and so often otherwise: each report is kept three times."""
STORE_WITHIN_S = 2.0
_TAKE_A_MOMENT = {"collector_running", "devices_reporting"}
LONGEST_REPORT = timedelta(hours=1)
"""A report counts no further back: after a month without Dagster, counting would take longer than a tick may."""
STARTS_WITHIN_S = 60.0
"""A collector that has to be started again within this time does not stay up."""
_TIMES = ("reported", "checked", "started", "silent")


@dataclass(frozen=True, slots=True)
class Cursor:
    """What the sensor remembers from tick to tick.

    Attributes:
        until: up to where was reported, ms UTC; None at first.
        reported: when the last report was made, seconds UTC.
        passed: what each check found last.
        checked: when all checks were last reported, seconds UTC.
        started: when a collector was last started, seconds UTC.
        settings: what tells the last valid devices.yaml from others.
        mistake: what was wrong with devices.yaml last.
        unwell: tells the devices of the last report that were not well from others; empty if there was none.
        silent: since when the store has not answered, seconds UTC; 0 while it does.
    """

    until: int | None = None
    reported: float = 0.0
    passed: Mapping[str, bool] = field(default_factory=dict)
    checked: float = 0.0
    started: float = 0.0
    settings: str = ""
    mistake: str = ""
    unwell: str = ""
    silent: float = 0.0

    @classmethod
    def from_text(cls, text: str | None) -> "Cursor":
        """The cursor as Dagster keeps it; a fresh one for whatever cannot be read."""
        try:
            read = json.loads(text or "{}")
            until = read.get("until")
            return cls(
                until=None if until is None else int(until),
                **{name: float(read.get(name, 0.0)) for name in _TIMES},
                settings=str(read.get("settings", "")),
                mistake=str(read.get("mistake", "")),
                unwell=str(read.get("unwell", "")),
                passed={str(check): bool(passed) for check, passed in read.get("passed", {}).items()},
            )
        except (ValueError, TypeError, AttributeError, OverflowError):
            return cls()

    def to_text(self) -> str:
        """The inverse of `from_text`."""
        return json.dumps(asdict(self))


def with_silence(cursor: Cursor, report: Report, now: float) -> Cursor:
    """The cursor after the store was asked: since when it has not answered; a clock set back begins that anew."""
    if not report.store_error:
        return replace(cursor, silent=0.0)
    return replace(cursor, silent=cursor.silent if 0 < cursor.silent <= now else now)


def since(cursor: Cursor, now: datetime) -> int:
    """Where the next report begins, ms UTC: where the last one ended, within bounds.

    One that ended in the future was made by a clock that was wrong, and bounds nothing.
    """
    earliest = epoch_ms(now - (FIRST_REPORT if cursor.until is None else LONGEST_REPORT))
    return cursor.until if cursor.until and earliest < cursor.until <= epoch_ms(now) else earliest


def is_over(since: float, span_s: float, now: float) -> bool:
    """Whether so much time has gone by since then; so it is as well where the clock was set back to before then."""
    return not 0 <= now - since < span_s


def report_is_due(cursor: Cursor, report: Report, now: float) -> bool:
    """As soon as the first readings are in; then, if anything came in, every quarter of an hour, or on change."""
    span_s = REPORT_EVERY_S if cursor.unwell == unwell(report) else CHANGES_EVERY_S
    return report.polls > 0 and (cursor.until is None or is_over(cursor.reported, span_s, now))


def unwell(report: Report) -> str:
    """What tells the devices that are not well from others; empty if all are well."""
    names = sorted(state.device for state in report.unwell)
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:12] if names else ""


def due_checks(cursor: Cursor, found: Sequence[Finding], now: float) -> list[Finding]:
    """The checks to report: those that changed, and all of them every few hours."""
    if is_over(cursor.checked, CHECKS_EVERY_S, now):
        return list(found)
    return [one for one in found if cursor.passed.get(one.check) is one.is_bad or one.check not in cursor.passed]


def advance(cursor: Cursor, report: Report, found: Sequence[Finding], now: float) -> tuple[Cursor, bool, list[Finding]]:
    """What one look at collecting leads to: the cursor after it, whether to report, which checks to report."""
    reports = report_is_due(cursor, report, now)
    if reports:
        cursor = replace(cursor, until=report.until, reported=now, unwell=unwell(report))
    cursor, due = checked(cursor, found, now)
    return cursor, reports, due


def checked(cursor: Cursor, found: Sequence[Finding], now: float) -> tuple[Cursor, list[Finding]]:
    """The cursor after checks were made, and which of them to report."""
    due = due_checks(cursor, found, now)
    passed = {**cursor.passed, **{one.check: not one.is_bad for one in found}}
    whole = found and len(due) == len(found)
    return replace(cursor, passed=passed, checked=now if whole else cursor.checked), due


def collect_sensor() -> dg.SensorDefinition:
    """The sensor."""

    @dg.sensor(
        name="collect",
        asset_selection=[DEVICES, RAW_READINGS],
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Keeps the collector: while this is on, devices are polled; once it is off, collecting ends within 90"
            " seconds. Reports what came in as materializations of raw_readings, every quarter of an hour, and its"
            " checks whenever they change. Ticks start no runs, so all are called skipped. With collector: external in"
            " devices.yaml it only reports."
        ),
    )
    def collect(context: dg.SensorEvaluationContext, deployment: dg.ResourceParam[Deployment]) -> dg.SensorResult:
        current = present(deployment)
        now = deployment.now()
        cursor = Cursor.from_text(context.cursor)
        pid = _keep_collector(current)
        try:
            with closing(open_store(current.environment.influxdb, current.environment.state)) as store:
                report = look(current, store, since(cursor, now), now, STORE_WITHIN_S)
        except OutboxError as error:
            found = summaries(checks_of("raw_readings"), seen_by_dagster(current), now)
            cursor, due = checked(cursor, found, now.timestamp())
            said = f"nothing is reported: {error}"
            return dg.SensorResult(asset_events=list(evaluations(due)), cursor=cursor.to_text(), skip_reason=said)
        with suppress(OSError):  # what the disk lacks is said by its check
            sample_space(current.environment, now)
        cursor = with_silence(cursor, report, now.timestamp())
        silent_since = datetime.fromtimestamp(cursor.silent, UTC) if cursor.silent else None
        seen = seen_by_dagster(current, report, store_silent_since=silent_since)
        found = summaries(checks_of("raw_readings"), seen, now)
        if pid is not None:
            context.log.info("no collector ran: process %d was started", pid)
            if is_over(cursor.started, STARTS_WITHIN_S, now.timestamp()):  # it is not up yet, and that is not its fault
                found = [one for one in found if one.check not in _TAKE_A_MOMENT]
            cursor = replace(cursor, started=now.timestamp())
        mistake = str(current.mistake or "")
        if mistake != cursor.mistake:  # another one is told as well
            passed = {check: was for check, was in cursor.passed.items() if check != "configuration_valid"}
            cursor = replace(cursor, mistake=mistake, passed=passed)
        cursor, reports, due = advance(cursor, report, found, now.timestamp())
        events: list[dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation] = []
        stamp = repr(settings_stamp(current.environment.state.last_valid))
        if stamp != cursor.settings:
            cursor = replace(cursor, settings=stamp)
            events.append(devices_materialization(current))
        if reports:
            events.append(materialization(report))
        events.extend(evaluations(due))
        return dg.SensorResult(
            asset_events=events, cursor=cursor.to_text(), skip_reason=_said(report, due, pid, reported=reports)
        )

    return collect


def _keep_collector(deployment: Deployment) -> int | None:
    """Extends the lease and starts the collector of this environment if none runs; its process id if so.

    Those of other names are for who runs them; where every device is of one of these, none is wanted here.
    """
    if deployment.settings.collector == "external" or deployment.environment.collector not in (
        deployment.settings.collectors
    ):
        return None
    extend_lease(deployment.environment.state)
    if holder(deployment.environment.state) is not None:
        return None
    return start_collector(deployment.environment)


def _said(report: Report, due: Sequence[Finding], pid: int | None, *, reported: bool) -> str:
    """What a tick did, in the words that the UI shows beside it."""
    said = [] if pid is None else [f"started a collector (process {pid})"]
    if report.store_error:
        said.append(f"the store did not answer: {report.store_error}")
    else:
        said.append(f"{'reported' if reported else 'since the last report:'} {report.polls} polls")
    if due:
        said.append("checks: " + ", ".join(f"{one.check} {'failed' if one.is_bad else 'passed'}" for one in due))
    return "; ".join(said)

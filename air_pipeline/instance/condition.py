"""What only Dagster's storage knows of how things stand: daemon, switches, runs that failed. It is looked at, not made.

Belongs here: questions to an instance. Does not: whether its processes can be seen (`diagnosis.processes`).

For the underlying Dagster concept, see docs.dagster.io: the Dagster daemon.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._daemon.controller import get_daemon_statuses

from air_pipeline.diagnosis import Finding, Level

DAEMON_TOLERANCE_S = 120.0
"""A daemon that lives has told so within this time; its heartbeat comes every 30 seconds."""
LATE_S = 45.0
"""All parts of a daemon are one process: if none has told so for this long, it has ended."""
_SWITCHES = {
    "collect": ("sensor", "no collector is started, and a leased one ends"),
    "build_days": ("schedule", "days are not built by themselves"),
}
_LOOKED_AT = timedelta(days=30)
_MOST_RUNS = 50
_MOST_NAMED = 3
_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS]
_EVENTS = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.PIPELINE_FAILURE}


def look_at_dagster(home: Path) -> Iterator[Finding]:
    """Whether the daemon runs, what is switched on, which days failed.

    Args:
        home: DAGSTER_HOME; where there is no storage in it, none is made.
    """
    if not _has_storage(home):
        yield Finding("dagster", Level.OK, "has not run here yet")
        return
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield _daemon(instance)
        yield from _switches(instance)
        yield from _failed_days(instance)


def _has_storage(home: Path) -> bool:
    """Whether there is one of files, or `dagster.yaml` names another kind."""
    if (home / "history" / "runs.db").exists() and (home / "schedules" / "schedules.db").exists():
        return True
    try:
        lines = (home / "dagster.yaml").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.startswith("storage:") for line in lines)


def _daemon(instance: dg.DagsterInstance) -> Finding:
    statuses = get_daemon_statuses(
        instance,
        instance.get_required_daemon_types(),
        ignore_errors=True,
        heartbeat_interval_seconds=0,
        heartbeat_tolerance_seconds=DAEMON_TOLERANCE_S,
    )
    silent = sorted(name.lower() for name, status in statuses.items() if not status.healthy)
    beats = [status.last_heartbeat.timestamp for status in statuses.values() if status.last_heartbeat]
    quiet_s = datetime.now(UTC).timestamp() - max(beats, default=0.0)
    if not silent and quiet_s <= LATE_S:
        return Finding("daemon", Level.OK, f"runs: its last sign of life came {max(quiet_s, 0.0):.0f} s ago")
    remedy = "air-pipeline up, or dagster-daemon run"
    if quiet_s > LATE_S:
        text = "does not run: nothing is collected or built by itself"
        return Finding("daemon", Level.WARNING, text, remedy)
    return Finding(
        "daemon", Level.FAILURE, f"parts of it have stopped: {', '.join(silent)}", f"start it again: {remedy}"
    )


def _switches(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """Both are on by their definition, unless somebody turned them."""
    turned = {state.instigator_name: state.status for state in instance.all_instigator_state()}
    for name, (kind, effect) in _SWITCHES.items():
        if turned.get(name) is InstigatorStatus.STOPPED:
            text = f"{kind} {name} is switched off: {effect}"
            yield Finding(kind, Level.WARNING, text, f"switch {name} on in the UI, under Automation")
        else:
            yield Finding(kind, Level.OK, f"{name} is on")


def _failed_days(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """The days whose last run failed."""
    lately = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=datetime.now(UTC) - _LOOKED_AT)
    days = {}
    for run in instance.get_runs(lately, limit=_MOST_RUNS):
        day = run.tags.get(PARTITION_NAME_TAG)
        if day is not None and day not in days and _is_last(instance, day, run):
            days[day] = run
    for day, run in islice(sorted(days.items(), reverse=True), _MOST_NAMED):
        remedy = f"once that is put right: air-pipeline build --from {day} --to {day}"
        yield Finding("runs", Level.FAILURE, f"the last run of {day} failed: {_reason(instance, run)}", remedy)
    if len(days) > _MOST_NAMED:
        more = len(days) - _MOST_NAMED
        yield Finding("runs", Level.FAILURE, f"and those of {more} more days", "see the UI, under Runs")
    if not days:
        yield Finding("runs", Level.OK, "no day's last run failed")


def _is_last(instance: dg.DagsterInstance, day: str, run: dg.DagsterRun) -> bool:
    of_day = dg.RunsFilter(tags={PARTITION_NAME_TAG: day}, statuses=_ENDED)
    return [one.run_id for one in instance.get_runs(of_day, limit=1)] == [run.run_id]


def _reason(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What the run said, as far as one line goes."""
    for entry in instance.all_logs(run.run_id, of_type=_EVENTS):
        event = entry.dagster_event
        if event is None:
            continue
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data and failure.user_failure_data.description:
                return " ".join(failure.user_failure_data.description.split())
            if failure.error:
                return " ".join((failure.error.cause or failure.error).message.split())
    return f"see run {run.run_id[:8]} in the UI"

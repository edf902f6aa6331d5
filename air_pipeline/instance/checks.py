"""The checks of what only Dagster's storage knows: daemon, switches, runs that failed. It is looked at, not made.

For the underlying Dagster concept, see docs.dagster.io: the Dagster daemon.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from air_pipeline.health import Check, Finding, check, failure, fine, warning
from air_pipeline.health.answering import runs_taken
from air_pipeline.health.seen import HandedOver, Seen
from air_pipeline.instance.home import hands_runs_over, home_of_dagster, is_of_files
from air_pipeline.instance.server import no_answer

if TYPE_CHECKING:
    import dagster as dg

DAEMON_TOLERANCE_S = 120.0
"""A daemon that lives has told so within this time; its heartbeat comes every 30 seconds."""
LATE_S = 45.0
"""All parts of a daemon are one process: if none has told so for this long, it has ended."""
_SWITCHES = {
    "collect": ("sensor", "no collector is started, and a leased one ends"),
    "build_days": ("schedule", "days are not built by themselves"),
}
_LOOKED_AT = timedelta(days=30)


@contextmanager
def _instance(seen: Seen) -> "Iterator[dg.DagsterInstance | None]":
    """Dagster's storage; None where there is none yet, or its server does not answer."""
    home = home_of_dagster(seen.environment)
    if not _has_storage(home) or no_answer(home):
        yield None
        return
    import dagster as dg  # 0.6 s of CPU: `doctor` is spared them where Dagster has not run

    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _has_storage(home: Path) -> bool:
    """Whether there is one of files, or `dagster.yaml` names another kind."""
    if (home / "history" / "runs.db").exists() and (home / "schedules" / "schedules.db").exists():
        return True
    return not is_of_files(home)


@check(
    means="Dagster's daemon runs, with all of its parts.",
    remedy="air-pipeline up, or dagster-daemon run",
    title="daemon",
)
def daemon_running(seen: Seen) -> Iterator[Finding]:
    """Whether the daemon gives signs of life, and what it keeps them in answers."""
    if why := no_answer(home_of_dagster(seen.environment)):
        remedy = "see that it runs and that DAGSTER_POSTGRES_* lead to it; nothing is built meanwhile, collectors go on"
        yield failure(f"nothing is known of it, as {why}", remedy)
        return
    with _instance(seen) as instance:
        yield fine("Dagster has not run here yet") if instance is None else _of_daemon(instance)


def _of_daemon(instance: "dg.DagsterInstance") -> Finding:
    beats = {name: beat.timestamp for name, beat in instance.get_daemon_heartbeats().items()}
    now = datetime.now(UTC).timestamp()
    # One ahead of now is of before the clock was set back: as old as it is far, until the next one comes.
    quiet = {name: abs(now - beats.get(name, 0.0)) for name in instance.get_required_daemon_types()}
    silent = sorted(name.lower() for name, quiet_s in quiet.items() if quiet_s > DAEMON_TOLERANCE_S)
    quiet_s = min(quiet.values())
    if not silent and quiet_s <= LATE_S:
        return fine(f"runs: its last sign of life came {quiet_s:.0f} s ago")
    if quiet_s > LATE_S:
        return warning("does not run: nothing is collected or built by itself")
    remedy = "start it again: air-pipeline up, or dagster-daemon run"
    return failure(f"parts of it have stopped: {', '.join(silent)}", remedy)


@check(
    means="The sensor that collects and the schedule that builds days are switched on.",
    remedy="switch it on in the UI, under Automation",
    title="{subject}",
)
def switched_on(seen: Seen) -> Iterator[Finding]:
    """Both are on by their definition, unless somebody turned them."""
    with _instance(seen) as instance:
        if instance is None:
            return
        is_on = {state.instigator_name: state.is_running for state in instance.all_instigator_state()}
    for name, (kind, effect) in _SWITCHES.items():
        if not is_on.get(name, True):
            text = f"{kind} {name} is switched off: {effect}"
            yield warning(text, f"switch {name} on in the UI, under Automation", kind)
        else:
            yield fine(f"{name} is on", kind)


@check(
    means="No day's last run failed.",
    remedy="once that is put right: air-pipeline build --from {first} --to {last}",
    title="runs",
    many="days whose runs failed lately failed in the last one",
)
def runs_succeeded(seen: Seen) -> Iterator[Finding]:
    """The days whose last run failed."""
    with _instance(seen) as instance:
        if instance is None:
            return
        from air_pipeline.instance.runs_of_days import days_that_failed, days_with_failures, why_failed  # as above

        days = days_with_failures(instance, datetime.now(UTC) - _LOOKED_AT)
        failed = days_that_failed(instance, days)
        if not failed:
            yield fine("no day's last run failed")
        for day, run in sorted(failed.items(), reverse=True):
            said = why_failed(instance, run) or f"see run {run.run_id[:8]} in the UI"
            yield failure(" ".join(said.split()), subject=day.isoformat())


def with_dagster(seen: Seen) -> Seen:
    """The same, with what Dagster's storage knows of runs that are handed over."""

    def look_at_launcher() -> HandedOver | None:
        if not hands_runs_over(home_of_dagster(seen.environment)):
            return None
        from air_pipeline.instance.handing_over import handed_over  # as above

        with _instance(seen) as instance:
            return None if instance is None else handed_over(seen.environment, instance, seen.now)

    return replace(seen, look_at_launcher=look_at_launcher)


def dagster_checks(seen: Seen) -> tuple[Check, ...]:
    """`DAGSTER_CHECKS`, with Dagster imported where they need it: no look's deadline counts that."""
    with suppress(OSError):  # said by the checks themselves
        if _has_storage(home_of_dagster(seen.environment)):
            import_module("dagster")
    return DAGSTER_CHECKS


DAGSTER_CHECKS: tuple[Check, ...] = (daemon_running, switched_on, runs_taken, runs_succeeded)
"""In the order in which a person reads what they find."""

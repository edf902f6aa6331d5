"""The schedule `build_days`: every 15 minutes it asks a pure function which days to build, and runs them.

For the underlying Dagster concept, see docs.dagster.io: schedules.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import takewhile

import dagster as dg

from air_pipeline.assets.checks import DAYS_CHECKS
from air_pipeline.assets.names import DAYS, OWNER
from air_pipeline.collection.outbox import OutboxError, existing_outbox
from air_pipeline.days.calendar import DayNotOver, check_over, finished_days
from air_pipeline.days.comparing import compare_day
from air_pipeline.days.inputs import Standing
from air_pipeline.deployment import Deployment, present
from air_pipeline.instance.runs_of_days import AGAIN_TAG, FAILED, FINGERPRINT_TAG, FORCE_TAG, last_runs, under_way
from air_pipeline.processing.columns import SCHEMA_VERSION, TABLES
from air_pipeline.processing.rules import reach
from air_pipeline.settings import SettingsError
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.pages import PAGE, days_with_page
from air_pipeline.storage.store import ReadingStore, StoreError
from air_pipeline.words import some

RECENT_DAYS = 3
"""Compared with the store at every tick."""
MONTH_DAYS = 30
"""Compared once a day."""
MOST_RUNS = 24
"""Started by one tick, those that are under way included: about what two cores build until the next one."""
LONGEST_LOOK_S = 30.0
"""How long a tick compares days; what is left is for the next one. Dagster gives up a tick after 60 seconds."""
MARKS_WITHIN_S = 10.0
"""How long a tick waits for whoever else writes into the outbox, to forget marks of late readings there."""
BUILD_DAY = dg.define_asset_job(
    "build_day",
    selection=dg.AssetSelection.assets(*TABLES, PAGE) - dg.AssetSelection.checks(*DAYS_CHECKS),
    description=(
        "Builds one local day, the partition: its observations from the readings in the store, from them its hourly"
        " and daily aggregates, from all of these its page. Its files are replaced whole; building a day again does"
        " no harm. With the tag"
        f" {FORCE_TAG}: true it builds even a day for which the store now holds less than before."
    ),
    tags={"air_pipeline/group": DAYS, "air_pipeline/owner": OWNER},  # `owners` of jobs is beta, and warns
)
"""The job that builds one day."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A day that was compared with the store.

    Attributes:
        day: the local date.
        wanted: whether it is missing, or was built from something else.
        fingerprint: of what it would be built from now.
        warning: why it is left alone though something changed; empty if nothing of the kind.
    """

    day: date
    wanted: bool
    fingerprint: str
    warning: str = ""


@dataclass(slots=True)
class Decision:
    """What a tick makes of the days.

    Attributes:
        chosen: the days to build now, newest first.
        under_way: days that are queued or running.
        failed: days that failed on what they would be built from again.
        settled: days that were compared and of which nothing more is wanted now.
        warnings: what to say of days that are left alone though something changed.
    """

    chosen: list[Candidate] = field(default_factory=list)
    under_way: list[date] = field(default_factory=list)
    failed: list[date] = field(default_factory=list)
    settled: list[date] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def seen(self) -> set[date]:
        """Every day that was come to."""
        return {*self.under_way, *self.settled, *(candidate.day for candidate in self.chosen)}

    def __str__(self) -> str:
        """In words."""
        current = len(self.settled) - len(self.failed) - len(self.warnings)
        text = f"{current} days were compared and are built from what there is now"
        if self.under_way:
            text += f"; queued or running: {_some(self.under_way)}"
        if self.failed:
            text += f"; left alone until something changes, as they failed: {_some(self.failed)}"
        return "; ".join([text, *self.warnings])


def _some(days: Sequence[date]) -> str:
    return some([day.isoformat() for day in days], _MOST_NAMED)


_MOST_NAMED = 5


def days_to_compare(
    finished: Iterable[date], built: Collection[date], late: Collection[date], month: Collection[date]
) -> Iterator[date]:
    """The days to compare with the store, newest first.

    Args:
        finished: all days that can be built, newest first.
        built: those that have a file.
        late: those for which readings were delivered late.
        month: those of the last month that were not compared yet today.
    """
    for number, day in enumerate(finished):
        if number < RECENT_DAYS or day not in built or day in late or day in month:
            yield day


def days_to_build(
    days: Iterable[date],
    compare: Callable[[date], Candidate],
    under_way: Collection[date],
    has_failed: Callable[[Candidate], bool],
) -> Decision:
    """The days to build now.

    In the order given, bounded, none that is queued or running, none that failed on what it would be built from again.
    """
    decision = Decision()
    most = max(MOST_RUNS - len(under_way), 1)
    for day in days:
        if len(decision.chosen) == most:
            break
        if day in under_way:
            decision.under_way.append(day)
            continue
        candidate = compare(day)
        if candidate.warning:
            decision.warnings.append(candidate.warning)
        if candidate.wanted and not has_failed(candidate):
            decision.chosen.append(candidate)
        else:
            decision.settled.append(day)
            if candidate.wanted:
                decision.failed.append(day)
    return decision


def touched_days(mark: date, reach: tuple[timedelta, timedelta]) -> list[date]:
    """The local dates that readings of a UTC date can change, in any zone, as far as rules reach."""
    before, after = reach
    first, last = mark - _DAY - _whole_days(after), mark + _DAY + _whole_days(before)
    return [first + number * _DAY for number in range((last - first).days + 1)]


def _whole_days(span: timedelta) -> timedelta:
    return -(-span // _DAY) * _DAY


def unsettled_marks(
    marks: Collection[date], reach: tuple[timedelta, timedelta], finished: Collection[date], decision: Decision
) -> set[date]:
    """The marks of late readings that are kept: a day that they touch is not known to be built with them."""
    open_days = set(finished).difference(decision.settled)
    return {mark for mark in marks if open_days.intersection(touched_days(mark, reach))}


def build_days_schedule(timezone: str) -> dg.ScheduleDefinition:
    """The schedule, shown in the deployment's zone."""

    @dg.schedule(
        job=BUILD_DAY,
        cron_schedule="*/15 * * * *",
        execution_timezone=timezone,
        name="build_days",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "Builds each local day once it is over, and again when it was built from other readings, settings or rules"
            " than there are now: after an outage, an import, a restore. Newest first. A day that failed is not tried"
            " again until something changes."
        ),
    )
    def build_days(
        context: dg.ScheduleEvaluationContext, deployment: dg.ResourceParam[Deployment]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        current, now = present(deployment), deployment.now()
        # Days before the `start` that the code location loaded with are no partitions until it is loaded again.
        finished = [day for day in finished_days(current.settings, now) if day >= deployment.settings.start]
        if not finished:
            yield dg.SkipReason(_first_day(current, now))
            return
        try:
            decision = _decide(context, current, finished, now)
        except (StoreError, OutboxError) as error:
            yield dg.SkipReason(f"days were not compared: {error}")
            return
        for warning in decision.warnings:
            context.log.warning(warning)
        for candidate in decision.chosen:
            key = candidate.day.isoformat()
            yield dg.RunRequest(
                run_key=f"{key}-{candidate.fingerprint}",
                partition_key=key,
                tags={FINGERPRINT_TAG: candidate.fingerprint},
            )
        if not decision.chosen:
            yield dg.SkipReason(str(decision))

    return build_days


def _first_day(deployment: Deployment, now: datetime) -> str:
    try:
        check_over(deployment.settings, deployment.settings.start, now)
    except DayNotOver as error:
        return str(error)
    return "there is no day to build"


def _decide(
    context: dg.ScheduleEvaluationContext, deployment: Deployment, finished: list[date], now: datetime
) -> Decision:
    """Compares days with the store, as far as time allows, and keeps what is left for the next tick.

    Raises:
        StoreError: the store cannot say what it holds.
        OutboxError: the outbox cannot be read.
    """
    built = set(days_with_page(deployment.data))  # the page is the last that is made of a day
    today = now.astimezone(UTC).date()
    month = _month_left(deployment, finished[:MONTH_DAYS], today)
    end = time.monotonic() + LONGEST_LOOK_S
    box = existing_outbox(deployment.environment.state.outbox, MARKS_WITHIN_S)
    with nullcontext() if box is None else closing(box):
        marks = {} if box is None else box.late_marks()
        late = {day for mark in marks for day in touched_days(mark, reach())}
        days = days_to_compare(finished, built, late, month)
        with closing(open_store(deployment.environment.influxdb, deployment.environment.state)) as store:
            decision = days_to_build(
                takewhile(lambda _: time.monotonic() < end, days),
                _comparison(deployment, store),
                under_way(context.instance),
                _failures(context),
            )
        kept = unsettled_marks(marks, reach(), finished, decision)
        if box is not None and len(kept) < len(marks):  # last: whatever ends this before leaves them for the next
            box.forget_late({day: number for day, number in marks.items() if day not in kept})
    seen = list(takewhile(decision.seen.__contains__, month))
    if seen:
        deployment.environment.state.write(deployment.environment.state.compared, f"{today} {seen[-1]}\n")
    return decision


_DAY = timedelta(days=1)


def _month_left(deployment: Deployment, month: list[date], today: date) -> list[date]:
    """The days of the last month that were not compared yet on this UTC date, newest first."""
    try:
        done, down_to = deployment.environment.state.read(deployment.environment.state.compared).split()
        if done == today.isoformat():
            return [day for day in month if day < date.fromisoformat(down_to)]
    except (SettingsError, ValueError):
        pass
    return month


def _comparison(deployment: Deployment, store: ReadingStore) -> Callable[[date], Candidate]:
    first_poll = cache(store.first_poll)

    def compare(day: date) -> Candidate:
        compared = compare_day(deployment, store, day, first_poll)
        inputs = compared.inputs
        what = (inputs.settings_digest, inputs.fingerprint, inputs.rule_set_version, SCHEMA_VERSION)
        fingerprint = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
        wanted = compared.standing in {Standing.MISSING, Standing.CHANGED}
        return Candidate(day, wanted, fingerprint, compared.refusal)

    return compare


def _failures(context: dg.ScheduleEvaluationContext) -> Callable[[Candidate], bool]:
    def has_failed(candidate: Candidate) -> bool:
        """Whether the last run of the day ended badly, on this fingerprint, for a reason that does not pass."""
        run = last_runs(context.instance, [candidate.day]).get(candidate.day)
        if run is None or run.status not in FAILED:
            return False
        return run.tags.get(FINGERPRINT_TAG) == candidate.fingerprint and AGAIN_TAG not in run.tags

    return has_failed

"""The schedule `build_days`: every 15 minutes it asks a pure function which days to build, and runs them.

For the underlying Dagster concept, see docs.dagster.io: schedules.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from itertools import takewhile

import dagster as dg

from air_pipeline.assets.metadata import data_version
from air_pipeline.assets.names import DAYS, OWNER
from air_pipeline.collection.outbox import OutboxError, existing_outbox
from air_pipeline.days.calendar import DayNotOver, check_over, finished_days
from air_pipeline.days.choosing import (
    RECENT_DAYS,
    Candidate,
    Decision,
    days_to_build,
    days_to_compare,
    touched_days,
    unsettled_marks,
)
from air_pipeline.days.compared import read_compared, under_now, write_compared
from air_pipeline.days.comparing import Under, built_under, compare_day
from air_pipeline.days.former import settings_and_former, tell_former
from air_pipeline.days.inputs import Standing
from air_pipeline.days.terms import Terms, terms_now
from air_pipeline.deployment import Deployment, present
from air_pipeline.instance.runs_of_days import (
    AGAIN_TAG,
    FAILED,
    FINGERPRINT_TAG,
    FORCE_TAG,
    TERMS_TAG,
    data_version_of_run,
    last_runs,
    under_way,
    was_handed_over,
)
from air_pipeline.processing.columns import SCHEMA_VERSION, TABLES
from air_pipeline.processing.rules import influence
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.storage.binding import remember_days
from air_pipeline.storage.commit import built_metadata
from air_pipeline.storage.day_files import TableError
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.pages import PAGE, days_with_page
from air_pipeline.storage.shelf import ShelfError, shelf_at
from air_pipeline.storage.store import ReadingStore, StoreError

MONTH_DAYS = 30
"""Compared once a day."""
LONGEST_LOOK_S = 30.0
"""How long a tick compares days; what is left is for the next one. Dagster gives up a tick after 60 seconds."""
STORE_WITHIN_S = 10.0
"""How long a tick waits for each answer of the store: one that does not come ends it, well before Dagster does."""
BEFORE_BACKFILLS = {"dagster/priority": "1"}
"""Tags of what is asked for here: last night's day does not wait for a year that is being built again."""
MARKS_WITHIN_S = 10.0
"""How long a tick waits for whoever else writes into the outbox, to forget marks of late readings there."""
BUILD_DAY = "build_day"
"""The job that builds one day."""


def build_days_schedule(
    settings: Settings, terms: Terms, checks: Sequence[dg.AssetChecksDefinition]
) -> dg.ScheduleDefinition:
    """The schedule, shown in the deployment's zone, with its job.

    Args:
        settings: of the deployment.
        terms: what runs of the job are told that somebody launches by hand.
        checks: of its assets, that are no part of building a day.
    """
    build_day = dg.define_asset_job(
        BUILD_DAY,
        selection=dg.AssetSelection.assets(*TABLES, PAGE) - dg.AssetSelection.checks(*checks),
        description=(
            "Builds one local day, the partition: its observations from the readings in the store, from them its hourly"
            " and daily aggregates, from all of these its page. Its files are replaced whole; building a day again does"
            " no harm. With the tag"
            f" {FORCE_TAG}: true it builds even a day for which the store now holds less than before."
        ),
        tags={  # `owners` of jobs is beta, and warns
            "air_pipeline/group": DAYS,
            "air_pipeline/owner": OWNER,
            TERMS_TAG: terms.to_text(),
        },
    )

    @dg.schedule(
        job=build_day,
        cron_schedule="*/15 * * * *",
        execution_timezone=settings.timezone,
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
        except (SettingsError, StoreError, OutboxError, ShelfError, TableError) as error:
            yield dg.SkipReason(f"days were not compared: {error}")
            return
        for warning in decision.warnings:
            context.log.warning(warning)
        told = terms_now(current).to_text()
        for candidate in decision.chosen:
            key = candidate.day.isoformat()
            yield dg.RunRequest(
                run_key=f"{key}-{candidate.fingerprint}",
                partition_key=key,
                tags={FINGERPRINT_TAG: candidate.fingerprint, TERMS_TAG: told, **BEFORE_BACKFILLS},
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
        SettingsError: the days came from another store.
        StoreError: the store cannot say what it holds.
        OutboxError: the outbox cannot be read.
        TableError: what is kept beside the days cannot be written.
        ShelfError: the object store with the days does not answer, or refuses.
    """
    if deployment.environment.state.store:  # of days that earlier versions built
        remember_days(deployment.environment.data, deployment.environment.store)
    deployment = replace(deployment, settings=settings_and_former(deployment))
    tell_former(deployment)
    built = set(days_with_page(deployment.data))  # the page is the last that is made of a day
    today, under = now.astimezone(UTC).date(), under_now(deployment.settings)
    compared = read_compared(deployment.environment)
    month = compared.month_left(finished[:MONTH_DAYS], today)
    archive = compared.archive_left([day for day in finished if day in built], under)
    last_run = cache(lambda day: last_runs(context.instance, [day]).get(day))
    end = time.monotonic() + LONGEST_LOOK_S
    box = existing_outbox(deployment.environment.state.outbox, MARKS_WITHIN_S)
    environment = deployment.environment
    with nullcontext() if box is None else closing(box):
        # Those here that were not told through the store yet: by commands, or just now.
        here = {} if box is None else box.late_marks()
        with closing(open_store(environment.influxdb, environment.state, STORE_WITHIN_S)) as store:
            told = store.late_marks(compared.passed)
            marks = {*here, *compared.late, *(mark.day for mark in told)}
            late = {day for mark in marks for day in touched_days(mark, influence())}
            days = days_to_compare(finished, built, late, set(month), set(archive))
            by_footers = set(archive).difference(finished[:RECENT_DAYS], month, late)
            decision = days_to_build(
                takewhile(lambda _: time.monotonic() < end, days),
                _comparison(deployment, store, by_footers),
                under_way(context.instance),
                _failures(context.instance, last_run),
                _comings_out(context.instance, last_run),
            )
        kept = unsettled_marks(marks, influence(), finished, decision)
        if box is not None and not kept.issuperset(here):  # last: whatever ends this before leaves them for the next
            box.forget_late({day: number for day, number in here.items() if day not in kept})
    after = compared.month_seen(month, decision.seen, today).marks_passed(told, kept)
    after = after.archive_settled(archive, decision.settled, decision.kept, under)
    if after != compared:
        write_compared(deployment.environment, after)
    return decision


def _comparison(
    deployment: Deployment, store: ReadingStore, by_footers: Collection[date]
) -> Callable[[date], Candidate]:
    """Compares a day with the store; some, where their files say that they were built under what there is, by these."""
    first_poll = cache(store.first_poll)
    settings, as_listed = deployment.settings, shelf_at(deployment.data).at_once()

    def compare(day: date) -> Candidate:
        if day in by_footers:
            built = built_metadata(as_listed, day, read_all=False)
            if built is not None and built_under(built, settings, day, store, first_poll) is Under.NOW:
                return Candidate(day, wanted=False, fingerprint="", built=built)
        compared = compare_day(deployment, store, day, first_poll)
        inputs = compared.inputs
        what = (inputs.settings_digest, inputs.fingerprint, inputs.rule_set_version, SCHEMA_VERSION)
        fingerprint = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
        wanted = compared.standing in {Standing.MISSING, Standing.CHANGED}
        return Candidate(day, wanted, fingerprint, compared.refusal, compared.built)

    return compare


_LastRun = Callable[[date], dg.DagsterRun | None]


def _failures(instance: dg.DagsterInstance, last_run: _LastRun) -> Callable[[Candidate], bool]:
    def has_failed(candidate: Candidate) -> bool:
        """Whether the last run of the day ended badly, on this fingerprint, for a reason that does not pass."""
        run = last_run(candidate.day)
        if run is None or run.status not in FAILED:
            return False
        if run.tags.get(FINGERPRINT_TAG) != candidate.fingerprint or AGAIN_TAG in run.tags:
            return False
        # One that nobody took says nothing of its day; one that was canceled in the queue is not wanted.
        return run.status is dg.DagsterRunStatus.CANCELED or was_handed_over(instance, run)

    return has_failed


def _comings_out(instance: dg.DagsterInstance, last_run: _LastRun) -> Callable[[Candidate], bool]:
    def came_out_otherwise(candidate: Candidate) -> bool:
        """Whether the last run of the day succeeded on this fingerprint, and its files are still those that it wrote.

        Files that were put there since, as from a backup, are another matter: these are built again.
        """
        if candidate.built is None:
            return False
        run = last_run(candidate.day)
        if run is None or run.status in FAILED or run.tags.get(FINGERPRINT_TAG) != candidate.fingerprint:
            return False
        return data_version_of_run(instance, run, candidate.day) == data_version(candidate.built).value

    return came_out_otherwise

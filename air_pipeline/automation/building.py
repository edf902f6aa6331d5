"""The schedule `build_days`: every 15 minutes it asks a pure function which days to build, and runs them."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from air_pipeline.days.calendar import finished_days
from air_pipeline.deployment import Deployment
from air_pipeline.environment import replace_file
from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import ReadingStore, StoreError

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

FINGERPRINT_TAG = "air_pipeline/fingerprint"
RECENT_DAYS = 3
"""Compared with the store at every tick."""
MONTH_DAYS = 30
"""Compared once a day."""
MOST_RUNS = 24
"""Started by one tick: about what two cores build until the next one, with room for others."""
MOST_LOOKED_AT = 200
"""Compared with the store by one tick, so that it ends in time."""

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


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


def days_to_compare(
    finished: Iterable[date], built: Collection[date], late: Collection[date], *, whole_month: bool
) -> Iterator[date]:
    """The days to compare with the store, newest first.

    Args:
        finished: all days that can be built, newest first.
        built: those that have a file.
        late: those for which readings were delivered late.
        whole_month: whether to look beyond the most recent ones.
    """
    recent = MONTH_DAYS if whole_month else RECENT_DAYS
    for number, day in enumerate(finished):
        if number < recent or day not in built or day in late:
            yield day


def days_to_build(
    days: Iterable[date],
    compare: Callable[[date], Candidate],
    under_way: Collection[date],
    has_failed: Callable[[Candidate], bool],
) -> tuple[list[Candidate], list[str]]:
    """The days to build now, and what to say of days that are left alone.

    Newest first, bounded, none that is queued or running, none that failed on what it would be built from again.
    """
    chosen: list[Candidate] = []
    warnings: list[str] = []
    for number, day in enumerate(days):
        if len(chosen) == MOST_RUNS or number == MOST_LOOKED_AT:
            break
        if day in under_way:
            continue
        candidate = compare(day)
        if candidate.warning:
            warnings.append(candidate.warning)
        if candidate.wanted and not has_failed(candidate):
            chosen.append(candidate)
    return chosen, warnings


def build_day_job() -> "UnresolvedAssetJobDefinition":
    """The job that builds one day."""
    return dg.define_asset_job(
        "build_day",
        selection=list(TABLES),
        description="Builds one local day: observations, hourly and daily aggregates.",
    )


def build_days_schedule(job: "UnresolvedAssetJobDefinition") -> dg.ScheduleDefinition:
    """The schedule."""

    @dg.schedule(
        job=job,
        cron_schedule="*/15 * * * *",
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
        from air_pipeline.collection.outbox import Outbox
        from air_pipeline.storage.parquet import built_days

        now = deployment.now()
        finished = list(finished_days(deployment.settings, now))
        built = set(built_days(deployment.data, "daily_aggregates"))
        with closing(Outbox(deployment.place.state / "outbox.sqlite")) as box:
            marked = box.late_days()
            whole_month = _first_of_its_day(deployment, now)
            late = {day for mark in marked for day in (mark - _DAY, mark, mark + _DAY)}
            days = days_to_compare(finished, built, late, whole_month=whole_month)
            try:
                with closing(open_store(deployment.place.influxdb, deployment.place.state)) as store:
                    chosen, warnings = days_to_build(
                        days, _comparison(deployment, store), _under_way(context), _failures(context)
                    )
            except StoreError as error:
                yield dg.SkipReason(f"the store was not asked: {error}")
                return
            if not late.intersection(candidate.day for candidate in chosen):
                box.forget_late(marked)
        if whole_month:
            replace_file(deployment.place.state / "compared", f"{now.astimezone(UTC):%Y-%m-%d}\n")
        for warning in warnings:
            context.log.warning(warning)
        for candidate in chosen:
            key = candidate.day.isoformat()
            yield dg.RunRequest(
                run_key=f"{key}-{candidate.fingerprint}-{now:%Y%m%dT%H%M}",
                partition_key=key,
                tags={FINGERPRINT_TAG: candidate.fingerprint},
            )
        if not chosen:
            yield dg.SkipReason(" ".join(["every finished day is built from what there is now", *warnings]))

    return build_days


_DAY = timedelta(days=1)


def _first_of_its_day(deployment: Deployment, now: datetime) -> bool:
    """Whether the last days have not been compared yet on this UTC date."""
    try:
        done = (deployment.place.state / "compared").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return True
    return done != f"{now.astimezone(UTC):%Y-%m-%d}"


def _comparison(deployment: Deployment, store: ReadingStore) -> Callable[[date], Candidate]:
    from air_pipeline.days.inputs import DayShrunk, Verdict, built_metadata, check_not_shrunk, day_inputs, judge

    def compare(day: date) -> Candidate:
        inputs = day_inputs(store, deployment.settings, day)
        built = built_metadata(deployment.data, day)
        what = (inputs.settings_digest, inputs.fingerprint, inputs.rule_set_version)
        fingerprint = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
        warning = ""
        try:
            check_not_shrunk(built, inputs, day)
        except DayShrunk as shrunk:
            warning = str(shrunk)
        return Candidate(day, judge(built, inputs) in {Verdict.MISSING, Verdict.CHANGED}, fingerprint, warning)

    return compare


def _under_way(context: dg.ScheduleEvaluationContext) -> set[date]:
    """The days with a run that is queued or runs."""
    runs = context.instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY))
    return {date.fromisoformat(run.tags[PARTITION_NAME_TAG]) for run in runs if PARTITION_NAME_TAG in run.tags}


def _failures(context: dg.ScheduleEvaluationContext) -> Callable[[Candidate], bool]:
    def has_failed(candidate: Candidate) -> bool:
        tags = {PARTITION_NAME_TAG: candidate.day.isoformat(), FINGERPRINT_TAG: candidate.fingerprint}
        failed = dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
        return bool(context.instance.get_run_records(failed, limit=1))

    return has_failed

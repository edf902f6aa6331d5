"""The runs of days: which are under way, how the last of a day ended, and why it failed.

For the underlying Dagster concept, see docs.dagster.io: runs and partitions.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.tags import PARTITION_NAME_TAG

DAYS_TAG = "air_pipeline/days"
"""The days of a run that builds many: `2026-11-01/2026-11-09,2026-11-12`."""
FORCE_TAG = "air_pipeline/force"
"""A run with this tag builds even days for which the store holds less than before."""
AGAIN_TAG = "air_pipeline/again"
"""A run gets this tag when it failed for a reason that passes: `build_days` builds its day again."""
TERMS_TAG = "air_pipeline/settings"
"""Under which settings and versions a run is to build (`days.terms`)."""
FINGERPRINT_TAG = "air_pipeline/fingerprint"
"""What a day was to be built from, as `build_days` saw it."""
FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
ENDED = (*FAILED, dg.DagsterRunStatus.SUCCESS)
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_EVENTS = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.PIPELINE_FAILURE}
_MOST_RUNS = 200
_DAY = timedelta(days=1)


def day_of(run: dg.DagsterRun) -> date | None:
    """The day that a run builds; None of a run of something else."""
    with suppress(ValueError):
        return date.fromisoformat(run.tags.get(PARTITION_NAME_TAG, ""))
    return None


def days_to_text(days: Iterable[date]) -> str:
    """Days as in `DAYS_TAG`: stretches without a gap, each by its ends."""
    stretches: list[list[date]] = []
    for day in sorted(set(days)):
        if stretches and day - stretches[-1][-1] == _DAY:
            stretches[-1][1:] = [day]
        else:
            stretches.append([day])
    return ",".join("/".join(day.isoformat() for day in ends) for ends in stretches)


def days_from_text(text: str) -> Iterator[date]:
    """The inverse of `days_to_text`; nothing of what is no such text."""
    with suppress(ValueError):
        for stretch in text.split(","):
            first, _, last = stretch.partition("/")
            day, end = date.fromisoformat(first), date.fromisoformat(last or first)
            while day <= end:
                yield day
                day += _DAY


def days_of(run: dg.DagsterRun) -> set[date]:
    """The days that a run builds, one or many."""
    day = day_of(run)
    return set(days_from_text(run.tags.get(DAYS_TAG, ""))) if day is None else {day}


def under_way(instance: dg.DagsterInstance, *, of: str = "") -> set[date]:
    """The days with a run that is queued or runs.

    Args:
        instance: whose.
        of: a run of many days, for which those count that it leaves to others: to the runs of a day, and to older runs
            of many, as two of them would leave the same days to each other.
    """
    records = instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY))
    ours = next((record.storage_id for record in records if record.dagster_run.run_id == of), None)
    others = [one.dagster_run for one in records if ours is None or one.storage_id < ours or day_of(one.dagster_run)]
    return {day for run in others for day in days_of(run)}


def is_made_by(instance: dg.DagsterInstance, day: date, run: dg.DagsterRun) -> bool:
    """Whether a day was built last by a run, or by one that it repeats."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey("daily_report"), asset_partitions=[day.isoformat()])
    made = instance.fetch_materializations(wanted, limit=1).records
    one: dg.DagsterRun | None = run
    while made and one is not None:
        if made[0].run_id == one.run_id:
            return True
        one = instance.get_run_by_id(one.parent_run_id) if one.parent_run_id else None
    return False


def last_runs(instance: dg.DagsterInstance, days: Sequence[date]) -> dict[date, dg.DagsterRun]:
    """The last run of its own that ended of each of these days that has one.

    One that failed is left out where a run of many days has built its day since.
    """
    if not days:
        return {}
    of_days = dg.RunsFilter(tags={PARTITION_NAME_TAG: [day.isoformat() for day in days]}, statuses=list(ENDED))
    found: dict[date, dg.DagsterRun] = {}
    for run in instance.get_runs(of_days, limit=1 if len(days) == 1 else _MOST_RUNS):  # newest first
        if (day := day_of(run)) is not None:
            found.setdefault(day, run)
    return {day: run for day, run in found.items() if run.status not in FAILED or not _built_since(instance, day, run)}


def _built_since(instance: dg.DagsterInstance, day: date, run: dg.DagsterRun) -> bool:
    """Whether another run came to the end of a day after one had ended."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey("daily_report"), asset_partitions=[day.isoformat()])
    made = instance.fetch_materializations(wanted, limit=1).records
    record = instance.get_run_record_by_id(run.run_id)
    if not made or record is None or made[0].run_id == run.run_id:
        return False
    return made[0].timestamp > (record.end_time or record.create_timestamp.timestamp())


def days_that_failed(instance: dg.DagsterInstance, days: Sequence[date]) -> dict[date, dg.DagsterRun]:
    """The days whose last run failed for a reason that does not pass, and that run."""
    return {
        day: run
        for day, run in last_runs(instance, days).items()
        if run.status is dg.DagsterRunStatus.FAILURE and AGAIN_TAG not in run.tags
    }


def was_handed_over(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a process ever took a run that ended; if none did, its day had no part in how it ended."""
    record = instance.get_run_record_by_id(run.run_id)
    return record is not None and record.start_time is not None


def days_with_failures(instance: dg.DagsterInstance, after: datetime) -> list[date]:
    """The days of which a run failed after a time."""
    lately = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=after)
    days = map(day_of, instance.get_runs(lately, limit=_MOST_RUNS))
    return sorted({day for day in days if day is not None})


def why_failed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What a run that failed said of it; empty if it said nothing."""
    for entry in instance.all_logs(run.run_id, of_type=_EVENTS):
        if entry.dagster_event is not None and (said := failure_of(entry.dagster_event)):
            return said
    return ""


def failure_of(event: dg.DagsterEvent) -> str:
    """What a step that failed said of it; empty for any other event."""
    if not event.is_step_failure:
        return ""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description.strip()
    return (failure.error.cause or failure.error).message.strip() if failure.error else ""


def data_version_of_run(instance: dg.DagsterInstance, run: dg.DagsterRun, day: date) -> str | None:
    """The data version of the observations of a day that a run made; None if it made none, or others did after it."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey("observations"), asset_partitions=[day.isoformat()])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        if record.run_id == run.run_id and record.asset_materialization is not None:
            return (record.asset_materialization.tags or {}).get(DATA_VERSION_TAG)
    return None

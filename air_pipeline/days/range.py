"""Which days of a range need building."""

from datetime import date, datetime, timedelta
from functools import cache

from air_pipeline.days.calendar import check_over, finished_days
from air_pipeline.days.inputs import Verdict, built_metadata, check_not_shrunk, day_inputs, judge
from air_pipeline.deployment import Deployment
from air_pipeline.times import TimeError, instant


def dates_of_range(deployment: Deployment, start: str | None, end: str | None) -> list[date]:
    """The dates from `start` (else the first to build) to `end` (else the last that is over), both included.

    Args:
        deployment: whose.
        start: such as `2026-11-01` or `-7d`.
        end: likewise.

    Raises:
        TimeError: a text is no date, or the range is empty.
        DayNotOver: its last day cannot be built yet.
        DayOutOfRange: its first day is before the first to build.
    """
    settings, now = deployment.settings, deployment.now()
    first = settings.start if start is None else _date(start, deployment, now)
    last = next(finished_days(settings, now), None) if end is None else _date(end, deployment, now)
    if end is not None and last is not None and first > last:
        raise TimeError(f"the range from {first} to {last} is empty; put the earlier date first")
    check_over(settings, first, now)
    if last is None:
        return []
    check_over(settings, last, now)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def dates_to_build(
    deployment: Deployment, start: str | None, end: str | None, *, force: bool
) -> tuple[list[date], list[date]]:
    """The dates of a range that need building, and those that are built from what there is now.

    Raises:
        DayError: as `dates_of_range`; and `DayShrunk` for a day that would lose something, unless forced.
        StoreError: the store cannot say what it holds.
    """
    days = dates_of_range(deployment, start, end)
    if force:
        return days, []
    wanted: list[date] = []
    current: list[date] = []
    first_poll = cache(deployment.store.first_poll)
    for day in days:
        built = built_metadata(deployment.data, day)
        inputs = day_inputs(deployment.store, deployment.settings, day, first_poll)
        check_not_shrunk(built, inputs, day)
        (current if judge(built, inputs) is Verdict.CURRENT else wanted).append(day)
    return wanted, current


def _date(text: str, deployment: Deployment, now: datetime) -> date:
    return instant(text, deployment.settings.zone, now).astimezone(deployment.settings.zone).date()

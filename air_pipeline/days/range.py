"""Which days of a range need building."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache

from air_pipeline.days.calendar import check_over, finished_days
from air_pipeline.days.comparing import compare_day
from air_pipeline.days.holdings import held
from air_pipeline.days.inputs import Standing
from air_pipeline.deployment import Deployment
from air_pipeline.times import TimeError, local_date


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
    first = settings.start if start is None else local_date(start, settings.zone, now)
    last = next(finished_days(settings, now), None) if end is None else local_date(end, settings.zone, now)
    if end is not None and last is not None and first > last:
        raise TimeError(f"the range from {first} to {last} is empty; put the earlier date first")
    check_over(settings, first, now)
    if last is None:
        return []
    check_over(settings, last, now)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


@dataclass(slots=True)
class Plan:
    """What to do with the days of a range.

    Attributes:
        wanted: the days that need building.
        current: those that are built from what there is now.
        shrunk: those that would lose something and are left alone, each with why.
    """

    wanted: list[date] = field(default_factory=list)
    current: list[date] = field(default_factory=list)
    shrunk: dict[date, str] = field(default_factory=dict)


def plan_range(deployment: Deployment, start: str | None, end: str | None, *, force: bool) -> Plan:
    """What to do with the days of a range; forced, all of them need building.

    Raises:
        DayError, TimeError: as `dates_of_range`.
        StoreError: the store cannot say what it holds.
    """
    days = dates_of_range(deployment, start, end)
    if force:
        return Plan(wanted=days)
    plan = Plan()
    first_poll = cache(deployment.store.first_poll)
    for day in days:
        if not held(deployment.data, day):  # whatever the store holds
            plan.wanted.append(day)
            continue
        compared = compare_day(deployment, deployment.store, day, first_poll)
        if compared.standing is Standing.SHRUNK:
            plan.shrunk[day] = compared.refusal
        else:
            (plan.current if compared.standing is Standing.CURRENT else plan.wanted).append(day)
    return plan

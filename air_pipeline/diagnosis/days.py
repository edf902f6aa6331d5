"""Days that should be there and are not, or are no longer what the store would give."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from functools import cache
from itertools import islice
from time import monotonic

from air_pipeline.days.calendar import finished_days, over_at
from air_pipeline.days.inputs import DayShrunk, built_metadata, check_not_shrunk, day_inputs
from air_pipeline.deployment import Deployment
from air_pipeline.diagnosis import Finding, Level
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.parquet import built_days
from air_pipeline.storage.store import StoreError

BUILT_WITHIN = timedelta(minutes=45)
"""After a day is over: three ticks of the schedule that builds it."""
COMPARED_DAYS = 30
COMPARE_WITHIN_S = 5.0
_MOST_NAMED = 3


def look_at_days(deployment: Deployment) -> Iterator[Finding]:
    """The days that are over and not built, and those for which the store holds less than they were built from."""
    settings, now = deployment.settings, deployment.now()
    finished = list(finished_days(settings, now))
    if not finished:
        yield Finding("days", Level.OK, "no day since start is over yet")
        return
    built = set(built_days(deployment.data, "daily_aggregates"))
    missing = [day for day in finished if day not in built and now >= over_at(settings, day) + BUILT_WITHIN]
    if missing:
        text = f"{len(missing)} of {len(finished)} days are not built: {_named(missing)}"
        yield Finding("days", Level.WARNING, text, f"air-pipeline build --from {missing[-1]} --to {missing[0]}")
    else:
        yield Finding("days", Level.OK, f"all {len(finished)} days since {finished[-1]} are built")
    shrunk = _shrunk(deployment, list(islice((day for day in finished if day in built), COMPARED_DAYS)))
    if shrunk:
        text = f"the store holds fewer polls than these days were built from, so they are left alone: {_named(shrunk)}"
        remedy = "bring the readings back into the store; or, to build them all the same: air-pipeline build --force"
        yield Finding("days", Level.WARNING, text, f"{remedy} --from {shrunk[-1]} --to {shrunk[0]}")


def _shrunk(deployment: Deployment, days: list[date]) -> list[date]:
    end = monotonic() + COMPARE_WITHIN_S
    found = []
    with closing(open_store(deployment.environment.influxdb, deployment.environment.state, COMPARE_WITHIN_S)) as store:
        first_poll = cache(store.first_poll)
        for day in days:
            if monotonic() > end:
                break
            try:
                inputs = day_inputs(store, deployment.settings, day, first_poll)
                check_not_shrunk(built_metadata(deployment.data, day), inputs, day)
            except DayShrunk:
                found.append(day)
            except StoreError:  # said by the look at the store
                break
    return found


def _named(days: list[date]) -> str:
    first = ", ".join(day.isoformat() for day in days[:_MOST_NAMED])
    return first if len(days) <= _MOST_NAMED else f"{first} and {len(days) - _MOST_NAMED} more"

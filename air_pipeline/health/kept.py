"""Whether the store and `devices.yaml` still have what the built days hold.

Belongs here: telling what was lost from what is gone by a retention. Does not: comparing
(`days.comparing`).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from functools import cache, lru_cache
from itertools import islice
from time import monotonic

from air_pipeline.days.calendar import device_days
from air_pipeline.days.compared import read_compared
from air_pipeline.days.comparing import Comparison, compare_day
from air_pipeline.days.inputs import Standing
from air_pipeline.environment import Environment
from air_pipeline.health import Finding, check, fine, unknown, warning
from air_pipeline.health.seen import EXAMINED_WITHIN_S, Seen
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.day_files import built_days
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import EARLIEST_MS, LATEST_MS, StoreError
from air_pipeline.words import some_days

COMPARED_DAYS = 30
COMPARE_WITHIN_S = 5.0
ASKED_EVERY_S = 3600.0
"""How often a store is asked from when on it keeps readings."""
LONG_AGO = timedelta(days=30)
"""Where a store without a retention begins later, somebody cleared it; of a day since then it has lost something."""
_MOST_DAYS = 3


@check(
    asset="daily_aggregates",
    means="Nothing of a built day would be lost if it were built again: the store still holds what it was built from,"
    " and devices.yaml the devices. Days whose readings are gone by a retention are counted apart.",
    remedy="Bring back what is missing: readings into the store, a device into devices.yaml (out of service, with"
    " until); of which device: air-pipeline doctor",
    title="days",
    bad="some built days hold more than could be built now, and are left alone",
    good="every built day could be built again",
)
def days_kept(seen: Seen) -> Iterator[Finding]:
    """The days of which something would be lost, and those that are to be built again.

    A person who asks has the last days compared; who looks all the time takes what `build_days` found last.
    """
    if seen.misset:  # then it is not known which store
        return
    built = set(built_days(seen.data, "daily_aggregates"))
    days = [] if seen.by_dagster else list(islice((day for day in seen.days if day in built), COMPARED_DAYS))
    try:
        compared = list(_compared(seen, days)) if days else []
        now = {one.day: one for one in compared if one.standing is Standing.SHRUNK}
        known = {one.day for one in compared}
        before = read_compared(seen.environment).kept & built - known
        shrunk = sorted(before.union(now), reverse=True)
        gone = {day for day in shrunk if _let_go(seen, day)} if shrunk else set()
    except StoreError as error:
        yield unknown(f"they could not be compared with the store: {error}")
        return
    lost = [day for day in shrunk if day not in gone]
    numbers = {"days_lost": len(lost), "days_let_go": len(gone)}
    also = "".join(_also([one.day for one in compared if one.standing is Standing.CHANGED], len(gone)))
    if not lost:
        yield fine(f"the store has what they were built from{also}", numbers=numbers)
        return
    would = (
        "1 built day would be lost, so it is"
        if len(lost) == 1
        else f"{len(lost)} built days would be lost, so they are"
    )
    text = f"something of {would} left alone: {_named(lost)}"
    if lost[0] in now:
        text += f"; on the first, {next(iter(now[lost[0]].lost.values()))}"
    remedy = (
        "bring back what is missing (readings into the store, a device into devices.yaml; one that has another id"
        f" now: air-pipeline rename); or, to build them all the same: air-pipeline build --force --from {lost[-1]}"
        f" --to {lost[0]}"
    )
    yield warning(f"{text}{also}", remedy, numbers=numbers)


def _also(changed: Sequence[date], gone: int) -> Iterator[str]:
    if changed:
        yield (
            f"; {_named(changed)} are built again by the next `build_days` that runs, as readings, settings or rules"
            " are others now; at once: air-pipeline build"
        )
    if gone:
        yield f"; {gone} keep what they are, as the store has let their readings go"


def _named(days: Sequence[date]) -> str:
    return some_days(days, _MOST_DAYS)


def _compared(seen: Seen, days: Iterable[date]) -> Iterator[Comparison]:
    end = monotonic() + COMPARE_WITHIN_S
    with closing(open_store(seen.environment.influxdb, seen.environment.state, COMPARE_WITHIN_S)) as store:
        first_poll = cache(store.first_poll)
        for day in days:
            if monotonic() > end:
                break
            yield compare_day(seen.deployment, store, day, first_poll)


def _let_go(seen: Seen, day: date) -> bool:
    """Whether nothing else could be expected: a day began before what the store keeps by its retention.

    Of a store that keeps everything: the day is long ago, and the store begins after it.

    Raises:
        StoreError: the store does not say.
    """
    environment, asked = seen.environment, int(seen.now.timestamp() // ASKED_EVERY_S)
    span = device_days(seen.deployment.settings, day)
    if kept_s := _retention_s(environment.influxdb, asked) if environment.influxdb else 0:
        return min((one.start for one in span), default=0) < epoch_ms(seen.now) - kept_s * 1000
    is_long_ago = epoch_ms(seen.now - LONG_AGO) > max((one.end for one in span), default=0)
    return is_long_ago and max((one.end for one in span), default=0) <= _begin(environment, asked)


@lru_cache(maxsize=1)
def _retention_s(connection: InfluxConnection, _hour: int) -> int:
    # With requests, 0.1 s and 16 MB.
    from air_pipeline.storage.influxdb_examination import examine_influxdb

    return examine_influxdb(connection, EXAMINED_WITHIN_S).retention_s or 0


@lru_cache(maxsize=1)
def _begin(environment: Environment, _hour: int) -> int:
    """The first slot of all that the store has a poll of, ms UTC; the earliest of all times where it has none."""
    with closing(open_store(environment.influxdb, environment.state, COMPARE_WITHIN_S)) as store:
        return min(store.first_polls(EARLIEST_MS, LATEST_MS).values(), default=EARLIEST_MS)

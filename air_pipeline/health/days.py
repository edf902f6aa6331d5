"""The days: which are not built, missing between others, or no longer what would be built now."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from time import monotonic

from air_pipeline.days.calendar import finished_days, over_at
from air_pipeline.days.compared import read_compared
from air_pipeline.days.comparing import Under, built_under
from air_pipeline.health import Finding, Level, check, fine, warning
from air_pipeline.health.seen import WATCHED_DAYS, Seen
from air_pipeline.places import DataPlace
from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.commit import committed_metadata, torn
from air_pipeline.storage.day_files import DayFile, DayMetadata, TableError, built_days, day_file
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.shelf import Stamp, shelf_at
from air_pipeline.storage.store import StoreError
from air_pipeline.words import some_days

BUILT_WITHIN = timedelta(hours=2)
"""From when a day is finished, or first seen so, until it is told that it is not built; `build_days` looks every 15
minutes."""
COMPARE_WITHIN_S = 5.0
_MOST_DAYS = 3
_BUILD = "See its run in the Dagster UI; build it here: air-pipeline build --from {first} --to {last}"


@check(
    asset="daily_aggregates",
    means="The last seven finished days are built, two hours after each was over at the latest.",
    remedy=_BUILD,
    title="days",
    many="days are not built",
    bad="{subject} is not built",
    good="{subject} is built",
    well="the last finished days are built",
)
def days_built(seen: Seen) -> Iterator[Finding]:
    """Each of the finished days that are looked at: whether it is built, and if not, whether its run failed."""
    if not seen.days:
        yield fine("no day since start is over yet", numbers={"days": 0, "not_built": 0})
    built = set(built_days(seen.data, "daily_aggregates"))
    for day in seen.days:
        name = day.isoformat()
        if day in built and not (why := torn(seen.data, day)):
            yield fine("is built", name, {"days": 1, "not_built": 0})
        elif run := seen.failed_runs.get(day):
            yield warning(f"run {run} failed", subject=name, numbers={"days": 1, "not_built": 1})
        else:
            since = _changed_at(seen.data, day) if day in built else over_at(seen.deployment.settings, day)
            yield Finding(
                "",
                name,
                Level.WARNING,
                f"its files are not of one making: {why}" if day in built else "",
                numbers={"days": 1, "not_built": 1},
                patience=BUILT_WITHIN,
                since=since,
            )


def _changed_at(data: DataPlace, day: date) -> datetime:
    """When a table of a day was last replaced: it is whole again when those after it are."""
    stamps = (day_file(data, table, day).stamp() for table in TABLES)
    return datetime.fromtimestamp(max((stamp.changed for stamp in stamps if stamp), default=0.0), UTC)


@check(
    means="No day that is built failed when it was built again.",
    remedy=_BUILD,
    title="days",
    many="days were built before and failed now",
    bad="building {subject} again failed",
    good="{subject} is built again",
)
def days_rebuilt(seen: Seen) -> Iterator[Finding]:
    """Each of the built days that are looked at: whether its last run failed."""
    built = set(built_days(seen.data, "daily_aggregates"))
    for day in built.intersection(seen.days):
        run, name = seen.failed_runs.get(day), day.isoformat()
        yield warning(f"run {run}; what was built before is kept", subject=name) if run else fine("", name)


@check(
    asset="daily_aggregates",
    means="Every built day was built under the rules, columns and settings of now. Days of which the store no longer"
    " holds what they were built from keep what they are, and are counted apart.",
    remedy="Nothing need be done: `build_days` builds them again by themselves, newest first; at once:"
    " air-pipeline build",
    title="days",
)
def days_current(seen: Seen) -> Iterator[Finding]:
    """How many built days were built under other rules, columns or settings, by their footers alone."""
    end = monotonic() + COMPARE_WITHIN_S
    shelf = shelf_at(seen.data).at_once()
    days = built_days(shelf, "daily_aggregates")
    kept = read_compared(seen.environment).kept
    found: dict[Under, list[date]] = {under: [] for under in Under if under is not Under.NOW}
    unread = left_as_they_are = 0
    with closing(open_store(seen.environment.influxdb, seen.environment.state, COMPARE_WITHIN_S)) as store:
        first_poll = cache(store.first_poll)
        for day in reversed(days):
            made = _made(day_file(shelf, "daily_aggregates", day))
            if made is None or monotonic() > end:
                unread += 1
                continue
            try:
                under = built_under(made, seen.deployment.settings, day, store, first_poll)
            except StoreError:  # said by the look at the store
                unread += 1
                continue
            if under is Under.NOW:
                continue
            if day in kept:
                left_as_they_are += 1
            else:
                found[under].append(day)
    numbers = {"days": len(days), "not_read": unread, "kept": left_as_they_are}
    numbers |= {under.value: len(of) for under, of in found.items()}
    if not days:
        yield fine("no day is built yet", numbers=numbers)
        return
    older = [day for some_days in found.values() for day in some_days]
    left = f"; {unread} could not be looked at" if unread else ""
    if left_as_they_are:
        left += f"; {left_as_they_are} are of others and stay so, as the store no longer holds all of them"
    if not older:
        now = len(days) - unread - left_as_they_are
        yield fine(f"all {now} built days are of the rules, columns and settings of now{left}", numbers=numbers)
        return
    counted = ", ".join(f"{len(of)} {under.value.replace('_', ' ')}" for under, of in found.items() if of)
    text = f"{len(older)} of {len(days)} built days are of others than now: {counted}{left}"
    yield warning(f"{text}; the newest is {max(older)}, the oldest {min(older)}", numbers=numbers)


def _made(file: DayFile) -> DayMetadata | None:
    """How a file was made, whatever columns it has; None if it cannot be read.

    Where that would be several requests, the day's commit says it in one.
    """
    try:
        return _read_metadata(file, file.stamp())
    except (TableError, OSError):
        return None


@lru_cache(maxsize=4096)
def _read_metadata(file: DayFile, stamp: Stamp | None) -> DayMetadata:
    del stamp
    committed = None if isinstance(file.path, Path) else committed_metadata(file.shelf, file.day)
    return committed or file.metadata(of_any_columns=True)


@check(
    asset="daily_aggregates",
    means="No day is missing between the first and the last that are built; of the last seven `days_built` says it.",
    remedy="Build them; each says why, if it cannot be: air-pipeline build --from {first} --to {last}",
    title="days",
)
def days_unbroken(seen: Seen) -> Iterator[Finding]:
    """Which days are not built though days before and after them are."""
    built = set(built_days(seen.data, "daily_aggregates"))
    finished = islice(finished_days(seen.deployment.settings, seen.now), WATCHED_DAYS, None)
    gaps = sorted(day for day in finished if day not in built and built and min(built) < day < max(built))
    numbers = {"days": len(built), "days_missing": len(gaps)}
    if not gaps:
        yield fine("none is missing between them" if built else "no day is built yet", numbers=numbers)
        return
    named = some_days(gaps, _MOST_DAYS)
    are = "is 1 day" if len(gaps) == 1 else f"are {len(gaps)} days"
    remedy = f"build what is missing: air-pipeline build --from {gaps[0]} --to {gaps[-1]}"
    yield warning(f"between {min(built)} and {max(built)} {are} missing: {named}", remedy, numbers=numbers)

"""The days: which are not built, not complete, or no longer what would be built now."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from time import monotonic

from air_pipeline.days.calendar import over_at
from air_pipeline.days.compared import read_compared
from air_pipeline.days.comparing import Comparison, Under, built_under, compare_day
from air_pipeline.days.inputs import Standing
from air_pipeline.health import Finding, Level, check, fine, unknown, warning
from air_pipeline.health.seen import Seen
from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.commit import torn
from air_pipeline.storage.day_files import DayFile, DayMetadata, DayUnreadable, built_days, day_file
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import StoreError
from air_pipeline.words import some

BUILT_WITHIN = timedelta(hours=2)
"""From when a day is finished, or first seen so, until it is told that it is not built; `build_days` looks every 15
minutes."""
COMPARED_DAYS = 30
COMPARE_WITHIN_S = 5.0
MOST_SERIES = 3
"""Series of a device that are named where they are not complete."""
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
)
def days_built(seen: Seen) -> Iterator[Finding]:
    """Each of the finished days that are looked at: whether it is built, and if not, whether its run failed."""
    if not seen.days:
        yield fine("no day since start is over yet", numbers={"days": 0, "not_built": 0})
    built = set(built_days(seen.environment.data, "daily_aggregates"))
    for day in seen.days:
        name = day.isoformat()
        if day in built and not (why := torn(seen.environment.data, day)):
            yield fine("is built", name, {"days": 1, "not_built": 0})
        elif run := seen.failed_runs.get(day):
            yield warning(f"run {run} failed", subject=name, numbers={"days": 1, "not_built": 1})
        else:
            since = _changed_at(seen.environment.data, day) if day in built else over_at(seen.deployment.settings, day)
            yield Finding(
                "",
                name,
                Level.WARNING,
                f"its files are not of one making: {why}" if day in built else "",
                numbers={"days": 1, "not_built": 1},
                patience=BUILT_WITHIN,
                since=since,
            )


def _changed_at(data: Path, day: date) -> datetime:
    """When a table of a day was last replaced: it is whole again when those after it are."""
    files = (day_file(data, table, day).path for table in TABLES)
    newest = max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
    return datetime.fromtimestamp(newest, UTC)


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
    built = set(built_days(seen.environment.data, "daily_aggregates"))
    for day in built.intersection(seen.days):
        run, name = seen.failed_runs.get(day), day.isoformat()
        yield warning(f"run {run}; what was built before is kept", subject=name) if run else fine("", name)


@check(
    asset="daily_aggregates",
    means="Every series is complete: at least 75 % of its hours have at least 75 % of their observations valid. What is"
    " not is published, marked; its values of the day are not to be relied on.",
    remedy="The page of that day shows what is missing or bad: air-pipeline report",
    title="days",
    many="devices have series that are not complete",
    bad="{subject} has series that are not to be relied on",
    good="all series of {subject} are complete again",
)
def complete(seen: Seen) -> Iterator[Finding]:
    """Each device on the newest day that is built: what of it is not complete."""
    known = {device.id for device in seen.deployment.settings.devices}
    for file in (day_file(seen.environment.data, "daily_aggregates", day) for day in seen.days):
        if file.exists:
            for name, series in _incomplete_series(file, file.path.stat().st_mtime_ns).items():
                if name in known:
                    yield _of_series(file.day, name, series)
            return


def _of_series(day: date, device: str, series: Mapping[str, float | None]) -> Finding:
    if not series:
        return fine("all series are complete", device)
    named = [f"{name} (coverage {coverage or 0:.0%})" for name, coverage in series.items()]
    return warning(f"{day}: {some(named, MOST_SERIES)}", subject=device)


@lru_cache(maxsize=1)
def _incomplete_series(file: DayFile, stamp: int) -> dict[str, dict[str, float | None]]:
    """Each device of which something was expected, with the coverage of its series that are not complete.

    Read once for each file that is published: a tick should take no time.
    """
    del stamp
    table = file.read_table()
    columns = ("device", "series", "expected_count", "coverage", "is_complete")
    found: dict[str, dict[str, float | None]] = {}
    for device, series, expected, coverage, is_complete in zip(
        *(table.column(name).to_pylist() for name in columns), strict=True
    ):
        if expected:
            incomplete = found.setdefault(device, {})
            if not is_complete:
                incomplete[series] = coverage
    return found


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
    days = built_days(seen.environment.data, "daily_aggregates")
    kept = read_compared(seen.environment.state).kept
    found: dict[Under, list[date]] = {under: [] for under in Under if under is not Under.NOW}
    unread = left_as_they_are = 0
    with closing(open_store(seen.environment.influxdb, seen.environment.state, COMPARE_WITHIN_S)) as store:
        first_poll = cache(store.first_poll)
        for day in reversed(days):
            made = _made(day_file(seen.environment.data, "daily_aggregates", day))
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
    """How a file was made, whatever columns it has; None if it cannot be read."""
    try:
        return _read_metadata(file, file.path.stat().st_mtime_ns)
    except (DayUnreadable, OSError):
        return None


@lru_cache(maxsize=4096)
def _read_metadata(file: DayFile, stamp: int) -> DayMetadata:
    del stamp
    return file.metadata(of_any_columns=True)


@check(
    means="Nothing of the last thirty days would be lost if they were built again: the store still holds what they were"
    " built from, and devices.yaml the devices.",
    remedy="bring the readings back into the store, or the device into devices.yaml",
    title="days",
)
def days_kept(seen: Seen) -> Iterator[Finding]:
    """The days of which something would be lost, and those that are to be built again."""
    if seen.misset:  # then it is not known which store
        return
    built = set(built_days(seen.environment.data, "daily_aggregates"))
    days = list(islice((day for day in seen.days if day in built), COMPARED_DAYS))
    try:
        compared = list(_compared(seen, days))
    except StoreError as error:
        yield unknown(f"they could not be compared with the store: {error}")
        return
    if shrunk := [one for one in compared if one.standing is Standing.SHRUNK]:
        why = next(iter(shrunk[0].lost.values()))
        remedy = (
            "bring back what is missing (readings into the store, a device into devices.yaml; one that has another id"
            " now: air-pipeline rename); or, to build them all the same: air-pipeline build --force"
        )
        yield warning(
            f"something of these days would be lost, so they are left alone: {_named(shrunk)}; on the first, {why}",
            f"{remedy} --from {shrunk[-1].day} --to {shrunk[0].day}",
        )
    if changed := [one for one in compared if one.standing is Standing.CHANGED]:
        yield fine(
            f"{_named(changed)} are built again by the next `build_days` that runs, as readings, settings or rules are"
            " others now; at once: air-pipeline build"
        )


def _named(days: Sequence[Comparison]) -> str:
    return some([one.day.isoformat() for one in days], _MOST_DAYS)


def _compared(seen: Seen, days: Iterable[date]) -> Iterator[Comparison]:
    end = monotonic() + COMPARE_WITHIN_S
    with closing(open_store(seen.environment.influxdb, seen.environment.state, COMPARE_WITHIN_S)) as store:
        first_poll = cache(store.first_poll)
        for day in days:
            if monotonic() > end:
                break
            yield compare_day(seen.deployment, store, day, first_poll)

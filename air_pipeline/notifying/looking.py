"""What holds now: collecting, the devices, and the last days. And how the last finished day went, for the digest.

Belongs here: from reports, files and settings to a `Sight`. Does not: asking Dagster (`automation`).
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice

from air_pipeline.collection.report import Report, Verdict, is_polled, silent_devices, verdicts
from air_pipeline.days.calendar import finished_days, over_at
from air_pipeline.deployment import Deployment
from air_pipeline.notifying.deciding import Condition, Key, Sight
from air_pipeline.notifying.messages import MOST_ITEMS
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.storage.parquet import DayFile, TableError, day_file

WATCHED_DAYS = 7
"""Finished days of which is told when they are not built; older ones are for whoever builds them."""
MOST_SERIES = 3
"""Series of a device that are named where they are not complete."""
BUILT_WITHIN = timedelta(hours=2)
"""From when a day is first seen finished and not built until that is told; `build_days` looks every 15 minutes."""


def watched_days(deployment: Deployment, now: datetime) -> list[date]:
    """The last finished days, newest first."""
    return list(islice(finished_days(deployment.settings, now), WATCHED_DAYS))


def sight(deployment: Deployment, report: Report, failed: Mapping[date, str], now: datetime) -> Sight:
    """What holds now.

    Args:
        deployment: with the settings of now.
        report: how collecting stands.
        failed: the watched days whose last run failed, and which run that was.
        now: the time.
    """
    found: dict[Key, Condition | None] = {}
    for verdict in verdicts(deployment, report, now):
        if verdict.check not in {"devices_reporting", "documents_known"}:  # these are told by device
            found[verdict.check, ""] = None if verdict.passed else Condition(verdict.text, grave=verdict.grave)
    for device in deployment.settings.devices:
        note = report.notes.get(device.id)
        found["documents_known", device.id] = Condition(note) if note else None
    unknown = report.store_error or report.collector is None  # that no collector runs is told already
    if not unknown:
        found |= _devices(deployment, report, now)
    days = watched_days(deployment, now)
    for day in days:
        found |= _day(deployment, day, failed.get(day))
    unsaid = {"devices_reporting"} if unknown else set()
    try:
        found |= _complete(deployment, days)
    except TableError:  # doctor and the next run of that day say so
        unsaid.add("complete")
    return Sight(found, frozenset(unsaid))


def _devices(deployment: Deployment, report: Report, now: datetime) -> dict[Key, Condition | None]:
    silent = {state.device: state for state in silent_devices(report, now)}
    grave = len(silent) == report.expected
    return {
        ("devices_reporting", device.id): (
            Condition(silent[device.id].outcome or "not polled", grave=grave) if device.id in silent else None
        )
        for device in deployment.settings.devices
        if is_polled(device, epoch_ms(now))
    }


def _day(deployment: Deployment, day: date, run: str | None) -> dict[Key, Condition | None]:
    name = day.isoformat()
    if day_file(deployment.data, "daily_aggregates", day).exists:
        again = Condition(f"run {run}; what was built before is kept") if run else None
        return {("day_built", name): None, ("day_rebuilt", name): again}
    if run:
        return {("day_built", name): Condition(f"run {run} failed")}
    return {("day_built", name): Condition("", patience=BUILT_WITHIN)}


def _complete(deployment: Deployment, days: Sequence[date]) -> dict[Key, Condition | None]:
    """Each device on the newest day that is built: what of it is not complete."""
    for file in (day_file(deployment.data, "daily_aggregates", day) for day in days):
        if file.exists:
            known = {device.id for device in deployment.settings.devices}
            series_of = _series_of(file)
            return {("complete", name): _incomplete(file.day, series_of[name]) for name in series_of if name in known}
    return {}


def _incomplete(day: date, series: Mapping[str, float | None]) -> Condition | None:
    if not series:
        return None
    named = ", ".join(f"{name} (coverage {coverage or 0:.0%})" for name, coverage in list(series.items())[:MOST_SERIES])
    more = f" and {len(series) - MOST_SERIES} more" if len(series) > MOST_SERIES else ""
    return Condition(f"{day}: {named}{more}")


def _series_of(file: DayFile) -> dict[str, dict[str, float | None]]:
    """Each device of which something was expected, with the coverage of its series that are not complete."""
    return _read_series(file, file.path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_series(file: DayFile, stamp: int) -> dict[str, dict[str, float | None]]:
    """Read once for each file that is published: a tick should take no time."""
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


def days_built_verdict(deployment: Deployment, now: datetime) -> Verdict:
    """Whether the watched days are built, as far as that can be expected of them: for who looks at Dagster."""
    days = watched_days(deployment, now)
    late = [day for day in _missing(deployment, days) if now >= over_at(deployment.settings, day) + BUILT_WITHIN]
    if not late:
        return Verdict("days_built", passed=True, text=f"of the last {len(days)} finished days none is late")
    named = ", ".join(day.isoformat() for day in late)
    remedy = "see that the schedule `build_days` is on and what became of their runs"
    return Verdict("days_built", passed=False, text=f"not built: {named}; {remedy}")


def _missing(deployment: Deployment, days: Sequence[date]) -> list[date]:
    return [day for day in days if not day_file(deployment.data, "daily_aggregates", day).exists]


def day_summary(deployment: Deployment, report: Report, now: datetime) -> list[str]:
    """The paragraphs of a digest: the last finished day by device, the days, the outbox."""
    days = watched_days(deployment, now)
    told = [_coverage(deployment, days[0])] if days else []
    if missing := _missing(deployment, days):
        told.append(f"Of the last {len(days)} days, not built: {', '.join(day.isoformat() for day in missing)}.")
    elif days:
        told.append(f"The last {len(days)} days are built.")
    told.append(f"Outbox: {report.outbox.pending} polls wait, {report.outbox.quarantined} are in quarantine.")
    return told


def _coverage(deployment: Deployment, day: date) -> str:
    """Each device's valid observations of those that were expected, over all its series, the least first."""
    try:
        table = day_file(deployment.data, "daily_aggregates", day).read_table()
    except TableError as error:
        return str(error)
    expected: dict[str, int] = {}
    valid: dict[str, int] = {}
    columns = (table.column(name).to_pylist() for name in ("device", "expected_count", "valid_count"))
    for device, wanted, good in zip(*columns, strict=True):
        expected[device] = expected.get(device, 0) + wanted
        valid[device] = valid.get(device, 0) + good
    shares = sorted((valid[device] / number, device) for device, number in expected.items() if number)
    if not shares:
        return f"{day}: nothing was expected."
    lines = [f"- {device}: {share:.1%}" for share, device in shares[:MOST_ITEMS]]
    if more := shares[MOST_ITEMS:]:
        lines.append(f"… and {len(more)} more, each at least {more[0][0]:.1%}")
    return "\n".join([f"Coverage of {day}, the least first:", *lines])

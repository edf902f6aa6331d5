"""What holds now, as far as a person is told of it. And how the last finished day went, for the digest.

Belongs here: from findings to a `Sight`. Does not: looking (`health`), asking Dagster (`automation`).
"""

from collections.abc import Iterable, Iterator
from datetime import date

from air_pipeline.health import Check, Finding, Level
from air_pipeline.health.collecting import devices_reporting
from air_pipeline.health.seen import Seen
from air_pipeline.notifying.deciding import Key, Sight
from air_pipeline.notifying.messages import MOST_ITEMS
from air_pipeline.storage.day_files import TableError, day_file
from air_pipeline.storage.shelf import ShelfError
from air_pipeline.words import some_days


def sight(checks: Iterable[Check], seen: Seen) -> Sight:
    """What holds now of some checks; while no collector runs that is told, and not every device.

    Raises:
        SettingsError: the collector's lock cannot be read.
    """
    holds: dict[Key, Finding | None] = {}
    unknown: set[str] = set()
    for check in checks:
        for found in check.findings(seen):
            is_of_device = check is devices_reporting and found.subject
            if found.level is Level.UNKNOWN or (is_of_device and not seen.runs(found.subject)):
                unknown.add(check.name)
            else:
                holds[check.name, found.subject] = found if found.is_bad else None
    return Sight(holds, frozenset(unknown))


def day_summary(seen: Seen) -> list[str]:
    """The paragraphs of a digest: the last finished day by device, the days, the outbox."""
    try:
        told = list(_days(seen))
    except ShelfError as error:
        told = [f"{error}."]
    boxes = [state.outbox for state in seen.collectors.values()]
    pending, quarantined = sum(box.pending for box in boxes), sum(box.quarantined for box in boxes)
    told.append(f"Outbox: {pending} polls wait, {quarantined} are in quarantine.")
    return told


def _days(seen: Seen) -> Iterator[str]:
    days = seen.days
    if not days:
        return
    yield _coverage(seen, days[0])
    if missing := [day for day in days if not day_file(seen.data, "daily_aggregates", day).exists]:
        yield f"Of the last {len(days)} days, not built: {some_days(missing, len(missing))}."
    else:
        yield f"The last {len(days)} days are built."


def _coverage(seen: Seen, day: date) -> str:
    """Each device's valid observations of those that were expected, over all its series, the least first."""
    try:
        table = day_file(seen.data, "daily_aggregates", day).read_table()
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

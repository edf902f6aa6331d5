"""What was deleted on purpose of the readings that days were built from: these days may be built from fewer polls.

Belongs here: the file `deleted.json` in the state directory. Does not: deleting (`collection.histories`), and whether a
day would lose something (`inputs`).

An entry counts for the very file that was built when something was deleted, and for just so many polls: what is lost
besides is noticed as ever.
"""

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from air_pipeline.days.inputs import observed_metadata
from air_pipeline.deployment import Deployment
from air_pipeline.processing.local_time import day_window, epoch_ms, is_date, span_ms
from air_pipeline.processing.rules import reach
from air_pipeline.settings import SettingsError
from air_pipeline.storage.day_files import DayMetadata, DayUnreadable, day_file


def deleted_polls(deployment: Deployment, day: date, built: DayMetadata | None) -> int:
    """How many of the polls that a day was built from were deleted since."""
    entry = _entries(deployment).get(day.isoformat())
    if built is None or entry is None or entry["fingerprint"] != built.input_fingerprint:
        return 0
    return int(sum(entry["polls"].values()))


def remember_deletion(deployment: Deployment, device: str, days: Iterable[date], start: int, end: int) -> list[date]:
    """Remembers how much each day will lose, before the polls of a device in [start, end), ms UTC, are deleted.

    Args:
        deployment: whose.
        device: its id; the settings need not know it any more.
        days: the local dates that may have been built from them.
        start: ms UTC.
        end: ms UTC.

    Returns:
        The days that lose something.

    Raises:
        StoreError: the store cannot say what it holds.
        SettingsError, OSError: it cannot be written.
    """
    known = {one.id: one.zone for one in deployment.settings.devices}
    zone = known.get(device, deployment.settings.zone)
    before, after = map(span_ms, reach())
    entries = {
        day: entry
        for day, entry in _entries(deployment).items()
        if (built := observed_metadata(deployment.data, date.fromisoformat(day)))
        and built.input_fingerprint == entry["fingerprint"]
    }
    touched = []
    for day in days:
        built = observed_metadata(deployment.data, day)
        if built is None or device not in _devices(deployment, day):
            continue
        first, last = (epoch_ms(edge) for edge in day_window(day, zone))
        span = max(start, first - before), min(end, last + after)
        held = deployment.store.summaries(*span).get(device) if span[0] < span[1] else None
        if held is None or not held.polls:
            continue
        entry = entries.setdefault(day.isoformat(), {"fingerprint": built.input_fingerprint, "polls": {}})
        part = f"{device} {span[0]} {span[1]}"  # the same when an interrupted deletion is started again
        entry["polls"][part] = max(held.polls, entry["polls"].get(part, 0))
        touched.append(day)
    deployment.environment.state.write(deployment.environment.state.deleted, json.dumps(entries, indent=1))
    return touched


def _devices(deployment: Deployment, day: date) -> list[str]:
    try:
        return day_file(deployment.data, "observations", day).devices()
    except DayUnreadable:
        return []


def _entries(deployment: Deployment) -> dict[str, Any]:
    """Of each date; what cannot be read allows nothing: the days stay as they are, and it is told what they lack."""
    state = deployment.environment.state
    try:
        said = json.loads(state.read(state.deleted))
    except (SettingsError, ValueError, RecursionError):
        return {}
    return {day: entry for day, entry in said.items() if _is_entry(day, entry)} if isinstance(said, dict) else {}


def _is_entry(day: str, entry: Any) -> bool:  # noqa: ANN401 -- whatever JSON may hold
    match entry:
        case {"fingerprint": str(), "polls": dict(polls)}:
            return is_date(day) and all(isinstance(number, int) for number in polls.values())
    return False

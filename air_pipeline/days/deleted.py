"""What was deleted on purpose of the readings that days were built from: these days may be built from less.

Belongs here: the file `deleted.json` in the state directory. Does not: deleting (`collection.histories`), and whether a
day would lose something (`holdings`).

An entry counts for the very file that was built when something was deleted, and for one that is built from what the
store held then: by who had read it already. It counts for just so much of one device: what is lost besides is noticed
as ever.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from typing import Any

from air_pipeline.days.calendar import finished_days
from air_pipeline.days.holdings import Deleted, held, now_held
from air_pipeline.days.inputs import day_inputs
from air_pipeline.deployment import Deployment
from air_pipeline.processing.local_time import is_date
from air_pipeline.settings import SettingsError
from air_pipeline.storage.day_files import TableError, day_file

_ALL = 10**15
"""More values than anything has."""


def deleted_since(deployment: Deployment, day: date) -> Mapping[str, Deleted]:
    """What was deleted, by device, of what a day was built from, since it was read for that."""
    entry, fingerprint = _entries(deployment).get(day.isoformat()), _fingerprint(deployment, day)
    if entry is None or fingerprint is None:
        return {}
    if entry["fingerprint"] != fingerprint:
        entry = entry.get("read", {}).get(fingerprint, {"polls": {}})
    found: dict[str, Deleted] = {}
    for part, polls in entry["polls"].items():
        device, *_, import_id = f"{part} ".split(" ", 3)
        before = found.get(device, Deleted())
        # Entries of versions that counted no values are of days that were guarded by polls alone.
        values = entry.get("values", {}).get(part, _ALL)
        if import_id := import_id.strip():
            known = before.imports.get(import_id, (0, 0))
            imports = {**before.imports, import_id: (known[0] + polls, known[1] + values)}
            found[device] = before._replace(imports=imports)
        else:
            found[device] = before._replace(polls=before.polls + polls, values=before.values + values)
    return found


def remember_deletion(deployment: Deployment, device: str, days: Iterable[date], start: int, end: int) -> list[date]:
    """Remembers how much each day will lose, before the polls of a device in [start, end), ms UTC, are deleted.

    Args:
        deployment: whose.
        device: its id; the settings need not know it any more.
        days: the local dates that may have been built from them, or are being built.
        start: ms UTC.
        end: ms UTC.

    Returns:
        The days that lose something, of those that are built.

    Raises:
        StoreError: the store cannot say what it holds.
        SettingsError, OSError: it cannot be written.
    """
    entries = {
        day: entry
        for day, entry in _entries(deployment).items()
        if _fingerprint(deployment, date.fromisoformat(day)) in {entry["fingerprint"] or None, *entry.get("read", {})}
    }
    first_poll, touched = cache(deployment.store.first_poll), []
    finished = set(finished_days(deployment.settings, deployment.now()))
    for day in days:
        built = _fingerprint(deployment, day)
        if built is None and day not in finished:
            continue
        inputs = day_inputs(deployment.store, deployment.settings, day, first_poll)
        window = held(deployment.data, day).get(device) or inputs.holdings.get(device)
        if window is None:
            continue
        span = max(start, window.start), min(end, window.end)
        stored = now_held(deployment.store, *span)(device) if span[0] < span[1] else None
        if stored is None or not (stored.polls or stored.imports):
            continue
        entry = entries.setdefault(day.isoformat(), {"fingerprint": built or "", "polls": {}, "values": {}})
        read = entry.setdefault("read", {})
        if inputs.fingerprint != built:
            read.setdefault(inputs.fingerprint, {"polls": {}, "values": {}})
        part = f"{device} {span[0]} {span[1]}"  # the same when an interrupted deletion is started again
        imported = {f"{part} {import_id}": counts for import_id, counts in stored.imports.items()}
        for one, held_then in {part: (stored.polls, stored.values), **imported}.items():
            for counted in (entry, *read.values()):
                for name, count in zip(("polls", "values"), held_then, strict=True):
                    counts = counted.setdefault(name, {})
                    counts[one] = max(count, counts.get(one, 0))
        if built is not None:
            touched.append(day)
    deployment.environment.state.write(deployment.environment.state.deleted, json.dumps(entries, indent=1))
    return touched


def _fingerprint(deployment: Deployment, day: date) -> str | None:
    """What the observations of a day were built from, whatever became of the tables after them."""
    try:
        return day_file(deployment.data, "observations", day).metadata(of_any_columns=True).input_fingerprint
    except TableError:
        return None


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
        case {"fingerprint": str()}:
            read = entry.get("read", {})
            return is_date(day) and isinstance(read, dict) and all(map(_has_counts, (entry, *read.values())))
    return False


def _has_counts(entry: Any) -> bool:  # noqa: ANN401 -- whatever JSON may hold
    match entry:
        case {"polls": dict(polls)}:
            values = entry.get("values", {})
            numbers = (*polls.values(), *values.values()) if isinstance(values, dict) else (None,)
            return all(isinstance(number, int) for number in numbers)
    return False

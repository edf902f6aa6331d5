"""An import written, and taken back: UTC day by UTC day, so that what was interrupted is finished by a new start.

Belongs here: the order in which marks, memory and polls survive a kill. Does not: what is written (`planning`).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import NamedTuple

import numpy as np

from air_pipeline.days.imports import Import, Stage, keep_import, known_imports
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.importing.aligning import DAY_MS
from air_pipeline.importing.planning import AFTER_LAST_MS, Plan
from air_pipeline.importing.rows import ImportFailed
from air_pipeline.in_force import keep_former
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.settings import Device
from air_pipeline.storage.copying import span_of
from air_pipeline.storage.store import Summary
from air_pipeline.storage.written_over import mark_written_over

_POLLS_AT_ONCE = 5_000


class Day(NamedTuple):
    """A UTC day of an import: its date, how many polls were written on it now, how many days are to come."""

    day: date
    written: int
    left: int


def write_import(deployment: Deployment, plan: Plan) -> Iterator[Day]:
    """Writes what a plan says, day by day; a day that is there already is passed.

    Raises:
        ImportFailed: the polls of a day are not there afterwards.
        StoreError: the store cannot be read or written.
        SettingsError, OSError: the state directory cannot be written.
    """
    state, store = deployment.environment.state, deployment.store
    deployment.remember_store()
    start, end = plan.span
    begun = from_epoch_ms(round(deployment.now().timestamp() * 1000)).isoformat(timespec="seconds")
    one = Import(plan.import_id, plan.device.id, plan.history.source, start, end, len(plan.aligned), begun)
    known = known_imports(state).get(one.id)
    if known is not None and known.stage is Stage.BEGUN:
        one = replace(one, begun_at=known.begun_at)
    keep_import(state, one)
    series = Device(plan.device.id, "", plan.device.timezone, parameters=plan.history.parameters)
    keep_former(deployment.settings, state, also=[series])
    days = sorted({*(plan.aligned.slots // DAY_MS).tolist(), *(at // DAY_MS for at in plan.ends)})
    for number, day in enumerate(days, start=1):
        midnight, date_of = day * DAY_MS, from_epoch_ms(day * DAY_MS).date()
        written = 0
        if _there(deployment, plan, midnight) != _wanted(plan, midnight):
            polls = list(_polls(plan, midnight, midnight + DAY_MS))
            mark_written_over(store, [date_of])
            for first in range(0, len(polls), _POLLS_AT_ONCE):
                store.write(polls[first : first + _POLLS_AT_ONCE])
            written = len(polls)
        yield Day(date_of, written, len(days) - number)
    # Those that a killed start wrote, too.
    mark_written_over(store, [from_epoch_ms(day * DAY_MS).date() for day in days])
    keep_import(state, replace(one, stage=Stage.DONE))


def _wanted(plan: Plan, midnight: int) -> Summary:
    """What the store holds of a UTC day once it is written."""
    first, last = np.searchsorted(plan.aligned.slots, [midnight, midnight + DAY_MS])
    ends = sum(midnight <= at < midnight + DAY_MS for at in plan.ends)
    values = sum(int((~np.isnan(column[first:last])).sum()) for column in plan.aligned.series.values())
    return Summary(int(last - first) + ends, 0.0, values)


def _there(deployment: Deployment, plan: Plan, midnight: int) -> Summary | None:
    held = deployment.store.imports(midnight, midnight + DAY_MS).get(plan.device.id, {})
    return held.get(plan.import_id)


def _polls(plan: Plan, start: int, end: int) -> Iterator[Poll]:
    """The polls of a plan in [start, end), ms UTC, in order."""
    aligned, device = plan.aligned, plan.device.id
    first, last = (int(place) for place in np.searchsorted(aligned.slots, [start, end]))
    ends = {at for at in plan.ends if start <= at < end}
    columns = {name: values[first:last].tolist() for name, values in aligned.series.items()}
    slots, intervals = aligned.slots[first:last].tolist(), aligned.interval_ms[first:last].tolist()
    for place, problems in enumerate(aligned.problems(slice(first, last))):
        values = {name: column[place] for name, column in columns.items() if column[place] == column[place]}
        interval_s = intervals[place] / 1000
        yield Poll(
            device,
            slots[place],
            Outcome.IMPORTED,
            0.0,
            interval_s,
            values=values,
            problems=problems,
            import_id=plan.import_id,
        )
        if (at := slots[place] + AFTER_LAST_MS) in ends:
            yield Poll(device, at, Outcome.ENDED, 0.0, interval_s, import_id=plan.import_id)


def undo_import(deployment: Deployment, import_id: str) -> int:
    """Takes an import back, whichever device it is of; days need not keep what they hold of it. How many polls went.

    Raises:
        ImportFailed: nothing is known of it, or something of it is still there afterwards.
        StoreError: the store cannot be read or written.
        SettingsError, OSError: the state directory cannot be written.
    """
    state, store = deployment.environment.state, deployment.store
    known = known_imports(state).get(import_id)
    found = held_of(deployment, import_id)
    if known is None and not found:
        raise ImportFailed(f"there is no import {import_id}; those there are: air-pipeline import --list")
    span = span_of(store) or (0, 0)
    start, end = (known.start, known.end) if known else span
    days = [from_epoch_ms(at).date() for at in range(start // DAY_MS * DAY_MS, end + DAY_MS, DAY_MS)]
    if known is not None:
        keep_import(state, replace(known, stage=Stage.UNDONE))
    else:
        device, held = next(iter(found.items()))
        keep_import(state, Import(import_id, device, "", start, end, held.polls, "", Stage.UNDONE))
    mark_written_over(store, days)
    for device in {*found, *([known.device] if known else [])}:  # of what ours hide nothing is found
        store.delete_import(device, import_id, *span)
    mark_written_over(store, days)  # a tick in between has compared them with what was still there
    if held_of(deployment, import_id):
        raise ImportFailed(f"polls of import {import_id} are still there: is another import running? Undo it again")
    return sum(one.polls for one in found.values())


def held_of(deployment: Deployment, import_id: str) -> dict[str, Summary]:
    """What the store holds of an import, by device."""
    span = span_of(deployment.store)
    held = deployment.store.imports(*span) if span else {}
    return {device: imports[import_id] for device, imports in held.items() if import_id in imports}

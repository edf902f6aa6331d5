"""What would come of a history, before anything is written: its series, its slots, and what has them already.

Belongs here: deciding, from rows and from what the store holds. Does not: slots and intervals (`aligning`), writing
(`writing`).

Polls of our own, and of other imports, go before: a slot within the interval of one of them stays theirs.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from air_pipeline.catalogue import Parameter, of_name
from air_pipeline.deployment import Deployment
from air_pipeline.devices.kinds import DEFAULT, KINDS
from air_pipeline.devices.polls import Outcome
from air_pipeline.importing.aligning import DAY_MS, HOUR_MS, Aligned, align
from air_pipeline.importing.mapping import Meaning
from air_pipeline.importing.rows import ImportFailed, Instants, Notes, Rows
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.settings import Device, SettingsError
from air_pipeline.settings.sensors import parameters_of
from air_pipeline.settings.values import near
from air_pipeline.storage.store import ReadingStore
from air_pipeline.units import DIGITS, can_convert, converted, kept_in, spelt

AFTER_LAST_MS = 1
"""How long after its last slot a stretch ends: at an instant that no slot has."""

EMPTY = "rows have no value and are left out"
FUTURE = "rows lie in the future and are left out"
OUTSIDE = "rows lie outside of --from and --to and are left out"
SHARED = "rows share a slot with a later row of the same columns; the last value counts"
COVERED = "slots are left out, as polls of ours or another import have them"


class History(NamedTuple):
    """Rows of a device as series of it.

    Attributes:
        device: whose.
        rows: values in the units of the series.
        parameters: what the series are.
        interval_ms: of all rows, if the mapping says it.
        source: where they came from, for people.
    """

    device: Device
    rows: Rows
    parameters: tuple[Parameter, ...]
    interval_ms: int | None
    source: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be written.

    Attributes:
        import_id: what its polls would carry.
        history: of what.
        aligned: the values at the slots that are free.
        ends: after which slots nothing is expected any more, as instants, ms UTC.
    """

    import_id: str
    history: History
    aligned: Aligned
    ends: tuple[int, ...]

    @property
    def device(self) -> Device:
        """Whose history it is."""
        return self.history.device

    @property
    def span(self) -> tuple[int, int]:
        """From the first slot to the end of the last, ms UTC."""
        return int(self.aligned.slots[0]), int(self.aligned.slots[-1] + self.aligned.interval_ms[-1])

    @property
    def days(self) -> tuple[date, date]:
        """The local dates of its first and its last slot."""
        first, last = (from_epoch_ms(int(self.aligned.slots[place])) for place in (0, -1))
        return first.astimezone(self.device.zone).date(), last.astimezone(self.device.zone).date()


def history_of(deployment: Deployment, device_id: str, meaning: Meaning, rows: Rows, source: str) -> History:
    """Rows as series of a device, in the units of these.

    Raises:
        SettingsError: the settings have no such device, a series cannot be one, or a unit is not one of it.
    """
    known = deployment.settings.known
    if device_id not in known:
        hint = near(device_id, known, otherwise="; add it there, with until: if it is gone")
        raise SettingsError(f"{deployment.environment.config} has no device {device_id}{hint}")
    device = known[device_id]
    has = {parameter.series: parameter for parameter in device.parameters}
    values, parameters = {}, []
    for column, (series, unit) in meaning.columns.items():
        if series not in rows.series:
            continue
        parameter = has.get(series) or of_name(series)
        if not parameter.unit:
            parameter = _unknown(series, column, unit, meaning)
        if not can_convert(unit or parameter.unit, parameter.unit):
            raise SettingsError(
                f"{meaning.name}: columns.{column}: {series} is in {parameter.unit}, and {unit} cannot be said in it"
            )
        as_ours = converted(rows.series[series], unit or parameter.unit, parameter.unit)
        values[series] = as_ours if as_ours is rows.series[series] else np.round(as_ours, DIGITS)
        parameters.append(parameter)
    converted_rows = Rows(rows.times, values, {name: rows.spoilt[name] for name in values if name in rows.spoilt})
    return History(device, converted_rows, tuple(parameters), meaning.said.interval, source)


def _unknown(series: str, column: str, unit: str | None, meaning: Meaning) -> Parameter:
    """A series that neither the settings nor the catalogue know, by what the mapping says of it."""
    place = f"{meaning.name}: columns.{column}"
    sensor, _, name = series.partition("_")
    if unit is None:
        raise SettingsError(f"{place}: nobody knows the unit of {series}; say it: {{series: {series}, unit: …}}")
    _, mistakes = parameters_of({sensor: {name: {"unit": spelt(unit)}}}, KINDS[DEFAULT])
    if mistakes:
        raise SettingsError(f"{place}: {series} is no series ({mistakes[0][1]}); write it as sds011_pm25")
    return Parameter(sensor, name, kept_in(unit), name)


def plan_import(
    store: ReadingStore,
    history: History,
    notes: Notes,
    *,
    now: int,
    span: tuple[int, int],
    ignoring: Collection[str] = (),
) -> Plan:
    """What would come of a history into a store.

    Args:
        store: which is only read.
        history: of one device.
        notes: where what stays out is noted.
        now: ms UTC; what lies later is left out.
        span: from when until when it is wanted, ms UTC.
        ignoring: imports that are taken back before.

    Raises:
        ImportFailed: nothing comes.
        StoreError: the store cannot say what it holds.
    """
    rows, times = history.rows, history.rows.times
    notes.add(FUTURE, int((times > now).sum()))
    outside = (times < span[0]) | (times >= span[1])
    notes.add(OUTSIDE, int((outside & (times <= now)).sum()))
    wanted = rows.at(~outside & (times <= now))
    some = wanted.with_something()
    notes.add(EMPTY, len(wanted) - len(some))
    if not len(some):
        raise ImportFailed(f"nothing comes of {history.source}: {'; '.join(notes.sentences()) or 'it has no rows'}")
    aligned = align(some, history.interval_ms)
    notes.add(SHARED, aligned.shared)
    import_id = _id(history, aligned)
    others = _others(store, history.device.id, aligned, {import_id, *ignoring})
    covered = others.covers(aligned.slots)
    notes.add(COVERED, int(covered.sum()), _whose(others, aligned.slots[covered]))
    free = aligned.without(covered)
    stretches = [(int(free.slots[first]), int(free.slots[last - 1])) for first, last in free.stretches()]
    ends = [last + AFTER_LAST_MS for first, last in stretches if not others.expected_at(first)]
    return Plan(import_id, history, free, tuple(ends))


def check_start(deployment: Deployment, plan: Plan) -> None:
    """Makes sure that what comes is in days that can be built.

    Raises:
        SettingsError: `start` is later.
    """
    first, _ = plan.days
    if first < deployment.settings.start:
        raise SettingsError(
            f"{deployment.environment.config} says start: {deployment.settings.start}, and this begins on"
            f" {first}: days before start are never built, so nothing was written. Set there\n"
            f"start: {first}\nand give this command again; or import a part: --from {deployment.settings.start}"
        )


class _Others(NamedTuple):
    """Polls that are not of this import: slots, rising; their ends; which are `ended`; of which import."""

    slots: Instants
    ends: Instants
    is_end: np.ndarray
    imports: np.ndarray
    is_expected_before: bool

    def covers(self, slots: Instants) -> np.ndarray:
        """Which slots lie within the interval of one of them."""
        polls, ends = self.slots[~self.is_end], self.ends[~self.is_end]
        place = np.searchsorted(polls, slots, side="right") - 1
        covered: np.ndarray = (place >= 0) & (slots < ends[np.maximum(place, 0)]) if len(polls) else place >= 0
        return covered

    def expected_at(self, time: int) -> bool:
        """Whether the device was expected at a time by what they say."""
        place = int(np.searchsorted(self.slots, time)) - 1
        return self.is_expected_before if place < 0 else not self.is_end[place]


def _others(store: ReadingStore, device: str, aligned: Aligned, ignoring: Collection[str]) -> _Others:
    start, end = int(aligned.slots[0]) - HOUR_MS, int(aligned.slots[-1]) + 1
    frames = []
    days = np.unique(np.concatenate([aligned.slots, aligned.slots - HOUR_MS]) // DAY_MS)  # a wrong year is far away
    for midnight in (days * DAY_MS).tolist():
        edges = max(start, midnight), min(end, midnight + DAY_MS)
        held = store.summaries(*edges).get(device)
        ours = store.imports(*edges).get(device, {}) if held else {}
        if held and held.polls > sum(one.polls for name, one in ours.items() if name in ignoring):
            frames.append(store.polls(device, *edges)[["outcome", "interval_s", "import"]])
    before = store.before(device, start)
    if not frames:
        nothing = np.empty(0, np.int64)
        return _Others(nothing, nothing, nothing.astype(bool), nothing, before is not None and not before.is_ended)
    polls = pd.concat(frames)
    polls = polls[~polls["import"].isin(list(ignoring))]
    slots = polls.index.as_unit("ms").asi8  # type: ignore[attr-defined]
    intervals = np.rint(polls["interval_s"].to_numpy() * 1000).astype(np.int64)
    return _Others(
        slots,
        slots + np.maximum(intervals, 1),
        (polls["outcome"] == Outcome.ENDED.value).to_numpy(dtype=bool),
        polls["import"].fillna("").to_numpy(),
        before is not None and not before.is_ended,
    )


def _whose(others: _Others, slots: Instants) -> list[str]:
    """Which imports have some of these slots."""
    if not len(slots):
        return []
    near_by = (others.slots >= slots[0] - HOUR_MS) & (others.slots <= slots[-1])
    return [f"import {name}" for name in sorted(set(others.imports[near_by].tolist())) if name]


def _id(history: History, aligned: Aligned) -> str:
    """The same for the same device and values, whatever order or files they came in: so it is the same import again."""
    digest = hashlib.sha256(json.dumps([history.device.id, sorted(aligned.series)]).encode())
    for column in (aligned.slots, aligned.interval_ms, *(aligned.series[name] for name in sorted(aligned.series))):
        digest.update(np.ascontiguousarray(column).tobytes())
    digest.update(json.dumps(_plain(aligned.spoilt), sort_keys=True).encode())
    return digest.hexdigest()[:10]


def _plain(spoilt: Mapping[str, Mapping[int, str]]) -> dict[str, dict[str, str]]:
    return {name: {str(slot): text for slot, text in texts.items()} for name, texts in spoilt.items()}

"""What a day is built from, in short: so that a day built from something else is noticed."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any

from air_pipeline.days.calendar import DeviceDay, device_days, stretches_of_restarts
from air_pipeline.days.holdings import holding_of
from air_pipeline.days.presence import PresentDay, expected_stretches, present_day, reach_of
from air_pipeline.processing.columns import RULE_SET_VERSION, SCHEMA_VERSION
from air_pipeline.processing.local_time import from_epoch_ms, span_ms
from air_pipeline.processing.rules import influence
from air_pipeline.settings import Device, Settings
from air_pipeline.storage.day_files import DayMetadata, Holding
from air_pipeline.storage.store import FirstPoll, LateMark, ReadingStore, Summary
from air_pipeline.storage.written_over import written_over


class Standing(StrEnum):
    """How a built day stands to what it would be built from now."""

    MISSING = "missing"
    CHANGED = "changed"
    CURRENT = "current"
    SHRUNK = "shrunk"
    """Changed, and something would be lost."""


_NOTHING = Summary(polls=0, duration_ms=0.0, values=0)


@dataclass(frozen=True, slots=True)
class DayInputs:
    """What a day would be built from now.

    Attributes:
        settings_digest: changes with what is set for the devices that were expected and the series that they were asked
            for, and with when they were expected.
        fingerprint: JSON with `polls` and `sha256`: changes with what the store holds of them, and whenever that was
            written over.
        polls: how many polls the store holds of them.
        rule_set_version: of the rules that would flag it.
        devices: the devices that were expected at any time of the day, by id.
        holdings: what the store holds of each in its own local day.
    """

    settings_digest: str
    fingerprint: str
    polls: int
    rule_set_version: str
    devices: tuple[PresentDay, ...]
    holdings: Mapping[str, Holding]


def day_inputs(store: ReadingStore, settings: Settings, day: date, first_poll: FirstPoll | None = None) -> DayInputs:
    """What a day would be built from now, by what the store holds in each device's day and in the reach of the rules.

    Args:
        store: the readings.
        settings: of now.
        day: the local date.
        first_poll: tells the slot of a device's first poll from a time on, if not the store: who asks for many days
            remembers it.

    Raises:
        StoreError: the store cannot say.
    """
    first_poll = cache(first_poll or store.first_poll)
    marks = written_over(store)
    present: list[PresentDay] = []
    digests: list[list[Any]] = []
    held: list[list[Any]] = []
    holdings: dict[str, Holding] = {}
    for (start, end), days in _windows(device_days(settings, day)).items():
        # What is counted takes as long as there is much of it: the day once, and apart what else is in reach.
        of_day = store.summaries(days[0].start, days[0].end)
        beside = [span for span in ((start, days[0].start), (days[0].end, end)) if span[0] < span[1]]
        summaries = _added(of_day, *(store.summaries(*span) for span in beside))
        imports, asked = store.imports(start, end), store.asked(start, end)
        imported_of_day = store.imports(days[0].start, days[0].end) if imports else {}
        held_of = holding_of(days[0].start, days[0].end, of_day, imported_of_day)
        # Of what is not read whole: the one slot after the day, and where restarts are looked up.
        following = store.first_polls(days[0].end, days[0].end + span_ms(influence()[1]))
        emptied = store.emptied(days[0].start - span_ms(influence()[0]), start)
        if (over := _last_written_over(marks, days[0])) is not None:
            held.append(["", 0, over])
        for day_of in days:
            name = day_of.device.id
            summary = summaries.get(name, _NOTHING)
            is_polled = bool(summary.polls)
            one = present_day(store, settings, day_of, first_poll, asked.get(name), is_polled=is_polled)
            if one is None:
                continue
            present.append(one)
            interval = _unsaid_interval(store, one, summary, first_poll(name, day_of.earliest))
            digests.append([name, one.device.digest, *one.expected, interval])
            around = [following.get(name), *_restarts_held(store, one.device, emptied.get(name, ()))]
            imported = sorted((key, one.polls, one.values) for key, one in imports.get(name, {}).items())
            held.append([name, summary.polls, summary.duration_ms, summary.values, *around, *imported])
            holdings[name] = held_of(name)
    polls = sum(count for _, count, *_ in held)
    return DayInputs(
        settings_digest=_digest(sorted(digests)),
        fingerprint=json.dumps({"polls": polls, "sha256": _digest(sorted(held))}, separators=(",", ":")),
        polls=polls,
        rule_set_version=RULE_SET_VERSION,
        devices=tuple(sorted(present, key=lambda one: one.device.id)),
        holdings=dict(sorted(holdings.items())),
    )


def usual_settings_digest(
    store: ReadingStore, settings: Settings, day: date, built_with: Mapping[str, Collection[str]], first_poll: FirstPoll
) -> str:
    """The settings digest of a day on which every device was polled that was expected, and asked for some series.

    The store is asked for first polls alone, but of devices with `since` or `until`, and of those of before.

    Args:
        store: the readings.
        settings: of now.
        day: the local date.
        built_with: device to the series that it was asked for.
        first_poll: see `day_inputs`.

    Raises:
        StoreError: the store cannot say.
    """
    digests: list[list[Any]] = []
    for one in device_days(settings, day):
        expected = expected_stretches(store, settings, one, first_poll)
        if any(since < one.end and until > one.start for since, until in expected):
            device, first = one.device, first_poll(one.device.id, one.earliest)
            unsaid = first is None or expected[0][0] < first
            asked = device.asked_for(built_with.get(device.id, ()))
            digests.append([device.id, asked.digest, *expected, device.interval_ms if unsaid else None])
    return _digest(sorted(digests))


def standing_of(built: DayMetadata | None, inputs: DayInputs) -> Standing:
    """Whether a day must be built (again); whether something would be lost by it is another question (`holdings`)."""
    if built is None:
        return Standing.MISSING
    same = (
        built.settings_digest == inputs.settings_digest
        and built.input_fingerprint == inputs.fingerprint
        and built.rule_set_version == inputs.rule_set_version
        and built.schema_version == SCHEMA_VERSION
    )
    return Standing.CURRENT if same else Standing.CHANGED


def _windows(days: Iterable[DeviceDay]) -> dict[tuple[int, int], list[DeviceDay]]:
    """The device days by what their flags depend on: the day and the reach of the rules, in ms UTC."""
    windows: dict[tuple[int, int], list[DeviceDay]] = {}
    for one in days:
        windows.setdefault(reach_of(one), []).append(one)
    return windows


def _added(*parts: Mapping[str, Summary]) -> dict[str, Summary]:
    """Device to what stretches that follow upon each other hold of it together."""
    found: dict[str, Summary] = {}
    for device, one in (entry for part in parts for entry in part.items()):
        so_far = found.get(device, _NOTHING)
        found[device] = Summary(
            so_far.polls + one.polls, so_far.duration_ms + one.duration_ms, so_far.values + one.values
        )
    return found


def _last_written_over(marks: Iterable[LateMark], one: DeviceDay) -> int | None:
    """When something was written over last that flags of a day may depend on, ms UTC; None: never."""
    before, after = map(span_ms, influence())
    first, last = (from_epoch_ms(at).date() for at in (one.start - before, one.end + after - 1))
    return max((mark.at for mark in marks if first <= mark.day <= last), default=None)


def _restarts_held(store: ReadingStore, device: Device, emptied: Sequence[int]) -> Iterator[list[float]]:
    """What the store holds where restarts of the device are looked up."""
    for start, end in stretches_of_restarts(emptied):
        summary = store.summaries(start, end).get(device.id, _NOTHING)
        yield [start, end, summary.polls, summary.duration_ms, summary.values]


def _unsaid_interval(store: ReadingStore, one: PresentDay, summary: Summary, first_poll: int | None) -> int | None:
    """The interval that the slots before the first poll of the window are counted with, in ms; None if there are none.

    Of a device that was polled before, the last of those polls says it: that matters only where the window has no poll.
    """
    device, expected_from = one.device, one.expected[0][0]
    if first_poll is None or expected_from < first_poll:
        return device.interval_ms
    if summary.polls:
        return None
    before = store.before(device.id, expected_from)
    return device.interval_ms if before is None else round(before.interval_s * 1000)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]

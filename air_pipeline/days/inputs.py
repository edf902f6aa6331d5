"""What a day is built from, in short: so that a day built from something else is noticed."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any

from air_pipeline.days.calendar import DeviceDay, device_days, stretches_of_restarts
from air_pipeline.processing.columns import RULE_SET_VERSION, SCHEMA_VERSION
from air_pipeline.processing.local_time import span_ms
from air_pipeline.processing.rules import influence, reach
from air_pipeline.settings import Device, Settings
from air_pipeline.storage.day_files import DayMetadata, Holding
from air_pipeline.storage.store import FirstPoll, ReadingStore, Summary


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
        settings_digest: changes with the settings of the devices that were expected, and with when they were.
        fingerprint: JSON with `polls` and `sha256`: changes with what the store holds of them.
        polls: how many polls the store holds of them.
        rule_set_version: of the rules that would flag it.
        devices: the devices that were expected at any time of the day, by id.
        holdings: what the store holds of each in its own local day.
    """

    settings_digest: str
    fingerprint: str
    polls: int
    rule_set_version: str
    devices: tuple[DeviceDay, ...]
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
    first_poll, summaries_of = first_poll or store.first_poll, cache(store.summaries)
    present: list[DeviceDay] = []
    digests: list[list[Any]] = []
    held: list[list[Any]] = []
    holdings: dict[str, Holding] = {}
    for (start, end), days in _windows(device_days(settings, day)).items():
        summaries = summaries_of(start, end)
        # Of what is not read whole: the one slot after the day, and where restarts are looked up.
        following = store.first_polls(days[0].end, days[0].end + span_ms(influence()[1]))
        emptied = store.emptied(days[0].start - span_ms(influence()[0]), start)
        for one in days:
            device, summary = one.device, summaries.get(one.device.id, _NOTHING)
            first = first_poll(device.id, one.earliest)
            limits = _limits(one, start, end, first)
            if limits is None:
                continue
            present.append(one)
            interval = _unsaid_interval(store, device, limits[0], summary, first)
            digests.append([device.id, device.digest, *limits, interval])
            around = [following.get(device.id), *_restarts_held(store, device, emptied.get(device.id, ()))]
            held.append([device.id, summary.polls, summary.duration_ms, summary.values, *around])
            own = summaries_of(one.start, one.end).get(device.id, _NOTHING)
            holdings[device.id] = Holding(one.start, one.end, own.polls, own.values)
    polls = sum(count for _, count, *_ in held)
    return DayInputs(
        settings_digest=_digest(sorted(digests)),
        fingerprint=json.dumps({"polls": polls, "sha256": _digest(sorted(held))}, separators=(",", ":")),
        polls=polls,
        rule_set_version=RULE_SET_VERSION,
        devices=tuple(sorted(present, key=lambda one: one.device.id)),
        holdings=dict(sorted(holdings.items())),
    )


def usual_settings_digest(settings: Settings, day: date, first_poll: FirstPoll) -> str:
    """The settings digest of a day on which every device that was expected was polled: the store need not be asked."""
    digests: list[list[Any]] = []
    for (start, end), days in _windows(device_days(settings, day)).items():
        for one in days:
            device, first = one.device, first_poll(one.device.id, one.earliest)
            if (limits := _limits(one, start, end, first)) is not None:
                unsaid = first is None or limits[0] < first
                digests.append([device.id, device.digest, *limits, device.interval_ms if unsaid else None])
    return _digest(sorted(digests))


def _limits(one: DeviceDay, start: int, end: int, first_poll: int | None) -> tuple[int, int] | None:
    """From when and until when a device is expected in [start, end), ms UTC; None where not at all in its day."""
    since, until = one.device.expected_between(first_poll)
    if since >= one.end or until <= one.start:
        return None
    return max(since, start), min(until, end)


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
    before, after = map(span_ms, reach())
    windows: dict[tuple[int, int], list[DeviceDay]] = {}
    for one in days:
        windows.setdefault((one.start - before, one.end + after), []).append(one)
    return windows


def _restarts_held(store: ReadingStore, device: Device, emptied: Sequence[int]) -> Iterator[list[float]]:
    """What the store holds where restarts of the device are looked up."""
    for start, end in stretches_of_restarts(emptied):
        summary = store.summaries(start, end).get(device.id, _NOTHING)
        yield [start, end, summary.polls, summary.duration_ms, summary.values]


def _unsaid_interval(
    store: ReadingStore, device: Device, expected_from: int, summary: Summary, first_poll: int | None
) -> int | None:
    """The interval that the slots before the first poll of the window are counted with, in ms; None if there are none.

    Of a device that was polled before, the last of those polls says it: that matters only where the window has no poll.
    """
    if first_poll is None or expected_from < first_poll:
        return device.interval_ms
    if summary.polls:
        return None
    said = store.interval_before(device.id, expected_from)
    return device.interval_ms if said is None else round(said * 1000)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]

"""Which devices a day has, when they were expected in it, and what they were asked for: as it was polled then.

Belongs here: what polls and settings say together. Does not: what polls say slot by slot (`processing`).

Settings of today decide only what nobody was ever asked. A device is expected from its first poll, or `since`, for as
long as the settings name it; and whenever it was polled, whatever they say now: one that they name no longer, until its
last poll. Its series are those that it was asked for then (`processing.asked`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from air_pipeline.days.calendar import DeviceDay
from air_pipeline.devices.polls import AskedFor
from air_pipeline.processing.local_time import span_ms
from air_pipeline.processing.rules import reach
from air_pipeline.settings import Device, Settings
from air_pipeline.storage.store import LATEST_MS, Asked, FirstPoll, ReadingStore

_BY_NAME = 15
"""To ask a store of all of a thousand devices takes as long as of so many, one after the other."""

Stretch = tuple[int, int]
"""From when and until when (not included), ms UTC."""


@dataclass(frozen=True, slots=True)
class PresentDay:
    """A device that was expected at some time of its day.

    Attributes:
        device: whose, with the series that it was asked for then.
        start: the first instant of its day, ms UTC.
        end: its end, ms UTC.
        expected: when it was expected, in the day and in the reach of the rules before it.
        opening: what it was asked for when that reach begins.
    """

    device: Device
    start: int
    end: int
    expected: tuple[Stretch, ...]
    opening: AskedFor


def reach_of(one: DeviceDay | PresentDay) -> Stretch:
    """The day and the reach of the rules: what is read whole."""
    before, after = map(span_ms, reach())
    return one.start - before, one.end + after


def present_day(
    store: ReadingStore,
    settings: Settings,
    one: DeviceDay,
    first_poll: FirstPoll,
    asked: Asked | None,
    *,
    is_polled: bool,
) -> PresentDay | None:
    """A device on its day, as it was polled then; None if it was not expected at all.

    Args:
        store: the readings.
        settings: of now.
        one: the device and its day.
        first_poll: tells the slot of a device's first poll from a time on.
        asked: what polls say that it was asked for, in the reach of its day.
        is_polled: whether there is a poll in the reach of its day.

    Raises:
        StoreError: the store cannot say.
    """
    expected = expected_stretches(store, settings, one, first_poll)
    if not any(since < one.end and until > one.start for since, until in expected):
        return None
    span = reach_of(one)
    if not is_polled and (before := store.before(one.device.id, span[0])) is not None and before.is_ended:
        return None
    series, opening = _asked_for(store, settings, one.device, span, asked)
    return PresentDay(one.device.asked_for(series), one.start, one.end, expected, opening)


def present_days(
    store: ReadingStore, settings: Settings, days: Iterable[DeviceDay], first_poll: FirstPoll
) -> list[PresentDay]:
    """Those that `present_day` finds of days, by device: of many devices the store is asked at once.

    Raises:
        StoreError: the store cannot say.
    """
    spans: dict[Stretch, list[DeviceDay]] = {}
    for one in days:
        spans.setdefault(reach_of(one), []).append(one)
    found: list[PresentDay | None] = []
    for span, of_span in spans.items():
        names = [one.device.id for one in of_span] if len(of_span) <= _BY_NAME else [None]
        asked = {device: said for name in names for device, said in store.asked(*span, name).items()}
        polled = {device for name in names for device in store.first_polls(*span, name)}
        for one in of_span:
            name = one.device.id
            found.append(present_day(store, settings, one, first_poll, asked.get(name), is_polled=name in polled))
    return sorted((one for one in found if one is not None), key=lambda one: one.device.id)


def remembered_first_polls(store: ReadingStore, devices: int) -> FirstPoll:
    """`ReadingStore.first_poll`, asking once for each answer; of many devices, for those of all at once."""
    if devices <= _BY_NAME:
        return cache(store.first_poll)
    since = cache(lambda time: store.first_polls(time, LATEST_MS))
    return lambda device, time: since(time).get(device)


def present_alone(store: ReadingStore, settings: Settings, one: DeviceDay) -> PresentDay | None:
    """As `present_day`, for who asks of a single device.

    Raises:
        StoreError: the store cannot say.
    """
    return next(iter(present_days(store, settings, [one], store.first_poll)), None)


def expected_stretches(
    store: ReadingStore, settings: Settings, one: DeviceDay, first_poll: FirstPoll
) -> tuple[Stretch, ...]:
    """When a device is expected in the reach of its day: by the settings, and whenever it was polled."""
    start, end = reach_of(one)
    named = any(device.id == one.device.id for device in settings.devices)
    found = _stretches(store, one, end, first_poll, is_named=named)
    return tuple((max(since, start), min(until, end)) for since, until in found if since < end and until > start)


def _stretches(
    store: ReadingStore, one: DeviceDay, end: int, first_poll: FirstPoll, *, is_named: bool
) -> Iterator[Stretch]:
    device, first = one.device, first_poll(one.device.id, one.earliest)
    if not is_named:
        if first is not None and first < end:
            yield first, _last_poll(store, device, end, first_poll)
        return
    since, until = device.expected_between(first)
    if first is not None and first < since:
        yield first, _last_poll(store, device, since)
    yield since, until
    if device.until is not None and (again := first_poll(device.id, until)) is not None and again < end:
        yield again, _last_poll(store, device, end, first_poll)


def _last_poll(store: ReadingStore, device: Device, end: int, first_poll: FirstPoll | None = None) -> int:
    """When the slot after the last poll before a time was due; the time itself, if there are polls beyond it."""
    if first_poll is not None and first_poll(device.id, end) is not None:
        return end
    last = store.before(device.id, end)
    return end if last is None else min(last.slot + round(last.interval_s * 1000), end)


def _asked_for(
    store: ReadingStore, settings: Settings, device: Device, span: Stretch, asked: Asked | None
) -> tuple[frozenset[str], AskedFor]:
    """The series that a device was asked for in a span, and what it was asked for when that begins."""
    if asked is not None and asked.before is not None:
        return asked.before | asked.within, AskedFor(asked.before, is_said=True)
    said = asked.within if asked is not None else frozenset()
    stated = store.stated(device.id, *span)
    before = store.nearest_stated(device.id, span[0], earlier=True)
    # Before the first poll that states any hold the series of that one; without any, those of the settings.
    opening = before or store.nearest_stated(device.id, span[0], earlier=False) or said
    if not opening:
        now = {one.id: one for one in settings.devices}.get(device.id, device)
        opening = frozenset(parameter.series for parameter in now.parameters)
    return said | stated | opening, AskedFor(opening)

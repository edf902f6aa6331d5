"""What the flags of a device's day are made of, from the store: the day, what is before it, the one slot after it.

Belongs here: how much is read. Does not: what becomes of it (`processing`).
"""

from datetime import datetime

import numpy as np

from air_pipeline.days.calendar import DeviceDay, stretches_of_restarts
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.local_time import epoch_ms, span_ms
from air_pipeline.processing.restarts import matter_to
from air_pipeline.processing.rules import RESTARTS_BEFORE, influence, reach
from air_pipeline.processing.slots import Instants, expected_slots, index_ms
from air_pipeline.processing.station import NO_INSTANTS, Station
from air_pipeline.storage.store import ReadingStore


def device_station(store: ReadingStore, one: DeviceDay, now: datetime | None = None) -> Station:
    """One device as the rules see it, to flag its day.

    Args:
        store: the readings.
        one: the device and its day.
        now: for a day that may not be over. Then slots after it are not expected yet, nor are those that the device
            may still answer within its timeout; a flag is final once the slot after it has come in.

    Raises:
        StoreError: the store cannot be read.
        ProcessingError: the store holds what cannot be flagged.
    """
    start = one.start - span_ms(reach()[0])
    first = None if one.device.since else store.first_poll(one.device.id, one.earliest)
    expected = one.device.expected_between(first)
    earlier = _restarts_before(store, one, start, expected)
    return _station(store, one, (start, _end(store, one)), expected, earlier, now)


def _end(store: ReadingStore, one: DeviceDay) -> int:
    """The end of what is read: after the first poll at or after the end of the day, if one follows soon."""
    device, soon = one.device.id, one.end + span_ms(influence()[1])
    following = store.first_polls(one.end, soon, device).get(device)
    return one.end if following is None else following + 1


def _station(
    store: ReadingStore,
    one: DeviceDay,
    span: tuple[int, int],
    expected: tuple[int, int],
    earlier: Instants = NO_INSTANTS,
    now: datetime | None = None,
) -> Station:
    device, (start, end) = one.device, span
    if now is not None:
        end = min(end, epoch_ms(now))
    polls = store.polls(device.id, start, end)
    readings = store.readings(device.id, start, end)
    if now is not None:
        answered = index_ms(polls)[-1:] + 1
        end = min(end, max(epoch_ms(now) - round(device.timeout_s * 1000), *answered.tolist(), start))
    said = store.interval_before(device.id, start)
    slots = expected_slots(
        start,
        end,
        polls=polls,
        readings=readings,
        opening_interval_ms=device.interval_ms if said is None else round(said * 1000),
        expected_from=expected[0],
        expected_until=expected[1],
    )
    return station_of(device, readings, polls, slots, earlier)


def _restarts_before(store: ReadingStore, one: DeviceDay, start: int, expected: tuple[int, int]) -> Instants:
    """When the device restarted before what is read whole: looked up where empty texts came, and read only there."""
    if not matter_to(one.device):
        return NO_INSTANTS
    before = one.start - span_ms(RESTARTS_BEFORE)
    emptied = store.emptied(before, start, one.device.id).get(one.device.id, ())
    found = [_station(store, one, span, expected).restarts for span in stretches_of_restarts(emptied)]
    return np.concatenate([NO_INSTANTS, *found])

"""What the flags of a device's day are made of, from the store: the day, what is before it, the one slot after it.

Belongs here: how much is read. Does not: what becomes of it (`processing`).
"""

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pandas as pd

from air_pipeline.days.calendar import stretches_of_restarts
from air_pipeline.days.presence import PresentDay, reach_of
from air_pipeline.devices.polls import AskedFor
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.local_time import epoch_ms, from_epoch_ms, span_ms
from air_pipeline.processing.observations import DeviceObservations
from air_pipeline.processing.restarts import matter_to
from air_pipeline.processing.rules import RESTARTS_BEFORE, influence, reach
from air_pipeline.processing.slots import ExpectedSlots, Instants, expected_slots, index_ms
from air_pipeline.processing.station import NO_INSTANTS, Station
from air_pipeline.settings import ALWAYS, NEVER
from air_pipeline.storage.store import ReadingStore


def device_station(store: ReadingStore, one: PresentDay, now: datetime | None = None) -> Station:
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
    return station_and_polls(store, one, now)[0]


def station_and_polls(
    store: ReadingStore, one: PresentDay, now: datetime | None = None
) -> tuple[Station, pd.DataFrame]:
    """As `device_station`, with the polls that were read for it: those of the day and of what matters around it."""
    start = one.start - span_ms(reach()[0])
    return _station(store, one, (start, _end(store, one)), _restarts_before(store, one, start), now, one.opening)


def of_day(
    one: PresentDay, observations: DeviceObservations, polls: pd.DataFrame
) -> tuple[DeviceObservations, pd.DataFrame]:
    """What of a device's observations and polls is of its day."""
    first, last = np.searchsorted(index_ms(polls), [one.start, one.end])
    return observations.between(from_epoch_ms(one.start), from_epoch_ms(one.end)), polls.iloc[first:last]


def _end(store: ReadingStore, one: PresentDay) -> int:
    """The end of what is read: after the first poll at or after the end of the day, if one follows soon."""
    device, soon = one.device.id, one.end + span_ms(influence()[1])
    following = store.first_polls(one.end, soon, device).get(device)
    return one.end if following is None else following + 1


def _station(
    store: ReadingStore,
    one: PresentDay,
    span: tuple[int, int],
    earlier: Instants = NO_INSTANTS,
    now: datetime | None = None,
    opening: AskedFor | None = None,
) -> tuple[Station, pd.DataFrame]:
    device, (start, end) = one.device, span
    if now is not None:
        end = min(end, epoch_ms(now))
    polls = store.polls(device.id, start, end)
    readings = store.readings(device.id, start, end, polls)
    if now is not None:
        answered = index_ms(polls)[-1:] + 1
        end = min(end, max(epoch_ms(now) - round(device.timeout_s * 1000), *answered.tolist(), start))
    before = store.before(device.id, start)
    slots = ExpectedSlots.joined(
        expected_slots(
            start,
            end,
            polls=polls,
            readings=readings,
            opening_interval_ms=device.interval_ms if before is None else round(before.interval_s * 1000),
            expected_from=_resumed(polls, since) if before is not None and before.is_ended else since,
            expected_until=until,
            sleeps=device.sleeps is not None,
        )
        for since, until in _beyond(one)
    )
    return station_of(device, readings, polls, slots, earlier, opening), polls


def _beyond(one: PresentDay) -> Iterator[tuple[int, int]]:
    """When the device was expected, also before and after what was looked at: restarts are, and the slot after."""
    start, end = reach_of(one)
    for since, until in one.expected:
        yield ALWAYS if since <= start else since, NEVER if until >= end else until


def _resumed(polls: pd.DataFrame, since: int) -> int:
    """When a device is expected again of which nothing was: with its next poll."""
    return max(since, int(index_ms(polls)[0]) if len(polls) else NEVER)


def _restarts_before(store: ReadingStore, one: PresentDay, start: int) -> Instants:
    """When the device restarted before what is read whole: looked up where empty texts came, and read only there."""
    if not matter_to(one.device):
        return NO_INSTANTS
    before = one.start - span_ms(RESTARTS_BEFORE)
    emptied = store.emptied(before, start, one.device.id).get(one.device.id, ())
    found = [_station(store, one, span)[0].restarts for span in stretches_of_restarts(emptied)]
    return np.concatenate([NO_INSTANTS, *found])

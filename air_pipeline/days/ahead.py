"""Days that are read and flagged together: what is done once a day otherwise is done once for several.

Belongs here: which days of a device may be one stretch, and cutting it. Does not: reading (`evidence`), flagging
(`processing.flags`), what is made of a day (`building`).

A flag depends on the three hours before its slot, the one slot after it and when the device last restarted, all of
which are the same whether the day is read alone or among others: so each day is what it would be alone, to the byte.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

import pandas as pd

from air_pipeline.days.calendar import device_days
from air_pipeline.days.evidence import of_day, station_and_polls
from air_pipeline.days.former import settings_and_former
from air_pipeline.days.inputs import DayInputs, day_inputs
from air_pipeline.days.presence import PresentDay, reach_of
from air_pipeline.deployment import Deployment
from air_pipeline.processing.flags import flag_station
from air_pipeline.processing.observations import DeviceObservations

MOST_SLOTS = 100_000
"""Of all devices and days together that are held in memory: three days of three devices at 10 s, or eleven of one.
Days of more are read a device at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """Days of one device that were read together."""

    observations: DeviceObservations
    polls: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """A day whose observations are in memory.

    Attributes:
        day: the local date.
        inputs: what it is built from, as it was before it was read.
    """

    day: date
    inputs: DayInputs
    _stretches: dict[str, _Stretch]

    def read(self, one: PresentDay) -> tuple[DeviceObservations, pd.DataFrame]:
        """The observations of a device's day, and its polls in it, as the store gives them."""
        stretch = self._stretches[one.device.id]
        return of_day(one, stretch.observations, stretch.polls)


def read_ahead(deployment: Deployment, days: Sequence[date]) -> dict[date, Ahead]:
    """The first of some days, as many as fit into memory together; none if the first does not.

    Raises:
        StoreError: the store cannot be read.
        ProcessingError: the store holds what cannot be flagged.
    """
    settings, store = settings_and_former(deployment), deployment.store
    first_poll, slots = cache(store.first_poll), 0
    inputs: dict[date, DayInputs] = {}
    for day in days:
        usual = sum((one.end - one.start) // one.device.interval_ms for one in device_days(settings, day))
        if slots + usual > MOST_SLOTS:
            break
        found = day_inputs(store, settings, day, first_poll)
        slots += max(usual, found.polls)  # intervals may have been others
        if slots > MOST_SLOTS:
            break
        inputs[day] = found
    by_device: dict[str, list[tuple[date, PresentDay]]] = {}
    for day, found in inputs.items():
        for one in found.devices:
            by_device.setdefault(one.device.id, []).append((day, one))
    stretches: dict[date, dict[str, _Stretch]] = {day: {} for day in inputs}
    for device, present in by_device.items():
        for together in _together(present):
            station, polls = station_and_polls(store, _joined([one for _, one in together]))
            read = _Stretch(flag_station(station), polls)
            for day, _ in together:
                stretches[day][device] = read
    return {day: Ahead(day, found, stretches[day]) for day, found in inputs.items()}


def _together(present: Iterable[tuple[date, PresentDay]]) -> Iterator[list[tuple[date, PresentDay]]]:
    """The days of one device in stretches in which it was expected all the time, with the same settings and series.

    A day that is like none beside it is alone.
    """
    stretch: list[tuple[date, PresentDay]] = []
    for day, one in present:
        if stretch and _goes_on(stretch[-1][1], one):
            stretch.append((day, one))
        else:
            if stretch:
                yield stretch
            stretch = [(day, one)]
    if stretch:
        yield stretch


def _goes_on(before: PresentDay, one: PresentDay) -> bool:
    always = all(day.expected == (reach_of(day),) for day in (before, one))
    return always and before.end == one.start and before.device == one.device


def _joined(days: Sequence[PresentDay]) -> PresentDay:
    """Days that follow upon each other as one."""
    first, last = days[0], days[-1]
    if first is last:
        return first
    return replace(first, end=last.end, expected=((first.expected[0][0], last.expected[-1][1]),))

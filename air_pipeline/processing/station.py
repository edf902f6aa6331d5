"""A device as the rules see it: its series over the slots, with what rules ask of them, each reckoned once.

Belongs here: differences, windows, what came before and after. Does not: what is believable (`rules`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from air_pipeline.catalogue import MEASURING_CYCLE_S, ONE_NUMBER
from air_pipeline.processing.local_time import span_ms
from air_pipeline.processing.rules import LONGEST_STEP
from air_pipeline.processing.slots import ExpectedSlots, Instants
from air_pipeline.settings import Device

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.bool_]
FEWEST_CYCLES = 5
"""A span with fewer measuring cycles says nothing: what repeats itself within a cycle is no evidence."""
_MILLION = 1e6
NO_INSTANTS: Instants = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Series:
    """One series of a device; every array has a place for each slot.

    Attributes:
        name: of the series.
        unit: of its values.
        slots: the slots.
        values: NaN where there is none.
        sensor_range: what the sensor can measure, ends included; None where it is not known.
        limits: rule parameter to value (`Device.limits`).
    """

    name: str
    unit: str
    slots: ExpectedSlots
    values: Floats
    sensor_range: tuple[float, float] | None = None
    limits: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def has_value(self) -> Places:
        """Where there is a value."""
        return ~np.isnan(self.values)

    @cached_property
    def previous(self) -> Instants:
        """The place of the last value before each slot; −1 where there is none."""
        return last_place(self.has_value)

    @cached_property
    def since_previous_ms(self) -> Instants:
        """How long ago the value before was."""
        at = self.slots.at
        return at - at[self.previous]

    @cached_property
    def change(self) -> Floats:
        """How far the value moved since its neighbour before; NaN where either is missing."""
        near = (self.previous >= 0) & (self.since_previous_ms <= nearby_ms(self.slots))
        return np.where(near, self.values - self.values[self.previous], np.nan)

    @cached_property
    def seconds(self) -> Floats:
        """How long that took; never less than a measuring cycle, within which a device repeats itself."""
        return np.maximum(self.since_previous_ms / 1000, MEASURING_CYCLE_S)

    def change_within(self, longest: timedelta) -> Floats:
        """The change where it took no longer than that; else NaN."""
        return np.where(self.since_previous_ms <= span_ms(longest), self.change, np.nan)

    def onward_within(self, longest: timedelta) -> Floats:
        """How far the value of the very next slot is from this one; NaN where either is missing, or where it is far."""
        onward = np.full(len(self.values), np.nan)
        near = np.diff(self.slots.at) <= np.minimum(nearby_ms(self.slots)[:-1], span_ms(longest))
        onward[:-1] = np.where(near, np.diff(self.values), np.nan)
        return onward

    def moved(self, span: timedelta) -> Floats:
        """How far apart the values of a span were that ends with each slot.

        NaN where there is no value, where values of the span are no neighbours, and where it holds too few of them to
        say anything: fewer than five beyond the first, or than five measuring cycles. It may begin without a value, but
        not for longer than neighbours are apart.
        """
        if span not in self._moved:
            self._moved[span] = self._moved_within(span_ms(span))
        return self._moved[span]

    def mean_within(self, span: timedelta) -> Floats:
        """The mean of the values of a span that ends with each slot; NaN where `moved` is.

        Sums are of whole millionths, so that a mean does not depend on what was before the span: of what is larger than
        a million of the unit it says no more than that.
        """
        mean = np.full(len(self.values), np.nan)
        places = np.flatnonzero(self.has_value)
        if not len(places):
            return mean
        slots, length = self.slots.of(places), span_ms(span)
        whole = is_whole(slots, length)
        millionths = np.rint(np.clip(self.values[places], -_MILLION, _MILLION) * _MILLION).astype(np.int64)
        total = np.concatenate([[0], np.cumsum(millionths)])
        first, end = np.searchsorted(slots.at, slots.at - length), np.arange(1, len(places) + 1)
        mean[places] = np.where(whole, (total[end] - total[first]) / (end - first) / _MILLION, np.nan)
        return mean

    @cached_property
    def _moved(self) -> dict[timedelta, Floats]:
        return {}

    def _moved_within(self, span: int) -> Floats:
        moved = np.full(len(self.values), np.nan)
        places = np.flatnonzero(self.has_value)
        if not len(places):
            return moved
        slots, values = self.slots.of(places), self.values[places]
        whole = is_whole(slots, span)
        rolling = pd.Series(values, pd.DatetimeIndex(slots.at.view("datetime64[ms]"))).rolling(
            f"{span}ms", closed="both"
        )
        moved[places] = np.where(whole, rolling.max().to_numpy() - rolling.min().to_numpy(), np.nan)
        return moved


def nearby_ms(slots: ExpectedSlots) -> Instants:
    """How far another value may be from that of each slot to be its neighbour: three intervals."""
    return np.minimum(3 * slots.interval_ms, span_ms(LONGEST_STEP))


@lru_cache(maxsize=8)
def is_whole(slots: ExpectedSlots, span: int) -> Places:
    """Whether the span, in ms, that ends with each of these slots holds enough of them; see `Series.moved`.

    Remembered, as it is the same for all series that have a value in all slots.
    """
    at, nearby, place = slots.at, nearby_ms(slots), np.arange(len(slots))
    first = np.searchsorted(at, at - span)
    gap = np.concatenate([[True], np.diff(at) > nearby[1:]])
    last_gap = np.maximum.accumulate(np.where(gap, place, 0))
    cycles = np.minimum(span / np.maximum(slots.interval_ms, MEASURING_CYCLE_S * 1000), place - first)
    begins = at[first] <= at - span + nearby
    return np.asarray(begins & (last_gap <= first) & (cycles >= FEWEST_CYCLES))


def last_place(places: Places) -> Instants:
    """Which was the last of some places before each slot; −1 where there was none."""
    found = np.where(places, np.arange(len(places)), -1)
    return np.concatenate([[-1], np.maximum.accumulate(found)[:-1]]).astype(np.int64)[: len(places)]


@dataclass(frozen=True, eq=False)
class Station:
    """One device in a stretch of slots.

    Attributes:
        device: its settings.
        slots: the slots.
        series: its series by name.
        outcomes: the code in `OUTCOME_TYPE` of what became of each slot's poll; −1 where there was none.
        unusable: series to where a value came and could not be used; only series with such a place.
        empty: series to where an empty text came for a value; only series with such a place.
        asked: series to where the device was asked for it; one that is not named was asked for everywhere.
        restarts: the slots at which it is known to have restarted, ms since 1970 UTC, rising; also from before these
            slots.
        cycles: a number for each measuring cycle by the mark in its polls, in any order; −1 where a slot has none.
    """

    device: Device
    slots: ExpectedSlots
    series: Mapping[str, Series]
    outcomes: npt.NDArray[np.int8]
    unusable: Mapping[str, Places] = field(default_factory=dict)
    empty: Mapping[str, Places] = field(default_factory=dict)
    asked: Mapping[str, Places] = field(default_factory=dict)
    restarts: Instants = field(default_factory=lambda: NO_INSTANTS)
    cycles: Instants = field(default_factory=lambda: NO_INSTANTS)

    def __iter__(self) -> Iterator[Series]:
        return iter(self.series.values())

    def was_asked(self, name: str) -> Places:
        """Where the device was asked for a series."""
        return self.asked[name] if name in self.asked else np.ones(len(self.slots), dtype=bool)

    def with_limit(self, name: str) -> Iterator[tuple[Series, float]]:
        """The series for which a rule has this limit, with what it is."""
        for series in self:
            if name in series.limits:
                yield series, series.limits[name]

    def one_number(self, name: str) -> Iterator[str]:
        """A series, and those of the device that are computed from the same number."""
        yield from (one for one in (name, *ONE_NUMBER.get(name, ())) if one in self.series)

    def without(self, left_out: Mapping[str, Places]) -> "Station":
        """The same station without some of its values."""
        some = {name: places for name, places in left_out.items() if places.any()}
        if not some:
            return self
        series = {
            name: replace(one, values=np.where(some[name], np.nan, one.values)) if name in some else one
            for name, one in self.series.items()
        }
        return replace(self, series=series)

"""A device as the rules see it: its series over the slots, with what rules ask of them, each reckoned once.

Belongs here: differences, windows, what came before and after. Does not: what is believable (`rules`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from air_pipeline.processing.local_time import span_ms
from air_pipeline.processing.rules import LONGEST_STEP
from air_pipeline.processing.slots import ExpectedSlots, Instants
from air_pipeline.settings import Device

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.bool_]
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
    """

    name: str
    unit: str
    slots: ExpectedSlots
    values: Floats
    sensor_range: tuple[float, float] | None = None

    @cached_property
    def nearby_ms(self) -> Instants:
        """How far another value may be from that of each slot to be its neighbour: three intervals."""
        return np.minimum(3 * self.slots.interval_ms, span_ms(LONGEST_STEP))

    @cached_property
    def has_value(self) -> Places:
        """Where there is a value."""
        return ~np.isnan(self.values)

    @cached_property
    def previous(self) -> Instants:
        """The place of the last value before each slot; −1 where there is none."""
        return last_place(self.has_value)


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
        restarts: the slots at which it is known to have restarted, ms since 1970 UTC, rising; also from before these
            slots.
    """

    device: Device
    slots: ExpectedSlots
    series: Mapping[str, Series]
    outcomes: npt.NDArray[np.int8]
    unusable: Mapping[str, Places] = field(default_factory=dict)
    empty: Mapping[str, Places] = field(default_factory=dict)
    restarts: Instants = field(default_factory=lambda: NO_INSTANTS)

    def __iter__(self) -> Iterator[Series]:
        return iter(self.series.values())

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

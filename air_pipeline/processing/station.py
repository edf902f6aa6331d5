"""A device as the rules see it: its series over the slots, with what rules ask of them, each reckoned once.

Belongs here: differences, windows, what came before and after. Does not: what is believable (`rules`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from air_pipeline.processing.slots import ExpectedSlots
from air_pipeline.settings import Device

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.bool_]


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


@dataclass(frozen=True, eq=False)
class Station:
    """One device in a stretch of slots.

    Attributes:
        device: its settings.
        slots: the slots.
        series: its series by name.
        unusable: series to where a value came and could not be used; only series with such a place.
    """

    device: Device
    slots: ExpectedSlots
    series: Mapping[str, Series]
    unusable: Mapping[str, Places] = field(default_factory=dict)

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

"""The rules themselves: pure functions of the readings, the polls and the configured ranges.

Belongs here: what each rule says. Does not: its bit, meaning and reach (`rules`), how several verdicts become one flag
(`flags`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.slots import ExpectedSlots
from air_pipeline.settings import Device

Verdicts = npt.NDArray[np.int8]
"""For each slot: 0 the rule cannot be applied, 1 nothing against it, 3 suspect, 4 bad."""

NOT_APPLIED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of one device in a stretch of slots; every array has a place for each slot.

    Attributes:
        device: its settings.
        slots: the slots.
        values: series to its values in its unit; NaN where none was stored.
        unusable: series to where a value came and could not be used; only series with such a place.
    """

    device: Device
    slots: ExpectedSlots
    values: Mapping[str, npt.NDArray[np.float64]]
    unusable: Mapping[str, npt.NDArray[np.bool_]]


def unusable_value(evidence: Evidence) -> dict[str, Verdicts]:
    """Bad where the device sent something that is no number; nothing is said of the values that were stored."""
    return {
        series: np.where(unusable & np.isnan(evidence.values[series]), Flag.BAD, NOT_APPLIED).astype(np.int8)
        for series, unusable in evidence.unusable.items()
    }


def sensor_range(evidence: Evidence) -> dict[str, Verdicts]:
    """Bad outside of what the sensor can measure (the catalogue's `sensor_range`, ends included)."""
    ranges = {p.series: p.sensor_range for p in evidence.device.parameters if p.sensor_range is not None}
    return {
        series: _outside(values, ranges[series], Flag.BAD)
        for series, values in evidence.values.items()
        if series in ranges
    }


def expected_range(evidence: Evidence) -> dict[str, Verdicts]:
    """Suspect outside of what the operator expects (the device's `expected_range`, ends included)."""
    ranges = evidence.device.expected_range
    return {
        series: _outside(values, ranges[series], Flag.SUSPECT)
        for series, values in evidence.values.items()
        if series in ranges
    }


def _outside(values: npt.NDArray[np.float64], bounds: tuple[float, float], verdict: Flag) -> Verdicts:
    low, high = bounds
    verdicts = np.where((values < low) | (values > high), verdict, Flag.GOOD).astype(np.int8)
    verdicts[np.isnan(values)] = NOT_APPLIED
    return verdicts


JUDGES: Mapping[str, Callable[[Evidence], Mapping[str, Verdicts]]] = {
    rule.__name__: rule for rule in (unusable_value, sensor_range, expected_range)
}
"""Rule name to the rule: series to verdicts; series that it does not judge are left out."""

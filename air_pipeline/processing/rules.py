"""The rules that judge readings: pure functions of the readings, the polls and the configured ranges, in one registry.

Belongs here: what each rule says, how far it looks, which bit stands for it. Does not: how several verdicts become one
flag (`flags`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

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


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the registry.

    Attributes:
        name: as in metadata and documentation.
        bit: the value that stands for it in the `rules` column.
        meaning: when it speaks and what it says then, in one sentence.
        judge: the rule itself: series to verdicts; series that it does not judge are left out.
        of_means: whether it judges the means over a device's sensors as well.
        before: how far before a slot it looks.
        after: how far after a slot it looks.
    """

    name: str
    bit: int
    meaning: str
    judge: Callable[[Evidence], Mapping[str, Verdicts]]
    of_means: bool = False
    before: timedelta = timedelta()
    after: timedelta = timedelta()


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


RULES: tuple[Rule, ...] = (
    Rule("unusable_value", 1, "The device sent something that is no number: bad, and no value.", unusable_value),
    Rule("sensor_range", 2, "The value is outside of what the sensor can measure: bad.", sensor_range),
    Rule(
        "expected_range",
        4,
        "The value is outside of the configured expected_range: suspect.",
        expected_range,
        of_means=True,
    ),
)
"""All rules in their order. A bit, once given, keeps its rule for ever: new rules take the next one."""

RULE_BITS: Mapping[str, int] = {rule.name: rule.bit for rule in RULES}
"""Rule name to bit value, as in the metadata of the files."""


def reach(rules: Iterable[Rule] = RULES) -> tuple[timedelta, timedelta]:
    """How far before and after a slot any of the rules looks: what must be read besides a day to flag it."""
    rules = tuple(rules)
    return max((r.before for r in rules), default=timedelta()), max((r.after for r in rules), default=timedelta())


def rule_names(bits: int) -> tuple[str, ...]:
    """The names of the rules whose bits are set, such as 6: `sensor_range`, `expected_range`."""
    return tuple(rule.name for rule in RULES if bits & rule.bit)

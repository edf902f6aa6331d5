"""Bits of the column `rules` as the names of rules."""

from air_pipeline.processing.rules import RULE_BITS


def rule_names(bits: int) -> tuple[str, ...]:
    """The names of the rules whose bits are set, such as 6: `sensor_range`, `expected_range`."""
    return tuple(name for name, bit in RULE_BITS.items() if bits & bit)

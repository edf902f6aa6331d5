"""The registry of the rules: their names, bits, meanings and how far they look.

Belongs here: what is known of a rule without a reading. Does not: how it judges (`judging`), how several verdicts
become one flag (`flags`). Nothing but the standard library is imported: who only plans days does not load numpy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the registry.

    Attributes:
        name: as in metadata and documentation.
        bit: the value that stands for it in the `rules` column.
        meaning: when it speaks and what it says then, in one sentence.
        of_means: whether it judges the means over a device's sensors as well.
        before: how far before a slot it looks.
        after: how far after a slot it looks.
    """

    name: str
    bit: int
    meaning: str
    of_means: bool = False
    before: timedelta = timedelta()
    after: timedelta = timedelta()


RULES: tuple[Rule, ...] = (
    Rule("unusable_value", 1, "The device sent something that is no number: bad, and no value."),
    Rule("sensor_range", 2, "The value is outside of what the sensor can measure: bad."),
    Rule(
        "expected_range",
        4,
        "The value is outside of the configured expected_range: suspect.",
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

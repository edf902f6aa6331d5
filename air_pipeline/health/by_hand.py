"""A tally without what somebody said of values by hand: who knows of a fault is not told of it.

Belongs here: taking it out. Does not: what is left of a day (`measuring`).
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from air_pipeline.health.hints import HINTS
from air_pipeline.processing.rules import RULE_BITS

if TYPE_CHECKING:
    from air_pipeline.processing.tally import SeriesTally

_BY_HAND = sum(bit for rule, bit in RULE_BITS.items() if rule not in HINTS)
"""What somebody said, and no rule that looked at the hardware."""


def without_marks(one: "SeriesTally") -> "SeriesTally":
    """The tally without what somebody said of values by hand: who knows of a fault is not told of it."""
    spoke = [said for said in one.spoke if not said.bits & _BY_HAND]
    marked = sum(said.times for said in one.spoke) - sum(said.times for said in spoke)
    if not marked:
        return one
    flagged = one.flagged - marked
    is_complete = one.is_complete or marked > one.missing + flagged
    return replace(one, flagged=flagged, is_complete=is_complete, spoke=spoke)

"""A rule measures and says between which limits that is fine; whoever asks compares.

Belongs here: what a rule is. Does not: any rule.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Literal

import numpy as np

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.processing.station import Floats, Places, Station

Stage = Literal["values", "spikes", "course", "marks"]
STAGES: tuple[Stage, ...] = ("values", "spikes", "course", "marks")
"""The rules of a stage see what those of the stages before it did not call bad or a spike.

The last one is what people say: whatever they say there, no rule sees other values for it.
"""


@dataclass(frozen=True, eq=False)
class Measured:
    """What a rule measured of one series in each slot, and between which limits that is fine.

    Attributes:
        amount: NaN where there is nothing to be judged.
        verdict: what the value is, outside of the limits; good: whatever other rules say.
        most: the largest amount that is fine.
        least: the smallest amount that is fine.
        span: over which time it was measured, if over one.
        note: what the rule has to say beside numbers.
    """

    amount: Floats
    verdict: Flag
    most: float = np.inf
    least: float = -np.inf
    span: timedelta = timedelta()
    note: str = ""

    @cached_property
    def spoke(self) -> Places:
        """Where the amount is outside of the limits."""
        if self.least == -np.inf:
            return np.asarray(self.amount > self.most)
        below = np.asarray(self.amount < self.least)
        return below if self.most == np.inf else below | (self.amount > self.most)

    @cached_property
    def judged(self) -> Places:
        """Where there is an amount."""
        return ~np.isnan(self.amount)


Measure = Callable[[Station], Iterator[tuple[str, Measured]]]
"""What a rule measured of each series that it has something to say of; one series may come more than once."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One rule.

    Attributes:
        name: as in metadata and documentation.
        measure: measures.
        stage: see `STAGES`.
        says: what it found, in a sentence with places for `amount`, `most`, `least`, `unit`, `value`, `span` and
            `note`.
        meaning: when it speaks and what it says then, in one sentence.
        before: how far before a slot it looks, in its stage.
        slots_after: how many slots after one it looks.
        leaves_out: whether later stages do without the values that it spoke of; without all that is bad they do anyway.
        of_means: whether it judges the means over a device's sensors as well.
        of_nothing: whether it speaks where there is no value.
    """

    name: str
    measure: Measure
    stage: Stage
    says: str
    meaning: str
    before: timedelta = timedelta()
    slots_after: int = 0
    leaves_out: bool = False
    of_means: bool = False
    of_nothing: bool = False

    @property
    def bit(self) -> int:
        """The value that stands for it in the column `rules`."""
        return RULE_BITS[self.name]


def rule(
    stage: Stage,
    *,
    says: str,
    before: timedelta = timedelta(),
    slots_after: int = 0,
    leaves_out: bool = False,
    of_means: bool = False,
    of_nothing: bool = False,
) -> Callable[[Measure], Rule]:
    """Makes a rule of a function that measures: its name is the rule's, its docstring begins with the meaning."""

    def made(measure: Measure) -> Rule:
        meaning = " ".join((measure.__doc__ or "").split("\n\n")[0].split())
        return Rule(
            measure.__name__, measure, stage, says, meaning, before, slots_after, leaves_out, of_means, of_nothing
        )

    return made

"""Marks of measuring cycles are compared with the last one, if that is a neighbour."""

import numpy as np
import pytest

from air_pipeline.processing.flags import measure
from air_pipeline_tests.processing.rule_examples import NAN, Example

OF = "dht22_humidity"


@pytest.mark.parametrize(
    ("cycles", "amount"),
    [
        (["a", "a"], 0.0),
        (["a", "b"], 1.0),
        (["a", None, None, "a"], 0.0),  # three intervals
        (["a", None, None, None, "a"], NAN),  # four
        (["a", "b", None], NAN),  # it has no mark itself
        ([None, None, "a"], NAN),  # nothing to compare it with
        (["a", "b", None, "a"], 1.0),  # with the last one, not with any
    ],
    ids=str,
)
def test_it_is_later_than_the_last_mark_of_a_neighbour_or_not(cycles, amount):
    example = Example(OF, len(cycles) - 1, amount, {OF: [40.0] * len(cycles)}, cycle=cycles)
    [found] = [m for rule, series, m in measure(example.station()) if (rule.name, series) == ("same_cycle", OF)]
    np.testing.assert_equal(found.amount[-1], amount)

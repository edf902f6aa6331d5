"""Marks of measuring cycles are compared with the last one, if that is a neighbour."""

import numpy as np
import pytest

from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.flags import measure
from air_pipeline.processing.slots import expected_slots
from air_pipeline_tests.processing.frames import SMALL, polls, readings
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


def test_of_polls_that_know_no_marks_there_are_none():
    read, polled = readings([0], first_temperature=[20.0]), polls([0])
    slots = expected_slots(0, 10_000, polls=polled, readings=read, opening_interval_ms=10_000, expected_from=0)
    for known in (polled, polled.drop(columns="cycle")):
        assert len(station_of(SMALL, read, known, slots).cycles) == 0

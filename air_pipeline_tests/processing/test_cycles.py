"""Marks of measuring cycles are compared with the last one, if that is a neighbour."""

from random import Random

import numpy as np
import pytest

from air_pipeline.devices.kinds.airrohr import AIRROHR
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.flags import flag_station, measure
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.processing.slots import expected_slots
from air_pipeline.settings import Device
from air_pipeline_tests.processing.frames import SMALL, polls, readings
from air_pipeline_tests.processing.rule_examples import NAN, START, Example
from air_pipeline_tests.processing.test_rule_properties import station as made

OF = "dht22_humidity"

STEP_MS, CYCLE_MS = 150_000, 145_000
SLOTS = 14 * 86_400_000 // STEP_MS
ROHR = Device("balcony", "http://balcony/", "UTC", interval_ms=STEP_MS, kind="airrohr", parameters=AIRROHR.usual)


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


def fortnight(seed, name, *, faults):
    """The bits of an airRohr's dust, the slots that were answered, the stretches in which it did not measure anew."""
    random = Random(f"{seed} {name}")
    phase, at = random.randrange(CYCLE_MS), START + STEP_MS * np.arange(SLOTS)
    cycles = (at + phase) // CYCLE_MS
    starts = range(100, SLOTS - 100, 100) if faults else ()
    episodes = [slice(begin := start + random.randrange(80), begin + random.randrange(1, 10)) for start in starts]
    for where in episodes:
        cycles[where] = cycles[where.start - 1]
    came = np.array([random.random() > 0.01 for _ in range(SLOTS)])
    walk = np.array([random.gauss(0, 1) for _ in range(SLOTS)]).cumsum()
    dust = np.round(40 + walk - walk.min(), 2)
    marks = [str(cycle) if there else None for cycle, there in zip(cycles, came, strict=True)]
    polled = polls(at, STEP_MS / 1000, np.where(came, "ok", "timeout"), cycle=marks)
    read = readings(at[came], sds011_pm25=dust[came])
    seen = flag_station(made(read, polled, START, int(at[-1]) + 1, STEP_MS, ROHR))
    return (seen.rules["sds011_pm25"].to_numpy() & RULE_BITS["same_cycle"]) != 0, came, episodes


def score(seed, devices):
    """Episodes whose beginning was answered, those found within three slots, slots spoken of, how many rightly."""
    found = [0, 0, 0, 0]
    for name in devices:
        bits, came, episodes = fortnight(seed, name, faults=True)
        allowed = np.zeros(SLOTS, dtype=bool)
        for where in episodes:
            allowed[where] = True
            if came[where.start - 1 : where.start + 1].all():
                found[0] += 1
                found[1] += bool(bits[where.start : min(where.start + 4, where.stop)].any())
        found[2] += int(bits.sum())
        found[3] += int((bits & allowed).sum())
    return found


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_of_a_device_that_measures_in_cycles_nothing_is_wrong_where_each_document_is_of_another(seed):
    bits, _, _ = fortnight(seed, "balcony", faults=False)
    assert not bits.any()

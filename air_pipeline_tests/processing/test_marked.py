"""What a mark by hand does to flags, and that it does nothing else."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.flags import flag_station, measure
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.processing.rules.registry import RULES
from air_pipeline.settings import Mark
from air_pipeline_tests.processing.rule_examples import EXAMPLES, HOME, NAN, START, Example
from air_pipeline_tests.processing.rule_names import rule_names
from air_pipeline_tests.processing.test_rule_properties import HOUR, SERIES, home, station, troubled

SLOT = 10_000
OF = "dht22_temperature"
WORST = replace(HOME, expected_range={OF: (5.0, 40.0), "temperature": (5.0, 40.0)})
"""A device of which 45 °C is suspect and 90 °C is bad."""


def mark(verdict, first=0, last=0, series=OF):
    """A mark of slots, the last of them included."""
    return Mark("home", series, START + first * SLOT, START + last * SLOT + 1, verdict, "in the fridge")


def flagged(values, *marks, of=OF, device=WORST, problems=None, **others):
    one = Example(OF, 0, 0.0, {OF: values, **others}, problems or {}, device=replace(device, marks=marks))
    observed = flag_station(one.station())
    return list(zip(observed.flags[of].tolist(), [rule_names(bits) for bits in observed.rules[of]], strict=True))


def values_of(observed, series):
    return observed.values[series].to_numpy()  # noqa: PD011 - not a frame


def test_what_is_measured_is_whether_a_mark_is_there_with_what_it_says():
    one = Example(OF, 0, 0.0, {OF: [20.0] * 3}, device=replace(WORST, marks=(mark("bad", 1, 1),)))
    [(_, series, found)] = measure(one.station(), [rule for rule in RULES if rule.name == "marked"])
    assert (series, found.note) == (OF, "in the fridge")
    assert found.spoke.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("verdict", "value", "flag", "rules"),
    [
        ("suspect", 20.0, Flag.SUSPECT, ("marked",)),
        ("bad", 20.0, Flag.BAD, ("marked",)),
        ("good", 20.0, Flag.GOOD, ("marked",)),
        ("suspect", 45.0, Flag.SUSPECT, ("expected_range", "marked")),
        ("bad", 45.0, Flag.BAD, ("expected_range", "marked")),
        ("suspect", 90.0, Flag.BAD, ("sensor_range", "expected_range", "marked")),
        ("good", 45.0, Flag.GOOD, ("expected_range", "marked")),
        ("good", 90.0, Flag.GOOD, ("sensor_range", "expected_range", "marked")),
        ("good", NAN, Flag.MISSING, ()),
        ("bad", NAN, Flag.MISSING, ()),
    ],
)
def test_bad_and_suspect_join_the_rules_and_good_overrules_them_and_keeps_their_bits(verdict, value, flag, rules):
    assert flagged([value], mark(verdict)) == [(flag, rules)]


def test_what_was_no_number_stays_bad_whatever_is_said_of_it():
    assert flagged([NAN], mark("good"), problems={0: {OF: "inf"}}) == [(Flag.BAD, ("unusable_value",))]


def test_a_value_that_no_rule_looks_at_is_what_it_is_marked_as():
    [thermometer] = (one for one in HOME.parameters if one.series == OF)
    bare = replace(HOME, parameters=(replace(thermometer, sensor_range=None),))
    bare = replace(bare, rules={OF: dict.fromkeys(bare.limits[OF])})
    flags = [flag for flag, _ in flagged([20.0, 20.0, 20.0], mark("good"), mark("suspect", 1, 1), device=bare)]
    assert flags == [Flag.GOOD, Flag.SUSPECT, Flag.NOT_EVALUATED]


def test_the_last_mark_of_a_slot_counts():
    marks = [mark("bad", 0, 4, "*"), mark("good", 1, 3), mark("suspect", 2, 2)]
    assert [flag for flag, _ in flagged([20.0] * 6, *marks)] == [4, 1, 3, 1, 4, 1]
    assert [flag for flag, _ in flagged([20.0] * 6, *marks[::-1])] == [4, 4, 4, 4, 4, 1]


def test_a_mark_ends_where_it_ends():
    ends = Mark("home", OF, START + SLOT, START + 2 * SLOT, "bad", "in the fridge")
    assert [flag for flag, _ in flagged([20.0] * 3, ends)] == [1, 4, 1]


def test_a_mean_is_made_of_members_that_are_still_good():
    others = {"bmp180_temperature": [21.0, 21.0], "ds18b20_temperature": [22.0, 22.0]}
    one = Example(OF, 0, 0.0, {OF: [20.0, 20.0], **others}, device=replace(HOME, marks=(mark("bad"),)))
    observed = flag_station(one.station())
    assert values_of(observed, "temperature").tolist() == [21.5, 21.0]
    assert observed.flags["temperature"].tolist() == [Flag.GOOD, Flag.GOOD]
    assert observed.rules["temperature"].tolist() == [0, 0]


def test_a_mean_whose_members_are_all_marked_bad_has_no_value_and_says_so():
    assert flagged([20.0], mark("bad", series="*"), of="temperature", bmp180_temperature=[21.0]) == [
        (Flag.BAD, ("marked",))
    ]


def test_a_member_that_is_marked_as_good_counts_in_the_mean():
    one = Example(OF, 0, 0.0, {OF: [90.0], "bmp180_temperature": [20.0]}, device=replace(HOME, marks=(mark("good"),)))
    observed = flag_station(one.station())
    assert values_of(observed, "temperature").tolist() == [55.0]
    assert observed.flags["temperature"].tolist() == [Flag.GOOD]


def test_a_mark_of_a_mean_leaves_its_members_as_they_are():
    values = {OF: [20.0, 20.0], "bmp180_temperature": [20.0, 20.0]}
    device = replace(HOME, marks=(mark("bad", series="temperature"),))
    observed = flag_station(Example(OF, 0, 0.0, values, device=device).station())
    assert values_of(observed, "temperature").tolist() == [20.0, 20.0]
    assert observed.flags["temperature"].tolist() == [Flag.BAD, Flag.GOOD]
    assert set(observed.flags[OF]) == {Flag.GOOD}


def test_a_mean_that_is_marked_as_good_is_good_whatever_is_expected_of_it():
    hot, cool = {"bmp180_temperature": [45.0]}, replace(HOME, expected_range={"temperature": (5.0, 40.0)})
    assert flagged([45.0], of="temperature", device=cool, **hot) == [(Flag.SUSPECT, ("expected_range",))]
    assert flagged([45.0], mark("good", series="temperature"), of="temperature", device=cool, **hot) == [
        (Flag.GOOD, ("expected_range", "marked"))
    ]


def test_a_mean_without_a_value_is_not_made_good():
    assert flagged([90.0], mark("good", series="temperature"), of="temperature", bmp180_temperature=[90.0])[0][0] == 4


@given(st.integers(0, 10**9))
@settings(max_examples=25, deadline=None)
def test_a_mark_does_nothing_but_to_the_values_that_it_is_of(seed):
    random = Random(seed)
    read, polled = troubled(random)
    marks = []
    for _ in range(random.randrange(1, 5)):
        start = random.randrange(START, START + 9 * HOUR)
        end = start + random.choice([1, 10_000, HOUR // 3, 4 * HOUR])
        series = random.choice([*SERIES, "*", "temperature"])
        marks.append(Mark("home", series, start, end, random.choice(["bad", "suspect", "good"]), "so"))
    span = START, START + 9 * HOUR, 10_000
    without = flag_station(station(read, polled, *span))
    marked = flag_station(station(read, polled, *span, replace(home(), marks=tuple(marks))))
    for name in SERIES:
        said = np.full(len(marked.at), "", dtype=object)
        for one in marks:
            if one.is_of(name):
                said[(marked.at >= one.start) & (marked.at < one.end)] = one.verdict
        said[np.isnan(values_of(marked, name))] = ""
        flags, before = marked.flags[name].to_numpy(), without.flags[name].to_numpy()
        assert (flags[said == ""] == before[said == ""]).all()
        assert (flags[said == "good"] == Flag.GOOD).all()
        for verdict, flag in (("bad", Flag.BAD), ("suspect", Flag.SUSPECT)):
            assert (flags[said == verdict] == np.maximum(before, flag)[said == verdict]).all()
        bits = np.where(said == "", 0, RULE_BITS["marked"])
        assert (marked.rules[name].to_numpy() == (without.rules[name].to_numpy() | bits)).all()
        np.testing.assert_array_equal(values_of(marked, name), values_of(without, name))


def test_no_rule_looks_for_marks_before_or_after_a_slot():
    """So that a mark builds its own days again and no others."""
    for trips, _ in EXAMPLES.values():
        spoken = flag_station(trips.station()).rules
        far = timedelta(days=2) // timedelta(milliseconds=1)
        around = tuple(Mark("home", "*", at, at + SLOT, "bad", "so") for at in (START - far, START + far))
        marked = flag_station(
            replace(trips, device=replace(trips.device, marks=(*trips.device.marks, *around))).station()
        )
        pd.testing.assert_frame_equal(marked.rules, spoken)

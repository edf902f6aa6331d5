import json
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.catalogue import STATION
from air_pipeline.devices.polls import Flag, Outcome, Problem, problems_to_json
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.flags import flag_series, flag_station, means_of
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.processing.observations import ProcessingError
from air_pipeline.processing.rules import RULE_BITS, reach
from air_pipeline.processing.rules.registry import RULES
from air_pipeline.processing.slots import expected_slots
from air_pipeline.settings import Device
from air_pipeline_tests.processing.frames import SMALL, polls, readings
from air_pipeline_tests.processing.rule_names import rule_names

NAN = float("nan")


def flag(device, read, polled, start=0, end=None, opening=10_000):
    return flag_station(station(device, read, polled, start, end, opening))


def station(device, read, polled, start=0, end=None, opening=10_000):
    end = (max([*read.index.asi8, *polled.index.asi8]) + 1) if end is None else end
    slots = expected_slots(
        start, end, polls=polled, readings=read, opening_interval_ms=opening, expected_from=-(10**15)
    )
    return station_of(device, read, polled, slots)


def values_of(found):
    return found.values  # noqa: PD011 - a frame of ours


def one(device=SMALL, problems=(), **values):
    """Series to (value, flag, names of rules) of a single slot."""
    read = readings([0], **{name: [value] for name, value in values.items()})
    found = flag(device, read, polls([0], problems=problems_to_json(tuple(problems))))
    value = values_of(found)
    return {
        name: (value[name].iloc[0], found.flags[name].iloc[0], rule_names(found.rules[name].iloc[0]))
        for name in found.series
    }


def with_range(**ranges):
    return Device("small", "http://small/", "Europe/Warsaw", parameters=SMALL.parameters, expected_range=ranges)


@pytest.mark.parametrize("value", [-40.0, 0.0, 21.5, 80.0])
def test_a_value_inside_the_sensor_range_ends_included_is_good(value):
    assert one(first_temperature=value)["first_temperature"] == (value, Flag.GOOD, ())


@pytest.mark.parametrize("value", [-40.01, 80.01, -127.0, float("inf")])
def test_a_value_outside_the_sensor_range_is_bad_and_kept(value):
    assert one(first_temperature=value)["first_temperature"] == (value, Flag.BAD, ("sensor_range",))


@pytest.mark.parametrize(("value", "flagged"), [(5.0, 1), (40.0, 1), (4.99, 3), (40.01, 3)])
def test_a_value_outside_the_expected_range_is_suspect(value, flagged):
    found = one(with_range(first_temperature=(5.0, 40.0)), first_temperature=value)["first_temperature"]
    assert found == (value, flagged, ("expected_range",) if flagged == Flag.SUSPECT else ())


def test_bad_is_worse_than_suspect_and_both_rules_are_named():
    found = one(with_range(first_temperature=(5.0, 40.0)), first_temperature=-127.0)["first_temperature"]
    assert found == (-127.0, Flag.BAD, ("sensor_range", "expected_range"))


def test_an_unusable_value_is_bad_without_a_value_and_a_silent_one_is_missing():
    found = one(
        problems=[
            Problem("first_temperature", "inf", Flag.BAD, "not finite"),
            Problem("second_temperature", "nan", Flag.MISSING, "no value"),
        ]
    )
    assert found["first_temperature"][1:] == (Flag.BAD, ("unusable_value",))
    assert found["second_temperature"][1:] == (Flag.MISSING, ())
    assert all(np.isnan(value) for value, _, _ in found.values())


def test_a_problem_says_nothing_of_a_value_that_was_stored_after_all():
    found = one(problems=[Problem("first_temperature", "inf", Flag.BAD, "not finite")], first_temperature=20.0)
    assert found["first_temperature"] == (20.0, Flag.GOOD, ())


def test_a_value_that_no_rule_can_judge_is_not_evaluated():
    assert one(third_dust=3.0)["third_dust"] == (3.0, Flag.NOT_EVALUATED, ())
    assert one(with_range(third_dust=(0.0, 5.0)), third_dust=3.0)["third_dust"] == (3.0, Flag.GOOD, ())
    assert one(with_range(third_dust=(0.0, 5.0)), third_dust=6.0)["third_dust"] == (
        6.0,
        Flag.SUSPECT,
        ("expected_range",),
    )


def test_a_series_that_never_came_is_missing_and_one_that_the_settings_do_not_name_is_left_out():
    found = one(stranger=1.0)
    assert set(found) == {"first_temperature", "second_temperature", "third_dust", "temperature"}
    assert {flagged for _, flagged, _ in found.values()} == {Flag.MISSING}


@pytest.mark.parametrize(
    ("first", "second", "mean"),
    [
        (20.0, 22.0, (21.0, Flag.GOOD, ())),
        (20.0, NAN, (20.0, Flag.GOOD, ())),
        (20.0, -100.0, (20.0, Flag.GOOD, ())),
        (NAN, -100.0, (NAN, Flag.BAD, ("sensor_range",))),
        (NAN, NAN, (NAN, Flag.MISSING, ())),
    ],
)
def test_the_mean_of_a_shared_parameter_is_over_its_valid_members(first, second, mean):
    found = one(first_temperature=first, second_temperature=second)["temperature"]
    np.testing.assert_equal(found, mean)


def test_with_no_valid_member_suspect_outweighs_missing_and_bad_outweighs_suspect():
    device = with_range(first_temperature=(5.0, 40.0))
    np.testing.assert_equal(one(device, first_temperature=50.0)["temperature"], (NAN, 3, ("expected_range",)))
    found = one(device, first_temperature=50.0, second_temperature=500.0)["temperature"]
    np.testing.assert_equal(found, (NAN, 4, ("sensor_range", "expected_range")))


def test_a_mean_can_have_an_expected_range_of_its_own():
    device = with_range(temperature=(5.0, 21.0))
    assert one(device, first_temperature=20.0, second_temperature=21.0)["temperature"] == (20.5, Flag.GOOD, ())
    found = one(device, first_temperature=21.0, second_temperature=23.0)["temperature"]
    assert found == (22.0, Flag.SUSPECT, ("expected_range",))


def test_the_mean_of_members_that_were_not_evaluated_is_not_evaluated():
    bare = tuple(
        type(parameter)(parameter.sensor, parameter.name, parameter.unit, parameter.key)
        for parameter in SMALL.parameters
    )
    device = Device("bare", "http://bare/", "UTC", parameters=bare)
    assert one(device, first_temperature=1.0, second_temperature=2.0)["temperature"] == (1.5, Flag.NOT_EVALUATED, ())


def test_means_are_series_of_a_station_with_the_same_slots_and_outcomes_in_the_unit_of_their_members():
    members = station(SMALL, readings([0], first_temperature=[20.0], second_temperature=[22.0]), polls([0]))
    means = means_of(members, flag_series(members))
    (mean,) = means
    assert (mean.name, mean.unit, mean.values.tolist()) == ("temperature", "°C", [21.0])  # noqa: PD011 - no frame
    assert mean.slots is means.slots is members.slots
    assert means.outcomes is members.outcomes


def test_there_is_no_mean_where_a_device_was_asked_for_one_member_alone():
    members = station(
        SMALL, readings([0, 10_000], first_temperature=[20.0] * 2, second_temperature=[22.0] * 2), polls([0, 10_000])
    )
    found = flag_station(replace(members, asked={"first_temperature": np.array([True, False])}))
    assert found.flags[["first_temperature", "second_temperature", "temperature"]].to_numpy().tolist() == [
        [1, 1, 1],
        [0, 1, 0],
    ]
    np.testing.assert_equal(values_of(found)["temperature"].to_numpy(), [21.0, NAN])


def test_each_slot_has_the_outcome_of_its_poll_and_none_without_one():
    found = flag(
        SMALL, readings([0], first_temperature=[1.0]), polls([0, 10_000], outcome=["ok", "timeout"]), end=30_000
    )
    assert found.poll_outcome.iloc[:2].tolist() == ["ok", "timeout"]
    assert found.poll_outcome.name == "poll_outcome"
    assert pd.isna(found.poll_outcome.iloc[2])
    assert set(found.poll_outcome.cat.categories) == {outcome.value for outcome in Outcome} - {"ended"}


def test_the_index_is_local_and_the_columns_are_sorted_and_typed():
    found = flag(SMALL, readings([0], first_temperature=[1.0]), polls([0]))
    assert str(values_of(found).index.tz) == "Europe/Warsaw"
    assert values_of(found).index[0].isoformat() == "1970-01-01T01:00:00+01:00"
    assert (found.device, found.series) == ("small", sorted(found.series))
    assert {str(kind) for kind in values_of(found).dtypes} == {"float64"}
    assert {str(kind) for kind in found.flags.dtypes} == {"int8"}
    assert {str(kind) for kind in found.rules.dtypes} == {"int32"}


def test_problems_that_cannot_be_read_name_the_device():
    with pytest.raises(ProcessingError, match="small"):
        flag(SMALL, readings([]), polls([0], problems="[{"))


def test_missing_problems_are_no_problems():
    found = flag(SMALL, readings([0], first_temperature=[1.0]), polls([0], problems=[None]))
    assert found.flags["first_temperature"].iloc[0] == Flag.GOOD


def test_a_day_without_slots_has_all_series_and_no_rows():
    found = flag(SMALL, readings([]), polls([]), end=0)
    assert values_of(found).shape == (0, 4)


def test_bits_are_powers_of_two_of_their_own_meanings_are_sentences_and_every_rule_judges():
    bits = [rule.bit for rule in RULES]
    assert bits == [2**n for n in range(len(RULES))]
    assert list(RULE_BITS.values()) == bits
    assert [rule.name for rule in RULES] == list(RULE_BITS)
    assert all(rule.meaning.endswith(".") for rule in RULES)


STATION_DEVICE = Device("home", "http://home/", "Europe/Warsaw", expected_range={"temperature": (0.0, 40.0)})


@given(st.integers(0, 10**9), st.permutations(range(len(STATION))))
@settings(max_examples=15, deadline=None)
def test_a_day_flagged_alone_equals_that_day_flagged_inside_a_month(seed, order):
    random = Random(seed)
    days = [date(2026, 10, 23) + timedelta(days=n) for n in range(5)]
    zone = STATION_DEVICE.zone
    start, end = epoch_ms(day_window(days[0], zone)[0]), epoch_ms(day_window(days[-1], zone)[1])
    at = sorted(random.sample(range(start, end, 600_000), 400))
    values = {p.series: [random.choice([NAN, -200.0, 50.0, random.uniform(0, 40)]) for _ in at] for p in STATION}
    problem = problems_to_json((Problem("dht22_humidity", "inf", Flag.BAD, "not finite"),))
    read = readings(at, **values)
    intervals = [random.choice([600.0, 600.0, 600.0, 450.0]) for _ in at]
    polled = polls(at, intervals, problems=[random.choice(["", problem]) for _ in at])
    month = flag(STATION_DEVICE, read, polled, start, end, opening=600_000)
    shuffled = Device(
        "home",
        "http://home/",
        "Europe/Warsaw",
        parameters=tuple(STATION[place] for place in order),
        expected_range=STATION_DEVICE.expected_range,
    )
    before = int(reach()[0].total_seconds() * 1000)
    for day in days:
        window = day_window(day, zone)
        first, last = epoch_ms(window[0]), epoch_ms(window[1])
        near = (first - before, next((slot + 1 for slot in at if slot >= last), last))
        some_read = read[(read.index.asi8 >= near[0]) & (read.index.asi8 < near[1])]
        some_polled = polled[(polled.index.asi8 >= near[0]) & (polled.index.asi8 < near[1])]
        earlier = polled["interval_s"][polled.index.asi8 < near[0]]
        opening = 600_000 if earlier.empty else int(earlier.iloc[-1]) * 1000
        alone = flag(shuffled, some_read, some_polled, *near, opening=opening).between(*window)
        inside = month.between(*window)
        pd.testing.assert_frame_equal(alone.values, inside.values, check_exact=True)
        pd.testing.assert_frame_equal(alone.flags, inside.flags)
        pd.testing.assert_frame_equal(alone.rules, inside.rules)
        pd.testing.assert_series_equal(alone.poll_outcome, inside.poll_outcome)


def test_many_different_problems_each_count_for_their_own_slot():
    at = [n * 10_000 for n in range(50)]
    texts = [
        json.dumps([{"series": "first_temperature", "value": str(n), "flag": 4 if n % 3 else 9, "reason": "x"}])
        for n in range(50)
    ]
    found = flag(SMALL, readings([]), polls(at, problems=texts))
    assert found.flags["first_temperature"].tolist() == [4 if n % 3 else 9 for n in range(50)]


def test_an_outcome_that_this_version_does_not_know_is_named():
    polled = polls([0]).assign(outcome="exploded")
    with pytest.raises(ProcessingError, match=r"polls of small with outcomes .*exploded"):
        flag(SMALL, readings([0]), polled)

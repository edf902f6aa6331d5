"""What rules ask of a series is reckoned as it says."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from air_pipeline.processing.slots import ExpectedSlots
from air_pipeline.processing.station import Series, last_place
from air_pipeline_tests.processing.rule_examples import Example

NAN = float("nan")


def series(*values, step_ms=10_000):
    at = np.arange(len(values), dtype=np.int64) * step_ms
    return Series("x", "°C", ExpectedSlots(at, np.full(len(values), step_ms)), np.array(values, dtype=float))


def moved(found, **span):
    return found.moved(timedelta(**span))[-1]


def test_the_last_place_is_one_before_and_minus_one_where_there_is_none():
    assert last_place(np.array([False, True, False, True, False])).tolist() == [-1, -1, 1, 1, 3]
    assert last_place(np.array([], dtype=bool)).tolist() == []


def test_seconds_are_since_the_last_value_and_no_fewer_than_a_measuring_cycle():
    assert series(1.0, NAN, 2.0).seconds[1:].tolist() == [10.0, 20.0]
    assert series(1.0, 2.0, NAN, NAN, 3.0, step_ms=1000).seconds[1:].tolist() == [2.0, 2.0, 2.0, 3.0]


def test_a_series_moved_by_the_distance_of_its_ends_in_a_span_both_ends_included():
    found = series(9.0, 1.0, 2.0, 5.0, 4.0, 3.0, 4.0)
    assert moved(found, seconds=50) == 4.0
    assert moved(found, seconds=60) == 8.0


@pytest.mark.parametrize(
    ("values", "amount"), [([1.0, 2.0, 1.0, 2.0, NAN, 1.0], NAN), ([1.0, 2.0, 1.0, 2.0, 1.0, 1.0], 1.0)]
)
def test_a_span_of_fewer_than_five_values_beyond_the_first_says_nothing(values, amount):
    np.testing.assert_equal(moved(series(*[1.0] * 20, *values), seconds=50), amount)


def test_a_span_of_fewer_than_five_measuring_cycles_says_nothing():
    each_second = series(*[1.0] * 20, step_ms=1000)
    assert np.isnan(moved(each_second, seconds=9))
    assert moved(each_second, seconds=10) == 0.0


def test_a_mean_over_a_span_does_not_depend_on_how_much_was_before_it():
    last = [0.100001, 0.200003, 0.400005] * 20
    after_much = series(*[999_999.9] * 20_000, *last).mean_within(timedelta(seconds=500))
    assert after_much[-1] == series(*last).mean_within(timedelta(seconds=500))[-1]


@pytest.mark.parametrize(("missing", "amount"), [(0, 0.0), (3, 0.0), (4, NAN)])
def test_a_span_may_begin_without_a_value_for_three_intervals(missing, amount):
    np.testing.assert_equal(moved(series(*[NAN] * missing, *[1.0] * (11 - missing)), seconds=100), amount)


def test_a_device_was_asked_everywhere_for_a_series_of_which_nothing_else_is_known():
    station = Example("dht22_humidity", 0, 0.0, {"dht22_humidity": [1.0, 2.0]}).station()
    asked = replace(station, asked={"dht22_humidity": np.array([True, False])})
    assert asked.was_asked("dht22_humidity").tolist() == [True, False]
    everywhere = asked.was_asked("stranger")
    assert (everywhere.tolist(), everywhere.dtype) == ([True, True], bool)


def test_how_far_the_next_value_may_be_goes_by_the_interval_of_each_slot():
    slots = ExpectedSlots(np.array([0, 10_000, 70_000, 130_000]), np.array([10_000, 60_000, 60_000, 60_000]))
    onward = Series("x", "°C", slots, np.array([1.0, 2.0, 4.0, 7.0])).onward_within(timedelta(minutes=10))
    np.testing.assert_equal(onward, [1.0, 2.0, 3.0, NAN])

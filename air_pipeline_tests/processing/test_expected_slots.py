from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.processing.slots import ExpectedSlots, expected_slots, index_ms
from air_pipeline.settings import NEVER, Device
from air_pipeline_tests.processing.frames import polls, readings

NOBODY = readings([])
SILENCE = polls([])


def slots(start, end, polled=SILENCE, read=NOBODY, opening=10_000, since=0, until=NEVER, **more):
    found = expected_slots(
        start,
        end,
        polls=polled,
        readings=read,
        opening_interval_ms=opening,
        expected_from=since,
        expected_until=until,
        **more,
    )
    return found.at.tolist(), found.interval_ms.tolist()


def test_without_polls_the_opening_interval_makes_the_grid():
    assert slots(5_000, 40_000) == ([10_000, 20_000, 30_000], [10_000] * 3)


def test_the_start_is_included_and_the_end_is_not():
    assert slots(10_000, 30_000)[0] == [10_000, 20_000]


def test_a_missed_slot_is_expected():
    assert slots(0, 40_000, polls([0, 30_000]))[0] == [0, 10_000, 20_000, 30_000]


def test_a_poll_states_the_interval_until_the_next_poll():
    polled = polls([0, 20_000, 40_000], [10, 20, 5])
    expected = [0, 10_000, 20_000, 40_000, 45_000, 50_000, 55_000]
    assert slots(0, 60_000, polled) == (expected, [10_000, 10_000, 20_000, 5_000, 5_000, 5_000, 5_000])


def test_a_poll_that_does_not_state_its_interval_leaves_it():
    for unsaid in (np.nan, 0.0, -1.0):
        assert slots(0, 30_000, polls([0, 10_000], [5, unsaid]))[0] == [0, 5_000, 10_000, 15_000, 20_000, 25_000]


def test_polls_and_readings_off_the_grid_are_kept():
    assert slots(0, 30_000, polls([0, 13_000]), readings([17_000], x=[1.0]))[0] == [0, 10_000, 13_000, 17_000, 20_000]


def test_nothing_is_expected_outside_of_the_limits():
    polled = polls([0, 10_000, 20_000, 30_000])
    assert slots(0, 50_000, polled, since=20_000, until=40_000)[0] == [20_000, 30_000]
    assert slots(0, 50_000, polled, since=NEVER) == ([], [])
    assert slots(0, 50_000, polled, since=60_000) == ([], [])
    assert slots(0, 50_000, polled, until=0) == ([], [])


@pytest.mark.parametrize("polled", [SILENCE, polls([0]), polls([0, 10_000, 30_000], [10.0, 20.0, np.nan])])
@pytest.mark.parametrize("span", [(0, 60_000), (60_000, 60_000), (60_000, 0)])
def test_slots_and_intervals_are_whole_numbers_whatever_is_there(polled, span):
    found = expected_slots(*span, polls=polled, readings=NOBODY, opening_interval_ms=10_000, expected_from=0)
    assert (found.at.dtype, found.interval_ms.dtype) == (np.int64, np.int64)
    assert len(found) == len(found.interval_ms)
    assert bool(len(found)) is (span[0] < span[1])


def test_slots_are_multiples_on_the_utc_clock_before_1970_too():
    assert slots(-25_000, 0, since=-100_000)[0] == [-20_000, -10_000]


def test_from_where_a_device_ended_until_its_next_poll_nothing_is_expected():
    polled = polls([20_000, 40_000, 70_000], outcome=["ok", "ended", "ok"])
    assert slots(0, 90_000, polled)[0] == [0, 10_000, 20_000, 30_000, 70_000, 80_000]
    assert slots(0, 30_000, polls([5_000], outcome="ended"))[0] == [0]
    assert slots(0, 60_000, polled, readings([55_000], x=[1.0]))[0] == [0, 10_000, 20_000, 30_000, 55_000]


def test_of_a_device_that_sleeps_the_slots_are_expected_in_which_it_answered():
    outcomes = ["unreachable", "ok", "timeout", "rejected", "skipped", "http_error", "imported", "ended"]
    polled = polls(range(0, 80_000, 10_000), outcome=outcomes)
    assert slots(0, 100_000, polled, sleeps=True) == ([10_000, 30_000, 50_000, 60_000], [10_000] * 4)
    assert slots(20_000, 50_000, polled, sleeps=True)[0] == [30_000]
    assert slots(0, 100_000, polled, readings([75_000], x=[1.0]), sleeps=True)[0][-1] == 75_000
    assert slots(0, 100_000, sleeps=True) == ([], [])


def test_intervals_are_whole_milliseconds_and_one_at_least():
    assert slots(0, 6, polls([0], 0.0016)) == ([0, 2, 4], [2, 2, 2])
    assert slots(0, 3, polls([0], 0.0001)) == ([0, 1, 2], [1, 1, 1])


def test_slots_of_several_periods_are_joined_and_some_of_them_taken():
    one, two = (
        ExpectedSlots(np.array(at), np.full(len(at), interval)) for at, interval in ([[10, 20], 10], [[40, 60, 80], 20])
    )
    joined = ExpectedSlots.joined([one, two])
    assert (joined.at.tolist(), joined.interval_ms.tolist()) == ([10, 20, 40, 60, 80], [10, 10, 20, 20, 20])
    some = joined.of(np.array([0, 3]))
    assert (some.at.tolist(), some.interval_ms.tolist()) == ([10, 60], [10, 20])
    nothing = ExpectedSlots.joined([])
    assert (len(nothing), nothing.at.dtype, nothing.interval_ms.dtype) == (0, np.int64, np.int64)


def test_instants_of_a_frame_are_milliseconds_whatever_its_unit_and_an_index_of_others_is_refused():
    nanoseconds = pd.DataFrame({"x": [1.0]}, index=pd.DatetimeIndex(["1970-01-01T00:00:02Z"]).as_unit("ns"))
    assert index_ms(nanoseconds).tolist() == [2_000]
    nothing = index_ms(pd.DataFrame())
    assert (nothing.tolist(), nothing.dtype) == ([], np.int64)
    with pytest.raises(TypeError, match="an index of instants is needed, not int64"):
        index_ms(pd.DataFrame({"x": [1.0]}))


polled_frames = st.dictionaries(
    st.integers(0, 300_000), st.sampled_from([1.0, 7.0, 10.0, 60.0, np.nan]), max_size=12
).map(lambda stated: polls(sorted(stated), [stated[at] for at in sorted(stated)]))


@given(polled_frames, st.sets(st.integers(0, 300_000), max_size=5), st.integers(0, 150_000), st.integers(0, 150_000))
@settings(max_examples=150, deadline=None)
def test_the_grid_is_what_a_walk_from_slot_to_slot_gives(polled, read, start, length):
    end = start + length
    at = polled.index.asi8.tolist()
    stated = dict(zip(at, polled["interval_s"], strict=True))

    def in_force(instant):
        said = [stated[poll] for poll in at if poll <= instant and not np.isnan(stated[poll])]
        return round(said[-1] * 1000) if said else 10_000

    others = {slot for slot in [*at, *read] if start <= slot < end}
    seconds = range(-(-start // 1000) * 1000, end, 1000)
    walked = sorted(others | {second for second in seconds if second % in_force(second) == 0})
    found = slots(start, end, polled, readings(sorted(read), x=[1.0] * len(read)))
    assert found == (walked, [in_force(slot) for slot in walked])


@given(polled_frames, st.lists(st.integers(0, 300_000), min_size=2, max_size=5, unique=True).map(sorted))
@settings(max_examples=100, deadline=None)
def test_slots_of_parts_are_the_slots_of_the_whole(polled, edges):
    whole = slots(edges[0], edges[-1], polled)
    parts = [slots(start, end, polled) for start, end in pairwise(edges)]
    assert whole == tuple([one for part in parts for one in part[place]] for place in (0, 1))


@pytest.mark.parametrize(
    ("since", "until", "first_poll", "limits"),
    [
        (None, None, None, (NEVER, NEVER)),
        (None, None, 5_000, (5_000, NEVER)),
        (date(1970, 1, 2), date(1970, 1, 3), 5_000, (82_800_000, 169_200_000)),
        (date(1970, 1, 2), None, None, (82_800_000, NEVER)),
    ],
)
def test_limits_are_the_local_dates_of_the_settings_else_the_first_poll(since, until, first_poll, limits):
    device = Device("a", "http://a/", "Europe/Warsaw", since=since, until=until)
    assert device.expected_between(first_poll) == limits

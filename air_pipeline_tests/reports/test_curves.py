"""What is thinned away and what never is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.devices.polls import Flag
from air_pipeline.reports.curves import BINS, MARK_BINS, NARROWEST_HOLE_MS, thinned

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START = 1_790_000_000_000 // DAY_MS * DAY_MS


@st.composite
def days(draw):
    """Slots of a day of 23 to 25 hours with values and flags, in stretches that fare alike."""
    end = START + draw(st.sampled_from([23, 24, 24.5, 25])) * HOUR_MS
    interval = draw(st.sampled_from([10_000, 60_000, 600_000, HOUR_MS]))
    at = np.arange(START, end, interval, dtype=np.int64)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    flags = np.full(len(at), Flag.GOOD, np.int8)
    for _ in range(draw(st.integers(0, 12))):
        first = draw(st.integers(0, len(at) - 1))
        flags[first : first + draw(st.integers(1, len(at)))] = draw(st.sampled_from(list(Flag)))
    flags[rng.random(len(at)) < draw(st.sampled_from([0, 0.01, 0.5]))] = Flag.MISSING
    values = rng.normal(20, 5, len(at)).round(2)
    values[(flags == Flag.MISSING) | ((flags == Flag.BAD) & (rng.random(len(at)) < 0.3))] = np.nan
    return at, values, flags, START, int(end)


def points(drawn):
    """The points that are drawn, as (ms, value)."""
    there = ~np.isnan(drawn.y)
    return {(round(x * HOUR_MS) + START, y) for x, y in zip(drawn.x[there], drawn.y[there], strict=True)}


def extremes(at, values, wanted, end, bins):
    """The least and greatest of the wanted values in each bin."""
    places = (at - START) * bins // (end - START)
    for place in np.unique(places[wanted & ~np.isnan(values)]):
        inside = values[(places == place) & wanted & ~np.isnan(values)]
        yield place, {inside.min(), inside.max()}


def valid(flags):
    return (flags == Flag.GOOD) | (flags == Flag.NOT_EVALUATED)


@given(days())
def test_whatever_is_drawn_was_observed_with_that_flag(day):
    at, values, flags, *_ = day
    curve = thinned(*day)
    for drawn, wanted in ((curve.line, valid(flags)), (curve.suspect, flags == 3), (curve.bad, flags == 4)):
        assert points(drawn) <= set(zip(at[wanted].tolist(), values[wanted].tolist(), strict=True))


@given(days())
def test_the_extremes_of_every_five_minutes_stay(day):
    at, values, flags, start, end = day
    drawn = points(thinned(*day).line)
    for place, wanted in extremes(at, values, valid(flags), end, BINS):
        assert wanted <= {value for ms, value in drawn if (ms - start) * BINS // (end - start) == place}


@given(days())
def test_suspect_and_bad_are_marked_in_every_quarter_of_an_hour_in_which_they_are(day):
    at, values, flags, start, end = day
    curve = thinned(*day)
    for marks, flag in ((curve.suspect, Flag.SUSPECT), (curve.bad, Flag.BAD)):
        drawn = points(marks)
        for place, wanted in extremes(at, values, flags == flag, end, MARK_BINS):
            assert wanted <= {value for ms, value in drawn if (ms - start) * MARK_BINS // (end - start) == place}


@given(days())
def test_a_bad_value_that_is_no_number_is_marked_too(day):
    at, values, flags, start, end = day
    without = at[(flags == Flag.BAD) & np.isnan(values)]
    bad = thinned(*day).bad
    marked = np.round(bad.x[np.isnan(bad.y)] * HOUR_MS).astype(np.int64) + start
    assert set((without - start) * MARK_BINS // (end - start)) == set((marked - start) * MARK_BINS // (end - start))
    assert set(marked) <= set(without)


@given(days())
def test_no_line_crosses_a_hole_that_is_wide_enough_to_be_seen(day):
    at, _, flags, start, _ = day
    line = thinned(*day).line
    good = at[valid(flags)]
    x = np.round(line.x * HOUR_MS).astype(np.int64) + start
    for first, second, *ends in zip(x, x[1:], line.y, line.y[1:], strict=False):
        if not np.isnan(ends).any() and second > first:
            between = good[(good >= first) & (good <= second)]
            missed = np.searchsorted(at, between[1:]) - np.searchsorted(at, between[:-1]) > 1
            assert not (missed & (np.diff(between) >= NARROWEST_HOLE_MS)).any()


@given(days())
def test_every_missing_slot_is_in_a_gap_and_gaps_do_not_overlap(day):
    at, _, flags, start, end = day
    gaps = thinned(*day).gaps
    for ms in at[flags == Flag.MISSING].tolist():
        assert any(begin <= (ms - start) / HOUR_MS + 1e-9 and (ms - start) / HOUR_MS < finish for begin, finish in gaps)
    flat = [edge for gap in gaps for edge in gap]
    assert flat == sorted(set(flat))
    assert bool(gaps) == bool((flags == Flag.MISSING).any())
    assert all(0 <= edge <= (end - start) / HOUR_MS + 1e-9 for edge in flat)


def test_a_point_between_two_gaps_is_there_twice_so_that_it_is_seen():
    at = START + np.arange(24, dtype=np.int64) * HOUR_MS
    flags = np.full(24, Flag.MISSING, np.int8)
    flags[5] = Flag.GOOD
    line = thinned(at, np.where(flags == 1, 20.0, np.nan), flags, START, START + DAY_MS).line
    assert line.x.tolist() == [5, 5]
    assert line.y.tolist() == [20, 20]


@pytest.mark.parametrize("share", [0, 0.3])
def test_a_day_of_one_second_becomes_what_a_picture_can_show(share):
    at = START + np.arange(86_400, dtype=np.int64) * 1000
    rng = np.random.default_rng(1)
    flags = np.where(rng.random(86_400) < share, Flag.MISSING, Flag.GOOD).astype(np.int8)
    flags[10_000:30_000] = Flag.SUSPECT
    values = np.where(flags == Flag.MISSING, np.nan, rng.normal(20, 1, 86_400))
    curve = thinned(at, values, flags, START, START + DAY_MS)
    assert len(curve.line.x) <= 2 * BINS + 8
    assert len(curve.suspect.x) <= 2 * MARK_BINS


def test_a_day_of_nothing_is_an_empty_curve():
    nothing = np.empty(0, np.int64)
    curve = thinned(nothing, np.empty(0), np.empty(0, np.int8), START, START + DAY_MS)
    assert (len(curve.line.x), len(curve.suspect.x), len(curve.bad.x), curve.gaps) == (0, 0, 0, ())

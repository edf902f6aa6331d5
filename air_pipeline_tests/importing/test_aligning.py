"""Rows at any times get their slots by one rule: no row is lost without being counted, and no time is far off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.devices.polls import Flag
from air_pipeline.importing.aligning import DAY_MS, ENDS_AFTER_MS, HOUR_MS, align, usual_interval
from air_pipeline.importing.rows import ImportFailed, Rows

START = 1_700_000_000_000 // DAY_MS * DAY_MS
SECOND, MINUTE = 1_000, 60_000


def rows(times, **series):
    columns = series or {"dht22_temperature": range(len(times))}
    return Rows(np.array(times, np.int64), {name: np.array(list(some), np.float64) for name, some in columns.items()})


def every(interval_ms, number, start=START):
    return [start + interval_ms * n for n in range(number)]


paces = st.sampled_from([1_420, 2_000, 10_000, 10_420, 60_000, 145_000, 300_000])
values = st.none() | st.integers(-3, 3).map(float)


@st.composite
def histories(draw):
    """Stretches of their own pace, with jitter, repeated instants, holes and silences; two series with holes."""
    times, at = [], START + draw(st.integers(0, 2 * DAY_MS))
    for _ in range(draw(st.integers(1, 2))):
        pace = draw(paces)
        for _ in range(draw(st.integers(6, 12))):
            times.append(at + draw(st.integers(-pace // 5, pace // 5)))
            times += times[-1:] * draw(st.sampled_from([0, 0, 1]))  # a row of the very same instant
            at += pace * draw(st.sampled_from([1, 1, 1, 1, 1, 2, 7]))
        at += draw(st.sampled_from([0, HOUR_MS, 3 * DAY_MS]))
    columns = {name: [draw(values) for _ in times] for name in ("dht22_temperature", "dht22_humidity")}
    return rows(times, **{name: [np.nan if v is None else v for v in some] for name, some in columns.items()})


def same(one, other):
    return (
        np.array_equal(one.slots, other.slots)
        and np.array_equal(one.interval_ms, other.interval_ms)
        and all(np.array_equal(one.series[name], other.series[name], equal_nan=True) for name in one.series)
        and one.shared == other.shared
    )


@settings(max_examples=30)
@given(histories())
def test_every_value_has_a_slot_or_its_row_is_counted_as_sharing_one(history):
    aligned = align(history)
    lost = sum(
        int((~np.isnan(values)).sum() - (~np.isnan(aligned.series[n])).sum()) for n, values in history.series.items()
    )
    assert aligned.shared <= lost <= aligned.shared * len(history.series)
    assert np.all(np.diff(aligned.slots) > 0)
    assert np.all(aligned.slots % aligned.interval_ms == 0)


@settings(max_examples=30)
@given(histories())
def test_a_time_is_true_to_within_one_interval(history):
    """The slot is at or before its row, or at most a quarter of the interval behind it."""
    aligned = align(history)
    for place, slot in enumerate(aligned.slots.tolist()):
        interval = int(aligned.interval_ms[place])
        near = history.times[(history.times - slot >= -interval // 4) & (history.times - slot < interval)]
        assert len(near), f"no row belongs to slot {slot}"
    for series, found in aligned.series.items():
        known = {*history.series[series][~np.isnan(history.series[series])].tolist()}
        assert {*found[~np.isnan(found)].tolist()} <= known


@settings(max_examples=30)
@given(histories(), st.randoms())
def test_the_order_of_rows_does_not_matter(history, random):
    order = list(range(len(history)))
    random.shuffle(order)
    shuffled = Rows(history.times[order], {name: column[order] for name, column in history.series.items()})
    assert same(align(history), align(shuffled))


@settings(max_examples=30)
@given(histories())
def test_aligning_what_is_aligned_changes_nothing(history):
    once = align(history)
    if len(set(once.interval_ms.tolist())) > 1:
        return  # its days may have other paces once rows moved into the next day
    interval = int(once.interval_ms[0])
    again = align(Rows(once.slots, once.series), interval)
    assert np.array_equal(again.slots, once.slots)
    assert again.shared == 0


@settings(max_examples=30)
@given(histories(), histories())
def test_rows_that_come_twice_are_as_if_they_came_once(history, other):
    both = Rows.joined([history, other])
    twice = Rows.joined([both, history])
    one, two = align(both), align(twice)
    assert np.array_equal(one.slots, two.slots)
    assert all(np.array_equal(one.series[name], two.series[name], equal_nan=True) for name in one.series)
    assert two.shared == one.shared + len(history.with_something())


def test_a_row_goes_to_the_slot_at_or_before_it():
    times = every(10 * SECOND, 20)
    late = [at + 7_499 for at in times]
    assert align(rows(late)).slots.tolist() == times


def test_a_row_a_little_early_belongs_to_the_slot_that_it_means():
    """A timer that runs a little ahead: 11:59:59.9 is the poll of 12:00:00."""
    times = every(10 * SECOND, 20, START + HOUR_MS)
    early = [at - (100 if n % 2 else 0) for n, at in enumerate(times)]
    aligned = align(rows(early))
    assert aligned.slots.tolist() == times
    assert aligned.shared == 0


def test_of_rows_in_one_slot_each_series_has_its_last_value():
    times = [*every(10 * SECOND, 20), START + 3_000, START + 4_000]
    temperature = [*range(20), 100, np.nan]
    humidity = [*([np.nan] * 20), 40, 41]
    aligned = align(rows(times, dht22_temperature=temperature, dht22_humidity=humidity))
    assert (aligned.series["dht22_temperature"][0], aligned.series["dht22_humidity"][0]) == (100, 41)
    assert aligned.shared == 2


def test_rows_of_one_slot_that_have_different_series_lose_nothing():
    """A device with a file a sensor: the climate came three seconds after the dust."""
    dust, climate = (every(150 * SECOND, 20, START + seconds * SECOND) for seconds in (0, 3))
    aligned = align(Rows.joined([rows(dust, sds011_pm25=[9.0] * 20), rows(climate, bme280_pressure=[990.0] * 20)]))
    assert aligned.slots.tolist() == dust
    assert aligned.shared == 0


@pytest.mark.parametrize(
    ("step_ms", "interval_s"),
    [(1_420, 2), (1_000, 1), (990, 1), (10_050, 10), (10_420, 10), (59_500, 60), (145_000, 145), (149_000, 150),
     (3_600_000, 3600), (600, 1)],
)  # fmt: skip
def test_an_interval_is_the_one_that_people_set_or_whole_seconds(step_ms, interval_s):
    assert usual_interval(step_ms) == interval_s * 1000


def test_what_ahttpdc_stored_every_second_and_a_half_fills_its_slots():
    """Its pace was 1.42 s: slots of one second would be a third empty, and every hour incomplete."""
    aligned = align(rows(every(1_420, 2_000)))
    assert set(aligned.interval_ms.tolist()) == {2_000}
    assert aligned.missing() <= 1


def test_each_day_has_the_interval_of_its_rows():
    times = every(10 * SECOND, 8_640) + every(MINUTE, 1_440, START + DAY_MS) + every(HOUR_MS, 3, START + 2 * DAY_MS)
    aligned = align(rows(times))
    days = aligned.slots // DAY_MS - START // DAY_MS
    assert [sorted(set(aligned.interval_ms[days == day].tolist())) for day in (0, 1, 2)] == [
        [10_000],
        [60_000],
        [60_000],  # three rows tell no pace: it is the last one known
    ]


def test_rows_that_are_hours_apart_are_no_readings():
    with pytest.raises(ImportFailed, match=r"rows are 24 hours apart.*interval: 1h"):
        align(rows(every(DAY_MS, 10)))
    assert len(align(rows(every(DAY_MS, 10)), HOUR_MS)) == 10


def test_a_silence_of_more_than_a_day_ends_a_stretch_and_a_shorter_one_is_missed_slots():
    times = every(MINUTE, 60) + every(MINUTE, 60, START + DAY_MS) + every(MINUTE, 60, START + 10 * DAY_MS)
    aligned = align(rows(times))
    assert aligned.stretches() == [(0, 120), (120, 180)]
    assert aligned.gaps() == [
        (START + HOUR_MS, START + DAY_MS),
        (START + DAY_MS + HOUR_MS, START + 10 * DAY_MS),
    ]
    assert aligned.missing() == 23 * 60
    assert ENDS_AFTER_MS == DAY_MS


def test_a_series_is_missed_between_its_first_and_last_value_and_nowhere_else():
    temperature = [np.nan, np.nan, 1, np.nan, 3, np.nan]
    aligned = align(rows(every(MINUTE, 6), dht22_temperature=temperature, dht22_humidity=[1.0] * 6), MINUTE)
    problems = list(aligned.problems(slice(0, 6)))
    assert [[(one.series, one.value, one.flag) for one in some] for some in problems] == [
        [], [], [], [("dht22_temperature", None, Flag.MISSING)], [], []
    ]  # fmt: skip


def test_a_text_in_the_place_of_a_number_is_a_problem_unless_the_slot_has_a_value():
    spoilt = {"dht22_temperature": {START: "err", START + MINUTE: "err"}}
    times = [*every(MINUTE, 3), START + MINUTE + 5]
    history = rows(times, dht22_temperature=[np.nan, np.nan, 3, 2])
    aligned = align(Rows(history.times, history.series, spoilt), MINUTE)
    problems = list(aligned.problems(slice(0, 3)))
    assert [[(one.value, one.flag) for one in some] for some in problems] == [[("err", Flag.BAD)], [], []]

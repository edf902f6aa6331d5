import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.processing.local_clock import local_clock_ms, utc_offset_minutes
from air_pipeline.processing.local_time import (
    LocalHour,
    Stretch,
    day_window,
    epoch_ms,
    first_instant,
    from_epoch_ms,
    is_date,
    local_hours,
    span_ms,
    stretches,
    utc_text,
)

ZONES = sorted(zone for zone in available_timezones() if zone not in {"localtime", "Factory"})
zones = st.sampled_from(ZONES).map(ZoneInfo)
days = st.dates(date(1970, 1, 2), date(2100, 12, 30))

CHANGES = [
    ("Europe/Warsaw", date(2026, 3, 29)),
    ("Europe/Warsaw", date(2026, 10, 25)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Pacific/Apia", date(2011, 12, 29)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Pacific/Apia", date(2011, 12, 31)),
    ("Pacific/Kwajalein", date(1993, 8, 21)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("America/Sao_Paulo", date(2018, 2, 17)),
    ("Asia/Beirut", date(2022, 3, 27)),
    ("America/St_Johns", date(1987, 10, 24)),
    ("America/St_Johns", date(1987, 10, 25)),
    ("America/St_Johns", date(1988, 4, 3)),
    ("America/Havana", date(2026, 11, 1)),
    ("America/Nuuk", date(2024, 10, 26)),
    ("America/Nuuk", date(2024, 10, 27)),
    ("America/Scoresbysund", date(2024, 3, 30)),
    ("America/Scoresbysund", date(2024, 3, 31)),
    ("Asia/Kathmandu", date(1986, 1, 1)),
    ("Asia/Pyongyang", date(2015, 8, 15)),
    ("America/Caracas", date(2007, 12, 9)),
    ("Africa/Monrovia", date(1972, 1, 7)),
    ("Africa/Casablanca", date(2026, 2, 15)),
    ("Antarctica/Troll", date(2026, 3, 29)),
    ("Pacific/Chatham", date(2026, 9, 27)),
    ("Europe/Lisbon", date(1992, 9, 27)),
]


def hours_of(day: date, zone: ZoneInfo) -> tuple[LocalHour, ...]:
    return local_hours(*day_window(day, zone), zone)


def clock(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


@given(days, zones)
@settings(max_examples=150, deadline=None)
def test_days_tile_time_without_gap_or_overlap(day, zone):
    start, end = day_window(day, zone)
    assert start <= end
    assert start.tzinfo is UTC
    assert day_window(day + timedelta(days=1), zone)[0] == end


@given(days, zones)
@settings(max_examples=150, deadline=None)
def test_a_day_begins_when_its_date_is_first_reached(day, zone):
    start = first_instant(day, zone)
    assert clock(start, zone).date() >= day
    earlier = [start - timedelta(seconds=1), start - timedelta(hours=3), start - timedelta(hours=30)]
    assert all(clock(instant, zone).date() < day for instant in earlier)


@given(days, zones)
@settings(max_examples=150, deadline=None)
def test_hours_tile_the_day_and_each_instant_has_the_clock_of_its_hour(day, zone):
    start, end = day_window(day, zone)
    hours = hours_of(day, zone)
    edges = [hour.start_utc for hour in hours] + [end]
    assert edges[0] == start
    assert edges[1:] == [hour.end_utc for hour in hours]
    for hour in hours:
        assert timedelta() < hour.elapsed <= timedelta(hours=1)
        for instant in (hour.start_utc, hour.start_utc + hour.elapsed / 2, hour.end_utc - timedelta(seconds=1)):
            local = instant.astimezone(zone)
            shown = clock(instant, zone)
            assert (shown.date(), shown.hour) == (hour.local_start.date(), hour.local_start.hour)
            assert local.utcoffset() // timedelta(minutes=1) == hour.utc_offset_minutes
        assert clock(hour.start_utc, zone) == hour.local_start


@pytest.mark.parametrize(("name", "day"), CHANGES)
def test_around_clock_changes_every_minute_is_where_brute_force_puts_it(name, day):
    zone = ZoneInfo(name)
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=40)
    step = timedelta(seconds=30)  # half minutes, for Monrovia
    instants = [begin + step * n for n in range(120 * 80)]
    reached, furthest = [], date.min
    for instant in instants:  # the furthest date reached so far is the day an instant belongs to
        furthest = max(furthest, clock(instant, zone).date())
        reached.append(furthest)
    mine = [instant for instant, date_reached in zip(instants, reached, strict=True) if date_reached == day]
    start, end = day_window(day, zone)
    if not mine:
        assert start == end
        return
    assert (start, end) == (mine[0], mine[-1] + step)
    runs = [mine[0]]
    for before, after in itertools.pairwise(mine):
        a, b = before.astimezone(zone), after.astimezone(zone)
        if (a.date(), a.hour, a.utcoffset()) != (b.date(), b.hour, b.utcoffset()):
            runs.append(after)
    assert [hour.start_utc for hour in hours_of(day, zone)] == runs


def test_an_autumn_day_has_two_rows_for_its_repeated_hour():
    hours = hours_of(date(2026, 10, 25), ZoneInfo("Europe/Warsaw"))
    assert len(hours) == 25
    twice = [(hour.local_start.hour, hour.utc_offset_minutes) for hour in hours if hour.local_start.hour == 2]
    assert twice == [(2, 120), (2, 60)]


def test_a_spring_day_has_no_row_for_its_skipped_hour():
    hours = hours_of(date(2026, 3, 29), ZoneInfo("Europe/Warsaw"))
    assert [hour.local_start.hour for hour in hours] == [0, 1, *range(3, 24)]


def test_a_half_hour_shift_makes_half_hours():
    hours = hours_of(date(2026, 4, 5), ZoneInfo("Australia/Lord_Howe"))
    assert [hour for hour in hours if hour.elapsed < timedelta(hours=1)] == [hours[2]]
    assert hours[2].local_start == datetime(2026, 4, 5, 1, 30)  # noqa: DTZ001 - a local clock
    spring = hours_of(date(2026, 10, 4), ZoneInfo("Australia/Lord_Howe"))
    assert spring[2].local_start == datetime(2026, 10, 4, 2, 30)  # noqa: DTZ001 - a local clock


def test_a_skipped_date_is_an_empty_day():
    start, end = day_window(date(2011, 12, 30), ZoneInfo("Pacific/Apia"))
    assert start == end == datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert local_hours(start, end, ZoneInfo("Pacific/Apia")) == ()


def test_a_clock_that_steps_back_over_midnight_puts_the_date_before_into_the_day():
    hours = hours_of(date(1987, 10, 25), ZoneInfo("America/St_Johns"))
    assert [hour.local_start.isoformat() for hour in hours[:3]] == [
        "1987-10-25T00:00:00",
        "1987-10-24T23:01:00",
        "1987-10-25T00:00:00",
    ]
    assert sum((hour.elapsed for hour in hours), timedelta()) == timedelta(hours=25)


def test_an_ambiguous_midnight_is_the_earlier_one():
    start = first_instant(date(2026, 11, 1), ZoneInfo("America/Havana"))
    assert start == datetime(2026, 11, 1, 4, tzinfo=UTC)


@given(days, st.lists(st.integers(0, 400 * 86_400_000), max_size=6), zones)
@settings(max_examples=100, deadline=None)
def test_offsets_of_many_instants_are_those_of_each(day, moments, zone):
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    instants = [start + timedelta(milliseconds=moment) for moment in moments]
    milliseconds = np.array([epoch_ms(instant) for instant in instants], dtype=np.int64)
    expected = [instant.astimezone(zone).utcoffset() // timedelta(minutes=1) for instant in instants]
    offsets = utc_offset_minutes(milliseconds, zone)
    assert offsets.dtype == np.int16
    assert offsets.tolist() == expected
    shown = [datetime(1970, 1, 1) + timedelta(milliseconds=int(ms)) for ms in local_clock_ms(milliseconds, zone)]  # noqa: DTZ001
    assert shown == [clock(instant, zone) for instant in instants]


def test_seconds_of_an_offset_are_rounded_down_in_minutes_and_kept_on_the_clock():
    monrovia = ZoneInfo("Africa/Monrovia")  # −00:44:30, until 1972
    assert {hour.utc_offset_minutes for hour in hours_of(date(1971, 6, 1), monrovia)} == {-45}
    noon = np.array([epoch_ms(datetime(1971, 6, 1, 12, tzinfo=UTC))])
    assert utc_offset_minutes(noon, monrovia).tolist() == [-45]
    assert (local_clock_ms(noon, monrovia) - noon).tolist() == [-(44 * 60 + 30) * 1000]


def test_a_change_of_the_clock_at_the_end_of_a_time_is_not_in_it_and_no_time_has_no_stretch():
    havana = ZoneInfo("America/Havana")
    change = epoch_ms(datetime(2020, 11, 1, 5, tzinfo=UTC)) // 1000
    assert stretches(change - 60, change, havana) == [Stretch(change - 60, change, -4 * 3600)]
    assert stretches(change, change + 60, havana) == [Stretch(change, change + 60, -5 * 3600)]
    assert stretches(change, change, havana) == []


def test_instants_before_1970_are_rounded_down_too_and_none_have_no_offsets():
    new_york, nothing = ZoneInfo("America/New_York"), np.empty(0, np.int64)
    some = np.array([-500, 180 * 86_400_000])  # the last half a second of 1969, and a summer
    assert utc_offset_minutes(some, new_york).tolist() == [-300, -240]
    assert local_clock_ms(nothing, new_york).dtype == np.int64
    assert utc_offset_minutes(nothing, new_york).tolist() == []


def test_milliseconds_are_whole():
    assert epoch_ms(datetime(1970, 1, 1, 0, 0, 0, 1500, tzinfo=UTC)) == 1
    assert span_ms(timedelta(microseconds=1500)) == 1


def test_an_instant_in_words_is_iso_8601_with_a_z():
    assert utc_text(1_780_000_000_123) == "2026-05-28T20:26:40Z"
    assert utc_text(1_780_000_000_123, "milliseconds") == "2026-05-28T20:26:40.123Z"


@pytest.mark.parametrize(
    ("text", "is_one"), [("2026-11-21", True), ("20261121", False), ("2026-02-29", False), ("today", False)]
)
def test_a_date_in_its_usual_form_is_one(text, is_one):
    assert is_date(text) is is_one


@given(st.integers(-(10**13), 10**13))
def test_milliseconds_go_there_and_back(milliseconds):
    assert epoch_ms(from_epoch_ms(milliseconds)) == milliseconds

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.times import TimeError, instant

WARSAW = ZoneInfo("Europe/Warsaw")
NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
ZONES = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
DATES = st.dates(date(1971, 1, 1), date(2100, 1, 1))


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "meant"),
    [
        ("2026-11-21", utc(2026, 11, 20, 23)),
        ("2026-07-01", utc(2026, 6, 30, 22)),
        ("2026-11-21T08:00", utc(2026, 11, 21, 7)),
        ("2026-11-21 08:00:30.5", utc(2026, 11, 21, 7, 0, 30, 500_000)),
        ("2026-11-21T08:00Z", utc(2026, 11, 21, 8)),
        ("2026-11-21T08:00+05:30", utc(2026, 11, 21, 2, 30)),
        ("-90m", utc(2026, 11, 21, 11)),
        ("-2h", utc(2026, 11, 21, 10, 30)),
        ("-7d", utc(2026, 11, 14, 12, 30)),
        ("-2w", utc(2026, 11, 7, 12, 30)),
        ("-0d", NOW),
        (date(2026, 11, 21), utc(2026, 11, 20, 23)),
        (datetime(2026, 11, 21, 8), utc(2026, 11, 21, 7)),  # noqa: DTZ001
        (datetime(2026, 11, 21, 8, tzinfo=ZoneInfo("Asia/Tokyo")), utc(2026, 11, 20, 23)),
        (pd.Timestamp("2026-11-21T08:00"), utc(2026, 11, 21, 7)),
        (timedelta(hours=-1), utc(2026, 11, 21, 11, 30)),
    ],
)
def test_a_time_means_an_instant(time, meant):
    found = instant(time, WARSAW, NOW)
    assert found == meant
    assert found.utcoffset() == timedelta()


@pytest.mark.parametrize(
    ("local", "meant"),
    [
        ("2026-10-25T02:30", utc(2026, 10, 25, 0, 30)),  # shown twice: the first
        ("2026-10-25T02:30+01:00", utc(2026, 10, 25, 1, 30)),  # the second has to be said
        ("2026-03-29T02:30", utc(2026, 3, 29, 1, 30)),  # skipped: 03:30
    ],
)
def test_times_beside_a_change_of_the_clock(local, meant):
    assert instant(local, WARSAW, NOW) == meant


def test_a_date_without_a_midnight_begins_after_the_gap():
    assert instant("2018-11-04", ZoneInfo("America/Sao_Paulo"), NOW) == utc(2018, 11, 4, 3)


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "7d", "-7", "-7y", "- 7d", "-٧d", "21.11.2026", "2026-13-01", "2026-11-21T25:00", "-1d2h"]
)
def test_what_is_no_time_is_told_with_examples(text):
    with pytest.raises(TimeError) as raised:
        instant(text, WARSAW, NOW)
    assert str(raised.value) == f"{text!r} is not a time; write it as 2026-11-21, 2026-11-21T08:00 or -7d"


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01",
        "9999-12-31",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59-12:00",
        "1899-12-31",
        "2200-01-02",
        "-999999d",
        "-9999999999d",
        "-" + "9" * 5000 + "w",
        timedelta.min,
        timedelta.max,
        datetime.min,  # noqa: DTZ901
        pd.NaT,
    ],
)
def test_times_that_no_calendar_here_has_are_refused(time):
    with pytest.raises(TimeError, match="is out of bounds; write it as 2026-11-21"):
        instant(time, WARSAW, NOW)


@given(st.text() | st.text(alphabet="-0123456789mhdwT:+Z "))
def test_any_text_is_a_time_or_a_time_error(text):
    try:
        found = instant(text, WARSAW, NOW)
    except TimeError as error:
        assert len(str(error)) < 150  # noqa: PT017
    else:
        assert found.utcoffset() == timedelta()


@settings(deadline=None)
@given(DATES, ZONES)
def test_a_date_is_the_first_instant_of_its_local_day(day, zone):
    begin = instant(day, zone, NOW)
    assert begin == instant(day.isoformat(), zone, NOW)
    assert begin.astimezone(zone).date() >= day
    assert (begin - timedelta(seconds=1)).astimezone(zone).date() < day
    assert begin <= instant(day + timedelta(days=1), zone, NOW)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), ZONES)  # noqa: DTZ001
def test_a_local_time_means_an_instant_at_which_the_clock_shows_it_unless_it_skipped_it(local, zone):
    meant = instant(local, zone, NOW)
    assert meant == instant(local.isoformat(), zone, NOW)
    shown = meant.astimezone(zone)
    assert shown.replace(tzinfo=None) >= local
    if shown.replace(tzinfo=None) == local:
        assert shown.fold == 0


@given(st.integers(0, 500), st.sampled_from("mhdw"), ZONES)
def test_so_long_ago_is_elapsed_time_in_any_zone(number, unit, zone):
    hours = {"m": 1 / 60, "h": 1, "d": 24, "w": 168}[unit]
    assert NOW - instant(f"-{number}{unit}", zone, NOW) == timedelta(hours=number * hours)

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.times import TimeError, instant, interval, local_date

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
        ("now", NOW),
        ("today", utc(2026, 11, 20, 23)),
        ("yesterday", utc(2026, 11, 19, 23)),
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
    "text",
    [
        "",
        "tomorrow",
        "7d",
        "-7",
        "-7y",
        "- 7d",
        "-٧d",
        "Today",
        "21.11.2026",
        "2026-13-01",
        "2026-11-21T25:00",
        "-1d2h",
    ],
)
def test_what_is_no_time_is_told_with_examples(text):
    with pytest.raises(TimeError) as raised:
        instant(text, WARSAW, NOW)
    assert str(raised.value) == (f"{text!r} is not a time; write it as 2026-11-21, 2026-11-21T08:00, -7d or yesterday")
    with pytest.raises(TimeError) as raised:
        local_date(text, WARSAW, NOW)
    assert str(raised.value) == f"{text!r} is not a date; write it as 2026-11-21, -7d or yesterday"


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01",
        "9999-12-31",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59-12:00",
        "1899-12-31",
        "2200-01-02",
        "-99999d",
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
    with pytest.raises(
        TimeError, match=r"is out of bounds; write it as 2026-11-21.* in the years 1900 to 2199"
    ) as raised:
        instant(time, WARSAW, NOW)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Europe/Warsaw", "UTC", "Pacific/Niue"])
def test_the_first_and_the_last_date_are_known_in_every_zone(zone):
    """What begins with no time given begins with the first: the clock of a zone says which year it is."""
    for text in ("1900-01-01", "2199-12-31"):
        assert local_date(text, ZoneInfo(zone), NOW).isoformat() == text
    assert instant("1900-01-01", ZoneInfo(zone), NOW) < instant("1900-01-02", ZoneInfo(zone), NOW)


@pytest.mark.parametrize(("zone", "skipped"), [("Pacific/Apia", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-21")])
def test_a_date_that_the_zone_skipped_is_itself(zone, skipped):
    """It has no instant there, and devices in other zones have it."""
    assert local_date(skipped, ZoneInfo(zone), NOW).isoformat() == skipped
    assert local_date(f"{skipped}T12:00", ZoneInfo(zone), NOW).isoformat() > skipped


def test_today_is_that_of_the_zone():
    late = utc(2026, 11, 21, 23, 30)
    assert instant("today", WARSAW, late) == utc(2026, 11, 21, 23)
    assert instant("yesterday", WARSAW, late) == utc(2026, 11, 20, 23)
    assert local_date("today", WARSAW, late) == date(2026, 11, 22)
    assert instant("yesterday", WARSAW, utc(2026, 10, 26, 12)) == utc(2026, 10, 24, 22)


def test_so_many_days_ago_are_dates_whatever_the_clock_did_meanwhile():
    """Counted in hours, half past eleven in the evening of the autumn day would be today's."""
    autumn, spring = utc(2026, 10, 25, 22, 30), utc(2026, 3, 29, 22, 30)
    assert local_date("-1d", WARSAW, autumn) == local_date("yesterday", WARSAW, autumn) == date(2026, 10, 24)
    assert local_date("-1d", WARSAW, spring) == local_date("yesterday", WARSAW, spring) == date(2026, 3, 29)
    assert local_date("-2w", WARSAW, autumn) == date(2026, 10, 11)
    assert local_date("-0d", WARSAW, autumn) == date(2026, 10, 25)
    with pytest.raises(TimeError, match="out of bounds"):
        local_date("-999999d", WARSAW, autumn)


def test_a_stretch_goes_up_to_now_or_to_its_end():
    assert interval("-1h", None, WARSAW, NOW) == (utc(2026, 11, 21, 11, 30), NOW)
    assert interval("yesterday", "today", WARSAW, NOW) == (utc(2026, 11, 19, 23), utc(2026, 11, 20, 23))
    assert interval("today", "2026-11-25", WARSAW, NOW) == (utc(2026, 11, 20, 23), utc(2026, 11, 24, 23))


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (
            "2026-11-20T10:00Z",
            "2026-11-20",
            r"from 2026-11-20 11:00 to 2026-11-20 00:00 \(Europe/Warsaw\) is empty; put the earlier one first",
        ),
        ("2026-11-20T10:00:30", "2026-11-20T10:00:30", "from 2026-11-20 10:00:30 to 2026-11-20 10:00:30 .* is empty"),
        ("2026-12-24", None, r"2026-12-24 00:00 \(Europe/Warsaw\) is in the future: nothing has been read yet"),
        ("2026-12-24", "2026-12-25", "2026-12-24 00:00 .* is in the future"),
    ],
)
def test_an_empty_stretch_is_told_in_local_time(start, end, said):
    with pytest.raises(TimeError, match=said):
        interval(start, end, WARSAW, NOW)


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

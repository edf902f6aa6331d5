from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.days.calendar import DayNotOver, DayOutOfRange, check_over, device_days, finished_days, over_at
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import Device, Settings

DAY = date(2026, 11, 21)


def deployed(*zones, timezone="Europe/Warsaw", start=date(2026, 11, 1), grace=timedelta(minutes=15)):
    devices = tuple(Device(f"d{n}", f"http://d{n}/", zone) for n, zone in enumerate(zones or (timezone,)))
    return Settings(timezone, start, devices, grace)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_each_device_has_its_own_local_day():
    warsaw, tokyo = device_days(deployed("Europe/Warsaw", "Asia/Tokyo"), DAY)
    assert (warsaw.start, warsaw.end) == (epoch_ms(utc(2026, 11, 20, 23)), epoch_ms(utc(2026, 11, 21, 23)))
    assert (tokyo.start, tokyo.end) == (epoch_ms(utc(2026, 11, 20, 15)), epoch_ms(utc(2026, 11, 21, 15)))


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 10, 26), 24)]
)
def test_days_of_clock_changes_have_their_own_length(day, hours):
    (one,) = device_days(deployed(), day)
    assert one.end - one.start == hours * 3_600_000


def test_a_date_that_a_zone_skipped_is_no_day_of_its_devices():
    skipped = date(2011, 12, 30)
    days = device_days(deployed("Pacific/Apia", "Europe/Warsaw"), skipped)
    assert [one.device.id for one in days] == ["d1"]


def test_a_day_is_over_when_it_is_for_the_last_device_and_the_grace():
    assert over_at(deployed(), DAY) == utc(2026, 11, 21, 23, 15)
    assert over_at(deployed("Asia/Tokyo"), DAY) == utc(2026, 11, 21, 23, 15)
    assert over_at(deployed("Asia/Tokyo", "America/New_York"), DAY) == utc(2026, 11, 22, 5, 15)
    assert over_at(deployed(grace=timedelta(0)), DAY) == utc(2026, 11, 21, 23)


def test_before_the_end_of_the_grace_a_day_is_refused_with_the_time():
    settings_ = deployed()
    with pytest.raises(DayNotOver) as raised:
        check_over(settings_, DAY, utc(2026, 11, 21, 23, 14, 59))
    assert str(raised.value) == (
        "2026-11-21 is not over yet: it can be built from 2026-11-22 00:15+01:00 (Europe/Warsaw)"
    )
    check_over(settings_, DAY, utc(2026, 11, 21, 23, 15))


def test_a_day_before_the_first_one_is_refused_with_the_remedy():
    with pytest.raises(DayOutOfRange) as raised:
        check_over(deployed(), date(2026, 10, 31), utc(2027, 1, 1))
    assert str(raised.value) == (
        "2026-10-31 is before the first day to build (2026-11-01); set start: 2026-10-31 in devices.yaml"
    )


def test_finished_days_are_newest_first_back_to_the_start():
    assert list(finished_days(deployed(), utc(2026, 11, 4, 12))) == [date(2026, 11, n) for n in (3, 2, 1)]
    assert list(finished_days(deployed(), utc(2026, 11, 1, 12))) == []
    assert list(finished_days(deployed(), utc(2026, 10, 1, 12))) == []


def test_yesterday_is_not_finished_before_it_is_over_everywhere():
    settings_ = deployed("America/New_York")
    assert next(finished_days(settings_, utc(2026, 11, 22, 5, 14))) == date(2026, 11, 20)
    assert next(finished_days(settings_, utc(2026, 11, 22, 5, 15))) == DAY


def test_a_date_that_every_zone_skipped_is_never_finished():
    settings_ = deployed(timezone="Pacific/Apia", start=date(2011, 12, 28))
    assert list(finished_days(settings_, utc(2012, 1, 1))) == [date(2011, 12, n) for n in (31, 29, 28)]


def test_a_date_that_the_deployment_skipped_is_a_day_of_devices_elsewhere():
    settings_ = deployed("Asia/Tokyo", timezone="Pacific/Apia", start=date(2011, 12, 29))
    assert list(finished_days(settings_, utc(2012, 1, 1))) == [date(2011, 12, n) for n in (31, 30, 29)]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.sampled_from(sorted(available_timezones())), min_size=1, max_size=3),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_day_is_finished_exactly_when_it_can_be_built(zones, now):
    settings_ = deployed(*zones, timezone=zones[0], start=(now - timedelta(days=5)).date())
    finished = list(finished_days(settings_, now))
    for day in (now.date() + timedelta(days=n) for n in range(-5, 3)):
        try:
            check_over(settings_, day, now)
        except DayNotOver:
            assert day not in finished
        else:
            assert day in finished
            assert all(one.end <= epoch_ms(now) for one in device_days(settings_, day))


@settings(deadline=None)
@given(st.sampled_from(sorted(available_timezones())), st.dates(date(1971, 1, 1), date(2030, 1, 1)))
def test_the_days_of_a_device_tile_time(zone, day):
    settings_ = deployed(zone, timezone="UTC")
    edges = [(one.start, one.end) for n in range(3) for one in device_days(settings_, day + timedelta(days=n))]
    assert all(end == start for (_, end), (start, _) in pairwise(edges))
    local = datetime.fromtimestamp(edges[0][0] / 1000, ZoneInfo(zone)).date()
    assert local >= day

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from air_pipeline.days.building import DeviceCounts, built_daily, built_hourly, built_observations
from air_pipeline.days.calendar import DayNotOver, DayOfOtherSettings, DayOutOfRange
from air_pipeline.days.holdings import DayShrunk
from air_pipeline.days.inputs import day_inputs
from air_pipeline.devices.polls import Flag, Outcome
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.settings import Device
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.days.deployments import (
    AFTER,
    BEFORE,
    DAY,
    HOUR,
    MINUTE,
    build,
    contents,
    deployment,
    device,
    forget,
    poll,
    polls,
    seed,
    window,
    with_devices,
)

START, END = window()
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)


@pytest.fixture
def deployed(tmp_path):
    deployed = deployment(tmp_path)
    yield deployed
    deployed.store.close()


def expected(frame):
    return frame.groupby("device")["expected_count"].sum().to_dict()


def adds_up(*aggregates):
    for frame in aggregates:
        assert (frame["valid_count"] + frame["suspect_count"] + frame["bad_count"] == frame["observed_count"]).all()
        assert (frame["observed_count"] + frame["missing_count"] == frame["expected_count"]).all()


def test_a_day_of_polls_becomes_three_tables(deployed):
    seed(deployed)
    observed, hourly, daily = build(deployed)
    assert len(observed) == 144
    assert observed["flag"].eq(Flag.GOOD).all()
    assert hourly["expected_count"].tolist() == [6] * 24
    assert daily["expected_count"].tolist() == [144]
    assert daily["coverage"].tolist() == [1.0]
    assert daily["is_complete"].tolist() == [True]
    adds_up(hourly, daily)


def test_missed_slots_are_rows_that_are_missing(deployed):
    deployed.store.write(polls(START, START + 6 * HOUR))
    deployed.store.write([poll(START + 7 * HOUR, outcome=Outcome.TIMEOUT)])
    deployed.store.write(polls(START + 8 * HOUR, END))
    observed, hourly, daily = build(deployed)
    assert len(observed) == 144
    assert observed["flag"].eq(Flag.MISSING).sum() == 12
    assert observed["poll_outcome"].isna().sum() == 11
    assert daily["missing_count"].tolist() == [12]
    assert hourly["missing_count"].tolist() == [6 if hour in {6, 7} else 0 for hour in range(24)]
    adds_up(hourly, daily)


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_a_day_with_a_clock_change_has_its_own_hours(deployed, day, hours):
    seed(deployed, [day])
    observed, hourly, daily = build(deployed, day)
    assert len(observed) == hours * 6
    assert len(hourly) == hours
    assert daily["expected_count"].tolist() == [hours * 6]
    assert daily["hours_in_day"].tolist() == [hours]
    local = [time.hour for time in hourly["hour_start_local"]]
    assert local == ([0, 1, *range(3, 24)] if hours == 23 else [0, 1, 2, *range(2, 24)])
    adds_up(hourly, daily)


def test_a_device_in_another_zone_has_its_own_local_day(tmp_path):
    deployed = deployment(tmp_path, device(), device("tokyo", "Asia/Tokyo"), device("adelaide", "Australia/Adelaide"))
    seed(deployed)
    observed, hourly, daily = build(deployed)
    first = observed.groupby("device", observed=True)["observed_at"].min()
    assert first["hall"] == datetime(2026, 11, 20, 23, tzinfo=UTC)
    assert first["tokyo"] == datetime(2026, 11, 20, 15, tzinfo=UTC)
    assert first["adelaide"] == datetime(2026, 11, 20, 13, 30, tzinfo=UTC)
    assert set(observed["local_time"].dt.date) == {DAY}
    assert daily.set_index("device")["timezone"].to_dict() == {
        "hall": "Europe/Warsaw",
        "tokyo": "Asia/Tokyo",
        "adelaide": "Australia/Adelaide",
    }
    assert expected(daily) == {"hall": 144, "tokyo": 144, "adelaide": 144}
    adds_up(hourly, daily)
    deployed.store.close()


def test_an_interval_that_changes_in_the_middle_of_a_day_counts_from_there(deployed):
    noon = START + 12 * HOUR
    deployed.store.write(polls(START, noon))
    deployed.store.write(polls(noon, END, interval_ms=5 * MINUTE))
    observed, hourly, daily = build(deployed)
    assert len(observed) == 72 + 144
    assert hourly["expected_count"].tolist() == [6] * 12 + [12] * 12
    assert daily["missing_count"].tolist() == [0]


def test_what_was_expected_in_the_past_does_not_depend_on_the_interval_of_now(deployed):
    deployed.store.write(polls(START, START + 12 * HOUR))
    now = with_devices(deployed, device(interval_ms=MINUTE))
    _, _, daily = build(now)
    assert daily["expected_count"].tolist() == [144]
    assert daily["missing_count"].tolist() == [72]


def test_the_first_day_of_a_device_begins_with_its_first_poll(deployed):
    deployed.store.write(polls(START + 6 * HOUR, END))
    observed, hourly, daily = build(deployed)
    assert len(observed) == 108
    assert hourly["expected_count"].tolist() == [0] * 6 + [6] * 18
    assert hourly["coverage"].isna().tolist() == [True] * 6 + [False] * 18
    assert daily["expected_count"].tolist() == [108]
    adds_up(hourly, daily)


def test_polls_of_a_wrong_clock_change_nothing_of_what_is_expected(deployed):
    """One in 1970 would have had the device expected since ever."""
    deployed.store.write(polls(START + 6 * HOUR, END))
    without = day_inputs(deployed.store, deployed.settings, DAY)
    ahead = START + 3650 * 24 * HOUR
    deployed.store.write([*polls(0, HOUR), *polls(ahead, ahead + HOUR)])
    assert day_inputs(deployed.store, deployed.settings, DAY) == without
    assert build(deployed)[2]["expected_count"].tolist() == [108]


def test_since_a_date_a_device_is_expected_whether_it_was_polled_or_not(tmp_path):
    deployed = deployment(tmp_path, device(since=DAY))
    deployed.store.write(polls(START + 6 * HOUR, END))
    _, hourly, daily = build(deployed)
    assert daily["expected_count"].tolist() == [144]
    assert daily["missing_count"].tolist() == [36]
    assert hourly["missing_count"].tolist() == [6] * 6 + [0] * 18
    assert build(deployed, BEFORE)[0].empty
    deployed.store.close()


def test_what_was_polled_before_since_and_after_until_is_there_and_nothing_else_is_expected(tmp_path):
    deployed = deployment(tmp_path, device(since=DAY, until=AFTER))
    seed(deployed, [DAY])
    (start, _), (end, _) = window(BEFORE), window(AFTER)
    deployed.store.write([*polls(start + HOUR, start + 2 * HOUR), *polls(end + HOUR, end + 2 * HOUR)])
    deployed.store.write([poll(start + 4 * HOUR), poll(end + 4 * HOUR)])
    assert len(build(deployed, DAY)[0]) == 144
    for day in (BEFORE, AFTER):  # from the first poll to the last, as it was due then
        observed, *_ = build(deployed, day)
        assert len(observed) == 19
        assert (observed["flag"] == 9).sum() == 12
    assert build(deployed, BEFORE - timedelta(days=1))[0].empty
    deployed.store.close()


def test_a_device_that_is_expected_and_never_was_polled_is_missing_all_day(tmp_path):
    deployed = deployment(tmp_path, device(), device("never", since=BEFORE))
    seed(with_devices(deployed, device()))
    observed, hourly, daily = build(deployed)
    assert observed.groupby("device", observed=True).size().to_dict() == {"hall": 144, "never": 144}
    assert daily.set_index("device")["missing_count"].to_dict() == {"hall": 0, "never": 144}
    assert daily.set_index("device")["coverage"].to_dict() == {"hall": 1.0, "never": 0.0}
    assert observed.loc[observed["device"] == "never", "poll_outcome"].isna().all()
    adds_up(hourly, daily)
    deployed.store.close()


def test_a_device_that_was_never_polled_and_has_no_since_has_no_rows(tmp_path):
    deployed = deployment(tmp_path, device(), device("never"))
    seed(with_devices(deployed, device()))
    assert {name for frame in build(deployed) for name in frame["device"]} == {"hall"}
    deployed.store.close()


def test_a_store_without_anything_gives_files_without_rows(deployed):
    assert all(frame.empty for frame in build(deployed))
    assert all(contents(deployed))
    assert not deployed.environment.state.readings.exists()


def test_a_device_that_was_asked_for_no_series_has_no_rows(deployed):
    start, end = window()
    deployed.store.write([poll(at, outcome=Outcome.TIMEOUT, series=()) for at in range(start, end, 10 * MINUTE)])
    assert [len(rows) for rows in build(deployed)] == [0, 0, 0]


def test_the_counts_that_are_told_are_those_of_the_table(tmp_path):
    deployed = deployment(tmp_path, device("b"), device("a"), device("none"))
    deployed.store.write(polls(START, END, "a"))
    deployed.store.write([poll(START, "b"), poll(START + HOUR, "b", 99.0), poll(END - 10 * MINUTE, "b")])
    with built_observations(deployed, DAY) as built:
        assert built.counts == [
            DeviceCounts("a", expected=144, valid=144),
            DeviceCounts("b", expected=144, valid=2, bad=1, missing=141),
        ]
        assert [count.coverage for count in built.counts] == [1.0, 2 / 144]
        assert built.rows == built.written.row_count() == 288
    assert DeviceCounts("none").coverage is None
    deployed.store.close()


def test_what_is_not_published_leaves_the_day_as_it_was(deployed):
    with built_observations(deployed, DAY):
        pass
    assert not day_file(deployed.data, "observations", DAY).exists
    seed(deployed)
    build(deployed)
    before = contents(deployed)
    with built_observations(deployed, DAY):
        pass
    assert contents(deployed) == before


def test_a_day_that_is_not_over_is_refused_with_the_time(deployed):
    early = replace(deployed, now=lambda: datetime(2026, 11, 21, 23, 14, tzinfo=UTC))
    with (
        pytest.raises(DayNotOver, match=r"can be built from 2026-11-22 00:15\+01:00 \(Europe/Warsaw\)"),
        built_observations(early, DAY),
    ):
        pass
    with built_observations(replace(early, now=lambda: datetime(2026, 11, 21, 23, 15, tzinfo=UTC)), DAY):
        pass


def test_a_day_before_the_start_is_refused(deployed):
    with (
        pytest.raises(DayOutOfRange, match=r"set start: 2025-12-31 in devices\.yaml"),
        built_observations(deployed, date(2025, 12, 31)),
    ):
        pass


@pytest.mark.parametrize(
    "changes",
    [
        {"timezone": "Asia/Tokyo"},
        {"thresholds": {"first_temperature": 21.0}},
        {"expected_range": {"first_temperature": (5, 40)}},
    ],
    ids=str,
)
def test_one_table_alone_is_not_made_of_another_with_other_settings(deployed, changes):
    """It would say of itself that it was made with those."""
    seed(deployed)
    build(deployed)
    changed = with_devices(deployed, replace(device(), **changes))
    observed, hourly = (day_file(deployed.data, table, DAY) for table in ("observations", "hourly_aggregates"))
    before = contents(deployed)
    with pytest.raises(DayOfOtherSettings, match="build the whole day"), built_hourly(changed, DAY, observed):
        pass
    with pytest.raises(DayOfOtherSettings, match="build the whole day"), built_daily(changed, DAY, observed, hourly):
        pass
    assert contents(deployed) == before
    with built_hourly(deployed, DAY, observed) as built:
        assert built.rows


def test_a_day_that_would_lose_polls_is_refused_unless_forced(tmp_path):
    deployed = deployment(tmp_path, device("hall"), device("attic"))
    seed(deployed)
    build(deployed)
    forget(deployed, "attic", START, START + HOUR)
    with pytest.raises(DayShrunk, match="attic was built from 144 polls and the store now holds 138"):
        build(deployed)
    observed, *_ = build(deployed, force=True)
    assert set(observed["device"]) == {"hall", "attic"}
    deployed.store.close()


def test_the_same_polls_give_the_same_bytes(deployed):
    seed(deployed)
    build(deployed)
    before = contents(deployed)
    build(deployed)
    assert contents(deployed) == before


def test_two_stores_with_the_same_polls_give_the_same_bytes(tmp_path):
    station = Device("station", "http://station/", "Europe/Warsaw", interval_ms=MINUTE)
    other = Device("other", "http://other/", "Asia/Tokyo", interval_ms=MINUTE)
    both = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        both.append(deployment(tmp_path / name, *((station, other) if name == "one" else (other, station))))
    everything = [
        each for one in (station, other) for each in polls_between(one, Profile(one.id), START - 12 * HOUR, END)
    ]
    both[0].store.write(everything)
    for some in range(5):
        both[1].store.write(everything[::-1][some::5])
    observed, hourly, daily = build(both[0])
    build(both[1])
    assert contents(both[0]) == contents(both[1])
    series = len(station.units)
    assert len(observed) == 2 * series * 1440
    assert len(hourly) == 2 * series * 24
    assert len(daily) == 2 * series
    adds_up(hourly, daily)
    for deployed in both:
        deployed.store.close()

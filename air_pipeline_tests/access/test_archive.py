import traceback
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from air_pipeline.access import Archive, open_archive
from air_pipeline.catalogue import Parameter
from air_pipeline.devices.polls import Outcome
from air_pipeline.processing.columns import RULE_SET_VERSION, TABLES
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import SettingsError
from air_pipeline.storage.store import StoreError
from air_pipeline.times import TimeError
from air_pipeline_tests.days.deployments import (
    AFTER,
    BEFORE,
    DAY,
    HOUR,
    ONE,
    build,
    deployment,
    device,
    poll,
    polls,
    seed,
    window,
    with_devices,
)

START, END = window()
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DEVICES = (device("hall"), device("attic"), device("tokyo", "Asia/Tokyo"))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """Three devices, one in Tokyo; the 20th and 22nd are built, the 21st is not."""
    deployed = deployment(tmp_path_factory.mktemp("built"), *DEVICES, now=NOW)
    seed(deployed, [BEFORE, DAY, AFTER])
    build(deployed, BEFORE)
    build(deployed, AFTER)
    yield deployed
    deployed.store.close()


@pytest.fixture
def archive(deployed):
    return Archive(deployed)


@pytest.fixture
def empty(tmp_path):
    deployed = deployment(tmp_path, *DEVICES, now=NOW)
    yield Archive(deployed)
    deployed.store.close()


def local(*parts):
    return pd.Timestamp(*parts, tz="Europe/Warsaw")


def test_an_archive_is_opened_by_the_environment_or_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="there is no such file"):
        open_archive()
    text = "timezone: Europe/Warsaw\nstart: 2026-11-01\ndevices:\n  - id: hall\n    url: http://10.0.0.1/\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert open_archive("mine.yaml").devices == ["hall"]
    assert open_archive(tmp_path / "mine.yaml").units()["dht22_temperature"] == "°C"


def test_an_archive_knows_its_devices_and_units(archive):
    assert archive.devices == ["hall", "attic", "tokyo"]
    assert archive.units() == {"first_temperature": "°C"}


def test_latest_has_a_row_for_each_device(archive):
    latest = archive.latest()
    assert latest.index.tolist() == archive.devices
    assert latest.index.name == "device"
    assert latest.columns.tolist() == ["polled_at", "outcome", "observed_at", "first_temperature"]
    assert latest.loc["hall", "observed_at"] == local(2026, 11, 22, 23, 50)
    assert latest.loc["tokyo", "polled_at"] == local(2026, 11, 22, 15, 50)
    assert str(latest["observed_at"].dtype) == "datetime64[ms, Europe/Warsaw]"
    assert latest["first_temperature"].notna().all()


def test_latest_says_when_a_device_last_gave_a_reading(empty):
    store = empty._deployment.store
    store.write([poll(START), poll(START + HOUR, outcome=Outcome.TIMEOUT)])
    latest = empty.latest()
    assert latest.loc["hall", "outcome"] == "timeout"
    assert latest.loc["hall", "polled_at"] == local(2026, 11, 21, 1)
    assert latest.loc["hall", "observed_at"] == local(2026, 11, 21)
    assert latest.loc["attic", ["polled_at", "outcome", "observed_at", "first_temperature"]].isna().all()


def test_polls_of_a_wrong_clock_are_not_the_latest(empty):
    """One years ahead would be shown for years."""
    ahead = round(empty._deployment.now().timestamp() * 1000) + 3650 * 86_400_000
    empty._deployment.store.write([poll(10_000), poll(START), poll(ahead), poll(10_000, "attic")])
    latest = empty.latest()
    assert latest.loc["hall", "polled_at"] == latest.loc["hall", "observed_at"] == local(2026, 11, 21)
    assert latest.loc["attic"].isna().all()


def test_the_series_of_latest_are_in_order(empty):
    store = empty._deployment.store
    store.write([replace(poll(START, "hall"), values={"b_x": 1.0, "z_x": 2.0})])
    store.write([replace(poll(START, "attic"), values={"a_x": 1.0, "c_x": 2.0})])
    assert empty.latest().columns.tolist()[3:] == ["a_x", "b_x", "c_x", "z_x"]


def test_latest_of_nothing_is_nothing(empty):
    latest = empty.latest()
    assert latest.index.tolist() == ["hall", "attic", "tokyo"]
    assert latest.isna().all(axis=None)
    assert str(latest["polled_at"].dtype) == "datetime64[ms, Europe/Warsaw]"
    assert empty.latest([]).empty


def test_latest_and_history_are_of_the_devices_asked_for(archive):
    assert archive.latest("attic").index.tolist() == ["attic"]
    assert archive.latest(["tokyo", "hall"]).index.tolist() == ["tokyo", "hall"]
    assert archive.history("-4d", devices="attic")["device"].unique().tolist() == ["attic"]
    assert archive.history("-4d", devices=["tokyo", "hall", "tokyo"])["device"].unique().tolist() == ["tokyo", "hall"]


def test_history_is_in_local_time_and_half_open(archive):
    history = archive.history("2026-11-21", "2026-11-22", devices="hall")
    assert history.index[0] == local(2026, 11, 21)
    assert history.index[-1] == local(2026, 11, 21, 23, 50)
    assert len(history) == 144
    assert history.index.name == "observed_at"
    assert str(history.index.dtype) == "datetime64[ms, Europe/Warsaw]"
    assert history.columns.tolist() == ["device", "first_temperature"]
    assert str(history["first_temperature"].dtype) == "float64"


def test_history_of_several_devices_is_one_after_the_other(archive):
    history = archive.history("2026-11-21", "2026-11-22")
    assert history.groupby("device", sort=False).size().to_dict() == {"hall": 144, "attic": 144, "tokyo": 144}
    assert all(rows.index.is_monotonic_increasing for _, rows in history.groupby("device"))


@pytest.mark.parametrize(
    "start", ["-2d", timedelta(days=-2), "2026-11-22T13:00", datetime(2026, 11, 22, 12, tzinfo=UTC)]
)
def test_times_may_be_relative_local_or_of_any_zone(archive, start):
    history = archive.history(start, devices="hall")
    assert history.index[0] == local(2026, 11, 22, 13)
    assert history.index[-1] == local(2026, 11, 22, 23, 50)


def test_history_has_the_series_of_all_devices(empty):
    store = empty._deployment.store
    store.write([replace(poll(START, "hall"), values={"b_x": 1.0}), replace(poll(START, "attic"), values={"a_x": 2.0})])
    history = empty.history(DAY, AFTER)
    assert history.columns.tolist() == ["device", "a_x", "b_x"]
    assert history["a_x"].isna().tolist() == [True, False]


def test_history_of_nothing_is_a_frame_of_nothing(empty):
    for history in (empty.history("-1d"), empty.history("-1d", devices=[]), empty.history("-1d", devices="hall")):
        assert history.empty
        assert history.columns.tolist() == ["device"]
        assert str(history.index.dtype) == "datetime64[ms, Europe/Warsaw]"


@pytest.mark.parametrize("method", ["history", "observations", "hourly", "daily"])
def test_an_empty_time_and_an_unknown_device_are_told(archive, method):
    ask = getattr(archive, method)
    with pytest.raises(TimeError, match="is empty; put the earlier one first"):
        ask("2026-11-22", "2026-11-21")
    with pytest.raises(TimeError, match="is not a time"):
        ask("tomorrow")
    with pytest.raises(TimeError, match=r"2026-12-01 00:00 \(Europe/Warsaw\) is in the future"):
        ask("2026-12-01")
    with pytest.raises(SettingsError, match=r"there is no device 'hal' in devices\.yaml; did you mean hall\?"):
        ask("2026-11-21", devices=["attic", "hal"])
    with pytest.raises(
        SettingsError, match=r"there is no device 'zzz' in devices\.yaml; there are: hall, attic, tokyo"
    ):
        ask("2026-11-21", devices="zzz")


def test_observations_have_the_columns_of_their_table(archive):
    observations = archive.observations("2026-11-20", "2026-11-21")
    assert observations.columns.tolist() == list(TABLES["observations"].column_names)
    assert str(observations["observed_at"].dtype) == "datetime64[ms, UTC]"
    assert str(observations["device"].dtype) == "category"
    assert observations.index.tolist() == list(range(len(observations)))


def test_observations_are_those_of_the_slots_in_the_time(archive):
    found = archive.observations("2026-11-20T10:00", "2026-11-20T12:00", devices=["hall", "attic"])
    assert found.groupby("device", observed=True).size().to_dict() == {"attic": 12, "hall": 12}
    assert found["observed_at"].min() == local(2026, 11, 20, 10)
    assert found["observed_at"].max() == local(2026, 11, 20, 11, 50)


def test_a_device_in_another_zone_is_found_in_the_files_of_its_own_days(archive):
    found = archive.observations("2026-11-21T16:00", "2026-11-22", devices="tokyo")
    assert len(found) == 48
    assert found["local_time"].min() == pd.Timestamp(2026, 11, 22)
    assert found["observed_at"].min() == local(2026, 11, 21, 16)
    hours = archive.hourly("2026-11-21T16:00", "2026-11-22", devices="tokyo")
    assert hours["hour_start_local"].tolist() == [pd.Timestamp(2026, 11, 22, hour) for hour in range(8)]


@pytest.mark.parametrize("method", ["observations", "hourly", "daily"])
def test_built_or_not_makes_no_difference(archive, method, tmp_path):
    nowhere_built = deployment(tmp_path, *DEVICES, now=NOW)
    seed(nowhere_built, [BEFORE, DAY, AFTER])
    with Archive(nowhere_built) as live:
        for end in ("2026-11-21", "2026-11-23"):
            found = getattr(archive, method)("2026-11-20", end)
            assert not found.empty
            pd.testing.assert_frame_equal(found, getattr(live, method)("2026-11-20", end))


def test_what_is_built_counts_even_where_the_store_has_changed_since(tmp_path):
    deployed = deployment(tmp_path, device("hall"), now=NOW)
    seed(deployed)
    build(deployed)
    deployed.store.write([poll(START, value=33.0)])
    with Archive(deployed) as archive:
        assert archive.observations(DAY, AFTER)["value"].max() < 33
        assert archive.history(DAY, AFTER)["first_temperature"].max() == 33


def test_built_days_are_read_without_the_store(tmp_path):
    deployed = deployment(tmp_path, device("hall"), now=NOW)
    seed(deployed)
    build(deployed)
    deployed.store.close()
    deployed.environment.state.readings.write_text("no database at all", encoding="utf-8")
    archive = Archive(deployed)
    assert len(archive.observations(DAY, AFTER)) == 144
    with pytest.raises(StoreError, match="is damaged or no SQLite file"):
        archive.observations(BEFORE, AFTER)


@pytest.mark.parametrize("method", ["observations", "hourly", "daily"])
def test_there_is_nothing_before_the_start_and_before_the_first_poll(tmp_path, method):
    deployed = deployment(tmp_path, device("hall"), device("never"), start=DAY, now=NOW)
    seed(deployment(tmp_path, device("hall"), now=NOW), [BEFORE, AFTER])
    with Archive(deployed) as archive:
        before = getattr(archive, method)("2026-11-01", DAY)
        assert before.empty
        later = getattr(archive, method)("2026-11-01", "2026-11-23")
        assert later["device"].unique().tolist() == ["hall"]
        assert before.dtypes.drop("device").astype(str).to_dict() == later.dtypes.drop("device").astype(str).to_dict()


def test_of_the_time_before_the_start_there_is_what_was_built(tmp_path):
    earlier = deployment(tmp_path, device("hall"), now=NOW)
    seed(earlier, [BEFORE, DAY, AFTER])
    build(earlier, BEFORE)
    with Archive(deployment(tmp_path, device("hall"), start=AFTER, now=NOW)) as archive:
        assert archive.daily(BEFORE, "2026-11-23")["date"].dt.date.tolist() == [BEFORE, AFTER]
        assert archive.daily(DAY, AFTER).empty


def test_hours_are_those_that_begin_in_the_time(archive):
    hours = archive.hourly("2026-11-20T10:30", "2026-11-20T12:30", devices="hall")
    assert hours["hour_start"].tolist() == [local(2026, 11, 20, 11), local(2026, 11, 20, 12)]
    assert hours.columns.tolist() == list(TABLES["hourly_aggregates"].column_names)


def test_dailies_have_their_date_first(archive):
    daily = archive.daily("2026-11-20", "2026-11-21")
    assert daily.columns.tolist() == ["date", *TABLES["daily_aggregates"].column_names]
    assert daily["device"].tolist() == ["attic", "hall", "tokyo"]
    assert daily["date"].dt.date.tolist() == [BEFORE] * 3
    assert daily["expected_count"].tolist() == [144] * 3


def test_dailies_are_of_the_dates_that_the_time_touches(archive):
    def dates(*stretch):
        return archive.daily(*stretch, devices="hall")["date"].dt.date.tolist()

    assert dates("2026-11-20T23:00", "2026-11-22T00:10") == [BEFORE, DAY, AFTER]
    assert dates("2026-11-20", DAY) == [BEFORE]
    assert dates("-1d") == [date(2026, 11, 23), date(2026, 11, 24)]
    assert dates(AFTER, date(2026, 11, 23)) == [AFTER]


@pytest.mark.parametrize("method", ["observations", "hourly", "daily"])
def test_series_can_be_chosen(archive, method):
    ask = getattr(archive, method)
    everything = ask("2026-11-20", "2026-11-21")
    assert len(ask("2026-11-20", "2026-11-21", series="first_temperature")) == len(everything)
    assert len(ask("2026-11-20", "2026-11-21", series=["first_temperature"])) == len(everything)
    none = ask("2026-11-20", "2026-11-21", series=[])
    assert none.empty
    assert none.columns.tolist() == everything.columns.tolist()


@pytest.mark.parametrize("method", ["observations", "hourly", "daily"])
def test_built_days_without_rows_give_a_frame_with_the_same_types(archive, method, tmp_path):
    never = deployment(tmp_path, now=NOW)
    build(never, BEFORE)
    none = getattr(Archive(never), method)("2026-11-20", "2026-11-21")
    some = getattr(archive, method)("2026-11-20", "2026-11-21")
    assert none.empty
    kinds = [{name: str(dtype) for name, dtype in frame.dtypes.items()} for frame in (none, some)]
    assert kinds[0] == kinds[1]
    assert getattr(archive, method)("2026-11-20", "2026-11-21", devices=[]).dtypes.astype(str).to_dict() == kinds[1]


def test_a_device_without_any_poll_stands_beside_the_others(tmp_path):
    deployed = deployment(tmp_path, device("hall"), device("never", since=BEFORE), now=NOW)
    seed(deployment(tmp_path, device("hall"), now=NOW))
    build(deployed, DAY)
    found = Archive(deployed).observations(DAY, AFTER)
    assert found.groupby("device", observed=True).size().to_dict() == {"hall": 144, "never": 144}
    assert found["poll_outcome"].isna().sum() == 144
    assert found["poll_outcome"].dropna().unique().tolist() == ["ok"]
    assert len(Archive(deployed).observations(START_OF_DAY, START_OF_DAY + timedelta(minutes=20), devices="hall")) == 2


START_OF_DAY = datetime.fromtimestamp(START / 1000, UTC)


def test_flux_is_a_matter_of_influxdb(archive):
    with pytest.raises(StoreError, match="speaks no Flux: Flux needs InfluxDB"):
        archive.flux('from(bucket: "air")')


def test_local_days_farther_apart_than_a_day_are_found(tmp_path):
    west, east = "Etc/GMT+12", "Pacific/Kiritimati"
    deployed = deployment(tmp_path, device("far", east), timezone=west, now=NOW)
    seed(deployed)
    build(deployed)
    begin, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in window(DAY, device(timezone=east)))
    found = Archive(deployed).observations(begin, begin + timedelta(hours=1))
    assert len(found) == 6
    assert set(found["local_time"].dt.date) == {DAY}
    next_day = Archive(deployed).observations(end, end + timedelta(hours=1))
    assert set(next_day["local_time"].dt.date) == {AFTER}
    assert next_day["poll_outcome"].isna().all()
    deployed.store.close()


# One of them has a series that the other has not, and that no poll has given yet.
STATIONS = (
    device("hall"),
    replace(device("attic"), parameters=(*ONE, Parameter("other", "humidity", "%", "humidity", (0.0, 100.0), 0.1))),
)


@pytest.fixture
def stations(tmp_path):
    deployed = deployment(tmp_path, *STATIONS, now=NOW)
    seed(deployed)
    for one in STATIONS:
        said = tuple(parameter.series for parameter in one.parameters)
        deployed.store.write([poll(START, one.id, series=said)])
    with Archive(deployed) as archive:
        yield archive


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_device_that_was_moved_to_another_zone_has_each_instant_once(tmp_path, zone):
    """At any time while its days are built again; those that a move to the west leaves over come with the last."""
    before = deployment(tmp_path, device("hall"), device("attic"), now=NOW)
    seed(before, [BEFORE, DAY, AFTER])
    for day in (BEFORE, DAY):
        build(before, day)
    moved = with_devices(before, device("hall", zone), device("attic"))
    archive = Archive(moved)
    for again in (None, AFTER, DAY, BEFORE):
        if again:
            build(moved, again)
        for since, until in (
            (local(2026, 11, 20, 8), local(2026, 11, 22, 12)),
            (local(2026, 11, 21, 10), local(2026, 11, 22, 3)),
            (local(2026, 11, 21, 23, 30), local(2026, 11, 22, 12)),
        ):
            rows = archive.observations(since, until)
            assert not rows.duplicated(["device", "series", "observed_at"]).any()
            slots = list(pd.date_range(since, until, freq="10min", inclusive="left").tz_convert("UTC"))
            for name in ("hall", "attic"):
                at = list(rows[rows["device"] == name]["observed_at"].dt.tz_convert("UTC"))
                left_over = (name, zone) == ("hall", "America/New_York") and again != BEFORE
                assert at == slots or (left_over and set(at) < set(slots))
        assert (
            not archive.hourly(local(2026, 11, 20), local(2026, 11, 22, 12)).duplicated(["device", "hour_start"]).any()
        )
        archive.resample("hour", local(2026, 11, 20), local(2026, 11, 22, 12), "hall")
    before.store.close()


def test_a_date_that_the_deployment_skipped_has_the_dailies_of_devices_elsewhere(tmp_path):
    skipped = date(2011, 12, 30)
    deployed = deployment(
        tmp_path, device("tokyo", "Asia/Tokyo"), device("apia", "Pacific/Apia"), start=date(2011, 12, 28),
        now=datetime(2012, 1, 5, tzinfo=UTC), timezone="Pacific/Apia",
    )  # fmt: skip
    deployed.store.write(polls(*(epoch_ms(datetime(2011, 12, day, tzinfo=UTC)) for day in (27, 31)), "tokyo"))
    deployed.store.write(polls(*(epoch_ms(datetime(2011, 12, day, tzinfo=UTC)) for day in (27, 31)), "apia"))
    live = Archive(deployed).daily("2011-12-29", "2012-01-01")
    for day in (date(2011, 12, 29), skipped, date(2011, 12, 31)):
        build(deployed, day)
    built = Archive(deployed).daily("2011-12-29", "2012-01-01")
    of_date = {day: set(built[built["date"] == pd.Timestamp(day)]["device"]) for day in (date(2011, 12, 29), skipped)}
    assert of_date == {date(2011, 12, 29): {"tokyo", "apia"}, skipped: {"tokyo"}}
    pd.testing.assert_frame_equal(live, built)
    deployed.store.close()


@pytest.mark.parametrize("method", ["history", "observations", "hourly", "daily"])
def test_an_unknown_series_is_answered_with_the_nearest(stations, method):
    ask = getattr(stations, method)
    with pytest.raises(SettingsError, match=r"'first_temprature'; did you mean first_temperature\?"):
        ask(DAY, AFTER, series="first_temprature")
    with pytest.raises(SettingsError, match="'zzz'; there are: first_temperature, other_humidity"):
        ask(DAY, AFTER, series=["first_temperature", "zzz"])


@pytest.mark.parametrize("method", ["history", "observations", "hourly", "daily"])
def test_a_series_that_only_some_devices_have_may_be_asked_for(stations, method):
    assert len(getattr(stations, method)(DAY, AFTER, devices="hall", series="first_temperature"))
    found = getattr(stations, method)(DAY, AFTER, series="other_humidity")
    assert "attic" in found["device"].unique().tolist()


def test_history_has_the_series_that_are_asked_for_in_that_order(stations):
    found = stations.history(DAY, AFTER, series=["other_humidity", "first_temperature"])
    assert found.columns.tolist() == ["device", "other_humidity", "first_temperature"]
    assert found["other_humidity"].isna().all()
    assert str(found["other_humidity"].dtype) == "float64"
    assert stations.history("2026-11-20", "2026-11-21", series="other_humidity").columns.tolist() == [
        "device",
        "other_humidity",
    ]


def test_categories_are_those_that_occur(stations):
    found = stations.observations(DAY, AFTER, series="other_humidity")
    assert found["series"].cat.categories.tolist() == ["other_humidity"]
    assert found["poll_outcome"].cat.categories.tolist() == ["ok"]


@pytest.mark.parametrize("answer", ["observations", "hourly", "daily"])
def test_frames_say_by_which_rules_their_rows_are_flagged(tmp_path, monkeypatch, answer):
    """Several, while days of older rules wait to be built again; a day that has no files is of those of now."""
    deployed = deployment(tmp_path, now=NOW)
    seed(deployed, [BEFORE, DAY, AFTER])
    with monkeypatch.context() as older:
        older.setattr("air_pipeline.days.inputs.RULE_SET_VERSION", "0")
        build(deployed, BEFORE)
    build(deployed, DAY)
    ask = getattr(Archive(deployed), answer)
    assert ask(BEFORE, AFTER).attrs["rule_sets"] == ["0", RULE_SET_VERSION]
    assert ask(BEFORE, DAY).attrs["rule_sets"] == ["0"]
    assert ask(AFTER, AFTER + timedelta(days=1)).attrs["rule_sets"] == [RULE_SET_VERSION]
    deployed.store.close()


def test_every_frame_knows_the_units_of_its_series(stations):
    assert stations.history(DAY, AFTER).attrs["units"] == {"first_temperature": "°C"}
    assert stations.latest().attrs["units"] == {"first_temperature": "°C"}
    both = {"first_temperature": "°C", "other_humidity": "%"}
    for answer in (stations.observations, stations.hourly, stations.daily):
        assert answer(DAY, AFTER).attrs["units"] == both
        assert answer(DAY, AFTER, series="other_humidity").attrs["units"] == {"other_humidity": "%"}
    assert stations.resample("hour", DAY, AFTER).attrs["units"] == both


def test_resampling_is_by_local_hour_or_day(stations):
    by_hour = stations.resample("hour", DAY, AFTER)
    hourly = stations.hourly(DAY, AFTER, devices="hall", series="first_temperature")
    assert by_hour.columns.tolist() == ["device", "first_temperature", "other_humidity"]
    assert by_hour.groupby("device").size().to_dict() == {"attic": 24, "hall": 24}
    assert str(by_hour.index.dtype) == "datetime64[ms, Europe/Warsaw]"
    assert by_hour.index[0] == local(2026, 11, 21)
    hall = by_hour[by_hour["device"] == "hall"]
    assert hall["first_temperature"].tolist() == hourly["mean"].tolist()
    assert hall["other_humidity"].isna().all()
    by_day = stations.resample("day", DAY, AFTER, devices="hall", series="first_temperature", statistic="max")
    assert by_day.index.tolist() == [pd.Timestamp(2026, 11, 21)]
    assert by_day["first_temperature"].tolist() == [hourly["max"].max()]


def test_resampled_frames_of_means_and_of_coverage_have_one_shape(stations):
    stretch = ("hour", "2026-11-20T22:00", "2026-11-21T02:00", "hall", "first_temperature")
    means, coverage = stations.resample(*stretch), stations.resample(*stretch, statistic="coverage")
    assert means.index.equals(coverage.index)
    assert coverage["first_temperature"].tolist() == [1, 1]
    nothing = stations.resample("day", "2026-11-01", "2026-11-02", series="first_temperature")
    assert nothing.empty
    assert nothing.columns.tolist() == ["device", "first_temperature"]


def test_an_autumn_night_has_its_hour_twice(tmp_path):
    night = date(2026, 10, 25)
    deployed = deployment(tmp_path, device("hall"), now=NOW)
    seed(deployed, [night])
    with Archive(deployed) as archive:
        hours = archive.resample("hour", night, "2026-10-26").index
    assert len(hours) == 25
    assert [hour.isoformat() for hour in hours if hour.hour == 2] == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
    ]


def test_an_error_for_a_person_brings_no_others_along(tmp_path):
    deployed = deployment(tmp_path, device("hall"), now=NOW)
    deployed.environment.state.path.mkdir()
    deployed.environment.state.readings.write_text("no database at all", encoding="utf-8")
    with pytest.raises(StoreError) as raised:
        Archive(deployed).history("-1d")
    shown = "".join(traceback.format_exception(raised.value))
    assert shown.count("Traceback") == 1
    assert "sqlite3." not in shown


def test_the_steps_of_a_question_are_told(tmp_path):
    deployed = deployment(tmp_path, *DEVICES, now=NOW)
    seed(deployed, [BEFORE, DAY])
    build(deployed, BEFORE)
    told = []
    with Archive(deployed, lambda done, steps: told.append((done, steps))) as archive:
        archive.daily("2026-11-10", AFTER)
    assert told == [(number, 4) for number in range(5)]  # and none for the days before the first poll

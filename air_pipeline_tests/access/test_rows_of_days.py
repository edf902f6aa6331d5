"""Rows of the tables of days: from files where a day is built, else computed, each once and in its own local day."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from air_pipeline.access import Archive
from air_pipeline.processing.columns import RULE_SET_VERSION, TABLES
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.storage.store import StoreError
from air_pipeline_tests.access.archives import DEVICES, NOW, START, local
from air_pipeline_tests.days.deployments import (
    AFTER,
    BEFORE,
    DAY,
    build,
    deployment,
    device,
    poll,
    polls,
    seed,
    window,
    with_devices,
)


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

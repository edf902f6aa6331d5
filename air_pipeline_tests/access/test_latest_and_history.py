"""Readings as devices gave them: the last of each, and those of a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from air_pipeline.devices.polls import Outcome
from air_pipeline_tests.access.archives import START, local
from air_pipeline_tests.days.deployments import (
    AFTER,
    DAY,
    HOUR,
    poll,
)


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


def test_history_of_no_devices_has_the_same_types(empty, archive):
    none, some = (
        one.history("2026-11-20", "2026-11-22", devices=devices) for one, devices in ((empty, []), (archive, None))
    )
    assert none.empty
    assert none.index.dtype == some.index.dtype
    assert none["device"].dtype == some["device"].dtype


def test_history_has_the_series_that_are_asked_for_in_that_order(stations):
    found = stations.history(DAY, AFTER, series=["other_humidity", "first_temperature"])
    assert found.columns.tolist() == ["device", "other_humidity", "first_temperature"]
    assert found["other_humidity"].isna().all()
    assert str(found["other_humidity"].dtype) == "float64"
    assert stations.history("2026-11-20", "2026-11-21", series="other_humidity").columns.tolist() == [
        "device",
        "other_humidity",
    ]

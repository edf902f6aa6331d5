"""Whether something of built days would be lost, and which are to be built again: as `doctor` says it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from air_pipeline.health import Level, kept
from air_pipeline.health.kept import days_kept
from air_pipeline.health.seen import Seen
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.storage.binding import binding_of
from air_pipeline.storage.store import EARLIEST_MS, LATEST_MS
from air_pipeline_tests.days.deployments import (
    DAY,
    HOUR,
    MINUTE,
    device,
    poll,
    window,
    with_built_days,
    with_devices,
)
from air_pipeline_tests.waiting import WITHIN_S

ALL = (EARLIEST_MS, LATEST_MS)
DAYS = [DAY - timedelta(days=number) for number in range(3)]


@pytest.fixture
def three(tmp_path, monkeypatch):
    """Three days of two devices, built."""
    monkeypatch.setattr(kept, "COMPARE_WITHIN_S", WITHIN_S)
    deployed = with_built_days(tmp_path, device("hall"), device("attic"), days=DAYS)
    yield deployed
    deployed.store.close()


def found(deployed):
    """As `doctor` finds it."""
    return list(days_kept.findings(Seen(deployed.environment, deployed.now(), deployed.settings)))


def test_of_days_that_are_as_they_would_be_little_is_said(three):
    [said] = found(three)
    assert (said.level, said.text) == (Level.OK, "the store has what they were built from")


def test_days_that_are_to_be_built_again_are_said_and_are_no_fault(three):
    """As after `delete`, while nothing runs that would build them."""
    three.store.write([poll(window(DAYS[1])[0] + 5 * MINUTE)])
    [said] = found(three)
    assert said.level is Level.OK
    assert f"; {DAYS[1]} are built again by the next `build_days` that runs" in said.text
    assert said.text.endswith("air-pipeline build")


def test_what_the_store_has_lost_is_told_by_device(three):
    start, _ = window(DAYS[2])
    three.store.delete("hall", start, start + HOUR)
    [said] = found(three)
    assert said.level is Level.WARNING
    assert (
        f"left alone: {DAYS[2]}; on the first, hall was built from 144 polls and the store now holds 138" in said.text
    )
    assert f"--force --from {DAYS[2]} --to {DAYS[2]}" in said.remedy


def test_a_device_that_devices_yaml_has_no_more_is_no_loss_of_the_store(three):
    """It is known as one of before, unless the state directory was lost."""
    assert all(not said.is_bad for said in found(with_devices(three, device("hall"))))
    three.environment.state.former.write_text('{"has_tables":true,"devices":[]}', encoding="utf-8")
    [said] = found(with_devices(three, device("hall")))
    assert "attic was built from 144 polls and devices.yaml no longer expects it" in said.text
    assert "air-pipeline rename" in said.remedy


@pytest.mark.influxdb
@pytest.mark.parametrize(("retention_days", "level"), [(30, Level.OK), (0, Level.WARNING)])
def test_what_a_bucket_lets_go_by_its_retention_is_no_loss(three, influxdb, retention_days, level):
    """Three days of last November, read next June, and a bucket that does not have them."""
    bucket = influxdb.make_bucket(retention_s=retention_days * 86_400)
    environment = replace(three.environment, influxdb=influxdb.connection(bucket))
    binding_of(three.data).unlink()  # as its remedy says
    [said] = days_kept.findings(Seen(environment, three.now(), three.settings))
    assert said.level is level
    assert said.numbers == {"days_lost": 3 * (not retention_days), "days_let_go": 3 * bool(retention_days)}


def test_a_store_that_was_emptied_has_lost_what_is_built(three):
    for one in ("hall", "attic"):
        three.store.delete(one, *ALL)
    [said] = found(three)
    assert (said.level, said.numbers["days_lost"]) == (Level.WARNING, 3)


def test_of_a_store_that_begins_long_after_a_day_nothing_is_expected(three):
    """Whoever clears what is old keeps the days that were built from it."""
    for one in ("hall", "attic"):
        three.store.delete(one, *ALL)
        three.store.write([poll(window(DAY)[1] + HOUR, one)])
    [said] = found(three)
    assert (said.level, said.numbers["days_let_go"]) == (Level.OK, 3)
    soon = Seen(three.environment, from_epoch_ms(window(DAY)[1] + 2 * HOUR), three.settings)
    [said] = days_kept.findings(soon)
    assert (said.level, said.numbers["days_lost"]) == (Level.WARNING, 3)

"""Whether something of built days would be lost, and which are to be built again: as `doctor` says it."""

from datetime import timedelta

import pytest

from air_pipeline.health import Level, days
from air_pipeline.health.days import days_kept
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline_tests.days.deployments import (
    DAY,
    HOUR,
    MINUTE,
    build,
    deployment,
    device,
    poll,
    seed,
    window,
    with_devices,
)
from air_pipeline_tests.waiting import WITHIN_S

DAYS = [DAY - timedelta(days=number) for number in range(3)]


@pytest.fixture
def three(tmp_path, monkeypatch):
    """Three days of two devices, built."""
    monkeypatch.setattr(days, "COMPARE_WITHIN_S", WITHIN_S)
    monkeypatch.setattr("air_pipeline.health.seen.WATCHED_DAYS", 400)
    deployed = deployment(tmp_path, device("hall"), device("attic"))
    seed(deployed, DAYS)
    for day in DAYS:
        build(deployed, day)
    yield deployed
    deployed.store.close()


def found(deployed):
    return list(days_kept.findings(seen_by_dagster(deployed)))


def test_of_days_that_are_as_they_would_be_nothing_is_said(three):
    assert found(three) == []


def test_days_that_are_to_be_built_again_are_said_and_are_no_fault(three):
    """As after `delete`, while nothing runs that would build them."""
    three.store.write([poll(window(DAYS[1])[0] + 5 * MINUTE)])
    [said] = found(three)
    assert said.level is Level.OK
    assert said.text.startswith(f"{DAYS[1]} are built again by the next `build_days` that runs")
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

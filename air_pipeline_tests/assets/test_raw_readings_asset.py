"""`raw_readings` by hand, on real devices, a real store and a real instance."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from air_pipeline.assets.raw_readings import materialization
from air_pipeline.collection.collector_state import CollectorState
from air_pipeline.collection.lease import CollectorLock
from air_pipeline.collection.report import Report
from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.assets.small_deployments import (
    checks_of,
    deployment_in,
    failures,
    metadata_of,
    real_instance,
    run_job,
    small_device,
    write_settings,
)


@pytest.fixture(scope="module")
def simulator():
    with Simulator(["hall", "attic"]) as simulator:
        yield simulator


@pytest.fixture
def instance(tmp_path):
    with real_instance(tmp_path) as instance:
        yield instance


@pytest.fixture
def deployment(tmp_path, simulator):
    devices = [small_device(name, simulator.url(name), timeout="1h") for name in ("hall", "attic")]
    return deployment_in(tmp_path, *devices, present=lambda: datetime.now(UTC))


def test_with_an_external_collector_no_device_is_asked_and_nothing_passes_by_it(tmp_path, instance, simulator):
    devices = [small_device(name, simulator.url(name), timeout="1h") for name in ("hall", "attic")]
    deployment = deployment_in(tmp_path, *devices, present=lambda: datetime.now(UTC), collector="external")
    before = len(simulator.requests("hall").times_ms)
    result = run_job(deployment, instance)
    assert len(simulator.requests("hall").times_ms) == before
    assert metadata_of(result)["raw_readings"]["polls"] == 0
    checks = checks_of(result)
    assert not checks.keys() & {"raw_readings.outbox_draining", "raw_readings.collector_running"}
    assert not deployment.environment.state.outbox.exists()


def test_without_a_collector_every_device_is_polled_once_and_reported(deployment, instance, simulator):
    before = len(simulator.requests("hall").times_ms)
    now_ms = round(datetime.now(UTC).timestamp() * 1000)  # the slots of this hour began before this report
    report = Report(now_ms - 1, now_ms, {}, (), expected=2, collector=CollectorState())
    instance.report_runless_asset_event(materialization(report))
    result = run_job(deployment, instance)
    assert failures(result) == {}
    assert len(simulator.requests("hall").times_ms) == before + 1
    said = metadata_of(result)["raw_readings"]
    assert (said["polls"], said["readings"], said["devices"], said["polls_partial"]) == (2, 2, 2, 0)
    assert said["outbox_pending"] == said["quarantined"] == 0
    assert "not_well" not in said
    checks = checks_of(result)
    assert checks.pop("raw_readings.collector_running") is False  # it polls once and goes
    assert checks.keys() == {
        f"raw_readings.{name}"
        for name in (
            "clock_believed",
            "devices_reporting",
            "store_answering",
            "devices_themselves",
            "outbox_draining",
            "polls_recorded",
            "outbox_whole",
            "quarantine_empty",
            "configuration_valid",
            "documents_known",
            "disk_lasts",
        )
    }
    assert checks.pop("raw_readings.documents_known") is False  # the other series of the simulated station
    assert all(checks.values())


def test_with_a_collector_no_device_is_asked_and_the_file_of_now_counts(deployment, instance, simulator, tmp_path):
    before = len(simulator.requests("hall").times_ms)
    (tmp_path / "devices.yaml").write_text("timezone: Europe/Warsow\n", encoding="utf-8")
    with CollectorLock(deployment.environment.state):
        result = run_job(deployment, instance)
    assert len(simulator.requests("hall").times_ms) == before
    assert metadata_of(result)["raw_readings"]["polls"] == 0
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert checks["collector_running"].passed
    assert not checks["configuration_valid"].passed
    assert f"{tmp_path / 'devices.yaml'}:1: " in checks["configuration_valid"].description


def test_a_device_that_is_silent_is_named(deployment, instance, simulator, tmp_path):
    silent = small_device("cellar", "http://127.0.0.1:9/circumstances", timeout="1h")
    write_settings(tmp_path / "devices.yaml", [small_device("hall", simulator.url("hall"), timeout="1h"), silent])
    result = run_job(deployment, instance)
    said = metadata_of(result)["raw_readings"]
    assert (said["polls"], said["readings"], said["polls_unreachable"]) == (2, 1, 1)
    event = instance.get_latest_materialization_event(dg.AssetKey("raw_readings"))
    [row] = event.asset_materialization.metadata["not_well"].records
    assert row.data == {"device": "cellar", "polls": 1, "mostly": "unreachable"}
    [check] = [one for one in result.get_asset_check_evaluations() if one.check_name == "devices_reporting"]
    assert check.description == (
        "1 of 2 devices gave no reading lately: cellar (unreachable);"
        " See that it has power and network; ask it: air-pipeline poll cellar"
    )
    assert check.severity is dg.AssetCheckSeverity.WARN


def test_a_store_that_does_not_answer_is_a_failure_in_words(deployment, instance):
    deployment.environment.state.path.mkdir()
    deployment.environment.state.readings.write_bytes(b"no database " * 1000)
    with CollectorLock(deployment.environment.state):
        [said] = failures(run_job(deployment, instance)).values()
    assert "is damaged or no SQLite file" in said

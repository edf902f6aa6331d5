"""The sensor `collect`: real ticks on a real instance, with real collector processes and devices."""

import json
import os
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import dagster as dg
import psutil
import pytest

from air_pipeline.automation import collecting as collecting_sensor
from air_pipeline.boottime import boottime
from air_pipeline.collection.lease import LEASE_S, CollectorLock, end_lease, extend_lease, holder
from air_pipeline.collection.outbox import Outbox
from air_pipeline.definitions import build_definitions
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Simulator
from air_pipeline.records import read_record
from air_pipeline_tests.assets.small_deployments import Present, deployment_in, plain, seed, small_device
from air_pipeline_tests.waiting import WITHIN_S, wait_for

EXTERNAL = {"collector": "external"}
CHECKS = {
    "collector_running",
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
}


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """A tick waits for its store as long as a slow machine takes."""
    monkeypatch.setattr(collecting_sensor, "STORE_WITHIN_S", WITHIN_S)


def has_begun(deployment):
    """A collector ran here, though something else starts it."""
    Outbox(deployment.environment.state.outbox).close()


class Ticks:
    """Ticks one after the other, as the daemon makes them."""

    def __init__(self, deployment, instance):
        self.deployment, self.instance, self.cursor = deployment, instance, None
        self.definitions = build_definitions(deployment)
        self.sensor = self.definitions.resolve_sensor_def("collect")

    def __call__(self):
        resources = {"deployment": self.deployment}
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources=resources, definitions=self.definitions
        ) as context:
            tick = self.sensor.evaluate_tick(context)
        self.cursor = tick.cursor
        return tick


def reports(tick):
    return [plain(one.metadata) for one in materializations(tick, "raw_readings")]


def materializations(tick, asset):
    events = [one for one in tick.asset_events if isinstance(one, dg.AssetMaterialization)]
    return [one for one in events if one.asset_key == dg.AssetKey(asset)]


def checks(tick):
    return {one.check_name: one for one in tick.asset_events if isinstance(one, dg.AssetCheckEvaluation)}


def lease_ends(deployment):
    return read_record(deployment.environment.state.collector_lease)["until"]


def collecting(tmp_path, present=None, **more):
    """A deployment of which the test itself is the collector."""
    return deployment_in(tmp_path, small_device("hall", interval="10s"), present=present, **more)


def poll(device, at, outcome=Outcome.OK):
    values = {"dht22_temperature": 20.0} if outcome.has_reading else {}
    return Poll(device, round(at.timestamp() * 1000), outcome, 40.0, 10.0, 200, values)


def test_ticks_keep_a_real_collector_that_ends_with_its_lease(instance, tmp_path):
    with Simulator(["hall"]) as simulator:
        device = small_device("hall", simulator.url("hall"), interval="1s")
        deployment = deployment_in(tmp_path, device, present=lambda: datetime.now(UTC))
        state = deployment.environment.state
        tick = Ticks(deployment, instance)
        try:
            before = boottime()
            first = tick()
            assert before + LEASE_S <= lease_ends(deployment) <= boottime() + LEASE_S
            extend_lease(state, 2 * WITHIN_S)  # a slow machine may tick too late
            assert first.skip_message.startswith("started a collector (process ")
            assert set(checks(first)) == CHECKS - {"collector_running", "devices_reporting"}  # it is on its way
            wait_for(lambda: holder(state), "the collector")
            process = psutil.Process(holder(state).pid)
            assert f"(process {process.pid})" in first.skip_message
            assert holder(state).leased
            wait_for(deployment.store.latest, "a reading in the store")
            wait_for(lambda: reports(tick()), "a report")
            again = tick()
            assert "started" not in again.skip_message
            assert holder(state).pid == process.pid
            assert reports(again) == []
        finally:
            end_lease(state)
        wait_for(lambda: holder(state) is None, "the end of the collector")
        with suppress(psutil.NoSuchProcess):
            process.wait(WITHIN_S)
    assert "Traceback" not in state.collector_log.read_text()


def test_the_second_tick_says_that_a_collector_runs(instance, tmp_path):
    deployment = collecting(tmp_path)
    with CollectorLock(deployment.environment.state):
        found = checks(Ticks(deployment, instance)())
    assert set(found) == CHECKS
    assert found["collector_running"].passed
    assert str(os.getpid()) in found["collector_running"].description


def test_a_collector_that_does_not_stay_up_fails_the_check(instance, tmp_path):
    present = Present()
    deployment = collecting(tmp_path, present)
    deployment.environment.state.path.mkdir()
    deployment.environment.state.binding.write_text("another store\n")  # so it ends at once
    tick = Ticks(deployment, instance)
    started = []

    def start():
        answer = tick()
        started.append(int(answer.skip_message.partition("process ")[2].partition(")")[0]))
        return answer

    try:
        assert "collector_running" not in checks(start())
        present.now += timedelta(seconds=15)
        wait_for(lambda: _has_ended(started[-1]), "the end of the collector")
        failed = checks(start())["collector_running"]
        assert not failed.passed
        assert failed.severity is dg.AssetCheckSeverity.ERROR
        assert "collector.log" in failed.description
    finally:
        for pid in started:
            wait_for(lambda pid=pid: _has_ended(pid), "the end of the collector")


def _has_ended(pid):
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True


def test_reports_come_with_the_first_readings_and_then_every_quarter_of_an_hour(instance, tmp_path):
    present = Present(datetime(2026, 3, 20, 12, tzinfo=UTC))
    deployment = collecting(tmp_path, present, **EXTERNAL)
    tick = Ticks(deployment, instance)
    said = []
    for seconds in range(0, 1850, 15):
        slot = present.now - timedelta(seconds=20)
        if seconds >= 30:
            deployment.store.write([poll("hall", slot)])
        tick_reports = reports(tick())
        if tick_reports:
            said.append((seconds, tick_reports[0]))
        present.now += timedelta(seconds=15)
    assert [seconds for seconds, _ in said] == [30, 930, 1830]
    assert [one["polls"] for _, one in said] == [1, 60, 60]
    assert [one["since"] for _, one in said[1:]] == [one["until"] for _, one in said[:-1]]


def test_checks_come_on_change_and_every_six_hours(instance, tmp_path):
    present = Present()
    deployment = collecting(tmp_path, present, **EXTERNAL)
    has_begun(deployment)
    tick = Ticks(deployment, instance)
    assert set(checks(tick())) == CHECKS
    present.now += timedelta(seconds=15)
    assert checks(tick()) == {}
    with closing(Outbox(deployment.environment.state.outbox)) as box:
        box.remember("hall", notes="it sends something new")
    [changed] = checks(tick()).values()
    assert (changed.check_name, changed.passed) == ("documents_known", False)
    assert "hall (it sends something new)" in changed.description
    assert checks(tick()) == {}
    present.now += timedelta(hours=5)
    assert checks(tick()) == {}
    present.now += timedelta(hours=1)
    assert set(checks(tick())) == CHECKS


def test_an_external_collector_is_only_reported(instance, tmp_path):
    deployment = collecting(tmp_path, **EXTERNAL)
    has_begun(deployment)
    tick = Ticks(deployment, instance)()
    assert not deployment.environment.state.collector_lease.exists()
    assert holder(deployment.environment.state) is None
    assert not checks(tick)["collector_running"].passed
    assert tick.skip_message.startswith("since the last report: 0 polls; checks: ")
    assert "collector_running failed" in tick.skip_message


def test_a_store_that_is_away_is_told_and_the_lease_is_extended(instance, tmp_path):
    present = Present()
    deployment = collecting(tmp_path, present)
    seed(deployment, present.now.date())
    deployment.store.close()
    with closing(Outbox(deployment.environment.state.outbox)) as box:
        box.add([poll("hall", present.now - timedelta(minutes=10))])
        box.attempted(failures=3, retry_at=0.0, error="the store is away")
    tick = Ticks(deployment, instance)
    tick.cursor = json.dumps({"passed": dict.fromkeys(CHECKS, True), "checked": present.now.timestamp()})
    path = deployment.environment.state.readings
    path.rename(path.with_suffix(".away"))
    path.write_bytes(b"no database " * 1000)
    with CollectorLock(deployment.environment.state):
        told = tick()
    assert lease_ends(deployment) > boottime()
    assert told.skip_message.startswith("the store did not answer: ")
    assert "is damaged or no SQLite file" in told.skip_message
    [draining] = checks(told).values()
    assert (draining.check_name, draining.passed) == ("outbox_draining", False)
    assert ": the store is away; put right what the store says" in draining.description
    path.unlink()
    path.with_suffix(".away").rename(path)
    with CollectorLock(deployment.environment.state):
        assert "the store did not answer" not in tick().skip_message


def test_a_damaged_outbox_is_told_and_the_lease_is_extended(instance, tmp_path):
    deployment = collecting(tmp_path)
    deployment.environment.state.path.mkdir()
    with CollectorLock(deployment.environment.state):
        deployment.environment.state.outbox.write_bytes(b"no database " * 1000)
        told = Ticks(deployment, instance)()
    assert lease_ends(deployment) > boottime()
    assert told.skip_message.startswith("nothing is reported: the outbox ")


def test_a_typing_error_saved_into_the_configuration_is_told_with_file_and_line(instance, tmp_path):
    deployment = collecting(tmp_path, **EXTERNAL)
    tick = Ticks(deployment, instance)
    assert checks(tick())["configuration_valid"].passed
    path = deployment.environment.config
    valid = path.read_text()
    path.write_text(valid.replace("interval: 10s", "intervall: 10s"))
    failed = checks(tick())["configuration_valid"]
    line = next(n for n, text in enumerate(path.read_text().splitlines(), start=1) if "intervall" in text)
    assert not failed.passed
    assert f"{path}:{line}: " in failed.description
    path.write_text(valid)
    assert checks(tick())["configuration_valid"].passed


def test_devices_that_were_added_or_removed_are_known_at_the_next_tick(instance, tmp_path):
    present = Present()
    deployment = collecting(tmp_path, present, **EXTERNAL)
    tick = Ticks(deployment, instance)
    tick()
    deployment_in(tmp_path, small_device("attic", interval="10s"), **EXTERNAL)
    deployment.store.write([poll("attic", present.now - timedelta(seconds=30))])
    found = checks(tick())["devices_reporting"]
    assert found.passed
    assert found.metadata["devices"].value == 1


def test_an_outbox_that_cannot_be_read_fails_its_check_and_the_others_are_made(instance, tmp_path):
    deployment = collecting(tmp_path, **EXTERNAL)
    deployment.environment.state.make()
    deployment.environment.state.outbox.write_bytes(b"no database " * 1000)
    tick = Ticks(deployment, instance)
    answer = tick()
    assert answer.skip_message.startswith("nothing is reported: the outbox ")
    found = {name: one.passed for name, one in checks(answer).items()}
    assert found == {
        "collector_running": False,
        "clock_believed": True,
        "outbox_draining": False,
        "polls_recorded": True,
        "configuration_valid": True,
        "disk_lasts": True,
    }
    assert checks(tick()) == {}  # nothing changed


def test_at_most_twenty_devices_that_are_not_well_are_in_a_report(instance, tmp_path):
    present = Present()
    devices = [small_device(f"d{number}", interval="10s") for number in range(30)]
    deployment = deployment_in(tmp_path, *devices, present=present, **EXTERNAL)
    at = present.now - timedelta(seconds=30)
    deployment.store.write([poll(device["id"], at, Outcome.TIMEOUT) for device in devices])
    answer = Ticks(deployment, instance)()
    [report] = materializations(answer, "raw_readings")
    assert len(report.metadata["not_well"].records) == 20
    assert plain(report.metadata)["polls_timeout"] == 30
    assert "d9 (timeout)" in checks(answer)["devices_reporting"].description


def test_what_waits_in_the_outbox_makes_no_device_look_unwell(instance, tmp_path):
    present = Present()
    deployment = collecting(tmp_path, present, **EXTERNAL)
    deployment.store.write([poll("hall", present.now - timedelta(hours=1, seconds=10))])
    with closing(Outbox(deployment.environment.state.outbox)) as box:
        box.add([poll("hall", present.now - timedelta(hours=1))])
    found = checks(Ticks(deployment, instance)())
    assert found["devices_reporting"].passed
    assert not found["outbox_draining"].passed


def test_devices_are_told_once_for_each_valid_configuration(instance, tmp_path):
    deployment = collecting(tmp_path, **EXTERNAL)
    tick = Ticks(deployment, instance)
    [told] = materializations(tick(), "devices")
    assert plain(told.metadata)["device_count"] == 1
    assert materializations(tick(), "devices") == []
    deployment.environment.config.write_text("timezone: [")
    assert materializations(tick(), "devices") == []
    deployment_in(tmp_path, small_device("hall", interval="10s"), small_device("attic", interval="10s"), **EXTERNAL)
    [told] = materializations(tick(), "devices")
    assert told.description == "2 devices in devices.yaml"


def test_another_mistake_is_told_though_the_check_fails_already(instance, tmp_path):
    deployment = collecting(tmp_path, **EXTERNAL)
    tick = Ticks(deployment, instance)
    tick()
    valid = deployment.environment.config.read_text()
    deployment.environment.config.write_text(valid.replace("timezone", "timezoen"))
    assert "timezoen" in checks(tick())["configuration_valid"].description
    assert checks(tick()) == {}
    deployment.environment.config.write_text(valid.replace("devices:", "devcies:"))
    assert "devcies" in checks(tick())["configuration_valid"].description


def test_each_check_counts_something_that_the_ui_can_plot(instance, tmp_path):
    present = Present()
    deployment = collecting(tmp_path, present, **EXTERNAL)
    for check in checks(Ticks(deployment, instance)()).values():
        assert [type(value) for value in plain(check.metadata).values()] != [], check.check_name


@pytest.mark.parametrize("garbage", ["{", "null", '{"until": "soon"}', "\x00"])
def test_a_damaged_cursor_begins_anew(instance, tmp_path, garbage):
    deployment = collecting(tmp_path, **EXTERNAL)
    has_begun(deployment)
    tick = Ticks(deployment, instance)
    tick.cursor = garbage
    assert set(checks(tick())) == CHECKS
    assert json.loads(tick.cursor)["until"] is None


def test_the_configuration_is_read_again_only_when_it_changed(instance, tmp_path):
    from air_pipeline.deployment import _loaded

    devices = [small_device(f"d{number}", interval="10s") for number in range(50)]
    deployment = deployment_in(tmp_path, *devices, **EXTERNAL)
    tick = Ticks(deployment, instance)
    tick()
    before = _loaded.cache_info()
    tick()
    assert _loaded.cache_info().misses == before.misses


def test_events_of_a_tick_are_kept_as_those_of_the_asset(instance, tmp_path):
    present = Present()
    deployment = collecting(tmp_path, present, **EXTERNAL)
    deployment.store.write([poll("hall", present.now - timedelta(seconds=30))])
    for event in Ticks(deployment, instance)().asset_events:
        instance.report_runless_asset_event(event)
    latest = instance.get_latest_materialization_event(dg.AssetKey("raw_readings"))
    assert latest.asset_materialization.description == "1 readings in 1 polls of 1 devices"

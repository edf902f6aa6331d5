"""The collector as a process: killed, stopped, leased, reconfigured, with real devices and a real store."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from air_pipeline.collection import lease
from air_pipeline.collection.asking import ask_devices
from air_pipeline.collection.lease import (
    CollectorLock,
    CollectorRunning,
    end_lease,
    extend_lease,
    holder,
    lease_holds,
    start_collector,
)
from air_pipeline.collection.outbox import Outbox, OutboxStatus
from air_pipeline.collection.process import collect_once
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.simulator import Simulator
from air_pipeline.environment import Environment
from air_pipeline.in_force import load_settings
from air_pipeline.settings import SettingsError
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.collection.collector_process import running_collector, stored, waiting, write_config
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.needs import go_without
from air_pipeline_tests.waiting import WITHIN_S, wait_for

_START = """
from air_pipeline.collection.lease import start_collector
from air_pipeline.environment import read_environment
print(start_collector(read_environment()))
"""


def outbox_status(environment: Environment) -> OutboxStatus:
    with closing(Outbox(environment.state.outbox)) as box:
        return box.status()


def test_what_is_polled_is_stored_and_sigterm_ends_it_cleanly(environment: Environment, simulator: Simulator) -> None:
    with running_collector(environment) as process:
        wait_for(lambda: len(stored(environment)) >= 6, "three slots of two devices")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0
    polls = stored(environment)
    assert set(polls.values()) == {1}
    assert waiting(environment) == set()
    assert len(polls) >= sum(len(simulator.requests(name).times_ms) for name in ("a", "b")), "a request without a poll"


@pytest.mark.influxdb
def test_a_collector_loads_nothing_heavy_whatever_it_does(
    environment: Environment, simulator: Simulator, influxdb: InfluxServer, tmp_path: Path
) -> None:
    """It stays small, on a machine that may be: from its start to its end, with deliveries into InfluxDB."""
    connection = influxdb.connection()
    into = {"URL": connection.url, "TOKEN": connection.token, "ORG": connection.org, "BUCKET": connection.bucket}
    variables = {f"INFLUXDB_V2_{name}": value for name, value in into.items()} | environment.variables()
    loaded = tmp_path / "loaded"
    with loaded.open("w") as file:
        command = [sys.executable, "-X", "importtime", "-m", "air_pipeline", "collect"]
        process = subprocess.Popen(command, env={**os.environ, **variables}, stderr=file)
        try:
            with closing(InfluxStore(connection)) as store:
                wait_for(lambda: sum(one.polls for one in store.summaries(0, 10**13).values()) >= 4, "some polls")
            process.terminate()
            assert process.wait(WITHIN_S) == 0
        finally:
            process.kill()
            process.wait()
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in loaded.read_text().splitlines()}
    assert {"http", "sqlite3", "air_pipeline"} <= modules
    assert not modules & {"requests", "urllib3", "influxdb_client", "numpy", "pandas", "pyarrow", "dagster"}


def test_a_killed_collector_loses_nothing_that_was_accepted_and_polls_no_slot_twice(
    environment: Environment, simulator: Simulator
) -> None:
    # All starts fall into one slot of b, whatever they take: it is asked in the first and never again.
    write_config(environment.config, simulator, "a", "b", last="    interval: 1h\n    timeout: 1h\n")

    def asked() -> int:
        return len(simulator.requests("a").times_ms)

    accepted: set[tuple[str, int]] = set()
    # Killed at two moments in the life of a slot: once it is stored, and as soon as the device is asked.
    with running_collector(environment) as process:
        wait_for(lambda: {name for name, _ in stored(environment)} == {"a", "b"}, "a slot of each device in the store")
        process.kill()
        process.wait()
    accepted |= waiting(environment) | set(stored(environment))
    before = asked()
    with running_collector(environment) as process:
        wait_for(lambda: asked() > before + 1, "another request")
        process.kill()
        process.wait()
    accepted |= waiting(environment) | set(stored(environment))
    with running_collector(environment) as process:
        wait_for(lambda: not waiting(environment) and len(stored(environment)) > len(accepted), "the outbox drained")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0
    polls = stored(environment)
    assert accepted <= set(polls)
    assert set(polls.values()) == {1}
    assert len(simulator.requests("b").times_ms) == sum(name == "b" for name, _ in polls), "b was asked twice in a slot"
    assert {simulator.requests(name).most_at_once for name in ("a", "b")} == {1}


def test_only_one_collector_runs_on_a_state_directory(environment: Environment) -> None:
    with running_collector(environment):
        wait_for(lambda: holder(environment.state) is not None, "the collector")
        with running_collector(environment) as second:
            assert second.wait(WITHIN_S) == 1
            assert second.stderr is not None
            assert "already collects into" in second.stderr.read()
        with pytest.raises(CollectorRunning, match="already collects into"):
            collect_once(environment, load_settings(environment.config, environment.state).settings)


def test_a_leased_collector_ends_with_its_lease_and_outlives_who_started_it(environment: Environment) -> None:
    extend_lease(environment.state, 2 * WITHIN_S)
    started = subprocess.run(
        [
            sys.executable,
            "-c",
            _START,
        ],
        env={**os.environ, **environment.variables()},
        capture_output=True,
        text=True,
        check=True,
    )
    pid = int(started.stdout)
    wait_for(lambda: holder(environment.state) is not None, "the collector")
    running = holder(environment.state)
    assert running is not None
    assert (running.pid, running.leased) == (pid, True)
    wait_for(lambda: len(stored(environment)) >= 2, "readings")
    end_lease(environment.state)
    wait_for(lambda: holder(environment.state) is None, "the end of the collector")
    assert waiting(environment) == set()


def test_a_lease_runs_out_by_itself(environment: Environment) -> None:
    extend_lease(environment.state, 2 * WITHIN_S)
    assert lease_holds(environment.state)
    extend_lease(environment.state, -1)
    assert not lease_holds(environment.state)
    start_collector(environment)
    log = environment.state.collector_log
    wait_for(lambda: "the collector has ended" in log.read_text(encoding="utf-8"), "its end")
    assert "the lease has run out" in log.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_changed_configuration_is_taken_up_and_an_invalid_one_is_not(
    environment: Environment, simulator: Simulator
) -> None:
    write_config(environment.config, simulator, "a")
    with running_collector(environment) as process:
        wait_for(lambda: len(simulator.requests("a").times_ms) >= 1, "polls of a")
        assert not simulator.requests("b").times_ms
        write_config(environment.config, simulator, "a", "b")
        wait_for(lambda: len(simulator.requests("b").times_ms) >= 1, "polls of b")
        environment.config.write_text(
            environment.config.read_text(encoding="utf-8") + "\n    intervall: 2s\n", encoding="utf-8"
        )
        assert process.stderr is not None
        assert any("did you mean interval?" in line for line in process.stderr)  # read until it says so
        asked = len(simulator.requests("b").times_ms)
        wait_for(lambda: len(simulator.requests("b").times_ms) >= asked + 3, "polls under the last valid configuration")
        process.send_signal(signal.SIGTERM)
        process.wait(WITHIN_S)


def test_a_collector_starts_with_the_last_valid_configuration(environment: Environment, simulator: Simulator) -> None:
    load_settings(environment.config, environment.state)
    environment.config.write_text("devices: [", encoding="utf-8")
    with running_collector(environment):
        wait_for(lambda: len(simulator.requests("b").times_ms) >= 1, "polls")


def test_one_slot_by_hand_is_collected_and_delivered(environment: Environment, simulator: Simulator) -> None:
    write_config(environment.config, simulator, "a", "b", interval="1h\ntimeout: 1h")
    simulator.set_fault("b", "http_500")
    collect_once(environment, load_settings(environment.config, environment.state).settings)
    with closing(open_store(None, environment.state)) as store:
        latest = store.latest()
    assert {name: one.poll.outcome for name, one in latest.items()} == {"a": Outcome.OK, "b": Outcome.HTTP_ERROR}
    assert all(one.poll.observed_at % 3_600_000 == 0 for one in latest.values())
    assert holder(environment.state) is None


def test_another_store_than_before_is_refused_with_the_remedy(environment: Environment) -> None:
    collect_once(environment, load_settings(environment.config, environment.state).settings)
    environment.state.binding.write_text("InfluxDB at http://localhost:8086, org home, bucket air\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="set INFLUXDB_V2_URL"):
        collect_once(environment, load_settings(environment.config, environment.state).settings)


def test_somebody_who_only_looks_does_not_keep_a_collector_from_starting(environment: Environment) -> None:
    for _ in range(50):
        assert holder(environment.state) is None
        with CollectorLock(environment.state):
            assert holder(environment.state) is not None


def test_an_unreachable_store_delays_no_poll(environment: Environment, simulator: Simulator) -> None:
    variables = {
        **os.environ,
        **environment.variables(),
        "INFLUXDB_V2_URL": "http://127.0.0.1:9",
        "INFLUXDB_V2_TOKEN": "t",
        "INFLUXDB_V2_ORG": "o",
        "INFLUXDB_V2_BUCKET": "b",
    }
    process = subprocess.Popen([sys.executable, "-m", "air_pipeline", "collect"], env=variables, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: sum(name == "a" for name, _ in waiting(environment)) >= 4, "four slots in the outbox")
        wait_for(lambda: "127.0.0.1:9" in outbox_status(environment).error, "why the store takes none")
    finally:
        process.terminate()
        assert process.wait(WITHIN_S) == 0
        process.communicate()


def test_a_store_that_the_directory_was_moved_to_while_the_lock_was_waited_for_is_noticed(
    environment: Environment, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the end of `copy`, which binds the directory to another store and gives the lock back."""
    monkeypatch.setattr(lease, "_TRIES", 100_000)
    environment.state.remember_store(environment.store)
    lock = CollectorLock(environment.state)
    lock.acquire()
    binding = threading.Timer(0.1, lambda: (environment.state.bind("InfluxDB at somewhere else"), lock.release()))
    binding.start()
    with pytest.raises(SettingsError, match="set INFLUXDB_V2_URL"):
        collect_once(environment, load_settings(environment.config, environment.state).settings)
    binding.join()
    assert not simulator.requests("a").times_ms


def test_a_device_is_asked_by_one_at_a_time(environment: Environment, simulator: Simulator) -> None:
    simulator.set_fault("a", "slow", seconds=0.3)
    environment.state.make()
    settings = load_settings(environment.config, environment.state).settings
    arguments = (environment, settings, [settings.device("a")])
    asking = [threading.Thread(target=ask_devices, args=arguments) for _ in range(3)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert len(simulator.requests("a").times_ms) == 3
    assert simulator.requests("a").most_at_once == 1


_BOOTTIME = """
import time
from air_pipeline.boottime import boottime
from air_pipeline.collection.clock import SystemClock
for clock in (boottime, SystemClock().monotonic):
    print(clock() - time.monotonic() > 50_000)
"""


def test_time_goes_by_while_the_machine_is_suspended() -> None:
    """A machine that slept for 100,000 seconds: what CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC."""
    command = ["unshare", "--time", "--boottime", "100000", sys.executable, "-c", _BOOTTIME]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        go_without("unshare is not there")
    if "unshare" in run.stderr:
        go_without("this system has no namespaces of time, or this user may not make them")
    assert run.stdout.split() == ["True", "True"], run.stderr


def test_devices_of_another_collector_are_asked_by_that_alone(environment: Environment, simulator: Simulator) -> None:
    """Not by a collector here, not by a slot by hand, and by a person only if he says so."""
    environment.config.write_text(f"{environment.config.read_text()}\n    collector: edge-1\n")
    settings = load_settings(environment.config, environment.state).settings
    assert [device.collector for device in settings.devices] == ["main", "edge-1"]
    assert collect_once(environment, settings) == []
    asked = ask_devices(environment, settings, settings.devices)
    assert [one.live for one in asked] == [True, False]
    with running_collector(environment):
        wait_for(lambda: len(simulator.requests("a").times_ms) >= 4, "its own device to be asked")
    assert not simulator.requests("b").times_ms
    ask_devices(environment, settings, settings.devices, may_ask=True)
    assert len(simulator.requests("b").times_ms) == 1


def test_a_name_that_no_device_has_is_said_and_waited_for(environment: Environment, simulator: Simulator) -> None:
    edge = replace(environment, collector="edge-1")
    with running_collector(edge) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "edge-1" in line)
        assert "no device of devices.yaml is of the collector edge-1 (AIR_PIPELINE_COLLECTOR): they are of main" in said
        edge.config.write_text(f"{edge.config.read_text()}\n    collector: edge-1\n")
        wait_for(lambda: simulator.requests("b").times_ms, "the device that has the name now")
    assert not simulator.requests("a").times_ms

"""Devices that move from one collector to another while both run: by the devices' own count nothing is asked twice."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from air_pipeline.collection.outbox import existing_outbox
from air_pipeline.collection.share import read_share
from air_pipeline.devices.polls import Outcome
from air_pipeline.health import Finding, Level
from air_pipeline.health.collecting import collector_running, collectors_agree
from air_pipeline.health.seen import seen_from_outside
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.chaos.counting_device import CountingDevices
from air_pipeline_tests.chaos.test_killed_collectors import store_variables
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.running_pipeline import Installation
from air_pipeline_tests.waiting import WITHIN_S, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.influxdb]

DEVICES = ("attic", "hall")
SOME = 3
"""Requests that are waited for, to see that somebody goes on asking."""


class Edge(Installation):
    """A machine with a collector of a name, and a devices.yaml of its own."""

    def __init__(self, folder: Path, name: str, store: dict[str, str], devices: CountingDevices) -> None:
        folder.mkdir()
        super().__init__(folder, store | {"AIR_PIPELINE_COLLECTOR": name})
        self._devices = devices

    def write(self, **whose: str) -> None:
        """Says which device is whose, as an editor does that saves a file whole."""
        lines = ["timezone: Europe/Warsaw", "start: 2026-11-01", "interval: 2s", "timeout: 2s", "devices:"]
        for device, collector in whose.items():
            lines += [f"  - id: {device}", f"    url: {self._devices.url(device)}", f"    collector: {collector}"]
            lines += ["    sensors: {counter: {count: {unit: '1'}}}"]
        beside = self.config.with_suffix(".new")
        beside.write_text("\n".join(lines), encoding="utf-8")
        beside.replace(self.config)

    @contextmanager
    def collecting(self) -> Iterator[subprocess.Popen[bytes]]:
        """Its collector, which is up and may be killed."""
        process = subprocess.Popen([sys.executable, "-m", "air_pipeline", "collect"], env=self.variables)
        try:
            wait_for(lambda: self.collector().pid == process.pid, "the collector")
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(WITHIN_S)

    def drain(self) -> None:
        """Collects, now that no device answers any more, until everything that waited is stored."""
        with self.collecting() as process:
            wait_for(lambda: not self.waiting(), "the outbox to be empty")
            process.send_signal(signal.SIGTERM)
            assert process.wait(WITHIN_S) == 0

    def began(self, device: str) -> bool:
        """Whether it has ever begun a slot of a device."""
        box = existing_outbox(self.environment.state.outbox)
        if box is None:
            return False
        with closing(box):
            return device in box.last_slots()

    def sees(self, check) -> list[Finding]:
        """What a check finds here."""
        return list(check.findings(seen_from_outside(self.variables)))


@pytest.fixture
def folder() -> Iterator[Path]:
    """On a disk that never makes anybody wait, where there is one: what was answered just before a kill is on it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as made:  # noqa: S108
        yield Path(made)


@pytest.fixture
def devices() -> Iterator[CountingDevices]:
    with CountingDevices(dict.fromkeys(DEVICES, 0.05)) as devices:
        yield devices


@pytest.fixture
def edges(folder: Path, influxdb: InfluxServer, devices: CountingDevices) -> tuple[Edge, Edge]:
    """The one that has both devices at first, and the other, which has none."""
    store = store_variables(influxdb.connection())
    one, two = (Edge(folder / name, name, store, devices) for name in ("edge-1", "edge-2"))
    one.write(attic="edge-1", hall="edge-1")
    two.write(attic="edge-1", hall="edge-1")
    return one, two


def asked(devices: CountingDevices, device: str) -> int:
    """How often a device was asked."""
    return sum(one.device == device for one in devices.asked)


def wait_for_some(devices: CountingDevices, device: str) -> None:
    """Waits until a device was asked a few more times."""
    before = asked(devices, device)
    wait_for(lambda: asked(devices, device) >= before + SOME, f"{device} to be asked")


def assert_each_once(edge: Edge, devices: CountingDevices, *, killed: int = 0) -> None:
    """Each answer is in the store: of a slot that two had asked, the store would have but one.

    An answer may be missing for each poll that says that there was none, and for each collector that was killed.
    """
    with closing(open_store(edge.environment.influxdb, edge.environment.state)) as store:
        for device in DEVICES:
            given = {one.number for one in devices.asked if one.device == device and one.answered}
            stored = {int(value) for value in store.readings(device, 0, 10**14)["counter_count"].dropna()}
            outcomes = list(store.polls(device, 0, 10**14)["outcome"])
            late = sum(one in {Outcome.TIMEOUT, Outcome.UNREACHABLE} for one in outcomes)
            assert stored <= {one.number for one in devices.asked}
            missing = [one for one in devices.asked if one.number in given - stored]
            assert len(missing) <= late + killed, f"answers that are nowhere: {missing}"
            assert Outcome.ENDED not in outcomes


def test_a_device_that_moves_is_asked_in_no_slot_twice(edges: tuple[Edge, Edge], devices: CountingDevices) -> None:
    one, two = edges
    with ExitStack() as stack:
        ends = [stack.enter_context(edge.collecting()) for edge in edges]
        for device in DEVICES:
            wait_for_some(devices, device)
        two.write(attic="edge-1", hall="edge-2")
        state = two.environment.state
        wait_for(lambda: "hall" in read_share(state).waits, "the new one to wait")
        wait_for_some(devices, "hall")  # the old one, which has not the file yet, goes on
        assert not two.began("hall")
        assert read_share(state).waits["hall"].startswith("edge-1 may still poll it")
        one.write(attic="edge-1", hall="edge-2")
        wait_for(lambda: two.began("hall"), "the new one to take it over")
        wait_for(lambda: not read_share(state).waits, "nothing to wait")
        for device in DEVICES:
            wait_for_some(devices, device)
        for edge in edges:
            wait_for(lambda edge=edge: edge.sees(collectors_agree)[0].level is Level.OK, "all to agree")
        assert {found.level for edge in edges for found in edge.sees(collector_running)} == {Level.OK}
        one.write(attic="edge-1", hall="edge-1")  # and back, the other way round: the old one first
        wait_for(lambda: "hall" in read_share(one.environment.state).waits, "the first one to wait")
        two.write(attic="edge-1", hall="edge-1")
        wait_for(lambda: not read_share(one.environment.state).waits, "nothing to wait")
        wait_for_some(devices, "hall")
        for end in ends:
            end.send_signal(signal.SIGTERM)
            assert end.wait(WITHIN_S) == 0
    devices.close()
    for edge in edges:
        edge.drain()
    assert_each_once(one, devices)


def test_what_a_killed_one_had_is_taken_over_after_75_seconds(
    edges: tuple[Edge, Edge], devices: CountingDevices
) -> None:
    one, two = edges
    with ExitStack() as stack:
        first = stack.enter_context(one.collecting())
        wait_for(lambda: "edge-1" in _told(two), "the first one to tell of itself")
        second = stack.enter_context(two.collecting())
        for device in DEVICES:
            wait_for_some(devices, device)
        os.kill(first.pid, signal.SIGKILL)
        first.wait(WITHIN_S)
        two.write(attic="edge-2", hall="edge-2")
        wait_for(lambda: read_share(two.environment.state).waits.keys() == set(DEVICES), "the other one to wait")
        for device in DEVICES:
            wait_for(lambda device=device: two.began(device), f"{device} to be taken over")
            wait_for_some(devices, device)
        silent = 75.0
        begun = min(found.at for found in devices.asked if found.at > _told(two)["edge-1"].at / 1000 + silent - 5)
        before = [found.at for found in devices.asked if found.at < begun]
        assert max(before) < begun - 10  # nobody asked in between
        second.send_signal(signal.SIGTERM)
        assert second.wait(WITHIN_S) == 0
    devices.close()
    for edge in edges:
        edge.drain()
    assert_each_once(one, devices, killed=1)


def _told(edge: Edge) -> dict:
    with closing(open_store(edge.environment.influxdb, edge.environment.state)) as store:
        return store.last_told()


def test_two_of_one_name_are_both_named(folder: Path, edges: tuple[Edge, Edge], devices: CountingDevices) -> None:
    one, _ = edges
    rival = Edge(folder / "rival", "edge-1", one.influxdb, devices)
    rival.write(attic="edge-1", hall="edge-1")
    looking = Edge(folder / "looking", "main", one.influxdb, devices)
    looking.write(attic="edge-1", hall="edge-1")
    with one.collecting() as first, rival.collecting() as second:
        for edge in (one, rival, looking):  # beside each of them, and from elsewhere

            def named(edge: Edge = edge) -> bool:
                [found] = edge.sees(collectors_agree)
                pids = (f"process {first.pid} ", f"process {second.pid} ")
                return found.level is Level.FAILURE and all(pid in found.text for pid in pids)

            wait_for(named, f"both to be named to {edge.folder.name}")
        second.send_signal(signal.SIGTERM)
        second.wait(WITHIN_S)
        wait_for(lambda: one.sees(collectors_agree)[0].level is Level.OK, "the one that is left to be alone")

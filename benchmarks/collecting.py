"""The collector: CPU a poll, how late requests are sent, memory and start; with InfluxDB where there is one to start.

The peer asks one of the same devices again and again with the standard library's `http.client`, in one thread, and
stores nothing; of a hundred devices also Telegraf, where it is, as the same devices are asked by it after us. Other
processes only ever add to the time of either, so the least of several intervals, and of several
rounds, is what is compared. Late is what goes by from a slot to the end of sending its request.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from air_pipeline.collection.lease import holder
from air_pipeline.devices.polls import Outcome
from air_pipeline.settings import InfluxConnection
from air_pipeline.state import StateDirectory
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.influxdb_server import InfluxServer
from benchmarks import peers, telegraf
from benchmarks.machine import load

COMMAND = [sys.executable, "-m", "air_pipeline"]
PEER = """
import http.client, sys, time
host, port, path, rounds = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def ask():
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("GET", path, headers={"Connection": "close"})
    assert connection.getresponse().read()
    connection.close()
spent = []
for _ in range(rounds):
    before = time.process_time()
    for _ in range(200):
        ask()
    spent.append((time.process_time() - before) / 200 * 1000)
print(min(spent[1:]))
"""
# `air-pipeline collect`, noting when each request was sent.
COLLECTOR = """
import json, sys, time
from air_pipeline.boottime import boottime
from air_pipeline.devices.client import Exchange
asked, sent = Exchange.steps, []
def steps(exchange):
    answer = yield from asked(exchange)
    sent.append(time.time() - (boottime() - exchange.sent_at))
    return answer
Exchange.steps = steps
file, *sys.argv[1:] = sys.argv[1:]
from air_pipeline.cli import main
try:
    main()
finally:
    with open(file, "w") as out:
        json.dump([at for at in sent if at > 0], out)
"""


@dataclass(frozen=True, slots=True)
class Case:
    """So many devices, all due at one instant every `interval_s` seconds, for so many intervals."""

    devices: int
    interval_s: int
    intervals: int


TELEGRAFS = 100
"""Devices of the case that Telegraf is measured beside."""
CASES = (Case(1, 1, 20), Case(100, 10, 5), Case(1_000, 10, 5), Case(4_000, 10, 5))


@dataclass(frozen=True, slots=True)
class Collected:
    """What a case took: CPU a poll of the collector, its peer and the simulator, how late requests were sent."""

    cpu_ms: float
    peer_ms: float
    simulator_ms: float
    late_ms: tuple[float, float]
    """In the median and at most."""
    outcomes: Counter[str]
    missed: int
    memory_mb: float
    ready_s: float

    @property
    def is_whole(self) -> bool:
        """Whether each device was read in each slot."""
        return set(self.outcomes) == {Outcome.OK} and not self.missed

    def __str__(self) -> str:
        """All of it in words."""
        median, most = self.late_ms
        each = "a poll, stored" if self.is_whole else "a slot, lost ones among them"
        beside = f"{self.cpu_ms / self.peer_ms:.2f} × a bare GET by http.client, {self.peer_ms:.3f} ms"
        return (
            f"{self.cpu_ms:.3f} ms CPU {each} ({beside});"
            f" request sent {median:.1f} ms after its slot in the median, {most:.0f} ms at most;"
            f" {dict(self.outcomes)}, {self.missed} slots missed;"
            f" {self.memory_mb:.0f} MB, ready in {self.ready_s:.2f} s;"
            f" the simulator {self.simulator_ms:.3f} ms a poll; {load()}"
        )


def main() -> None:
    """Prints one line a case."""
    left_out = "all goes into the embedded store, and Telegraf is left out"
    with tempfile.TemporaryDirectory() as folder, peers.influxdb(Path(folder) / "influxdb", left_out) as influxdb:
        for case in CASES:
            with simulated(case.devices) as (base, simulator):
                collected = measured(case, influxdb, base, simulator)
                print(f"{case.devices} devices every {case.interval_s} s: {collected}", flush=True)
                if case.devices == TELEGRAFS and influxdb is not None:
                    _print_telegraf(case, influxdb, base, collected)


@contextmanager
def simulated(devices: int) -> Iterator[tuple[str, psutil.Process]]:
    """So many devices below one URL, and the process that simulates them."""
    process = subprocess.Popen(
        [*COMMAND, "simulate", "--count", str(devices), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        base = process.stdout.readline().rsplit("/", 2)[0]
        yield base, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate()


def measured(case: Case, influxdb: InfluxServer | None, base: str, simulator: psutil.Process) -> Collected:
    """Collects for as many intervals as the case says, into a bucket or an embedded store of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder, connection = Path(name), influxdb and influxdb.connection()
        state = StateDirectory(folder / "state")
        variables = _configured(folder, state, base, case, connection)
        command = [sys.executable, "-c", COLLECTOR, str(folder / "sent"), "collect"]
        began = time.monotonic()
        process = subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL)
        try:
            while holder(state) is None:
                time.sleep(0.005)
            started = time.monotonic() - began
            running = psutil.Process(process.pid)
            _wait_for_the_middle_of_an_interval(case)
            first = time.time()
            least, of_simulator = _least_ms(case, running, simulator)
            last, size = time.time(), running.memory_info().rss
            peer = _peer_ms(base)
        finally:
            process.terminate()
            process.wait()
        sent = [at for at in json.loads((folder / "sent").read_text()) if first < at < last]
        outcomes, missed = _stored(case, connection, state, first, last)
    median, most = np.percentile([at % case.interval_s * 1000 for at in sent], [50, 100])
    return Collected(least, peer, of_simulator, (median, most), outcomes, missed, size / 1e6, started)


def _print_telegraf(case: Case, influxdb: InfluxServer, base: str, ours: Collected) -> None:
    if (binary := telegraf.binary()) is None:
        print(f"without Telegraf its line is left out: {telegraf.HOW}", flush=True)
        return
    connection = influxdb.connection()
    with (
        tempfile.TemporaryDirectory() as folder,
        telegraf.polling(binary, list(_urls(base, case)), case.interval_s, connection, Path(folder)) as running,
    ):
        _wait_for_the_middle_of_an_interval(case)
        before = telegraf.stored(influxdb, connection.bucket)
        (least,) = _least_ms(case, running)
        came, size = telegraf.stored(influxdb, connection.bucket) - before, running.memory_info().rss
    polls = f"{came} of {case.devices * case.intervals} polls stored; {size / 1e6:.0f} MB"
    beside = f"ours {ours.cpu_ms / least:.2f} × this"
    print(
        f"{telegraf.version(binary)}, the same devices: {least:.3f} ms CPU a poll ({beside}), {polls}; {load()}",
        flush=True,
    )


def _least_ms(case: Case, *processes: psutil.Process) -> list[float]:
    """The CPU that each process takes a poll, in the interval in which it took least."""
    spent: list[list[float]] = [[] for _ in processes]
    for _ in range(case.intervals):
        before = [cpu_s(process) for process in processes]
        _wait_for_the_middle_of_an_interval(case)
        for process, earlier, of_process in zip(processes, before, spent, strict=True):
            of_process.append((cpu_s(process) - earlier) / case.devices * 1000)
    return list(map(min, spent))


def _urls(base: str, case: Case) -> Iterator[str]:
    return (f"{base}/device-{number:04}/circumstances" for number in range(1, case.devices + 1))


def _configured(
    folder: Path, state: StateDirectory, base: str, case: Case, connection: InfluxConnection | None
) -> Mapping[str, str]:
    lines = ["timezone: Europe/Warsaw", "start: 2026-01-01", f"interval: {case.interval_s}s", "devices:"]
    for number, url in enumerate(_urls(base, case), start=1):
        lines.append(f"  - {{id: device-{number:04}, url: '{url}'}}")
    (folder / "devices.yaml").write_text("\n".join(lines), encoding="utf-8")
    variables = {k: v for k, v in os.environ.items() if not k.startswith("INFLUXDB_V2_")}
    variables |= {"AIR_PIPELINE_CONFIG": str(folder / "devices.yaml"), "AIR_PIPELINE_STATE": str(state)}
    if connection is not None:
        named = {"URL": connection.url, "TOKEN": connection.token, "ORG": connection.org, "BUCKET": connection.bucket}
        variables |= {f"INFLUXDB_V2_{name}": value for name, value in named.items()}
    return variables


def _wait_for_the_middle_of_an_interval(case: Case) -> None:
    """By then what is due at its begin was answered and delivered."""
    time.sleep(0.1 * case.interval_s)
    time.sleep((0.7 * case.interval_s - time.time()) % case.interval_s)


def _peer_ms(base: str) -> float:
    host, port = base.removeprefix("http://").split(":")
    path = "/device-0001/circumstances"
    done = subprocess.run(
        [sys.executable, "-c", PEER, host, port, path, "8"], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def _stored(
    case: Case, connection: InfluxConnection | None, state: StateDirectory, first: float, last: float
) -> tuple[Counter[str], int]:
    """The outcomes between two times, and how many slots of them have none."""
    with closing(open_store(connection, state)) as store:
        counts = store.outcome_counts(round(first * 1000), round(last * 1000))
    outcomes = Counter[str]()
    for of_device in counts.values():
        outcomes.update(of_device)
    return outcomes, case.devices * case.intervals - outcomes.total()


def cpu_s(process: psutil.Process) -> float:
    """The CPU that a process has taken so far, with all of its threads."""
    return time.clock_gettime(~process.pid << 3 | 2)  # clock_getcpuclockid(3); the kernel's own counts are in 10 ms

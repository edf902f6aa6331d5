"""A collector killed by the hundred, between outages of its store: what it accepted is stored, and nothing twice."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from air_pipeline.collection.lease import holder
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.polls import Outcome
from air_pipeline.environment import Environment
from air_pipeline.settings import InfluxConnection
from air_pipeline.state import StateDirectory
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.chaos.counting_device import Asked, CountingDevices
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.waiting import WITHIN_S, wait_for

KILLS = 510
COLLECTORS = 3
INTERVAL_MS = 2_000
TIMEOUT_MS = 600
ANSWERED_BEFORE_S = 0.4
"""What a device had answered so long before a kill is in the outbox by promise, twice over."""
STOOD_STILL_S = 0.1
"""While a thread that only wants to be woken waited longer than this, the machine was no measure of anybody's time."""
DELAYS = {"at-once": 0.0, "soon": 0.15, "late": 0.3, "too-late": 0.9}
"""How long each kind of device takes, seconds; the last is cut off by its timeout."""
WITHOUT_THE_ANSWER = {Outcome.TIMEOUT, Outcome.SKIPPED}
"""Outcomes of a poll whose device may have answered, to nobody any more."""


class Heartbeat:
    """When this machine stood still, as far as a thread on each of its cores can tell: spans of seconds UTC."""

    def __init__(self) -> None:
        self.stills: list[tuple[float, float]] = []
        self._stop = threading.Event()
        cores = os.sched_getaffinity(0)
        self._threads = [threading.Thread(target=self._beat, args=(core,), daemon=True) for core in cores]
        for thread in self._threads:
            thread.start()

    def _beat(self, core: int) -> None:
        os.sched_setaffinity(0, {core})  # this thread's alone
        last = time.time()
        while not self._stop.wait(0.02):
            now = time.time()
            if now - last > STOOD_STILL_S:
                self.stills.append((last, now))
            last = now

    def close(self) -> None:
        """Ends it."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def kept_time(self, start: float, end: float) -> bool:
        """Whether the machine kept time all through a span."""
        return not any(from_ < end and until > start for from_, until in self.stills)


@dataclass(slots=True)
class Station:
    """A state directory with its devices, its collector and when that was killed: spans of seconds UTC.

    A span lasts from before the signal until the process is gone: it may have died at any moment between, and a device
    that was asked just before may write that down just after.
    """

    environment: Environment
    store: dict[str, str]
    devices: CountingDevices
    random: random.Random
    kills: list[tuple[float, float]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        """Starts its collector and waits until it collects."""
        process = subprocess.Popen(
            [sys.executable, "-m", "air_pipeline", "collect"],
            env={**os.environ, **self.environment.variables(), **self.store},
            stderr=subprocess.DEVNULL,
        )

        def collects() -> bool:
            assert process.poll() is None, "the collector has ended by itself"
            running = holder(self.environment.state)
            return running is not None and running.pid == process.pid

        wait_for(collects, "the collector")
        return process

    def kill_again_and_again(self, times: int) -> None:
        """Starts and kills it: half of the times around a slot, where most happens, else at any moment."""
        for _ in range(times):
            process = self.start()
            if self.random.random() < 0.5:
                moment = self.random.uniform(-0.05, 0.7)
                now = time.time()
                time.sleep((INTERVAL_MS / 1000 - now % (INTERVAL_MS / 1000) + moment) % (INTERVAL_MS / 1000))
            else:
                time.sleep(self.random.uniform(0.0, 2.5))
            killed = time.time()
            process.kill()
            process.wait()
            self.kills.append((killed, time.time()))

    def drain(self) -> None:
        """Collects until everything that waited is stored, and ends in order."""
        process = self.start()
        wait_for(self._is_drained, "the outbox to be empty")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0
        if not self._is_drained():  # a slow machine: the end waits for the store no longer than promised
            self.drain()

    def _is_drained(self) -> bool:
        with closing(Outbox(self.environment.state.outbox, make=False)) as outbox:
            return outbox.status().pending == 0

    def accepted(self) -> int:
        """How many polls were ever committed to its outbox: its numbers are given once."""
        with closing(sqlite3.connect(self.environment.state.outbox)) as connection:
            [[last]] = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")
        return int(last)

    def stored(self) -> tuple[dict[tuple[str, int], str], set[tuple[str, int]]]:
        """What its store holds: device and slot (ms) of each poll to its outcome, device and number of each answer."""
        polls: dict[tuple[str, int], str] = {}
        numbers: set[tuple[str, int]] = set()
        with closing(open_store(self.environment.influxdb, self.environment.state)) as store:
            for device in DELAYS:
                outcomes = store.polls(device, 0, 10**14)["outcome"]
                polls |= {(device, round(at.timestamp() * 1000)): str(outcome) for at, outcome in outcomes.items()}
                frame = store.readings(device, 0, 10**14)
                if "counter_count" in frame:
                    numbers |= {(device, int(value)) for value in frame["counter_count"].dropna()}
        return polls, numbers


@pytest.fixture
def folder() -> Iterator[Path]:
    """On a disk that never makes anybody wait, where there is one: kills are the fault here, disks are another."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as made:  # noqa: S108
        yield Path(made)


def station(folder: Path, number: int, connection: InfluxConnection) -> Station:
    """A station of the number."""
    devices = CountingDevices(DELAYS)
    home = folder / str(number)
    home.mkdir()
    lines = ["timezone: Europe/Warsaw", "start: 2026-11-01"]
    lines += [f"interval: {INTERVAL_MS}ms", f"timeout: {TIMEOUT_MS}ms", "devices:"]
    for name in DELAYS:
        lines += [f"  - id: {name}", f"    url: {devices.url(name)}", "    sensors: {counter: {count: {unit: '1'}}}"]
    (home / "devices.yaml").write_text("\n".join(lines), encoding="utf-8")
    state = home / "state"
    environment = Environment(home / "devices.yaml", StateDirectory(state), state / "data", connection)
    return Station(environment, store_variables(connection), devices, random.Random(number))


def store_variables(connection: InfluxConnection) -> dict[str, str]:
    """The variables that name a store."""
    return {
        "INFLUXDB_V2_URL": connection.url,
        "INFLUXDB_V2_TOKEN": connection.token,
        "INFLUXDB_V2_ORG": connection.org,
        "INFLUXDB_V2_BUCKET": connection.bucket,
    }


def outages(server: InfluxServer, ended: threading.Event) -> None:
    """Kills and freezes the store in turns, with time to breathe between."""
    while not ended.wait(6.0):
        server.kill()
        ended.wait(4.0)
        server.start()
        if ended.wait(6.0):
            return
        with server.paused():
            ended.wait(4.0)


def counted(station: Station, heartbeat: Heartbeat) -> Counter[str]:
    """What became of a station's slots."""
    polls, numbers = station.stored()
    asked = station.devices.asked
    begun = Counter((one.device, int(one.at * 1000) // INTERVAL_MS) for one in asked)
    slots = {device: [slot for name, slot in polls if name == device] for device in DELAYS}
    counts = Counter(fate(one, station.kills, heartbeat, polls, numbers) for one in asked if one.answered)
    counts["answered"] = sum(counts.values())
    counts["kills"] = len(station.kills)
    counts["due"] = sum((max(known) - min(known)) // INTERVAL_MS + 1 for known in slots.values())
    counts["begun"] = len(begun)
    counts["asked twice in a slot"] = len(asked) - len(begun)
    counts["accepted"] = station.accepted()
    counts["stored"] = len(polls)
    return counts


def fate(
    asked: Asked,
    kills: list[tuple[float, float]],
    heartbeat: Heartbeat,
    polls: dict[tuple[str, int], str],
    numbers: set[tuple[str, int]],
) -> str:
    """What became of an answer, in words; `lost` is what must not be."""
    assert asked.answered is not None
    committed = asked.answered + ANSWERED_BEFORE_S
    slot = int(asked.at * 1000) // INTERVAL_MS * INTERVAL_MS
    if (asked.device, asked.number) in numbers:
        return "answered and stored"
    if outcome := polls.get((asked.device, slot)):  # a poll that had this answer has its number
        return "answered past its timeout" if outcome in WITHOUT_THE_ANSWER else "lost"
    if any(killed < committed and gone > asked.at for killed, gone in kills):
        return "answered when it was killed"
    if not heartbeat.kept_time(asked.at, committed):
        return "answered while the machine stood still"
    return "lost"


@pytest.mark.parametrize(
    ("outcome", "numbers", "expected"),
    [
        (Outcome.OK, {("soon", 7)}, "answered and stored"),
        (Outcome.OK, {("soon", 6)}, "lost"),
        (Outcome.PARTIAL, set(), "lost"),
        (Outcome.REJECTED, set(), "lost"),
        (Outcome.TIMEOUT, set(), "answered past its timeout"),
        (Outcome.SKIPPED, set(), "answered past its timeout"),
        (None, set(), "lost"),
    ],
)
def test_an_answer_without_its_number_is_lost_unless_its_poll_never_had_it(
    outcome: Outcome | None, numbers: set[tuple[str, int]], expected: str
) -> None:
    """Also when it was killed just then: of what it did not commit, there is no poll."""
    with closing(Heartbeat()) as heartbeat:
        asked = Asked("soon", 7, at=1_000_000.1, answered=1_000_000.25)
        polls = {} if outcome is None else {("soon", 1_000_000_000): str(outcome)}
        kills = [(1_000_000.2, 1_000_000.3)]
        assert fate(asked, [], heartbeat, polls, numbers) == expected
        killed = expected if polls else "answered when it was killed"
        assert fate(asked, kills, heartbeat, polls, numbers) == killed


@pytest.mark.chaos
def test_five_hundred_kills_between_outages_lose_nothing(folder: Path, influxdb: InfluxServer) -> None:
    stations = [station(folder, number, influxdb.connection()) for number in range(COLLECTORS)]
    heartbeat, ended = Heartbeat(), threading.Event()
    trouble = threading.Thread(target=outages, args=(influxdb, ended))
    trouble.start()
    killers = [threading.Thread(target=one.kill_again_and_again, args=(KILLS // COLLECTORS,)) for one in stations]
    for killer in killers:
        killer.start()
    for killer in killers:
        killer.join()
    ended.set()
    trouble.join()
    influxdb.start()
    for one in stations:
        one.drain()
    heartbeat.close()

    counts: Counter[str] = Counter()
    for one in stations:
        one.devices.close()
        counts += counted(one, heartbeat)
    counts.update({"lost": 0, "asked twice in a slot": 0})  # to be shown, too
    sys.stdout.write(", ".join(f"{name}: {count:,}" for name, count in counts.items()))
    assert counts["kills"] >= 500
    assert counts["accepted"] - counts["stored"] == 0
    assert counts["asked twice in a slot"] == 0
    assert counts["lost"] == 0
    assert counts["answered and stored"] > counts["kills"], "too little was counted to say anything"

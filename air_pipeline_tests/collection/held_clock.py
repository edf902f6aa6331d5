"""A clock that a test holds, and a deployment of simulated devices to go with it."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

from air_pipeline.collection.collector import Collector
from air_pipeline.collection.outbox import Outbox
from air_pipeline.collection.recorder import Recorder
from air_pipeline.devices.client import Exchange, exchange_with
from air_pipeline.devices.polls import Poll
from air_pipeline.settings import Device, Settings
from air_pipeline.state import StateDirectory
from air_pipeline_tests.waiting import WITHIN_S

SLOT = 1_780_000_000_000
"""A slot of every interval that divides an hour: 2026-05-28T20:26:40Z is a multiple of 10 s."""


class HeldClock:
    """Stands still until the test moves it; the kernel says of it what the test says."""

    def __init__(self, ms: int = SLOT, *, kept: bool | None = True) -> None:
        self.ms = ms
        self.running = 0.0
        self.passed = 0.0  # whatever is done to the clock and the machine
        self.kept = kept
        self.boots = 1

    def time(self) -> float:
        return self.ms / 1000

    def monotonic(self) -> float:
        return self.running

    def is_kept(self) -> bool | None:
        return self.kept

    def boot(self) -> str:
        return str(self.boots)

    def reboot(self, ms: int) -> None:
        """The machine comes back from a power cut, with a clock that is off by so much."""
        self.ms += ms
        self.running = 20.0
        self.boots += 1
        self.kept = False

    def advance(self, ms: int) -> None:
        """Time passes."""
        self.ms += ms
        self.running += ms / 1000
        self.passed += ms / 1000

    def step_wall(self, ms: int) -> None:
        """Somebody sets the clock."""
        self.ms += ms


class ReadRecorder(Recorder):
    """A recorder whose outbox is read."""

    def __init__(self, folder: Path, **more: int) -> None:
        self.outbox_file = StateDirectory(folder).outbox
        super().__init__(StateDirectory(folder), **more)

    def committed(self) -> list[Poll]:
        """The polls that are on the disk."""
        with closing(Outbox(self.outbox_file)) as box:
            return [pending.poll for pending in box.pending(100_000)]

    def noted(self) -> dict[str, str]:
        """What is noted of the devices, on the disk."""
        assert self.flush(WITHIN_S)
        with closing(Outbox(self.outbox_file)) as box:
            return box.notes()

    def polls(self) -> list[Poll]:
        """The polls that were recorded, once they are on the disk."""
        assert self.flush(WITHIN_S)
        return self.committed()


def patient(device: Device) -> Exchange:
    """A GET that has all the time of the machine: the collector alone ends it, by the clock that the test holds."""
    return exchange_with(device, WITHIN_S)


def settings_for(*devices: Device) -> Settings:
    return Settings(timezone="Europe/Warsaw", start=date(2026, 5, 1), devices=devices)


def device(name: str, url: str, interval_ms: int = 10_000, timeout_s: float = 5.0, **more: object) -> Device:
    return Device(name, url, "Europe/Warsaw", interval_ms, timeout_s, **more)  # type: ignore[arg-type]


def run_until(collector: Collector, condition: Callable[[], bool]) -> None:
    """Steps a collector, while its clock stands still, until a condition holds."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "the collector did not get there"
        collector.step(0.01)


def settle(collector: Collector) -> None:
    """Steps a collector until nothing is in flight."""
    collector.step(0.0)
    run_until(collector, lambda: not collector.in_flight)


def by_slot(polls: list[Poll], name: str) -> dict[int, Poll]:
    """The polls of a device, by slots after `SLOT` in seconds; a slot twice is an error."""
    mine = [poll for poll in polls if poll.device == name]
    found = {(poll.observed_at - SLOT) // 1000: poll for poll in mine}
    assert len(found) == len(mine), "a slot was polled twice"
    return found

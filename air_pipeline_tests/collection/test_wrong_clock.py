"""What a collector does when the clock of its machine is wrong: real devices, a real outbox, a real store."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from air_pipeline.collection.believing import HOLD_S
from air_pipeline.collection.collector import Collector
from air_pipeline.collection.delivery import Delivery
from air_pipeline.collection.holding import Holding, read_doubt
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.simulator import Simulator
from air_pipeline.health import Level
from air_pipeline.health.clock import of_doubt
from air_pipeline.settings import Settings
from air_pipeline.state import StateDirectory
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline_tests.collection.held_clock import (
    SLOT,
    HeldClock,
    ReadRecorder,
    device,
    patient,
    settings_for,
    settle,
)
from air_pipeline_tests.waiting import WITHIN_S

MINUTE, DAY = 60_000, 86_400_000
ALL = (-(10**15), 10**15)
HOLD_MS = round(HOLD_S * 1000)


class Machine:
    """A machine with a collector of the device a; its clock, kernel and power are the test's."""

    def __init__(self, folder: Path, simulator: Simulator, clock: HeldClock) -> None:
        self.state = StateDirectory(folder / "state")
        self.state.make()
        self.store = SqliteStore(self.state.readings)
        self.clock = clock
        self.settings: Settings = settings_for(device("a", simulator.url("a")))
        self.recorder: ReadRecorder | None = None

    def start(self, *, believe: bool = False) -> None:
        """Starts a collector, as after a kill or a power cut."""
        self.stop()
        self.recorder = ReadRecorder(self.state.path).__enter__()
        holding = Holding(self.clock, self.state, believe=believe)
        self.collector = Collector(self.settings, self.recorder, self.clock, patient, holding)

    def stop(self) -> None:
        """Ends the recorder of the last collector."""
        if self.recorder is not None:
            self.recorder.close()

    def collect(self, slots: int) -> None:
        """Collects for so many intervals, and delivers."""
        assert self.recorder is not None
        for _ in range(slots):
            settle(self.collector)
            self.clock.advance(10_000)
        assert self.recorder.flush(WITHIN_S)
        with closing(Outbox(self.state.outbox)) as outbox:
            delivery = Delivery(outbox, self.store, self.clock)
            while delivery.step() == 0.0:
                pass

    def stored(self) -> dict[int, tuple[float, ...]]:
        """The slots (ms) that the store has a poll of, with their values."""
        readings = self.store.readings("a", *ALL)
        found = dict(zip(readings.index.astype("int64").tolist(), map(tuple, readings.to_numpy()), strict=True))
        return {slot: found.get(slot, ()) for slot in self.store.polls("a", *ALL).index.astype("int64").tolist()}

    def check(self) -> tuple[Level, str]:
        """What the check says."""
        found = of_doubt(read_doubt(self.state), self.clock.boot(), self.clock.monotonic())
        return found.level, found.text


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock(kept=False)


@pytest.fixture
def machine(tmp_path: Path, clock: HeldClock) -> Iterator[Machine]:
    with Simulator(["a"], clock=lambda: SLOT / 1000 + clock.passed) as simulator:  # what it measures is of now
        made = Machine(tmp_path, simulator, clock)
        yield made
        made.store.close()
        made.stop()


def test_a_power_cut_and_a_clock_that_is_behind_cost_no_true_reading(machine: Machine, clock: HeldClock) -> None:
    machine.start()
    machine.collect(180)
    true = machine.stored()
    assert len(true) == 180
    clock.reboot(-20 * MINUTE)
    machine.start()
    machine.collect(30)  # five minutes until the network is there
    assert machine.stored() == true
    clock.step_wall(20 * MINUTE)
    clock.kept = True
    machine.collect(3)
    after = machine.stored()
    assert {slot: values for slot, values in after.items() if slot in true} == true
    assert len(after) == 183
    assert machine.check()[0] is Level.OK


def test_without_a_network_true_readings_stay_as_well(machine: Machine, clock: HeldClock) -> None:
    """Held for ten minutes, the device then waits for its own last slot."""
    machine.start()
    machine.collect(180)
    true = machine.stored()
    clock.reboot(-20 * MINUTE)
    machine.start()
    machine.collect(150)
    after = machine.stored()
    assert {slot: values for slot, values in after.items() if slot in true} == true
    assert len(after) == 180 + 150 - 120
    level, text = machine.check()
    assert level is Level.FAILURE
    assert "2026-05-28T20:36" in text  # the clock's time when it started again
    assert "2026-05-28T20:56:30Z" in text  # the last slot


def test_nothing_is_stored_in_1970(machine: Machine, clock: HeldClock, caplog: pytest.LogCaptureFixture) -> None:
    machine.start()
    machine.collect(2)
    clock.reboot(12_345 - clock.ms)
    machine.start()
    machine.collect(10)
    assert sorted(machine.stored()) == [SLOT, SLOT + 10_000]
    level, text = machine.check()
    assert level is Level.WARNING
    assert "no slot has been begun for 100 s, nor will be for 500 s at most" in text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "1970-01-01T00:00:12Z" in caplog.text
    assert "2026-05-28T20:26:50Z" in caplog.text
    assert "no slot is begun for 600 s at most" in caplog.text


def test_nothing_is_stored_in_1970_by_a_new_machine_either(machine: Machine, clock: HeldClock) -> None:
    clock.reboot(12_345 - clock.ms)
    machine.start()
    machine.collect(10)
    clock.step_wall(SLOT - clock.ms)
    machine.collect(2)
    assert sorted(machine.stored()) == [SLOT, SLOT + 10_000]
    assert machine.check()[0] is Level.OK


def test_nothing_is_stored_years_ahead(machine: Machine, clock: HeldClock) -> None:
    machine.start()
    machine.collect(2)
    clock.step_wall(3650 * DAY)
    machine.collect(10)
    clock.step_wall(-3650 * DAY)
    machine.collect(2)
    assert sorted(slot - SLOT for slot in machine.stored()) == [0, 10_000, 120_000, 130_000]


def test_after_ten_minutes_collecting_goes_on_with_the_clock_there_is_and_says_so(
    machine: Machine, clock: HeldClock, caplog: pytest.LogCaptureFixture
) -> None:
    machine.start()
    machine.collect(2)
    clock.reboot(10_000 - clock.ms)
    machine.start()
    machine.collect(60)
    assert len(machine.stored()) == 2
    machine.collect(3)
    assert sorted(machine.stored())[:3] == [610_000, 620_000, 630_000]
    level, text = machine.check()
    assert level is Level.FAILURE
    assert "1970-01-01T00:00:10Z" in text
    assert "2026-05-28T20:26:50Z" in text
    assert "clock: trusted" in caplog.records[-1].message
    # Once it is right, all is well, and nothing of 1970 binds.
    clock.step_wall(SLOT + 60_000 - clock.ms)
    clock.kept = True
    machine.collect(1)
    assert SLOT + 60_000 in machine.stored()
    assert machine.check()[0] is Level.OK


def test_a_collector_that_falls_over_again_and_again_holds_for_ten_minutes_in_all(
    machine: Machine, clock: HeldClock
) -> None:
    machine.start()
    machine.collect(2)
    clock.reboot(10_000 - clock.ms)
    for _ in range(30):
        machine.start()
        machine.collect(2)
    assert len(machine.stored()) == 2
    machine.start()
    machine.collect(1)
    assert len(machine.stored()) == 3


@pytest.mark.parametrize("said", ["clock: trusted", "--believe-clock", "the kernel"])
def test_the_hold_ends_when_somebody_says_that_the_clock_is_right(
    machine: Machine, clock: HeldClock, said: str
) -> None:
    machine.start()
    machine.collect(2)
    clock.reboot(-10 * DAY)
    machine.start()
    machine.collect(1)
    assert len(machine.stored()) == 2
    if said == "clock: trusted":
        machine.collector.reconfigure(replace(machine.settings, clock="trusted"))
    elif said == "--believe-clock":
        machine.start(believe=True)
    else:
        clock.kept = True
    machine.collect(3)
    assert len(machine.stored()) == 5
    assert machine.check()[0] is Level.OK
    # And for good: the next collector, of which nobody says so, has nothing against the clock either.
    clock.kept = False
    machine.start()
    machine.collect(1)
    assert len(machine.stored()) == 6


def test_a_last_slot_in_the_future_of_a_device_that_is_gone_holds_nobody_once_the_clock_is_kept(
    machine: Machine, clock: HeldClock
) -> None:
    machine.start()
    with closing(Outbox(machine.state.outbox)) as outbox:
        outbox.begin({"gone": SLOT + 3650 * DAY})
    machine.start()
    machine.collect(1)
    assert machine.stored() == {}
    clock.kept = True
    machine.collect(1)
    assert len(machine.stored()) == 1
    clock.kept = False
    machine.start()
    machine.collect(1)
    assert len(machine.stored()) == 2


@pytest.mark.parametrize("instead", [Path.mkdir, os.mkfifo])
def test_a_state_that_cannot_be_written_holds_all_the_same(
    machine: Machine, clock: HeldClock, instead: Callable[[Path], None]
) -> None:
    machine.start()
    machine.collect(2)
    instead(machine.state.clock)
    clock.reboot(-20 * MINUTE)
    machine.start()
    machine.collect(3)
    assert len(machine.stored()) == 2
    clock.step_wall(20 * MINUTE)
    machine.collect(1)
    assert len(machine.stored()) == 3


def test_the_present_slot_is_not_polled_by_hand_while_slots_are_held(machine: Machine, clock: HeldClock) -> None:
    clock.reboot(12_345 - clock.ms)
    machine.start()
    machine.collector.poll_now()
    machine.collector.finish()
    machine.collect(0)
    assert machine.stored() == {}
    clock.kept = True
    machine.start()
    machine.collector.poll_now()
    machine.collector.finish()
    machine.collect(0)
    assert list(machine.stored()) == [10_000]

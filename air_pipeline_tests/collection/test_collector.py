"""The collector as an object, driven against real HTTP devices with a clock that the test holds."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from air_pipeline.collection.collector import Collector
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.collection.held_clock import (
    SLOT,
    HeldClock,
    by_slot,
    device,
    patient,
    run_until,
    settings_for,
    settle,
)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def simulator(clock: HeldClock) -> Iterator[Simulator]:
    with Simulator(["a", "b", "c"], clock=clock.time) as running:
        yield running


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.sqlite")) as box:
        yield box


def polls_in(outbox: Outbox) -> list[Poll]:
    return [pending.poll for pending in outbox.pending(100_000)]


def test_every_device_is_polled_once_in_every_slot(simulator: Simulator, outbox: Outbox, clock: HeldClock) -> None:
    settings = settings_for(
        device("a", simulator.url("a")),
        device("b", simulator.url("b"), interval_ms=5_000),
        device("c", simulator.url("c")),
    )
    collector = Collector(settings, outbox, clock, patient)
    for _ in range(4):
        settle(collector)
        clock.advance(5_000)
    polls = polls_in(outbox)
    assert list(by_slot(polls, "a")) == [0, 10]
    assert list(by_slot(polls, "b")) == [0, 5, 10, 15]
    assert {poll.outcome for poll in polls} == {Outcome.OK}
    assert all(len(poll.values) == 13 for poll in polls)
    assert len(simulator.requests("b").times_ms) == 4


def test_a_slot_is_stamped_with_its_own_time_however_late_it_is_begun(
    simulator: Simulator, outbox: Outbox, clock: HeldClock
) -> None:
    clock.advance(3_210)
    settle(Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient))
    [poll] = polls_in(outbox)
    assert poll.observed_at == SLOT
    assert poll.duration_ms >= 3_210


def test_a_slot_is_not_begun_when_its_answer_could_not_be_true_to_it(
    simulator: Simulator, outbox: Outbox, clock: HeldClock
) -> None:
    clock.advance(5_001)
    collector = Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient)
    settle(collector)
    assert polls_in(outbox) == []
    clock.advance(4_999)
    settle(collector)
    assert list(by_slot(polls_in(outbox), "a")) == [10]


def test_a_slot_is_begun_once_restarts_included(simulator: Simulator, outbox: Outbox, clock: HeldClock) -> None:
    settings = settings_for(device("a", simulator.url("a")))
    settle(Collector(settings, outbox, clock, patient))
    clock.advance(1_000)
    again = Collector(settings, outbox, clock, patient)
    settle(again)
    assert len(simulator.requests("a").times_ms) == 1
    clock.advance(9_000)
    settle(again)
    assert list(by_slot(polls_in(outbox), "a")) == [0, 10]


def test_a_hanging_device_costs_its_own_slots_and_nobody_elses(
    simulator: Simulator, outbox: Outbox, clock: HeldClock
) -> None:
    simulator.set_fault("a", "hang")
    settings = settings_for(
        device("a", simulator.url("a"), interval_ms=1_000, timeout_s=2.5),
        device("b", simulator.url("b"), interval_ms=1_000),
    )
    collector = Collector(settings, outbox, clock, patient)
    for second in range(5):
        collector.step(0.0)
        run_until(collector, lambda: collector.in_flight <= 1 and bool(simulator.requests("a").times_ms))
        assert simulator.requests("a").most_at_once == 1
        if second == 2:  # half a second later, its deadline passes
            clock.advance(500)
            collector.step(0.0)
            run_until(collector, lambda: collector.in_flight == 0 and simulator.requests("a").open_now == 0)
            clock.advance(500)
        else:
            clock.advance(1_000)
    collector.flush()
    polls = polls_in(outbox)
    assert [poll.outcome for poll in by_slot(polls, "b").values()] == [Outcome.OK] * 5
    hanging = {slot: poll.outcome for slot, poll in by_slot(polls, "a").items()}
    assert hanging == {0: Outcome.TIMEOUT, 1: Outcome.SKIPPED, 2: Outcome.SKIPPED, 4: Outcome.SKIPPED}
    assert by_slot(polls, "a")[0].duration_ms == 2_500


def test_a_poll_is_recorded_at_its_deadline_while_its_thread_still_waits(
    simulator: Simulator, outbox: Outbox, clock: HeldClock
) -> None:
    simulator.set_fault("a", "drip_headers")
    collector = Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient)
    collector.step(0.0)
    run_until(collector, lambda: len(simulator.requests("a").times_ms) == 1)
    clock.advance(5_000)
    run_until(collector, lambda: collector.in_flight == 0)
    collector.flush()
    [poll] = polls_in(outbox)
    assert poll.outcome is Outcome.TIMEOUT


def test_the_clock_set_back_polls_no_slot_twice(simulator: Simulator, outbox: Outbox, clock: HeldClock) -> None:
    collector = Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient)
    settle(collector)
    clock.advance(10_000)
    settle(collector)
    clock.step_wall(-10_000)
    settle(collector)
    clock.advance(10_000)
    settle(collector)
    clock.advance(10_000)
    settle(collector)
    assert list(by_slot(polls_in(outbox), "a")) == [0, 10, 20]


def test_a_clock_that_was_wrong_by_hours_does_not_stop_collecting(
    simulator: Simulator, outbox: Outbox, clock: HeldClock
) -> None:
    collector = Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient)
    clock.step_wall(5 * 3_600_000)
    settle(collector)
    clock.step_wall(-5 * 3_600_000)
    settle(collector)
    assert sorted(by_slot(polls_in(outbox), "a")) == [0, 5 * 3600]


def test_a_clock_that_jumps_ahead_leaves_a_gap_and_no_burst(
    simulator: Simulator, outbox: Outbox, clock: HeldClock
) -> None:
    collector = Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient)
    settle(collector)
    clock.advance(3_600_000)
    settle(collector)
    assert list(by_slot(polls_in(outbox), "a")) == [0, 3600]


def test_changed_settings_are_taken_up_between_slots(simulator: Simulator, outbox: Outbox, clock: HeldClock) -> None:
    collector = Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient)
    settle(collector)
    collector.reconfigure(
        settings_for(device("a", simulator.url("a"), interval_ms=20_000), device("b", simulator.url("b")))
    )
    for _ in range(4):
        settle(collector)
        clock.advance(10_000)
    polls = polls_in(outbox)
    assert {slot: poll.interval_s for slot, poll in by_slot(polls, "a").items()} == {0: 10.0, 20: 20.0}
    assert list(by_slot(polls, "b")) == [0, 10, 20, 30]


def test_a_device_that_is_taken_out_ends_its_poll_and_is_asked_no_more(
    simulator: Simulator, outbox: Outbox, clock: HeldClock
) -> None:
    collector = Collector(
        settings_for(device("a", simulator.url("a")), device("b", simulator.url("b"))), outbox, clock, patient
    )
    collector.step(0.0)
    collector.reconfigure(settings_for(device("b", simulator.url("b"))))
    settle(collector)
    clock.advance(10_000)
    settle(collector)
    assert list(by_slot(polls_in(outbox), "a")) == [0]
    assert list(by_slot(polls_in(outbox), "b")) == [0, 10]


def test_a_device_is_polled_only_between_since_and_until(
    simulator: Simulator, outbox: Outbox, clock: HeldClock
) -> None:
    settings = settings_for(
        device("a", simulator.url("a"), until=date(2026, 5, 28)),
        device("b", simulator.url("b"), since=date(2026, 5, 29)),
        device("c", simulator.url("c"), since=date(2026, 5, 28), until=date(2026, 5, 29)),
    )
    collector = Collector(settings, outbox, clock, patient)
    settle(collector)
    clock.advance(10_000)
    settle(collector)
    assert {poll.device for poll in polls_in(outbox)} == {"c"}


def test_a_rejected_document_is_kept_when_it_differs_from_the_last_one(
    simulator: Simulator, outbox: Outbox, clock: HeldClock
) -> None:
    settings = settings_for(device("a", simulator.url("a")))
    collector = Collector(settings, outbox, clock, patient)
    for fault in ("login_page", "login_page", "truncated_json", "login_page"):
        simulator.set_fault("a", fault)
        settle(collector)
        clock.advance(10_000)
    simulator.set_fault("a", "login_page")
    settle(Collector(settings, outbox, clock, patient))
    bodies = [poll.body is not None for poll in polls_in(outbox)]
    assert bodies == [True, False, True, True, False]


def test_what_a_device_sends_and_nobody_asked_for_is_noted_once(
    simulator: Simulator, outbox: Outbox, clock: HeldClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    collector = Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient)
    simulator.set_fault("a", "unknown_sensor")
    for _ in range(3):
        settle(collector)
        clock.advance(10_000)
    assert {poll.outcome for poll in polls_in(outbox)} == {Outcome.OK}
    assert list(outbox.notes()) == ["a"]
    assert len([record for record in caplog.records if record.message.startswith("a: ")]) == 1
    simulator.set_fault("a", None)
    settle(collector)
    assert outbox.notes() == {}


def test_answers_are_committed_together_within_the_promise(
    simulator: Simulator, outbox: Outbox, clock: HeldClock
) -> None:
    collector = Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient)
    collector.step(0.0)
    run_until(collector, lambda: not collector.in_flight)
    assert polls_in(outbox) == []
    clock.advance(100)
    collector.step(0.0)
    assert len(polls_in(outbox)) == 1


def test_polling_now_takes_the_present_slot_once(simulator: Simulator, outbox: Outbox, clock: HeldClock) -> None:
    clock.advance(9_000)
    collector = Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient)
    collector.poll_now()
    collector.finish()
    collector.poll_now()
    collector.finish()
    assert list(by_slot(polls_in(outbox), "a")) == [0]


def test_a_crowd_of_hanging_devices_does_not_delay_the_others(tmp_path: Path) -> None:
    names = [f"hanging-{number}" for number in range(60)] + ["well"]
    clock = HeldClock()
    with (
        Simulator(names, clock=clock.time) as simulator,
        closing(Outbox(tmp_path / "outbox.sqlite")) as outbox,
    ):
        for name in names[:-1]:
            simulator.set_fault(name, "hang")
        collector = Collector(
            settings_for(*(device(name, simulator.url(name)) for name in names)), outbox, clock, patient
        )
        collector.step(0.0)
        run_until(collector, lambda: collector.in_flight == 60)
        collector.flush()
        assert [poll.device for poll in polls_in(outbox)] == ["well"]
        clock.advance(5_000)
        run_until(collector, lambda: collector.in_flight == 0)
        collector.flush()
        assert sum(poll.outcome is Outcome.TIMEOUT for poll in polls_in(outbox)) == 60


def test_polls_wait_in_memory_while_the_disk_refuses(
    simulator: Simulator, outbox: Outbox, clock: HeldClock, tmp_path: Path
) -> None:
    import sqlite3

    collector = Collector(settings_for(device("a", simulator.url("a"))), outbox, clock, patient)
    settle(collector)
    before = len(polls_in(outbox))
    with closing(sqlite3.connect(tmp_path / "outbox.sqlite")) as other:
        other.execute("ALTER TABLE outbox RENAME TO gone")
        clock.advance(10_000)
        settle(collector)
        other.execute("ALTER TABLE gone RENAME TO outbox")
    clock.advance(6_000)
    collector.step(0.0)
    assert len(polls_in(outbox)) == before + 1

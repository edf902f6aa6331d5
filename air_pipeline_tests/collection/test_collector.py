"""The collector as an object, driven against real HTTP devices with a clock that the test holds."""

import sys
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import FrameType

import pytest

from air_pipeline.catalogue import STATION
from air_pipeline.collection import workers
from air_pipeline.collection.collector import Collector
from air_pipeline.devices.answers import Answer
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.simulator import Simulator
from air_pipeline.devices.steps import Steps
from air_pipeline.settings import Device
from air_pipeline_tests.collection.held_clock import (
    SLOT,
    HeldClock,
    ReadRecorder,
    by_slot,
    device,
    patient,
    run_until,
    settings_for,
    settle,
)
from air_pipeline_tests.waiting import WITHIN_S, wait_for

DAY_MS = 86_400_000


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def simulator(clock: HeldClock) -> Iterator[Simulator]:
    with Simulator(["a", "b", "c"], clock=clock.time) as running:
        yield running


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[ReadRecorder]:
    with ReadRecorder(tmp_path) as recorder:
        yield recorder


def test_every_device_is_polled_once_in_every_slot(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    settings = settings_for(
        device("a", simulator.url("a")),
        device("b", simulator.url("b"), interval_ms=5_000),
        device("c", simulator.url("c")),
    )
    collector = Collector(settings, recorder, clock, patient)
    for _ in range(4):
        settle(collector)
        clock.advance(5_000)
    polls = recorder.polls()
    assert list(by_slot(polls, "a")) == [0, 10]
    assert list(by_slot(polls, "b")) == [0, 5, 10, 15]
    assert {poll.outcome for poll in polls} == {Outcome.OK}
    assert all(len(poll.values) == 13 for poll in polls)
    assert len(simulator.requests("b").times_ms) == 4


def test_a_slot_is_stamped_with_its_own_time_however_late_it_is_begun(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    clock.advance(3_210)
    settle(Collector(settings_for(device("a", simulator.url("a"))), recorder, clock, patient))
    [poll] = recorder.polls()
    assert poll.observed_at == SLOT
    assert poll.duration_ms >= 3_210


def test_a_slot_is_not_begun_when_its_answer_could_not_be_true_to_it(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    clock.advance(5_001)
    collector = Collector(settings_for(device("a", simulator.url("a"))), recorder, clock, patient)
    settle(collector)
    assert recorder.polls() == []
    clock.advance(4_999)
    settle(collector)
    assert list(by_slot(recorder.polls(), "a")) == [10]


def test_a_slot_is_begun_once_restarts_included(simulator: Simulator, clock: HeldClock, tmp_path: Path) -> None:
    settings = settings_for(device("a", simulator.url("a")))
    with ReadRecorder(tmp_path) as recorder:
        settle(Collector(settings, recorder, clock, patient))
    clock.advance(1_000)
    with ReadRecorder(tmp_path) as recorder:
        again = Collector(settings, recorder, clock, patient)
        settle(again)
        assert len(simulator.requests("a").times_ms) == 1
        clock.advance(9_000)
        settle(again)
        assert list(by_slot(recorder.polls(), "a")) == [0, 10]


def test_polls_say_what_was_asked_for_at_first_on_change_and_once_a_day(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    """Whatever became of them."""
    one, two = STATION[:1], STATION[:2]
    whole, less = (device("a", simulator.url("a"), parameters=parameters) for parameters in (two, one))
    collector = Collector(settings_for(whole), recorder, clock, patient)
    simulator.set_fault("a", "http_500")
    for settings in (None, settings_for(whole), settings_for(less), None):
        if settings:
            collector.reconfigure(settings)
        settle(collector)
        clock.advance(10_000)
    clock.advance(DAY_MS - SLOT % DAY_MS - 40_000)  # to the next midnight
    for _ in range(2):
        settle(collector)
        clock.advance(10_000)
    again = Collector(settings_for(less), recorder, clock, patient)
    settle(again)
    polls = sorted(recorder.polls(), key=lambda poll: poll.observed_at)
    asked = (one[0].series,)
    assert [poll.series for poll in polls] == [(*asked, two[1].series), None, asked, None, asked, None, asked]
    assert polls[4].observed_at % DAY_MS == 0


def test_a_hanging_device_costs_its_own_slots_and_nobody_elses(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    simulator.set_fault("a", "hang")
    settings = settings_for(
        device("a", simulator.url("a"), interval_ms=1_000, timeout_s=2.5),
        device("b", simulator.url("b"), interval_ms=1_000),
    )
    collector = Collector(settings, recorder, clock, patient)
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
    polls = recorder.polls()
    assert [poll.outcome for poll in by_slot(polls, "b").values()] == [Outcome.OK] * 5
    hanging = {slot: poll.outcome for slot, poll in by_slot(polls, "a").items()}
    assert hanging == {0: Outcome.TIMEOUT, 1: Outcome.SKIPPED, 2: Outcome.SKIPPED, 4: Outcome.SKIPPED}
    assert by_slot(polls, "a")[0].duration_ms == 2_500


def test_a_poll_is_recorded_at_its_deadline_while_its_thread_still_waits(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    simulator.set_fault("a", "drip_headers")
    collector = Collector(settings_for(device("a", simulator.url("a"))), recorder, clock, patient)
    collector.step(0.0)
    run_until(collector, lambda: len(simulator.requests("a").times_ms) == 1)
    clock.advance(5_000)
    run_until(collector, lambda: collector.in_flight == 0)
    [poll] = recorder.polls()
    assert poll.outcome is Outcome.TIMEOUT


def test_the_clock_set_back_polls_no_slot_twice(simulator: Simulator, recorder: ReadRecorder, clock: HeldClock) -> None:
    collector = Collector(settings_for(device("a", simulator.url("a"))), recorder, clock, patient)
    settle(collector)
    clock.advance(10_000)
    settle(collector)
    clock.step_wall(-10_000)
    settle(collector)
    clock.advance(10_000)
    settle(collector)
    clock.advance(10_000)
    settle(collector)
    assert list(by_slot(recorder.polls(), "a")) == [0, 10, 20]


def test_a_clock_that_was_wrong_by_hours_does_not_stop_collecting(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    collector = Collector(settings_for(device("a", simulator.url("a"))), recorder, clock, patient)
    clock.step_wall(5 * 3_600_000)
    settle(collector)
    clock.step_wall(-5 * 3_600_000)
    settle(collector)
    assert sorted(by_slot(recorder.polls(), "a")) == [0, 5 * 3600]


def test_a_clock_that_jumps_ahead_leaves_a_gap_and_no_burst(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    collector = Collector(settings_for(device("a", simulator.url("a"))), recorder, clock, patient)
    settle(collector)
    clock.advance(3_600_000)
    settle(collector)
    assert list(by_slot(recorder.polls(), "a")) == [0, 3600]


def test_changed_settings_are_taken_up_between_slots(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    collector = Collector(settings_for(device("a", simulator.url("a"))), recorder, clock, patient)
    settle(collector)
    collector.reconfigure(
        settings_for(device("a", simulator.url("a"), interval_ms=20_000), device("b", simulator.url("b")))
    )
    for _ in range(4):
        settle(collector)
        clock.advance(10_000)
    polls = recorder.polls()
    assert {slot: poll.interval_s for slot, poll in by_slot(polls, "a").items()} == {0: 10.0, 20: 20.0}
    assert list(by_slot(polls, "b")) == [0, 10, 20, 30]


def test_a_device_that_gets_another_id_is_not_asked_twice_in_a_slot(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    """What a rename would else find of both: the same slot, asked under either id."""
    collector = Collector(settings_for(device("a", simulator.url("a"))), recorder, clock, patient)
    settle(collector)
    clock.advance(1_000)
    collector.reconfigure(settings_for(device("new", simulator.url("a")), device("b", simulator.url("b"))))
    settle(collector)
    clock.advance(9_000)
    settle(collector)
    polls = recorder.polls()
    assert [list(by_slot(polls, name)) for name in ("a", "new", "b")] == [[0], [10], [0, 10]]
    assert len(simulator.requests("a").times_ms) == 2


def test_a_device_that_is_taken_out_ends_its_poll_and_is_asked_no_more(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    collector = Collector(
        settings_for(device("a", simulator.url("a")), device("b", simulator.url("b"))), recorder, clock, patient
    )
    collector.step(0.0)
    collector.reconfigure(settings_for(device("b", simulator.url("b"))))
    settle(collector)
    clock.advance(10_000)
    settle(collector)
    assert list(by_slot(recorder.polls(), "a")) == [0]
    assert list(by_slot(recorder.polls(), "b")) == [0, 10]


def test_a_device_is_polled_only_between_since_and_until(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    settings = settings_for(
        device("a", simulator.url("a"), until=date(2026, 5, 28)),
        device("b", simulator.url("b"), since=date(2026, 5, 29)),
        device("c", simulator.url("c"), since=date(2026, 5, 28), until=date(2026, 5, 29)),
    )
    collector = Collector(settings, recorder, clock, patient)
    settle(collector)
    clock.advance(10_000)
    settle(collector)
    assert {poll.device for poll in recorder.polls()} == {"c"}


def test_a_rejected_document_is_kept_when_it_differs_from_the_last_one(
    simulator: Simulator, clock: HeldClock, tmp_path: Path
) -> None:
    settings = settings_for(device("a", simulator.url("a")))
    with ReadRecorder(tmp_path) as recorder:
        collector = Collector(settings, recorder, clock, patient)
        for fault in ("login_page", "login_page", "truncated_json", "login_page"):
            simulator.set_fault("a", fault)
            settle(collector)
            clock.advance(10_000)
    simulator.set_fault("a", "login_page")
    with ReadRecorder(tmp_path) as recorder:
        settle(Collector(settings, recorder, clock, patient))
        bodies = [poll.body is not None for poll in recorder.polls()]
    assert bodies == [True, False, True, True, False]


def test_what_a_device_sends_and_nobody_asked_for_is_noted_once(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    collector = Collector(settings_for(device("a", simulator.url("a"))), recorder, clock, patient)
    simulator.set_fault("a", "unknown_sensor")
    for _ in range(3):
        settle(collector)
        clock.advance(10_000)
    assert {poll.outcome for poll in recorder.polls()} == {Outcome.OK}
    assert list(recorder.noted()) == ["a"]
    assert len([record for record in caplog.records if record.message.startswith("a: ")]) == 1
    simulator.set_fault("a", None)
    settle(collector)
    assert recorder.noted() == {}


def test_polling_now_takes_the_present_slot_once(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    clock.advance(4_000)
    collector = Collector(settings_for(device("a", simulator.url("a"))), recorder, clock, patient)
    assert collector.poll_now() == []
    collector.finish()
    assert collector.poll_now() == ["a"]
    collector.finish()
    assert list(by_slot(recorder.polls(), "a")) == [0]


def test_polling_now_leaves_out_slots_that_are_too_long_ago_and_devices_that_are_not_polled(
    simulator: Simulator, recorder: ReadRecorder, clock: HeldClock
) -> None:
    clock.advance(9_000)
    settings = settings_for(
        device("a", simulator.url("a")),
        device("b", simulator.url("b"), timeout_s=10.0),
        device("c", simulator.url("c"), timeout_s=10.0, until=date(2026, 5, 2)),
    )
    collector = Collector(settings, recorder, clock, patient)
    assert collector.poll_now() == ["a", "c"]
    collector.finish()
    assert {poll.device: poll.outcome for poll in recorder.polls()} == {"b": Outcome.OK}
    assert not simulator.requests("a").times_ms
    assert not simulator.requests("c").times_ms


def test_a_crowd_of_hanging_devices_does_not_delay_the_others(recorder: ReadRecorder) -> None:
    names = [f"hanging-{number}" for number in range(60)] + ["well"]
    clock = HeldClock()
    with Simulator(names, clock=clock.time) as simulator:
        for name in names[:-1]:
            simulator.set_fault(name, "hang")
        collector = Collector(
            settings_for(*(device(name, simulator.url(name)) for name in names)), recorder, clock, patient
        )
        collector.step(0.0)
        run_until(collector, lambda: collector.in_flight == 60)
        assert [poll.device for poll in recorder.polls()] == ["well"]
        run_until(collector, lambda: all(simulator.requests(name).times_ms for name in names))
        clock.advance(5_000)
        run_until(collector, lambda: collector.in_flight == 0)
        assert sum(poll.outcome is Outcome.TIMEOUT for poll in recorder.polls()) == 60


class Held:
    """A device that answers when it is let."""

    def __init__(self, body: object = b"", gate: threading.Event | None = None) -> None:
        self.body, self.gate = body, gate or threading.Event()
        self.asked = 0

    def __call__(self, _: Device) -> "Held":
        return self

    needs_thread = True

    def steps(self) -> Steps[Answer]:
        return self.run()
        yield

    def run(self) -> Answer:
        self.asked += 1
        self.gate.wait(2 * WITHIN_S)
        if isinstance(self.body, Exception):
            raise self.body
        return Answer(None, 200, self.body)  # type: ignore[arg-type]

    def abort(self) -> None:
        pass

    def timed_out(self) -> Answer:
        return Answer(Outcome.TIMEOUT, None)


GOOD = b'{"nodemcu": {"dht22": {"temperature": "20.0", "humidity": "50.0"}}}'


@pytest.mark.parametrize(
    ("body", "outcome"), [(ValueError("odd\n"), Outcome.UNREACHABLE), ("no bytes", Outcome.REJECTED)]
)
def test_whatever_a_worker_runs_into_is_one_failed_poll_in_words(
    recorder: ReadRecorder, clock: HeldClock, caplog: pytest.LogCaptureFixture, body: object, outcome: Outcome
) -> None:
    odd = Held(body)
    odd.gate.set()
    collector = Collector(settings_for(device("a", "http://a/")), recorder, clock, odd)
    settle(collector)
    odd.body = GOOD
    clock.advance(10_000)
    settle(collector)
    assert [poll.outcome for poll in by_slot(recorder.polls(), "a").values()] == [outcome, Outcome.PARTIAL]
    assert "a: what came of its poll cannot be used" in caplog.text


class Unreadable:
    """A body that takes as long to read as it likes."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def decode(self, *_: object) -> str:
        self.gate.wait(WITHIN_S)
        return "{}"


def test_a_hostile_document_costs_its_own_device_alone(recorder: ReadRecorder, clock: HeldClock) -> None:
    """However long the reading of it takes: here it does not end before the others are through."""
    unreadable = Unreadable()
    hostile, well = Held(unreadable), Held(GOOD)
    hostile.gate.set()
    well.gate.set()
    settings = settings_for(device("hostile", "http://hostile/", 1_000, 1.0), device("well", "http://well/", 1_000))
    collector = Collector(settings, recorder, clock, lambda asked: hostile if "hostile" in asked.url else well)
    for _ in range(5):
        collector.step(0.0)
        run_until(collector, lambda: collector.in_flight == 1)
        clock.advance(1_000)
    unreadable.gate.set()
    collector.finish()
    polls = recorder.polls()
    assert list(by_slot(polls, "well")) == [0, 1, 2, 3, 4]
    hostile_ones = by_slot(polls, "hostile")
    assert (hostile_ones[0].outcome, hostile_ones[1].outcome) == (Outcome.TIMEOUT, Outcome.SKIPPED)


def test_an_answer_after_the_machine_was_suspended_is_a_timeout(recorder: ReadRecorder, clock: HeldClock) -> None:
    class Asleep(Held):
        def run(self) -> Answer:
            answer = super().run()
            clock.advance(8 * 3_600_000)
            return answer

    asleep = Asleep(GOOD)
    collector = Collector(settings_for(device("a", "http://a/")), recorder, clock, asleep)
    waking = threading.Timer(0.1, asleep.gate.set)
    waking.start()
    collector.step(WITHIN_S)
    waking.join()
    collector.finish()
    assert [poll.outcome for poll in recorder.polls()] == [Outcome.TIMEOUT]


def test_a_device_whose_turn_comes_too_late_for_its_slot_is_not_asked(
    recorder: ReadRecorder, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FIRST", 1)
    monkeypatch.setattr(workers, "GROWTH", 0)
    busy = Held(GOOD)
    settings = settings_for(device("a", "http://a/"), device("b", "http://b/"))
    collector = Collector(settings, recorder, clock, busy)
    collector.step(0.0)
    wait_for(lambda: busy.asked == 1, "the first device in the only thread")
    clock.advance(5_001)
    busy.gate.set()
    run_until(collector, lambda: not collector.in_flight)
    assert [poll.outcome for poll in recorder.polls()] == [Outcome.TIMEOUT, Outcome.SKIPPED]
    assert busy.asked == 1


def test_devices_that_hang_hold_up_none_that_come_after_them(recorder: ReadRecorder, clock: HeldClock) -> None:
    gone, new = Held(GOOD), Held(GOOD)
    new.gate.set()
    asked = {"http://gone/": gone, "http://new/": new}
    collector = Collector(
        settings_for(*(device(f"gone-{number}", "http://gone/") for number in range(20))),
        recorder,
        clock,
        lambda one: asked[one.url],
    )
    run_until(collector, lambda: gone.asked == 20)
    collector.reconfigure(settings_for(*(device(f"new-{number}", "http://new/") for number in range(20))))
    run_until(collector, lambda: new.asked == 20)
    gone.gate.set()
    collector.finish()


def test_the_end_waits_so_long_and_records_the_rest_as_it_is(recorder: ReadRecorder, clock: HeldClock) -> None:
    slow, quick = Held(GOOD), Held(GOOD)
    settings = settings_for(device("slow", "http://slow/"), device("quick", "http://quick/"))
    collector = Collector(settings, recorder, clock, lambda asked: slow if "slow" in asked.url else quick)
    collector.step(0.0)
    ending = threading.Thread(target=collector.finish, args=(10.0,))
    ending.start()
    quick.gate.set()
    wait_for(recorder.committed, "an answer on the disk while another one is waited for")
    assert ending.is_alive()
    clock.advance(10_000)
    ending.join(WITHIN_S)
    assert [(poll.device, poll.outcome.value) for poll in recorder.polls()] == [
        ("quick", "partial"),
        ("slow", "timeout"),
    ]
    slow.gate.set()


def test_an_answer_costs_as_much_among_a_thousand_as_among_fifty(tmp_path: Path) -> None:
    """In steps of the interpreter, which are the same on any machine."""

    def steps(devices: int) -> int:
        taken = 0

        def trace(frame: FrameType, event: str, argument: object) -> object:
            nonlocal taken
            frame.f_trace_opcodes = True
            taken += event == "opcode"
            return trace

        clock, hanging, one = HeldClock(), Held(GOOD), Held(GOOD)
        settings = settings_for(device("one", "http://one/"), *(device(f"d{n}", "http://d/") for n in range(devices)))
        with ReadRecorder(tmp_path / str(devices)) as recorder:
            collector = Collector(settings, recorder, clock, lambda asked: one if "one" in asked.url else hanging)
            run_until(collector, lambda: hanging.asked == devices and one.asked == 1)
            one.gate.set()
            sys.settrace(trace)
            try:
                collector.step(WITHIN_S)
            finally:
                sys.settrace(None)
            assert collector.in_flight == devices
            hanging.gate.set()
            collector.finish()
        return taken

    assert steps(1_000) < 2 * steps(50)

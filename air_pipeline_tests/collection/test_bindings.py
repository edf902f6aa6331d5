"""Whose history it is: a device is bound to what it said of itself last, through restarts and new directories."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from air_pipeline.collection.bindings import Bindings
from air_pipeline.collection.collector import Collector
from air_pipeline.collection.outbox import Outbox, existing_outbox
from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline.environment import Environment
from air_pipeline.settings import Device
from air_pipeline.state import StateDirectory
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline_tests.collection.collector_process import running_collector
from air_pipeline_tests.collection.held_clock import (
    SLOT,
    HeldClock,
    ReadRecorder,
    by_slot,
    device,
    patient,
    settings_for,
    settle,
)
from air_pipeline_tests.running_pipeline import dead_port
from air_pipeline_tests.waiting import WITHIN_S, wait_for

KIND = "airgradient"


def who(name: str) -> str:
    """What a simulated device says of itself."""
    return name.encode()[:6].hex().ljust(12, "0")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def simulator(clock: HeldClock) -> Iterator[Simulator]:
    with Simulator([Profile(name, kind=KIND) for name in ("a", "b")], clock=clock.time) as running:
        yield running


def asked(name: str, url: str, **more: object) -> Device:
    return device(name, url, kind=KIND, parameters=KINDS[KIND].usual, **more)


def test_two_devices_whose_addresses_are_swapped_never_exchange_their_histories(
    simulator: Simulator, clock: HeldClock, tmp_path: Path
) -> None:
    """A restart between, and the identity said once: with the poll that was the first of it."""
    urls = simulator.url("a"), simulator.url("b")
    polls: list[Poll] = []
    for first, second in (urls, urls, urls[::-1], urls):
        with ReadRecorder(tmp_path) as recorder:
            settle(Collector(settings_for(asked("a", first), asked("b", second)), recorder, clock, patient))
            polls, noted = recorder.polls(), recorder.noted()
        if first == urls[1]:
            assert noted["a"] == (
                f"another device answers at this address: it says that it is {who('b')}, and {who('a')} answered"
                " before; write the address that a has now, or, if this one takes its place: air-pipeline accept a"
            )
        clock.advance(10_000)
    found = by_slot(polls, "a")
    assert [found[slot].outcome for slot in (0, 10, 20, 30)] == [
        Outcome.OK, Outcome.OK, Outcome.REJECTED, Outcome.OK]  # fmt: skip
    assert [found[slot].identity for slot in (0, 10, 20, 30)] == [who("a"), None, None, None]
    assert not any(poll.values for poll in polls if poll.outcome is Outcome.REJECTED)
    assert noted == {"a": "", "b": ""} or not any(noted.values())


def test_what_is_written_binds_before_what_answered_and_is_what_binds_from_then_on(
    simulator: Simulator, clock: HeldClock, tmp_path: Path
) -> None:
    url = simulator.url("b")
    written = asked("a", url, identity=who("b").upper())
    with ReadRecorder(tmp_path) as recorder:
        collector = Collector(settings_for(asked("a", simulator.url("a"))), recorder, clock, patient)
        for then in (asked("a", url), written, asked("a", url), asked("a", simulator.url("a"))):
            settle(collector)
            clock.advance(10_000)
            collector.reconfigure(settings_for(then))
        settle(collector)
        found = by_slot(recorder.polls(), "a")
    assert [poll.outcome.value for poll in found.values()] == ["ok", "rejected", "ok", "ok", "rejected"]
    assert [poll.identity for poll in found.values()] == [who("a"), None, who("b"), None, None]


def test_a_device_that_gets_another_id_is_still_bound(simulator: Simulator, clock: HeldClock, tmp_path: Path) -> None:
    with ReadRecorder(tmp_path) as recorder:
        collector = Collector(settings_for(asked("a", simulator.url("a"))), recorder, clock, patient)
        settle(collector)
        collector.reconfigure(settings_for(asked("new", simulator.url("a"))))
        assert collector.bindings.of("new") == who("a")
    with closing(Outbox(StateDirectory(tmp_path).outbox)) as box:
        box.rename("new", "newer")
        assert box.remembered("identity") == {"a": who("a"), "newer": who("a")}


def test_a_document_that_does_not_say_who_sends_it_changes_nothing(clock: HeldClock, tmp_path: Path) -> None:
    """Neither a kind that never does, nor one that was bound while its document lacks it."""
    usual = KINDS["airrohr"].usual
    with Simulator([Profile("a", kind="airrohr")], clock=clock.time) as simulator, ReadRecorder(tmp_path) as recorder:
        recorder.identities["a"] = "somebody"
        one = device("a", simulator.url("a"), interval_ms=150_000, kind="airrohr", parameters=usual)
        collector = Collector(settings_for(one), recorder, clock, patient)
        assert not collector.bindings.unknown([replace(one, id="other")])
        clock.advance(150_000 - SLOT % 150_000)
        settle(collector)
        [poll] = recorder.polls()
        assert (poll.outcome.has_reading, poll.identity) == (True, None)


def test_of_what_the_store_says_counts_what_no_device_has_said_meanwhile(tmp_path: Path) -> None:
    with ReadRecorder(tmp_path) as recorder:
        recorder.last_slots["old"] = SLOT
        bindings = Bindings(recorder)
        devices = [asked(name, f"http://{name}/") for name in ("new", "quick", "old")]
        unknown = bindings.unknown(devices)
        assert unknown == {"new", "quick"}
        bindings.bind("quick", "said")
        bindings.take({"new": "stored", "quick": "stored", "old": "stored", "foreign": "stored"}, unknown)
        assert {name: bindings.of(name) for name in ("new", "quick", "old", "foreign")} == {
            "new": "stored", "quick": "said", "old": "", "foreign": ""}  # fmt: skip


def test_a_new_state_directory_is_bound_by_what_is_stored(tmp_path: Path) -> None:
    """Whether or not it answers meanwhile; another one is then rejected."""
    state = StateDirectory(tmp_path / "state")
    config = tmp_path / "devices.yaml"
    environment = Environment(config, state, state.path / "data")
    with closing(SqliteStore(state.readings)) as store:
        stored = Poll("a", SLOT, Outcome.OK, 40.0, 1.0, 200, {"sht40_temperature": 20.5}, identity="0123456789ab")
        store.write([stored])
    entry = f"  - id: a\n    url: http://127.0.0.1:{dead_port()}\n    kind: {KIND}\n"
    config.write_text(f"timezone: UTC\nstart: 2026-11-01\ninterval: 1s\ndevices:\n{entry}")

    def remembered() -> dict[str, str]:
        box = existing_outbox(state.outbox)
        if box is None:
            return {}
        with closing(box):
            return box.remembered("identity")

    with running_collector(environment) as process:
        wait_for(lambda: remembered() == {"a": "0123456789ab"}, "what the store says")
        process.terminate()
        assert process.wait(WITHIN_S) == 0

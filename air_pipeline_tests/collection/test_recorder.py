"""The recorder: what it commits, what waits while a disk refuses, what is lost and said."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from air_pipeline.boottime import boottime
from air_pipeline.collection import recorder as recording_room
from air_pipeline.collection.collector import Collector
from air_pipeline.collection.outbox import Outbox, OutboxError
from air_pipeline.collection.outbox_rows import encoded
from air_pipeline.collection.recorder import PollsLost, recording
from air_pipeline.collection.reserve import RESERVE_BYTES
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Simulator
from air_pipeline.records import SIZE, read_record, write_record
from air_pipeline.state import StateDirectory
from air_pipeline_tests.collection.disks import fill, small_disk
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
from air_pipeline_tests.waiting import wait_for


def rows(first: int, number: int):
    polls = (Poll("a", SLOT + 1000 * n, Outcome.OK, 40.0, 1.0, 200) for n in range(first, first + number))
    return [encoded(poll) for poll in polls]


def slots(polls: list[Poll]) -> list[int]:
    return sorted((poll.observed_at - SLOT) // 1000 for poll in polls)


def allocated(path: Path) -> int:
    """The bytes that a file has of its disk."""
    return path.stat().st_blocks * 512


def test_polls_are_committed_by_themselves_and_a_begun_slot_at_once(tmp_path: Path) -> None:
    with ReadRecorder(tmp_path) as recorder:
        recorder.record(rows(0, 3))
        wait_for(lambda: slots(recorder.committed()) == [0, 1, 2], "the polls on the disk")
        recorder.begin({"a": SLOT})
        wait_for(lambda: ReadRecorder(tmp_path).last_slots == {"a": SLOT}, "the slot on the disk")


def test_an_outbox_that_somebody_locks_costs_no_slot(tmp_path: Path) -> None:
    clock = HeldClock()
    with Simulator(["a", "b"], clock=clock.time) as simulator, ReadRecorder(tmp_path) as recorder:
        settings = settings_for(*(device(name, simulator.url(name), 1_000, 1.0) for name in ("a", "b")))
        collector = Collector(settings, recorder, clock, patient)
        with closing(sqlite3.connect(recorder.outbox_file)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(12):
                settle(collector)
                clock.advance(1_000)
                assert not recorder.is_refused, "a slot waited until the lock was given up"
            assert recorder.committed() == []
            assert recorder.unconfirmed == 24
            other.rollback()
        polls = recorder.polls()
        assert list(by_slot(polls, "a")) == list(by_slot(polls, "b")) == list(range(12))
        assert recorder.last_slots == {}
    assert ReadRecorder(tmp_path).last_slots == {"a": SLOT + 11_000, "b": SLOT + 11_000}


def test_polls_wait_in_memory_while_the_disk_refuses_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = StateDirectory(tmp_path)
    with ReadRecorder(tmp_path) as recorder:
        recorder.record(rows(0, 1))
        recorder.polls()
        with closing(sqlite3.connect(state.outbox)) as other:
            other.execute("ALTER TABLE outbox RENAME TO gone")
            recorder.record(rows(1, 2))
            recorder.flush()
            recorder.record(rows(3, 1))
            recorder.flush()
            wait_for(lambda: recording(state).waiting == 3, "how many wait")
            assert "no such table: outbox" in recording(state).refused
            other.execute("ALTER TABLE gone RENAME TO outbox")
        assert slots(recorder.polls()) == [0, 1, 2, 3]
        wait_for(lambda: recording(state).refused == "", "that it takes them again")
    assert [record.levelname for record in caplog.records].count("ERROR") == 1, "it is said once"


def test_memory_is_bounded_and_the_oldest_polls_are_dropped_counted_and_told(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    with ReadRecorder(tmp_path, most_bytes=20_000) as recorder:
        with closing(sqlite3.connect(state.outbox)) as other:
            other.execute("ALTER TABLE outbox RENAME TO gone")
            for first in range(0, 500, 50):
                recorder.record(rows(first, 50))
                recorder.flush()
            wait_for(lambda: recording(state).dropped, "how many were dropped")
            other.execute("ALTER TABLE gone RENAME TO outbox")
        kept = slots(recorder.polls())
        told = wait_for(lambda: (now := recording(state)).refused == "" and now, "how it stands")
    assert kept == list(range(told.dropped, 500))
    assert 0 < told.dropped < 490
    assert (told.first, told.last) == (SLOT, SLOT + 1000 * (told.dropped - 1))
    assert told.lost.startswith(f"{told.dropped} polls of the slots from 2026-05-28 20:26:40 to ")
    with ReadRecorder(tmp_path):
        pass
    assert recording(state).dropped == told.dropped, "a restart forgets what was lost"


def test_what_the_disk_refuses_to_the_end_is_said_with_its_span(tmp_path: Path) -> None:
    with ReadRecorder(tmp_path) as recorder, closing(sqlite3.connect(recorder.outbox_file)) as other:
        other.execute("ALTER TABLE outbox RENAME TO gone")
        recorder.record(rows(0, 2))
        said = "2 polls of the slots from 2026-05-28 20:26:40 to 2026-05-28 20:26:41 UTC are lost"
        with pytest.raises(PollsLost, match=said):
            recorder.close(0.5)
    assert recording(StateDirectory(tmp_path)).dropped == 2


def test_no_exception_ends_the_recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ReadRecorder(tmp_path) as recorder:
        with monkeypatch.context() as broken:
            broken.setattr(Outbox, "add_encoded", lambda self, rows: 1 / 0)
            broken.setattr(Outbox, "begin", lambda self, slots: 1 / 0)
            recorder.begin({"a": SLOT})
            recorder.record(rows(0, 1))
            recorder.flush()
            assert recorder.is_refused
        assert slots(recorder.polls()) == [0]
    assert ReadRecorder(tmp_path).last_slots == {"a": SLOT}


@pytest.mark.parametrize("letter", ["я", "\\", "\x1b", "😀"], ids=ascii)
def test_a_reason_in_any_letters_is_told_and_ends_no_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, letter: str
) -> None:
    """The path of a state directory may be in any script, and a reason names it."""

    def refuse(_box: Outbox, _rows: object) -> None:
        raise OutboxError(letter * 300)

    with ReadRecorder(tmp_path) as recorder:
        with monkeypatch.context() as broken:
            broken.setattr(Outbox, "add_encoded", refuse)
            recorder.record(rows(0, 1))
            recorder.flush()
            wait_for(lambda: recording(StateDirectory(tmp_path)).waiting, "how many wait")
        assert slots(recorder.polls()) == [0]


def test_a_full_disk_gets_the_room_that_was_kept_and_keeps_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_room, "TELL_EVERY_S", 0.0)
    state = StateDirectory(tmp_path / "disk")
    with small_disk(state.path) as disk, ReadRecorder(disk) as recorder:
        recorder.record(rows(0, 1))
        recorder.polls()
        wait_for(lambda: state.reserve.exists() and allocated(state.reserve) >= RESERVE_BYTES, "the reserve")
        filler = fill(disk)
        number = 1
        with closing(sqlite3.connect(recorder.outbox_file)) as reader:  # so that what is committed needs room
            reader.execute("BEGIN")
            reader.execute("SELECT COUNT(*) FROM outbox").fetchone()
            while state.reserve.exists():
                recorder.record(rows(number, 10))
                number += 10
                recorder.polls()
        assert slots(recorder.polls()) == list(range(number))
        filler.unlink()
        recorder.record(rows(number, 1))
        wait_for(state.reserve.exists, "the reserve, as there is room again")


def test_a_disk_without_room_is_no_reason_to_take_more_of_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=16) as disk, ReadRecorder(disk) as recorder:
        recorder.record(rows(0, 1))
        recorder.polls()
        assert not StateDirectory(disk).reserve.exists()


def test_a_record_is_written_over_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        write_record(disk / "lease", {"until": boottime()})
        fill(disk)
        write_record(disk / "lease", {"until": 7.5})
        assert read_record(disk / "lease") == {"until": 7.5}
        assert (disk / "lease").stat().st_size == SIZE


@pytest.mark.parametrize("content", [b"", b"1780000000.5\n", b"12345678 {}", b"\xff\xfe", b"[" * 600])
def test_what_is_no_whole_record_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lease").write_bytes(content)
    assert read_record(tmp_path / "lease") is None

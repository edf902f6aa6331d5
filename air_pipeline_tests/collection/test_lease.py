"""Who may collect, and how long: the lock and the lease under what may happen to their files."""

import json
import os
import threading
from pathlib import Path

import pytest

from air_pipeline.boottime import boot_id, boottime
from air_pipeline.collection import lease
from air_pipeline.collection.lease import (
    CollectorLock,
    CollectorRunning,
    asking_by_hand,
    end_lease,
    extend_lease,
    holder,
    lease_has_ended,
    lease_holds,
)
from air_pipeline.records import write_record
from air_pipeline.state import StateDirectory
from air_pipeline_tests.collection.disks import become_read_only, fill, small_disk
from air_pipeline_tests.waiting import WITHIN_S, wait_for


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    state = StateDirectory(tmp_path)
    state.make()
    return state


def test_a_lease_is_of_this_start_of_the_machine_and_runs_out(state: StateDirectory) -> None:
    assert not lease_holds(state)
    extend_lease(state, WITHIN_S)
    assert lease_holds(state)
    extend_lease(state, -1)
    assert lease_has_ended(state)
    write_record(state.collector_lease, {"boot": f"not {boot_id()}", "until": boottime() + WITHIN_S})
    assert not lease_holds(state)


@pytest.mark.parametrize("content", ["", "1780000000.000\n", '{"until": 1}', "0" * 2000])
def test_a_lease_that_cannot_be_read_does_not_hold(state: StateDirectory, content: str) -> None:
    state.collector_lease.write_text(content, encoding="utf-8")
    assert not lease_holds(state)
    extend_lease(state)
    assert lease_holds(state)


def test_a_lease_is_extended_on_a_full_disk_and_where_it_cannot_be_nothing_is_raised(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    with small_disk(state.path, megabytes=1) as disk:
        extend_lease(state, -1)
        with CollectorLock(state):
            pass
        fill(disk)
        extend_lease(state, WITHIN_S)
        assert lease_holds(state)
        with CollectorLock(state), pytest.raises(CollectorRunning, match=r"process [1-9]"):
            CollectorLock(state).acquire()
        end_lease(state)
        fill(disk)
        extend_lease(state, WITHIN_S)
        assert not lease_holds(state)


def test_a_lease_does_not_end_while_nobody_could_extend_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state", megabytes=1) as disk:
        state = StateDirectory(disk)
        extend_lease(state, -1)
        assert lease_has_ended(state)
        become_read_only(disk)
        assert not lease_has_ended(state)


def test_a_lock_is_for_this_user_alone_whatever_the_umask(state: StateDirectory) -> None:
    before = os.umask(0)
    try:
        with CollectorLock(state):
            extend_lease(state)
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in (state.collector_lock, state.collector_lease)} == {0o600}


def test_a_lock_whose_file_was_removed_is_taken_anew(state: StateDirectory) -> None:
    with CollectorLock(state, leased=True) as lock:
        state.collector_lock.unlink()
        assert holder(state) is None
        lock.keep()
        found = holder(state)
        assert found is not None
        assert found.leased
        with pytest.raises(CollectorRunning):
            CollectorLock(state).acquire()
    assert holder(state) is None


def test_a_lock_whose_file_was_removed_and_taken_by_another_is_lost(state: StateDirectory) -> None:
    with CollectorLock(state) as lock:
        lock.keep()
        state.collector_lock.unlink()
        with CollectorLock(state), pytest.raises(CollectorRunning):
            lock.keep()


def test_a_lock_whose_file_is_removed_while_it_is_taken_is_not_taken(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicker, lock = CollectorLock(state), lease._lock

    def overtaken(file: int, kind: int) -> bool:
        monkeypatch.setattr(lease, "_lock", lock)
        state.collector_lock.unlink()
        quicker.acquire()
        return lock(file, kind)

    monkeypatch.setattr(lease, "_lock", overtaken)
    with pytest.raises(CollectorRunning):
        CollectorLock(state).acquire()
    quicker.release()


def test_a_lock_made_by_an_earlier_version_is_understood(state: StateDirectory) -> None:
    state.collector_lock.write_text(json.dumps({"pid": 7, "since": 1.5, "leased": True}), encoding="utf-8")
    with CollectorLock(state) as lock:
        found = holder(state)
        assert found is not None
        assert found.pid != 7
        lock.keep()


def test_a_collector_waits_until_nobody_asks_by_hand(state: StateDirectory) -> None:
    lock = CollectorLock(state)
    starting = threading.Thread(target=lock.acquire)
    with asking_by_hand(state):
        starting.start()
        wait_for(lambda: holder(state), "a collector that nobody asks beside")
        starting.join(0.2)
        assert starting.is_alive(), "it did not wait"
    starting.join(WITHIN_S)
    assert not starting.is_alive()
    lock.release()

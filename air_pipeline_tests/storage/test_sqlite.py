"""The embedded store as a file: many processes, crashes, locks, damage."""

import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from air_pipeline.state import StateDirectory
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import PollsRejected, StoreError, StoreRefused, StoreUnavailable, Summary
from air_pipeline_tests.storage.model import END, START, poll, rows


def test_what_is_stored_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The file, and what SQLite writes beside it while it is open."""
    store = SqliteStore(tmp_path / "readings.sqlite")
    store.write([poll()])
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert files == dict.fromkeys(["readings.sqlite", "readings.sqlite-wal", "readings.sqlite-shm"], 0o600)
    store.close()


def test_readers_of_a_store_that_is_not_there_do_not_make_it(tmp_path: Path) -> None:
    store = open_store(None, StateDirectory(tmp_path / "state"))
    assert store.latest() == {}
    assert store.readings("living-room", START, END).empty
    store.write([])
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_the_state_directory_gets_one_file_of_sqlite(tmp_path: Path) -> None:
    store = open_store(None, StateDirectory(tmp_path / "state"))
    store.write([poll()])
    store.close()
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["readings.sqlite"]
    assert store.identity == f"sqlite {tmp_path / 'state' / 'readings.sqlite'}"


def test_a_store_of_the_moment_of_its_making_is_empty(tmp_path: Path) -> None:
    (tmp_path / "readings.sqlite").touch()
    store = SqliteStore(tmp_path / "readings.sqlite")
    assert store.latest() == {}
    assert store.polls("living-room", START, END).empty
    store.close()


def test_any_tool_can_read_the_tables(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    sqlite_store.write([poll(values={"mq135_co2": 402.08})])
    with closing(sqlite3.connect(tmp_path / "readings.sqlite")) as other:
        assert other.execute("SELECT device, observed_at, mq135_co2 FROM air").fetchall() == [
            ("living-room", START, 402.08)
        ]
        assert other.execute(
            "SELECT outcome, duration_ms, http_status, interval_s, problems, body FROM poll"
        ).fetchall() == [("ok", 41.0, 200.0, 10.0, "", None)]
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_threads_share_a_store(sqlite_store: SqliteStore) -> None:
    def work(thread: int) -> int:
        for n in range(20):
            sqlite_store.write([poll(f"device-{thread}", START + n)])
            sqlite_store.latest()
        return len(sqlite_store.readings(f"device-{thread}", START, END))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [20] * 8


WRITER = """
import sys
from pathlib import Path
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.storage.sqlite import SqliteStore
store, device, polls, series = SqliteStore(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3]), sys.argv[4]
for n in range(polls):
    store.write([Poll(device, n * 1000, Outcome.OK, 1.0, 1.0, 200, {"a": 1.0, f"{series}_{n // 10}": 2.0})])
    print(n, flush=True)
"""


def writer(path: Path, device: str, polls: int, series: str = "b") -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(path), device, str(polls), series]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_that_start_at_once_write_one_file_while_it_is_read(
    sqlite_store: SqliteStore, tmp_path: Path
) -> None:
    writers = [writer(tmp_path / "readings.sqlite", f"device-{n}", 40, series=f"s{n % 2}") for n in range(4)]
    while any(process.poll() is None for process in writers):
        for summary in sqlite_store.summaries(0, END).values():
            assert summary.values == 2 * summary.polls  # a poll and its values are there together
    assert [process.communicate()[1] for process in writers] == [""] * 4
    assert sqlite_store.summaries(0, END) == {f"device-{n}": Summary(40, 40.0, 80) for n in range(4)}


def test_a_killed_writer_leaves_what_it_had_written(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    process = writer(tmp_path / "readings.sqlite", "garage", 1_000_000)
    assert process.stdout is not None
    written = [int(process.stdout.readline()) for _ in range(50)][-1] + 1
    process.kill()
    written += len(process.communicate()[0].splitlines())
    assert process.returncode == -signal.SIGKILL
    found = sqlite_store.summaries(0, 2**62)["garage"]
    assert found.polls in {written, written + 1}  # killed between the commit and the word of it
    assert found.values == 2 * found.polls
    with closing(sqlite3.connect(tmp_path / "readings.sqlite")) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    sqlite_store.write([poll("garage")])


def test_a_forked_child_has_connections_of_its_own(sqlite_store: SqliteStore) -> None:
    sqlite_store.write([poll()])
    child = os.fork()
    if child == 0:
        try:
            sqlite_store.write([poll("garage")])
            sqlite_store.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    sqlite_store.write([poll("attic")])
    assert sorted(sqlite_store.latest()) == ["attic", "garage", "living-room"]


def test_a_lock_that_does_not_go_away_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "readings.sqlite"
    store = SqliteStore(path, timeout_s=0.1)
    store.write([poll()])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=rf"{path} was locked by another program for 0.1 s"):
            store.write([poll("garage")])
        assert sorted(store.latest()) == ["living-room"]  # readers do not wait for writers
    store.write([poll("garage")])
    store.close()


def test_a_writer_waits_for_another_one(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    sqlite_store.write([poll()])
    with closing(sqlite3.connect(tmp_path / "readings.sqlite", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, other.execute, ["COMMIT"])
        release.start()
        sqlite_store.write([poll("garage")])
        release.join()
    assert len(sqlite_store.latest()) == 2


def test_counting_ends_at_its_deadline(sqlite_store: SqliteStore) -> None:
    sqlite_store.write([poll(slot=START + n) for n in range(20_000)])
    with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.0 s"):
        sqlite_store.outcome_counts(START, END, timeout_s=0.0)
    assert sqlite_store.outcome_counts(START, END) == {"living-room": {"ok": 20_000}}


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_file_that_is_damaged_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "readings.sqlite"
    path.write_bytes(content)
    store = SqliteStore(path)
    for request in (store.latest, lambda: store.write([poll()])):
        with pytest.raises(StoreError, match=rf"{path} .*(damaged|cannot)"):
            request()
    assert path.read_bytes() == content
    store.close()


def test_a_page_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "readings.sqlite"
    store = SqliteStore(path)
    store.write([poll(slot=START + n) for n in range(1000)])
    store.close()
    with path.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 4096 * 8)
    with pytest.raises(StoreError, match=f"{path} is damaged"):
        store.readings("living-room", START, END)
    store.close()


def test_a_store_of_a_newer_program_is_left_alone(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    sqlite_store.write([poll()])
    with closing(sqlite3.connect(tmp_path / "readings.sqlite")) as other:
        other.execute("PRAGMA user_version = 99")
    for request in (sqlite_store.latest, lambda: sqlite_store.write([poll()])):
        with pytest.raises(StoreError, match="made by a newer air_pipeline"):
            request()


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readings.sqlite").mkdir()
    store = SqliteStore(tmp_path / "readings.sqlite")
    for request in (store.latest, lambda: store.write([poll()])):
        with pytest.raises(StoreRefused, match="cannot be opened"):
            request()


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    store = SqliteStore(tmp_path / "state" / "readings.sqlite")
    with pytest.raises(StoreError, match=str(tmp_path)):
        store.write([poll()])


FULL = """
import resource, sys
from pathlib import Path
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import StoreUnavailable
store = SqliteStore(Path(sys.argv[1]))
written = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    while True:
        store.write([Poll("garage", written + n, Outcome.OK, 1.0, 1.0, 200, {"a": 1.0}) for n in range(100)])
        written += 100
except StoreUnavailable as error:
    print(written, store.summaries(0, 2**62)["garage"].polls, error)
"""


def test_a_full_disk_is_unavailable_and_loses_nothing_written(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "readings.sqlite")], capture_output=True, text=True, check=True
    )
    written, found, message = run.stdout.split(" ", 2)
    assert int(written) == int(found) > 0
    assert "Is there space on the disk?" in message


def test_a_file_that_is_put_aside_takes_no_more_writes(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    path = tmp_path / "readings.sqlite"
    sqlite_store.write([poll()])
    for file in list(tmp_path.iterdir()):
        file.rename(tmp_path / f"aside-{file.name}")
    assert sqlite_store.latest() == {}
    other = SqliteStore(path)
    other.write([poll("garage")])
    sqlite_store.write([poll("attic")])
    assert sorted(other.latest()) == sorted(sqlite_store.latest()) == ["attic", "garage"]
    other.close()


def test_names_of_series_that_sqlite_cannot_tell_apart_are_rejected(sqlite_store: SqliteStore) -> None:
    sqlite_store.write([poll(values={"sds011_pm25": 1.0})])
    with pytest.raises(PollsRejected, match="'SDS011_pm25' differs from 'sds011_pm25' in case only"):
        sqlite_store.write([poll("garage", values={"SDS011_pm25": 1.0, "sds011_pm10": 1.0})])
    assert rows(sqlite_store.readings("living-room", START, END)) == {START: {"sds011_pm25": 1.0}}
    assert sorted(sqlite_store.latest()) == ["living-room"]


def test_flux_needs_influxdb(sqlite_store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="speaks no Flux: Flux needs InfluxDB"):
        sqlite_store.flux("buckets()")


def test_a_worker_process_may_be_given_a_store_by_its_file(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    sqlite_store.write([poll()])
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        assert workers.apply(known_devices, [tmp_path / "readings.sqlite"]) == ["living-room"]


def known_devices(path: Path) -> list[str]:
    store = SqliteStore(path)
    devices = sorted(store.latest())
    store.close()
    return devices

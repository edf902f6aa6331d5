"""The outbox as a file: versions, damage, what is put in its place, who only looks, threads."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from air_pipeline.collection.delivery import IDLE_S, Delivery
from air_pipeline.collection.outbox import Outbox, OutboxError, existing_outbox
from air_pipeline.collection.outbox_rows import encoded
from air_pipeline.collection.outbox_tables import OUTBOX_TABLES
from air_pipeline.collection.setting_aside import remembered_in, set_aside_files
from air_pipeline.devices.polls import Outcome, Poll, poll_to_json
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.sqlite_connections import Connections, Tables
from air_pipeline_tests.collection.held_clock import SLOT, HeldClock

# How an outbox was made before there were versions.
BEFORE_VERSIONS = """
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, observed_at INTEGER NOT NULL, poll TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY, observed_at INTEGER NOT NULL, poll TEXT NOT NULL, reason TEXT NOT NULL, since REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS devices (
    device TEXT PRIMARY KEY, last_slot INTEGER, rejected TEXT NOT NULL DEFAULT '', notes TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS delivery (
    one INTEGER PRIMARY KEY CHECK (one = 1), failures INTEGER NOT NULL, retry_at REAL NOT NULL, error TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS late (day TEXT PRIMARY KEY);
INSERT OR IGNORE INTO delivery VALUES (1, 0, 0, '');
"""


NOW = OUTBOX_TABLES.version


def poll(number: int, device: str = "a") -> Poll:
    return Poll(device, SLOT + number * 10_000, Outcome.OK, 40.0, 10.0, 200, {"dht22_temperature": 20.5})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as other:
        (found,) = other.execute("PRAGMA user_version").fetchone()
    return int(found)


def set_version(path: Path, number: int) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {number}")


def slots(box: Outbox) -> list[int]:
    return [(pending.poll.observed_at - SLOT) // 10_000 for pending in box.pending(100)]


def put_aside(path: Path) -> None:
    aside = path.with_name("aside")
    aside.mkdir()
    for file in list(path.parent.glob("outbox.sqlite*")):
        file.rename(aside / file.name)


def opened(path: Path) -> None:
    Outbox(path).close()


def looked_at(path: Path) -> None:
    existing_outbox(path)


@pytest.mark.parametrize("use", [opened, looked_at])
def test_an_outbox_of_a_newer_program_is_refused_in_a_sentence(path: Path, use: Callable[[Path], None]) -> None:
    opened(path)
    assert version(path) == NOW
    set_version(path, NOW + 1)
    with pytest.raises(OutboxError) as refused:
        use(path)
    assert str(refused.value) == (
        f"the outbox {path} cannot be used: it was made by a newer air_pipeline; update this one."
    )


def test_an_outbox_that_a_newer_program_takes_up_is_used_no_longer(path: Path) -> None:
    with closing(Outbox(path)) as box:
        box.add([poll(0)])
        set_version(path, NOW + 1)
        for use in (box.status, lambda: box.add([poll(1)]), lambda: box.begin({"a": SLOT})):
            with pytest.raises(OutboxError, match="made by a newer air_pipeline"):
                use()
        set_version(path, NOW)
        assert slots(box) == [0]
        assert box.last_slots() == {}


def made_before_versions(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.executescript(BEFORE_VERSIONS)
        with other:
            rows = [(one.observed_at, poll_to_json(one)) for one in map(poll, range(3))]
            other.executemany("INSERT INTO outbox (observed_at, poll) VALUES (?, ?)", rows)
            other.execute("INSERT INTO devices VALUES ('a', ?, 'digest', 'a note')", (SLOT + 20_000,))
            other.execute("UPDATE delivery SET failures = 3, error = 'away'")


def test_an_outbox_from_before_versions_is_taken_up_and_delivers_its_polls(path: Path, tmp_path: Path) -> None:
    made_before_versions(path)
    with closing(Outbox(path)) as box, closing(SqliteStore(tmp_path / "readings.sqlite")) as store:
        assert version(path) == NOW
        assert box.last_slots() == {"a": SLOT + 20_000}
        assert (box.remembered("rejected"), box.notes()) == ({"a": "digest"}, {"a": "a note"})
        assert box.status().error == "away"
        box.add([poll(3)])
        assert slots(box) == [0, 1, 2, 3]
        assert Delivery(box, store, HeldClock()).step() == IDLE_S
        assert box.status().pending == 0
        assert len(store.polls("a", 0, 10**15)) == 4


def test_who_only_looks_reads_an_outbox_from_before_versions_and_leaves_it_as_it_is(path: Path) -> None:
    made_before_versions(path)
    before = path.read_bytes()
    box = existing_outbox(path)
    assert box is not None
    with closing(box):
        assert box.status().pending == 3
        assert slots(box) == [0, 1, 2]
        assert (box.asides(), box.late_marks(), box.quarantined()) == ([], {}, [])
        path.with_name("outbox.damaged-1.sqlite").touch()
        assert [one.file for one in box.asides()] == ["outbox.damaged-1.sqlite"]
    assert path.read_bytes() == before


def test_who_only_looks_makes_nothing(path: Path) -> None:
    assert existing_outbox(path) is None
    with pytest.raises(OutboxError, match=r"outbox\.sqlite cannot be used"):
        Outbox(path, make=False)
    assert list(path.parent.iterdir()) == []
    path.touch()  # the moment of its making
    with closing(Outbox(path, make=False)) as box:
        assert (box.status().pending, box.pending(1), box.last_slots()) == (0, [], {})
    assert [(file.name, file.stat().st_size) for file in path.parent.iterdir()] == [("outbox.sqlite", 0)]


def test_an_outbox_that_is_replaced_while_open_is_left_by_the_next_call(path: Path) -> None:
    with closing(Outbox(path)) as box:
        box.add([poll(0)])
        box.begin({"a": SLOT})
        put_aside(path)
        with closing(Outbox(path)) as new:
            new.add([poll(5)])
            assert slots(box) == [5]
            assert box.last_slots() == {}
            box.add([poll(6)])
            box.begin({"b": SLOT})
            assert slots(new) == [5, 6]
            assert new.last_slots() == {"b": SLOT}
    with closing(Outbox(path.parent / "aside" / "outbox.sqlite")) as aside:
        assert slots(aside) == [0]


def test_the_log_of_a_file_that_was_replaced_in_use_is_not_taken_for_that_of_the_one_in_its_place(path: Path) -> None:
    """SQLite finds it by its name, and removes it when the last connection to the file of before is closed."""
    code = f"""
import os, sqlite3
from pathlib import Path
from air_pipeline.collection.outbox import Outbox
from air_pipeline_tests.collection.test_outbox_file import poll
path = Path({str(path)!r})
with sqlite3.connect(path) as nobody:
    pass
one, other = Outbox(path), Outbox(path)
one.add([poll(number) for number in range(50)])
one.begin({{"a": 1}})
other.attempted(failures=1, retry_at=1.0, error="away")
copy = sqlite3.connect(path)
copy.execute("VACUUM INTO ?", (str(path.with_name("copy")),))
copy.close()
for number in range(100, 300):
    one.add([poll(number)])
path.with_name("copy").replace(path)
other.status()
for number in range(1_000, 1_020):
    one.add([poll(number)])
    one.begin({{"a": number}})
    other.attempted(failures=1, retry_at=1.0, error="away")
os.kill(os.getpid(), {signal.SIGKILL})
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    with closing(Outbox(path)) as box:
        assert [(one.poll.observed_at - SLOT) // 10_000 for one in box.pending(1_000)] == [
            *range(50),
            *range(1_000, 1_020),
        ]
        assert set_aside_files(path) == []


def test_what_was_taken_from_another_file_lets_go_of_nothing_in_the_one_in_its_place(path: Path) -> None:
    """Numbers begin anew in a new file: the answer of the store to polls of the old one is about none of these."""
    with closing(Outbox(path)) as box:
        box.add([poll(0), poll(1)])
        taken = box.pending(100)
        put_aside(path)
        box.add([poll(5), poll(6)])
        box.delivered(taken[:1])
        box.quarantine(taken[1:2], "never")
        assert slots(box) == [5, 6]
        assert [one.poll for one in box.quarantined()] == [poll(1)]
        box.delivered(box.pending(1))
        assert slots(box) == [6]


def test_what_is_written_while_the_file_is_replaced_is_in_the_one_in_its_place(path: Path) -> None:
    with closing(Outbox(path)) as box:
        box.add([poll(0)])
        times = []

        def change(connection: sqlite3.Connection) -> None:
            if not times:
                put_aside(path)
                with closing(Outbox(path)) as new:
                    new.add([poll(5)])
            times.append("written")
            statement = "INSERT INTO outbox (observed_at, poll) VALUES (?, ?)"
            connection.execute(statement, (poll(1).observed_at, encoded(poll(1)).text))

        box._change(box._polls, change)
        assert len(times) == 2
        assert slots(box) == [5, 1]


def test_an_outbox_that_is_removed_while_open_is_made_anew_by_the_next_poll(path: Path) -> None:
    with closing(Outbox(path)) as box:
        box.add([poll(0)])
        put_aside(path)
        assert (box.status().pending, slots(box)) == (0, [])
        box.add([poll(1)])
        with closing(Outbox(path, make=False)) as look:
            assert slots(look) == [1]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_damaged_outbox_is_one_sentence_to_who_only_looks(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(OutboxError) as refused:
        existing_outbox(path)
    assert str(refused.value) == (
        f"the outbox {path} cannot be used: it is damaged or no SQLite file (file is not a database)."
        " A collector sets it aside by itself, begins a new one and delivers what can be read."
    )
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_numbers_are_never_used_again(path: Path, tmp_path: Path) -> None:
    """Whoever was given a poll's number, and comes late, must not mean another poll by it."""
    made_before_versions(path)
    with closing(Outbox(path)) as box:
        numbers = {one.number for one in box.pending(100)}
        box.delivered(box.pending(100))
        box.add([poll(7), poll(8)])
        assert not numbers & {one.number for one in box.pending(100)}


def test_an_outbox_from_before_identities_is_taken_up_and_can_remember_them(path: Path) -> None:
    """As its third version was, whose damaged file is remembered from too."""
    before = Tables(steps=OUTBOX_TABLES.steps[:3], unnumbered=OUTBOX_TABLES.unnumbered)
    older = Connections(path, before, 1.0, lambda _, trouble: OutboxError(trouble.what), synchronous="FULL")
    with older.writing() as connection:
        connection.execute("INSERT INTO devices VALUES ('a', ?, 'digest', 'a note')", (SLOT,))
    older.close()
    assert remembered_in(path).devices == [("a", SLOT, "digest", "a note", "")]
    with closing(Outbox(path)) as box:
        assert version(path) == NOW
        assert (box.last_slots(), box.notes(), box.remembered("identity")) == ({"a": SLOT}, {"a": "a note"}, {})
        box.remember("a", identity="0123")
        assert box.remembered("identity") == {"a": "0123"}
        assert remembered_in(path).devices == [("a", SLOT, "digest", "a note", "0123")]


def test_an_outbox_is_brought_up_to_date_whole_or_not_at_all(path: Path) -> None:
    made_before_versions(path)
    code = f"""
import os, sys
from pathlib import Path
from air_pipeline.collection import outbox, outbox_tables
from air_pipeline.storage.sqlite_connections import Tables
first, second, *_ = outbox_tables.OUTBOX_TABLES.steps
class Killing(tuple):
    def __iter__(self):
        yield from second[: int(sys.argv[1])]
        os.kill(os.getpid(), {signal.SIGKILL})
outbox.OUTBOX_TABLES = Tables(steps=(first, Killing(second)), unnumbered="late")
outbox.Outbox(Path({str(path)!r}))
"""
    for statements in (1, 4, 9):
        killed = subprocess.run([sys.executable, "-c", code, str(statements)], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert version(path) == 0
    with closing(Outbox(path)) as box:
        assert slots(box) == [0, 1, 2]
        assert box.status().pending == 3
        assert version(path) == NOW


def test_who_opens_an_outbox_that_is_there_waits_for_no_writer(path: Path) -> None:
    opened(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing(Outbox(path)) as box:
            assert box.status().pending == 0


def test_threads_share_an_outbox(path: Path) -> None:
    with closing(Outbox(path)) as box:

        def work(thread: int) -> None:
            for number in range(20):
                box.begin({f"device-{thread}": number})
                box.add([poll(number, f"device-{thread}")])
                box.status()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(8)))
        assert box.status().pending == 160
        assert box.last_slots() == {f"device-{thread}": 19 for thread in range(8)}


def test_polls_survive_a_power_cut_and_slots_begun_the_process_alone(path: Path) -> None:
    """By what SQLite says of it: FULL (2) has the disk confirm each commit, NORMAL (1) does not."""
    with closing(Outbox(path)) as box:
        for connections, level in ((box._polls, 2), (box._claims, 1)):
            with connections.writing() as connection:
                assert connection.execute("PRAGMA synchronous").fetchone() == (level,)

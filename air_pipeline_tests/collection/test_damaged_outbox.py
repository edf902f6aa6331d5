"""An outbox that is damaged is set aside, what can be read of it is delivered, and polling goes on."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.collection.outbox import Outbox, OutboxError
from air_pipeline.collection.salvage import Salvage
from air_pipeline.collection.setting_aside import set_aside_files
from air_pipeline.devices.polls import Outcome, Poll, poll_to_json
from air_pipeline.storage.sqlite_pages import Pages, rows_of
from air_pipeline_tests.collection.held_clock import SLOT

PAGE = 4096


def poll(number: int, device: str = "a", body: str | None = None) -> Poll:
    return Poll(device, SLOT + number * 10_000, Outcome.OK, 40.0, 10.0, 200, {"dht22_temperature": 20.5}, body=body)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def filled(path: Path, number: int) -> None:
    with closing(Outbox(path)) as box:
        box.add([poll(one) for one in range(number)])
        box.begin({"a": SLOT + number * 10_000})
        box.remember("a", notes="a note", identity="0123")


def overwrite(path: Path, first: int, last: int, content: bytes = b"\xff") -> None:
    """Pages, counted from 0, become garbage."""
    with path.open("r+b") as file:
        file.seek(first * PAGE)
        file.write((content * (last - first) * PAGE)[: (last - first) * PAGE])


def salvaged(box: Outbox) -> None:
    salvage = Salvage(box)
    while salvage.step():
        pass


def slots(box: Outbox) -> set[int]:
    return {(one.poll.observed_at - SLOT) // 10_000 for one in box.batch(10**6).polls}


def test_with_its_first_page_damaged_every_poll_is_found_again(path: Path) -> None:
    filled(path, 3_000)
    overwrite(path, 0, 1)
    with closing(Outbox(path)) as box:
        box.add([poll(5_000)])
        [aside] = set_aside_files(path)
        salvaged(box)
        assert slots(box) == {*range(3_000), 5_000}
        assert box.status().pending == 3_001
        assert [(one.file, one.saved, one.is_done) for one in box.asides()] == [(aside.name, 3_000, True)]
        aside.unlink()
        assert box.asides() == []


def test_pages_damaged_in_the_middle_cost_what_is_on_them_alone(path: Path) -> None:
    filled(path, 5_000)
    with closing(Pages(path)) as pages:
        lost = {row[1] for number in range(31, 34) for row in pages.rows(number)}
        assert len(lost) > 30
    overwrite(path, 30, 33)
    with closing(Outbox(path)) as box:
        with pytest.raises(OutboxError, match="damaged"), closing(Outbox(path, make=False)) as look:
            look.batch(10**6)
        assert len(slots(box)) == 0  # met while it runs: set aside, and a new one begun
        assert box.last_slots() == {"a": SLOT + 5_000 * 10_000}
        assert box.notes() == {"a": "a note"}
        assert box.remembered("identity") == {"a": "0123"}
        salvaged(box)
        assert {SLOT + slot * 10_000 for slot in set(range(5_000)) - slots(box)} == lost


def test_what_is_in_the_log_alone_is_found_too(path: Path) -> None:
    """A kill leaves the last commits beside the file."""
    code = f"""
import os, sys
from pathlib import Path
from air_pipeline.collection.outbox import Outbox
from air_pipeline_tests.collection.test_damaged_outbox import poll
box = Outbox(Path({str(path)!r}))
for number in range(40):
    box.add([poll(number, body="x" * 9_000 if number % 10 == 0 else None)])
os.kill(os.getpid(), {signal.SIGKILL})
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    log = path.with_name("outbox.sqlite-wal")
    assert log.stat().st_size > 40 * PAGE
    path.write_bytes(b"\xff" * path.stat().st_size)
    path.rename(path.with_name("outbox.damaged-1.sqlite"))
    log.rename(path.with_name("outbox.damaged-1.sqlite-wal"))
    with closing(Outbox(path)) as box:
        salvaged(box)
        assert slots(box) == set(range(40))
        assert {one.poll.body for one in box.batch(10**6).polls} == {None, "x" * 9_000}


def test_salvage_that_is_killed_goes_on_where_it_was(path: Path) -> None:
    filled(path, 9_000)
    overwrite(path, 0, 1)
    with closing(Outbox(path)) as box:
        assert Salvage(box).step()
        [aside] = box.asides()
        assert not aside.is_done
        assert 0 < aside.saved < 9_000
    with closing(Outbox(path)) as box:
        salvaged(box)
        assert slots(box) == set(range(9_000))
        assert box.status().pending == 9_000


@pytest.mark.parametrize("step", ["link", "fsync", "unlink", "mknod"])
def test_a_kill_in_the_middle_of_setting_aside_loses_nothing(path: Path, step: str) -> None:
    """At each of its steps: the first, the second and the third time that the system is asked for it."""
    for time in range(3):
        folder = path.parent / f"{step}-{time}"
        folder.mkdir()
        here = folder / path.name
        filled(here, 50)
        with closing(Outbox(here)) as live, sqlite3.connect(here) as reader:  # so that there is a log beside it
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM outbox").fetchone()
            live.add([poll(50)])
            code = f"""
import os, sys
from pathlib import Path
from air_pipeline.collection.outbox import Outbox
do, left = os.{step}, {time}
def killed(*arguments, **named):
    global left
    if left == 0:
        os.kill(os.getpid(), {signal.SIGKILL})
    left -= 1
    return do(*arguments, **named)
os.{step} = killed
Outbox(Path({str(here)!r}))
"""
            overwrite(here, 0, 1)
            subprocess.run([sys.executable, "-c", code], check=False)
        with closing(Outbox(here)) as box:
            salvaged(box)
            assert slots(box) == set(range(51)), (step, time)
            assert set_aside_files(here)


def test_two_that_find_the_damage_set_one_file_aside(path: Path) -> None:
    filled(path, 100)
    with closing(Outbox(path)) as one, closing(Outbox(path)) as other:
        one.status(), other.status()
        overwrite(path, 0, path.stat().st_size // PAGE)
        one.add([poll(1_000)])
        other.add([poll(1_001)])
        assert len(set_aside_files(path)) <= 1
        assert {1_000, 1_001} <= slots(one)


def test_rows_of_a_damaged_outbox_that_cannot_be_read_are_set_aside(path: Path) -> None:
    filled(path, 3)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("INSERT INTO outbox (observed_at, poll) VALUES (?, ?)", (SLOT, '{"later": 1}'))
        other.execute("INSERT INTO quarantine VALUES (7, ?, ?, 'odd', 1.5)", (SLOT, poll_to_json(poll(9))))
        other.execute("INSERT INTO late (day) VALUES ('2026-05-28')")
    overwrite(path, 0, 1)
    with closing(Outbox(path)) as box:
        salvaged(box)
        assert slots(box) == {0, 1, 2}
        assert {one.reason.partition(":")[0] for one in box.quarantined()} == {
            "odd",
            "it comes from a damaged outbox, and the row cannot be read",
        }
        assert [day.isoformat() for day in box.late_marks()] == ["2026-05-28"]
        assert box.last_slots() == {"a": SLOT + 30_000}


@given(st.data())
def test_whatever_is_on_a_page_reading_it_ends(data: st.DataObject) -> None:
    page = bytearray(data.draw(st.binary(min_size=512, max_size=512)))
    page[0] = 0x0D
    cells = data.draw(st.integers(0, 300))
    page[3:5] = cells.to_bytes(2, "big")
    for row in rows_of(bytes(page), 0, lambda number: bytes(page) if number % 2 else b""):
        assert isinstance(row, tuple)


@given(
    rows=st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"]), max_size=12_000)),
        max_size=30,
    ),
    size=st.sampled_from([512, 1024, 4096]),
)
def test_pages_give_what_sqlite_put_there(rows: list[tuple[int, str]], size: int, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("pages") / "some.sqlite"
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(f"PRAGMA page_size = {size}")
        other.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, number INTEGER, text TEXT)")
        other.executemany("INSERT INTO t (number, text) VALUES (?, ?)", rows)
    with closing(Pages(path)) as pages:
        assert pages.size == size
        found = [row for number in range(1, pages.count + 1) for row in pages.rows(number)]
    assert sorted(row[1:] for row in found if len(row) == 3 and row[0] is None) == sorted(rows)

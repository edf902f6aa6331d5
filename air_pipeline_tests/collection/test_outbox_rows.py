"""Rows of the outbox that cannot be read: each by itself, and nobody else's trouble."""

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from air_pipeline.collection.collector import Collector
from air_pipeline.collection.delivery import IDLE_S, Delivery
from air_pipeline.collection.holding import Holding
from air_pipeline.collection.outbox import Outbox
from air_pipeline.collection.outbox_rows import LARGEST_BYTES, PollsCame, RowUnreadable, poll_of
from air_pipeline.devices.polls import Flag, Outcome, Poll, Problem, poll_to_json
from air_pipeline.storage.line_protocol import poll_lines
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.storable import require_storable
from air_pipeline.storage.store import PollsRejected, StoreUnavailable
from air_pipeline_tests.collection.held_clock import SLOT, HeldClock, ReadRecorder, device, settings_for


def poll(number: int, **more: object) -> Poll:
    return Poll("a", SLOT + number * 10_000, Outcome.OK, 40.0, 10.0, 200, {"dht22_temperature": 20.5}, **more)


def changed(**fields: object) -> str:
    return json.dumps(json.loads(poll_to_json(poll(1))) | fields)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.sqlite")) as one:
        yield one


def put(box: Outbox, *texts: object, slot: object = SLOT) -> None:
    with closing(sqlite3.connect(box.path)) as other, other:
        other.executemany("INSERT INTO outbox (observed_at, poll) VALUES (?, ?)", ((slot, text) for text in texts))


UNREADABLE = {
    "nothing": "",
    "garbage": "x{",
    "no object": "[1]",
    "no text": b"\xff\xfe\x00garbage",
    "a zero byte": "\0" + poll_to_json(poll(1)),
    "a field of a later version": changed(later="value"),
    "a field too few": "{}",
    "an outcome of a later version": changed(outcome="dreamt"),
    "a number for a device": changed(device=7),
    "a text for a slot": changed(observed_at="now"),
    "a slot beyond 64 bits": changed(observed_at=2**70),
    "texts for values": changed(values={"dht22_temperature": "20"}),
    "no problems": changed(problems="{"),
    "odd problems": changed(problems='[{"series": 1, "value": 2, "flag": 4, "reason": 3}]'),
    "deep": "[" * 100_000,
    "huge": '{"device": "' + "a" * (LARGEST_BYTES + 1),
}


def test_rows_that_cannot_be_read_go_to_quarantine_and_the_others_to_the_store(box: Outbox, tmp_path: Path) -> None:
    box.add([poll(0)])
    put(box, *UNREADABLE.values())
    put(box, changed(), slot="a text for a number")
    box.add([poll(2)])
    assert list(box.newest(100)) == ["a"]
    assert [one.poll.observed_at for one in box.pending(100)] == [SLOT, SLOT + 10_000, SLOT + 20_000]
    assert box.status().oldest == SLOT
    with closing(SqliteStore(tmp_path / "readings.sqlite")) as store:
        delivery = Delivery(box, store, HeldClock())
        assert delivery.step() == IDLE_S
        assert len(store.polls("a", 0, 10**15)) == 3
        status = box.status()
        assert (status.pending, status.quarantined, status.oldest) == (0, len(UNREADABLE), None)
        told = box.quarantined()
        assert all(one.reason.startswith("the row cannot be read: ") for one in told)
        assert {(one.device, one.observed_at, one.poll) for one in told} == {("", SLOT, None)}
        assert "the row cannot be read: it has 'later', which this version does not know" in box.reasons(100)
        for _ in range(2):  # tried again, they come back, once
            assert box.release() == len(UNREADABLE)
            delivery.step()
            assert delivery.step() > 0
            assert (box.status().pending, box.status().quarantined) == (0, len(UNREADABLE))


def test_a_row_that_can_be_read_is_not_set_aside_as_unreadable(box: Outbox) -> None:
    """Its number may be another row's in the file that is there by now."""
    box.add([poll(0)])
    box.quarantine_unreadable([one.number for one in box.pending(10)])
    assert (box.status().pending, box.status().quarantined) == (1, 0)


def test_whatever_is_beside_the_polls_a_collector_starts_and_delivers(box: Outbox, tmp_path: Path) -> None:
    """A damaged page may hold anything in the place of a last slot, a mark, a count."""
    box.begin({"a": SLOT})
    box.mark_late([date(2026, 5, 28)])
    odd = ("x", b"\xff", 1.5, 9 * 10**18, -9 * 10**18, "")
    with closing(sqlite3.connect(box.path)) as other, other:
        other.executemany("INSERT INTO devices (device, last_slot) VALUES (?, ?)", enumerate((*odd, None)))
        other.execute("INSERT INTO devices (device, last_slot) VALUES (?, 5)", (b"\xff",))
        marks = ((one,) for one in (*odd, "0000-01-01", "9999-12-31"))
        other.executemany("INSERT OR IGNORE INTO late (day) VALUES (?)", marks)
    with ReadRecorder(tmp_path) as recorder:
        clock = HeldClock(kept=None)
        Collector(settings_for(device("a", "http://a/")), recorder, clock, holding=Holding(clock))
        assert recorder.last_slots == {"a": SLOT}
    assert set(box.late_marks()) == {date(2026, 5, 28)}
    for one in ("x", b"\xff", math.inf, 9 * 10**18, None):
        with closing(sqlite3.connect(box.path)) as other, other:
            if one is None:
                other.execute("DELETE FROM delivery")
            else:
                other.execute("UPDATE delivery SET failures = ?1, retry_at = ?1, error = ?1", (one,))
                other.execute("UPDATE counts SET number = ?", (one,))
        assert isinstance(box.status().pending + box.status().failures + box.status().retry_at, float)
        box.add([poll(0)])
        with closing(SqliteStore(tmp_path / "readings.sqlite")) as store:
            delivery = Delivery(box, store, clock)
            clock.advance(60_000)
            delivery.step()
            delivery._wait(StoreUnavailable("away"))
        assert (box.pending(1), box.status().error) == ([], "away")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(list(Outcome)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from([*json.loads(poll_to_json(poll(0))), "later"])
rows = (
    st.binary(max_size=60)
    | st.dictionaries(fields, json_values, max_size=9).map(lambda row: json.dumps(row).encode())
    | st.dictionaries(fields, json_values, max_size=3).map(lambda some: changed(**some).encode())
    | st.integers(0, 300).map(lambda end: poll_to_json(poll(1)).encode()[:end])
)


@given(rows)
@example(changed(values="").encode())
@example(changed(values=[]).encode())
@example(changed(problems="").encode())
def test_whatever_a_row_holds_it_is_a_poll_that_a_store_takes_or_refuses_or_it_is_unreadable(row: bytes) -> None:
    try:
        found = poll_of(row)
        require_storable([found])
    except (RowUnreadable, PollsRejected):
        return
    assert all(line.encode() for line in poll_lines(found))
    assert poll_of(poll_to_json(found)) == found


@given(
    st.builds(
        Poll,
        device=st.text(),
        observed_at=st.integers(-(2**62), 2**62),
        outcome=st.sampled_from(Outcome),
        duration_ms=st.floats(allow_nan=False),
        interval_s=st.floats(allow_nan=False),
        http_status=st.none() | st.integers(0, 999),
        values=st.dictionaries(st.text(), st.floats(allow_nan=False)),
        problems=st.lists(
            st.builds(Problem, st.text(), st.none() | st.text(), st.sampled_from(Flag), st.text()), max_size=2
        ).map(tuple),
        body=st.none() | st.text(),
    )
)
def test_every_poll_that_goes_in_can_be_read(one: Poll) -> None:
    assert poll_of(poll_to_json(one)) == one


def test_polls_that_were_encoded_here_are_known_until_they_are_read_and_not_for_ever(box: Outbox) -> None:
    came = PollsCame()
    some = [poll(number) for number in range(3_000)]
    box.add_encoded(came.encoded(one) for one in some)
    with closing(Outbox(box.path, read=came.poll_of)) as reading:
        first, again = (reading.batch(5_000).polls for _ in range(2))
    assert [one.poll for one in first] == [one.poll for one in again] == some
    known = [one.poll is written for one, written in zip(first, some, strict=True)]
    assert known == [False] * 1_000 + [True] * 2_000
    assert not any(one.poll is written for one, written in zip(again, some, strict=True))

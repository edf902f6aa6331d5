"""What collectors tell of themselves through a store: each test runs against each store."""

import time
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta

import pytest

from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.line_protocol import told_line
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import LateMark, ReadingStore, StoreRefused, Told
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.storage.model import END, START, poll

NOON = 1_780_000_000_000
ALL = {"pending": 12.0, "oldest_ms": float(NOON), "error": 'away; "why"?\nnobody\\knows', "notes": '{"hall": "Датчик"}'}
DAYS = [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21)]


def days(marks: list[LateMark]) -> list[date]:
    return [mark.day for mark in marks]


def test_the_last_word_of_each_collector_counts(store: ReadingStore) -> None:
    assert store.last_told() == {}
    store.tell(Told("main", NOON, {"pending": 3.0, "error": "", "oldest_ms": 1.0}))
    store.tell(Told("edge-1", NOON, {"pending": 0.0}))
    store.tell(Told("main", NOON + 30_000, {"pending": 0.0, "error": ""}))
    assert store.last_told() == {
        "main": Told("main", NOON + 30_000, {"pending": 0.0, "error": ""}),  # nothing of what was told before
        "edge-1": Told("edge-1", NOON, {"pending": 0.0}),
    }


def test_numbers_and_texts_come_back_as_they_were_told(store: ReadingStore) -> None:
    store.tell(Told("main", NOON, ALL))
    assert store.last_told()["main"].fields == ALL


def test_marks_are_read_once_by_who_remembers_how_far(store: ReadingStore) -> None:
    assert store.late_marks({}) == []
    store.mark_late("main", DAYS[:2])
    store.mark_late("edge-1", DAYS[1:])
    first = store.late_marks({})
    assert sorted((mark.collector, mark.day) for mark in first) == [
        ("edge-1", DAYS[1]), ("edge-1", DAYS[2]), ("main", DAYS[0]), ("main", DAYS[1])
    ]  # fmt: skip
    passed = {name: max(mark.at for mark in first if mark.collector == name) for name in ("main", "edge-1")}
    assert store.late_marks(passed) == []
    assert days(store.late_marks({"main": passed["main"]})) == DAYS[1:]  # of one that is not known, all
    assert [(mark.collector, mark.day) for mark in store.late_marks({}, "edge-1")] == [
        ("edge-1", day) for day in DAYS[1:]
    ]
    assert store.late_marks(passed, "edge-1") == store.late_marks({}, "nobody") == []
    store.mark_late("main", [DAYS[0]])  # once more
    assert days(store.late_marks(passed)) == [DAYS[0]]


def test_a_clock_that_was_set_back_hides_no_mark(store: ReadingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.mark_late("main", DAYS[:1])
    [first] = store.late_marks({})
    monkeypatch.setattr(time, "time_ns", lambda: (first.at - 86_400_000) * 1_000_000)
    store.mark_late("main", DAYS)
    assert days(store.late_marks({"main": first.at})) == DAYS


def test_many_marks_in_one_moment_are_all_there(store: ReadingStore) -> None:
    for day in DAYS * 5:
        store.mark_late("main", [day, date(2026, 1, 1)])
    assert len(store.late_marks({})) == 30


def test_a_word_of_a_clock_that_was_ahead_does_not_hide_those_that_came_later(store: ReadingStore) -> None:
    now = time.time_ns() // 1_000_000
    store.tell(Told("main", now + 86_400_000, {"pending": 1.0}))
    assert store.last_told()["main"].fields == {"pending": 1.0}
    store.tell(Told("main", now, {"pending": 2.0}))
    assert store.last_told() == {"main": Told("main", now, {"pending": 2.0})}


@pytest.mark.parametrize("day", ["never", "", "0001-01-01", "9999-12-31", "2026-02-30"])
def test_a_mark_of_no_day_is_none(store: ReadingStore, day: str) -> None:
    """Whoever left it there: no day is built as long as marks cannot be read."""
    store.mark_late("main", DAYS[:1])
    if isinstance(store, SqliteStore):
        with store._connections.writing() as connection:
            connection.execute("INSERT INTO late VALUES ('main', 1, ?)", (day,))
    else:
        store._write_lines([told_line("late", Told("main", 1, {"day": day}))])
    assert days(store.late_marks({})) == DAYS[:1]


def test_what_is_told_is_no_reading(store: ReadingStore) -> None:
    store.write([poll()])
    before = (store.latest(), store.summaries(START, END), store.first_polls(START, END))
    store.tell(Told("living-room", NOON, ALL))
    store.mark_late("living-room", DAYS)
    assert (store.latest(), store.summaries(START, END), store.first_polls(START, END)) == before
    assert set(before[0]) == {"living-room"}


@pytest.mark.influxdb
def test_a_token_that_may_only_write_tells_and_marks(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    writer = replace(connection, token=influxdb.make_token(connection.bucket, "write"))
    with closing(InfluxStore(writer)) as edge, closing(InfluxStore(connection)) as everything:
        with pytest.raises(StoreRefused):
            edge.last_told()
        edge.tell(Told("edge-1", NOON, ALL))
        edge.mark_late("edge-1", DAYS)
        assert set(everything.last_told()) == {"edge-1"}
        assert days(everything.late_marks({})) == DAYS
        first = everything.late_marks({})
        many = [date(2020, 1, 1) + timedelta(days=number) for number in range(2_000)]  # a mark a ms: into the future
        edge.mark_late("edge-1", many)
        passed = {"edge-1": max(mark.at for mark in everything.late_marks({}))}
        assert len(everything.late_marks({})) == len(first) + len(many)
        edge.mark_late("edge-1", DAYS)
        assert days(everything.late_marks(passed)) == DAYS

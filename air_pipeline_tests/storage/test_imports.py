"""What was imported, in every store: apart from our own polls, never in place of one, and gone by its id alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from air_pipeline.devices.polls import Outcome
from air_pipeline.storage.copying import copy_readings
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import ReadingStore, Summary
from air_pipeline_tests.storage.model import END, START, VALUES, poll, rows

OURS = {"dht22_temperature": 21.5}
MINUTE, DAY = 60_000, 86_400_000

BEFORE_IMPORTS = 2  # the version of the file


def imported(slot, import_id="spring", outcome=Outcome.IMPORTED, **fields):
    return poll(
        slot=slot, outcome=outcome, import_id=import_id, duration_ms=0.0, interval_s=60.0, http_status=None, **fields
    )


def test_what_was_imported_is_read_like_a_poll_of_ours_and_says_where_it_came_from(store: ReadingStore) -> None:
    store.write([imported(START), imported(START + MINUTE, outcome=Outcome.ENDED)])
    assert rows(store.readings("living-room", START, END)) == {START: VALUES}
    read = rows(store.polls("living-room", START, END))
    assert [fields["import"] for fields in read.values()] == ["spring", "spring"]
    assert [fields["outcome"] for fields in read.values()] == ["imported", "ended"]
    assert store.first_poll("living-room") == START
    assert store.before("living-room", END) == (START + MINUTE, 60.0, True)


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours came first", "ours came later"])
@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.TIMEOUT, Outcome.IMPORTED])
def test_a_poll_of_ours_is_shown_before_what_was_imported_whichever_came_first(
    store: ReadingStore,
    ours_first: bool,
    outcome: Outcome,
) -> None:
    values = OURS if outcome.has_reading else {}
    ours, theirs = poll(outcome=outcome, values=values), imported(START, values={"dht22_humidity": 40.0})
    ended = imported(START + MINUTE, outcome=Outcome.ENDED)
    later = poll(slot=START + MINUTE, values=OURS)
    for some in ((ours, later), (theirs, ended)) if ours_first else ((theirs, ended), (ours, later)):
        store.write(some)
    shown = {START: OURS} if values else {}
    assert rows(store.readings("living-room", START, END)) == shown | {START + MINUTE: OURS}
    read = rows(store.polls("living-room", START, END))
    assert [fields["outcome"] for fields in read.values()] == [outcome.value, "ok"]
    assert not any("import" in fields for fields in read.values())


def test_each_import_is_counted_apart_and_deleted_by_its_id(store: ReadingStore) -> None:
    assert store.imports(START, END) == {}
    store.write([poll(), poll("garage")])
    assert store.imports(START, END) == {}
    store.write([imported(START + MINUTE * n) for n in (1, 2)])
    store.write([imported(START + MINUTE * 3, "autumn", values=OURS)])
    of_spring, of_autumn = Summary(2, 0.0, 4), Summary(1, 0.0, 1)
    assert store.imports(START, END) == {"living-room": {"spring": of_spring, "autumn": of_autumn}}
    assert store.summaries(START, END)["living-room"] == Summary(4, 41.0, 7)
    for _ in range(2):  # twice is the same as once
        store.delete_import("living-room", "spring", START, END)
        assert store.imports(START, END) == {"living-room": {"autumn": of_autumn}}
        assert list(rows(store.readings("living-room", START, END))) == [START, START + MINUTE * 3]
    store.delete("living-room", START, END)
    assert store.imports(START, END) == {}
    assert list(store.summaries(START, END)) == ["garage"]


def late_polls_over(store: ReadingStore) -> None:
    """An import of five slots and its end, and then polls of ours in three of them, and in one that is free."""
    store.write([imported(START + MINUTE * n) for n in range(5)])
    store.write([imported(START + MINUTE * 5, outcome=Outcome.ENDED), imported(START + MINUTE * 5, device="garage")])
    store.write([poll(slot=START + MINUTE * 2, values=OURS), poll(slot=START + MINUTE * 3, outcome=Outcome.TIMEOUT)])
    store.write([poll(slot=START + MINUTE * 5, values=OURS), poll(slot=START + MINUTE * 6, values=OURS)])
    # Days before and after there was only ours.
    store.write([poll(slot=START + 301 * DAY), poll(slot=START - DAY)])


def test_what_a_late_poll_of_ours_hides_of_an_import_is_counted_nowhere(store: ReadingStore) -> None:
    late_polls_over(store)
    known = store.polls("living-room", START, END)
    read = rows(known)
    ours = [fields for fields in read.values() if "import" not in fields]
    readings = store.readings("living-room", START, END)
    assert store.readings("living-room", START, END, known).equals(readings)
    assert START + MINUTE * 3 not in rows(readings)
    assert store.summaries(START, END) == {
        "living-room": Summary(7, sum(fields["duration_ms"] for fields in ours), 3 * 2 + 3),
        "garage": Summary(1, 0.0, 2),
    }
    assert store.imports(START, END) == {
        "living-room": {"spring": Summary(3, 0.0, 6)},
        "garage": {"spring": Summary(1, 0.0, 2)},
    }
    assert store.outcome_counts(START, END) == {
        "living-room": {"imported": 3, "ok": 3, "timeout": 1},
        "garage": {"imported": 1},
    }
    # And where it is the end of an import, nothing has ended.
    assert store.before("living-room", START + MINUTE * 6) == (START + MINUTE * 5, 10.0, False)
    [last] = [store.latest(START, START + MINUTE * 6)["living-room"]]
    assert (last.poll.outcome, last.poll.observed_at, last.values) == (Outcome.OK, START + MINUTE * 5, OURS)
    of_import_alone = VALUES.keys() - OURS.keys()
    assert of_import_alone <= store.stated("living-room", START, END)
    assert not of_import_alone & store.stated("living-room", START + MINUTE * 2, START + MINUTE * 4)
    assert store.summaries(START - DAY, START + 302 * DAY)["living-room"].polls == 9
    # A day that it covers whole leaves nothing of the import.
    assert store.imports(START + MINUTE * 2, START + MINUTE * 4) == {}
    assert store.summaries(START + MINUTE * 2, START + MINUTE * 4)["living-room"].polls == 2


def test_a_poll_of_ours_without_a_value_hides_those_of_an_import(store: ReadingStore) -> None:
    store.write([imported(START), imported(START + MINUTE)])
    store.write([poll(slot=START + MINUTE, outcome=Outcome.PARTIAL, values={})])
    readings = store.readings("living-room", START, END)
    assert rows(readings) == {START: VALUES}
    assert store.readings("living-room", START, END, store.polls("living-room", START, END)).equals(readings)


@pytest.mark.influxdb
def test_a_bucket_with_late_polls_over_an_import_is_copied(
    sqlite_store: SqliteStore, influx_store: ReadingStore
) -> None:
    late_polls_over(influx_store)
    for _ in copy_readings(influx_store, sqlite_store, START, START + 86_400_000):
        pass
    assert sqlite_store.summaries(START, END) == influx_store.summaries(START, END)
    assert sqlite_store.imports(START, END) == influx_store.imports(START, END)


def test_only_the_part_of_an_import_that_was_named_is_deleted(store: ReadingStore) -> None:
    store.write([imported(START + MINUTE * n) for n in range(4)])
    store.delete_import("living-room", "spring", START + MINUTE, START + MINUTE * 3)
    assert list(rows(store.polls("living-room", START, END))) == [START, START + MINUTE * 3]


@pytest.mark.influxdb
def test_a_copy_keeps_what_was_imported_apart(sqlite_store: SqliteStore, influx_store: ReadingStore) -> None:
    sqlite_store.write([poll(), imported(START + MINUTE), imported(START + MINUTE * 2, outcome=Outcome.ENDED)])
    for _ in copy_readings(sqlite_store, influx_store, START, START + 86_400_000):
        pass
    assert influx_store.imports(START, END) == sqlite_store.imports(START, END)
    there, here = (one.polls("living-room", START, END) for one in (influx_store, sqlite_store))
    assert there.equals(here)


def test_a_file_from_before_imports_is_read_as_it_is_and_takes_them_once_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "readings.sqlite"
    with closing(SqliteStore(path)) as store:
        store.write([poll()])
    with closing(sqlite3.connect(path)) as file:
        for index in ("poll_import", "poll_identity"):
            file.execute(f"DROP INDEX {index}")
        for later in ("import", "cycle", "identity"):
            file.execute(f"ALTER TABLE poll DROP COLUMN {later}")
        for later in ("collector", "late"):
            file.execute(f"DROP TABLE {later}")
        file.execute(f"PRAGMA user_version = {BEFORE_IMPORTS}")
        file.commit()
    with closing(SqliteStore(path)) as store:
        assert (store.imports(START, END), store.identities()) == ({}, {})
        assert (store.last_told(), store.late_marks({})) == ({}, [])
        assert list(rows(store.polls("living-room", START, END))) == [START]
        store.write([imported(START), imported(START + MINUTE)])
        assert store.imports(START, END) == {"living-room": {"spring": Summary(1, 0.0, 2)}}
        assert rows(store.readings("living-room", START, END))[START] == VALUES

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.storage.copying import CopiedDay, CopyError, copy_readings, span_of
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import ReadingStore
from air_pipeline_tests.storage.model import START, poll, polls

DAY = 86_400_000
END = START + 4000 * DAY
MIDNIGHT = START // DAY * DAY
FIRST_DAY = date(2026, 5, 28)

examples = itertools.count()


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "origin.sqlite")) as store:
        yield store


@pytest.fixture
def target(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "target.sqlite")) as store:
        yield store


def copied(origin: ReadingStore, target: ReadingStore) -> list[CopiedDay]:
    """Copies everything."""
    span = span_of(origin)
    assert span is not None
    return list(copy_readings(origin, target, *span))


def three_days(*devices: str) -> list[Poll]:
    return [poll(device, MIDNIGHT + n * DAY // 4, duration_ms=n + 1.0) for device in devices for n in range(12)]


def within_two_days(one: Poll) -> Poll:
    return replace(one, observed_at=MIDNIGHT + one.observed_at % (2 * DAY))


@given(data=st.data())
@settings(
    max_examples=4,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would outlast the tests' timeout
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_copy_and_a_copy_of_the_copy_hold_every_field_of_every_poll(store: ReadingStore, data: st.DataObject) -> None:
    devices = [f"device-{next(examples)}", f"device-{next(examples)}"]
    one = polls(st.sampled_from(devices)).map(within_two_days)
    with (
        TemporaryDirectory() as folder,
        closing(SqliteStore(Path(folder) / "origin.sqlite")) as origin,
        closing(SqliteStore(Path(folder) / "back.sqlite")) as back,
    ):
        for _ in range(2):  # a slot that is written twice is merged field by field
            origin.write(data.draw(st.lists(one, min_size=1, max_size=8)))
        copied(origin, store)
        list(copy_readings(store, back, MIDNIGHT, MIDNIGHT + 2 * DAY))
        for device in devices:
            span = (device, MIDNIGHT, MIDNIGHT + 2 * DAY)
            for other in (store, back):
                pd.testing.assert_frame_equal(origin.polls(*span), other.polls(*span), check_exact=True)
                pd.testing.assert_frame_equal(origin.readings(*span), other.readings(*span), check_exact=True)


def test_each_day_says_what_was_written_and_how_many_are_left(origin: SqliteStore, target: SqliteStore) -> None:
    origin.write(three_days("attic", "cellar"))
    assert [(one.polls, one.left) for one in copied(origin, target)] == [(8, 2), (8, 1), (8, 0)]
    assert target.summaries(*span_of(origin) or ()) == origin.summaries(*span_of(origin) or ())


def test_only_what_differs_is_copied_again(origin: SqliteStore, target: SqliteStore) -> None:
    origin.write(three_days("attic", "cellar"))
    copied(origin, target)
    assert [one.polls for one in copied(origin, target)] == [0, 0, 0]
    origin.write([poll("cellar", MIDNIGHT + DAY + 10_000)])
    assert [one.polls for one in copied(origin, target)] == [0, 5, 0]


def test_a_part_is_copied_to_the_millisecond(origin: SqliteStore, target: SqliteStore) -> None:
    origin.write(three_days("attic"))
    list(copy_readings(origin, target, MIDNIGHT + DAY // 4, MIDNIGHT + DAY + 1))
    assert list(target.polls("attic", MIDNIGHT, MIDNIGHT + 3 * DAY)["duration_ms"]) == [2.0, 3.0, 4.0, 5.0]


def test_the_span_of_a_store_is_its_whole_days(origin: SqliteStore) -> None:
    origin.write([poll("attic", MIDNIGHT + 10_000), poll("cellar", MIDNIGHT + DAY)])
    assert span_of(origin) == (MIDNIGHT, MIDNIGHT + 2 * DAY)


def test_polls_of_a_wrong_clock_are_copied_and_the_years_between_are_not_walked(
    origin: SqliteStore, target: SqliteStore
) -> None:
    origin.write([poll("attic", 10_000), *three_days("attic", "cellar"), poll("cellar", MIDNIGHT + 3650 * DAY)])
    days = copied(origin, target)
    assert [one.polls for one in days] == [1, 8, 8, 8, 1]
    assert days[-1].left == 0
    assert target.summaries(0, END) == origin.summaries(0, END)
    assert [one.polls for one in copied(origin, target)] == [0] * 5


def test_a_slot_that_was_written_twice_before_is_copied_as_it_is_shown(
    origin: SqliteStore, target: SqliteStore
) -> None:
    """Files of earlier versions hold values at slots whose poll has no reading."""
    origin.write([poll("attic", MIDNIGHT)])
    with closing(sqlite3.connect(origin.identity.removeprefix("sqlite "))) as file, file:
        file.execute("UPDATE poll SET outcome = 'timeout', http_status = NULL")
    assert [one.polls for one in copied(origin, target)] == [1]
    assert target.readings("attic", 0, END).empty
    assert target.latest()["attic"].poll.outcome is Outcome.TIMEOUT


def test_an_empty_store_has_no_span(origin: SqliteStore) -> None:
    assert span_of(origin) is None


@pytest.mark.parametrize("slot", [MIDNIGHT + DAY, MIDNIGHT + DAY + 10_000])
def test_into_a_target_with_other_polls_of_a_device_nothing_is_copied(
    origin: SqliteStore, target: SqliteStore, slot: int
) -> None:
    origin.write([poll("attic", MIDNIGHT), poll("attic", MIDNIGHT + DAY)])
    target.write([poll("attic", slot, duration_ms=7.0)])
    with pytest.raises(
        CopyError, match=r"holds other polls of device 'attic' on 2026-05-29 \(UTC\).*nothing was copied"
    ):
        copied(origin, target)
    assert target.first_poll("attic") == slot


def test_other_devices_and_days_of_the_target_are_no_hindrance(origin: SqliteStore, target: SqliteStore) -> None:
    origin.write([poll("attic", MIDNIGHT)])
    target.write([poll("cellar", MIDNIGHT), poll("attic", MIDNIGHT + DAY)])
    assert [one.polls for one in copied(origin, target)] == [1]


class Growing(SqliteStore):
    """A store into which a collector writes while it is read."""

    def polls(self, device: str, start: int, end: int) -> pd.DataFrame:
        self.write([poll(device, MIDNIGHT + 10_000)])
        return super().polls(device, start, end)


def test_what_comes_in_meanwhile_is_for_the_next_time(tmp_path: Path, target: SqliteStore) -> None:
    with closing(Growing(tmp_path / "origin.sqlite")) as origin:
        origin.write([poll("attic", MIDNIGHT)])
        [day] = copy_readings(origin, target, MIDNIGHT, MIDNIGHT + DAY, growing=True)
        assert day == CopiedDay(FIRST_DAY, polls=2, left=0)
        list(copy_readings(origin, target, MIDNIGHT, MIDNIGHT + DAY))
        assert target.summaries(MIDNIGHT, MIDNIGHT + DAY) == origin.summaries(MIDNIGHT, MIDNIGHT + DAY)
    assert target.summaries(MIDNIGHT, MIDNIGHT + DAY)["attic"].polls == 2


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM poll", r"values of device 'attic' at 2026-05-28T00:00:00\+00:00 without a poll"),
        ("UPDATE poll SET outcome = 'fine'", "The poll of device 'attic' at 1779926400000 is not one"),
        ("UPDATE poll SET problems = '[1]'", "The poll of device 'attic' at 1779926400000 is not one"),
    ],
)
def test_what_air_pipeline_did_not_write_is_told(
    origin: SqliteStore, target: SqliteStore, tmp_path: Path, damage: str, said: str
) -> None:
    origin.write([poll("attic", MIDNIGHT, outcome=Outcome.OK)])
    with closing(sqlite3.connect(tmp_path / "origin.sqlite")) as connection, connection:
        connection.execute(damage)
    with pytest.raises(CopyError, match=said):
        list(copy_readings(origin, target, MIDNIGHT, MIDNIGHT + DAY))

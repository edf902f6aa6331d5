"""The thread that delivers: its failures are told, and who comes next waits for its end."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest

from air_pipeline.collection import delivering as room
from air_pipeline.collection import outbox as outbox_room
from air_pipeline.collection.delivering import delivering
from air_pipeline.collection.lease import CollectorLock, CollectorRunning
from air_pipeline.collection.outbox import Outbox, OutboxError
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.environment import Environment
from air_pipeline.settings import SettingsError
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline_tests.collection.held_clock import SLOT
from air_pipeline_tests.environments import environment_in
from air_pipeline_tests.waiting import WITHIN_S, wait_for


def poll(number: int) -> Poll:
    return Poll("a", SLOT + number * 10_000, Outcome.OK, 40.0, 10.0, 200, {"dht22_temperature": 20.5})


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return environment_in(tmp_path)


@pytest.fixture
def outbox(environment: Environment) -> Iterator[Outbox]:
    environment.state.make()
    with closing(Outbox(environment.state.outbox)) as box:
        yield box


def stored(environment: Environment) -> int:
    with closing(open_store(None, environment.state)) as store:
        return len(store.polls("a", 0, 10**15))


class SlowStore(SqliteStore):
    """A real store that writes when it is let."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_asked = threading.Event()
        self.may_write = threading.Event()

    def write(self, polls: Sequence[Poll]) -> None:
        self.is_asked.set()
        assert self.may_write.wait(WITHIN_S)
        super().write(polls)


def test_the_lock_is_held_until_nothing_is_being_written_and_the_next_one_delivers_all(
    environment: Environment, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the one that was left behind lets go of what the next one was about to deliver."""
    slow = SlowStore(environment.state.readings)
    monkeypatch.setattr(room, "open_store", lambda *_: slow)
    monkeypatch.setattr(room, "LAST_DELIVERY_S", 0.01)
    monkeypatch.setattr("air_pipeline.collection.delivery.BATCH", 5)  # so that there may be more
    outbox.add([poll(number) for number in range(5)])

    def collect() -> None:
        with CollectorLock(environment.state), delivering(environment):
            assert slow.is_asked.wait(WITHIN_S)

    first = threading.Thread(target=collect)
    first.start()
    assert slow.is_asked.wait(WITHIN_S)
    with pytest.raises(CollectorRunning):
        CollectorLock(environment.state).acquire()
    slow.may_write.set()
    first.join(WITHIN_S)
    assert outbox.status().pending == 5
    outbox.add([poll(number) for number in range(5, 10)])
    with CollectorLock(environment.state), delivering(environment):
        wait_for(lambda: not outbox.status().pending, "the outbox drained")
    assert stored(environment) == 10


@pytest.mark.parametrize(
    ("error", "said"),
    [(RuntimeError("a mistake of ours"), "RuntimeError: a mistake of ours"), (SettingsError("odd"), "odd")],
)
def test_a_failure_of_delivery_itself_is_remembered_and_told(
    environment: Environment, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def open_nothing(*_: object) -> None:
        raise error

    monkeypatch.setattr(room, "open_store", open_nothing)
    monkeypatch.setattr(room, "_BEGIN_ANEW_S", 0.1)
    outbox.add([poll(0)])
    with delivering(environment):
        status = wait_for(lambda: (found := outbox.status()).error and found, "the failure in the outbox")
    assert status.failures > 0
    assert status.error == f"delivery itself failed: {said}"
    monkeypatch.undo()
    with delivering(environment):
        wait_for(lambda: not outbox.status().error, "the failure forgotten")
    assert stored(environment) == 1


def test_damage_that_others_would_meet_is_found_while_it_runs(environment: Environment, outbox: Outbox) -> None:
    """In tables and pages of which delivery itself reads nothing."""
    outbox.add([poll(0)])
    outbox.quarantine(outbox.pending(1), "odd " * 1_000)
    outbox.close()
    (root,) = sqlite_root(environment.state.outbox, "quarantine")
    with environment.state.outbox.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)

    def is_read() -> bool:
        with suppress(OutboxError):  # who looks in the moment in which it is put aside may meet half of it
            return any(one.is_done for one in outbox.asides())
        return False

    with delivering(environment):
        wait_for(is_read, "the damaged file read")
    assert outbox.status().quarantined == 0


def sqlite_root(path: Path, table: str) -> tuple[int]:
    with closing(sqlite3.connect(path)) as other:
        found: tuple[int] = other.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return found


def test_a_directory_that_was_moved_to_another_store_meanwhile_is_not_delivered(
    environment: Environment, outbox: Outbox
) -> None:
    """Between the look at whose it is and the lock somebody may have moved it."""
    environment.state.bind("InfluxDB at http://localhost:8086, org home, bucket air")
    with pytest.raises(SettingsError, match="belongs to InfluxDB"), delivering(environment):
        pass


def steps_of(read: Callable[[], object], outbox: Outbox) -> int:
    """How many steps SQLite's machine makes."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with outbox._claims.reading() as connection:
        assert connection is not None
        connection.set_progress_handler(count, 1)
    read()
    with outbox._claims.reading() as connection:
        assert connection is not None
        connection.set_progress_handler(None, 0)
    return steps


def test_what_is_looked_at_often_costs_the_same_however_much_waits(outbox: Outbox) -> None:
    """The count of rows, the oldest slot, a batch from each end, what is in quarantine."""
    looks: tuple[Callable[[], object], ...] = (
        outbox.status,
        lambda: outbox.batch(50),
        lambda: outbox.batch(50, newest=True),
        lambda: outbox.quarantined(10),
        lambda: outbox.reasons(3),
    )
    costs = []
    for number in (100, 5_000):
        outbox.add([poll(one) for one in range(number)])
        with outbox._polls.writing() as connection:
            connection.execute(
                "INSERT INTO quarantine (observed_at, poll, reason, since)"
                " SELECT observed_at, poll, 'odd', 1 FROM outbox"
            )
        costs.append([steps_of(look, outbox) for look in looks])
    assert costs[0] == costs[1]


def test_space_that_weeks_of_outage_took_is_given_back(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def size() -> int:
        return sum(file.stat().st_size for file in outbox.path.parent.glob("outbox.sqlite*"))

    monkeypatch.setattr(outbox_room, "_WASTE_BYTES", 1_000_000)
    outbox.add([poll(one) for one in range(10_000)])
    outbox.look_after()
    outbox.delivered(outbox.pending(10_000))
    assert size() > 2_000_000
    outbox.look_after()
    assert size() < 200_000
    outbox.add([poll(0)])
    assert outbox.status().pending == 1

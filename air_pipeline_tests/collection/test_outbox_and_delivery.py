"""From the outbox to the store: nothing is lost, whatever the store does."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.collection.delivery import BATCH, IDLE_S, LONGEST_ASKED_FOR_S, LONGEST_WAIT_S, Delivery
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import PollsRejected, StoreRefused, StoreUnavailable
from air_pipeline_tests.collection.held_clock import SLOT, HeldClock
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.storage.test_influxdb_answers import influx_json
from air_pipeline_tests.waiting import WITHIN_S


def poll(number: int, device: str = "a", **values: float) -> Poll:
    return Poll(device, SLOT + number * 10_000, Outcome.OK, 40.0, 10.0, 200, values or {"dht22_temperature": 20.5})


class FailingStore(SqliteStore):
    """A real store before which things go wrong, as told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.failure: Exception | None = None
        self.poison: set[int] = set()
        self.requests = 0

    def write(self, polls: Sequence[Poll]) -> None:
        self.requests += 1
        if self.failure:
            raise self.failure
        if any(poll.observed_at in self.poison for poll in polls):
            raise PollsRejected("field type conflict")
        super().write(polls)

    def slots(self, device: str = "a") -> list[int]:
        """The slots that it has, counted from `SLOT` in tens of seconds."""
        instants = self.polls(device, 0, 10**15).index
        return [(int(instant.timestamp() * 1000) - SLOT) // 10_000 for instant in instants]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.sqlite")) as box:
        yield box


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FailingStore]:
    with closing(FailingStore(tmp_path / "readings.sqlite")) as one:
        yield one


def test_a_poll_comes_out_of_the_outbox_as_it_went_in(outbox: Outbox) -> None:
    went_in = poll(0, dht22_temperature=-0.0, mq135_co=1e-308)
    outbox.add([went_in])
    [came_out] = outbox.pending(10)
    assert came_out.poll == went_in


def test_what_was_delivered_leaves_the_outbox(outbox: Outbox, store: FailingStore) -> None:
    outbox.add([poll(number) for number in range(5)])
    delivery = Delivery(outbox, store, HeldClock())
    assert delivery.step() == IDLE_S
    assert outbox.status().pending == 0
    assert store.slots() == [0, 1, 2, 3, 4]
    assert delivery.step() > 0


@pytest.mark.parametrize(
    "failure", [StoreUnavailable("away"), StoreRefused("the token is refused (401)")], ids=["away", "refused"]
)
def test_a_store_that_fails_is_asked_again_ever_more_rarely(
    outbox: Outbox, store: FailingStore, failure: Exception
) -> None:
    clock = HeldClock()
    outbox.add([poll(0)])
    delivery = Delivery(outbox, store, clock)
    store.failure = failure
    waits = []
    for _ in range(9):
        wait = delivery.step()
        waits.append(wait)
        assert delivery.step() == pytest.approx(wait)  # and not asked before its time
        clock.advance(round(wait * 1000))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert store.requests == 9
    status = outbox.status()
    assert (status.pending, status.failures, status.error) == (1, 9, str(failure))
    store.failure = None
    delivery.step()
    assert store.slots() == [0]
    assert outbox.status().failures == 0
    assert not outbox.status().error


def test_backoff_survives_a_restart(outbox: Outbox, store: FailingStore) -> None:
    clock = HeldClock()
    outbox.add([poll(0)])
    store.failure = StoreUnavailable("away")
    first = Delivery(outbox, store, clock)
    for _ in range(4):
        clock.advance(round(first.step() * 1000))
    clock.advance(-1_000)
    assert Delivery(outbox, store, clock).step() == pytest.approx(1.0)
    assert store.requests == 4


def test_a_clock_that_was_set_back_does_not_hold_delivery_up(outbox: Outbox, store: FailingStore) -> None:
    clock = HeldClock()
    outbox.add([poll(0)])
    store.failure = StoreUnavailable("away")
    Delivery(outbox, store, clock).step()
    clock.step_wall(-3_600_000)
    assert Delivery(outbox, store, clock).step() <= LONGEST_WAIT_S


def test_no_step_of_the_clock_holds_a_running_delivery_up(outbox: Outbox, store: FailingStore) -> None:
    clock = HeldClock()
    outbox.add([poll(0)])
    store.failure = StoreUnavailable("away")
    delivery = Delivery(outbox, store, clock)
    wait = delivery.step()
    for step in (-3_600_000, 10 * 365 * 86_400_000):
        clock.step_wall(step)
        assert delivery.step() == pytest.approx(wait)
    store.failure = None
    clock.step_wall(-3_600_000)
    clock.advance(round(wait * 1000))
    delivery.step()
    assert store.slots() == [0]


@pytest.mark.parametrize(("asked", "waits"), [(17.0, 17.0), (600.0, 600.0), (86_400.0, LONGEST_ASKED_FOR_S)])
def test_the_store_is_left_alone_for_as_long_as_it_asks(
    outbox: Outbox, store: FailingStore, asked: float, waits: float
) -> None:
    outbox.add([poll(0)])
    store.failure = StoreUnavailable("overloaded", retry_after_s=asked)
    assert Delivery(outbox, store, HeldClock()).step() == waits


def test_new_readings_do_not_wait_behind_weeks_of_old_ones(outbox: Outbox, store: FailingStore) -> None:
    outbox.add([poll(number) for number in range(3 * BATCH)])
    delivery = Delivery(outbox, store, HeldClock())
    assert delivery.step() == 0.0
    outbox.add([poll(6 * BATCH)])
    assert delivery.step() == 0.0
    assert {0, 6 * BATCH} <= set(store.slots())
    while delivery.step() == 0.0:
        pass
    assert len(store.slots()) == 3 * BATCH + 1


def test_a_store_that_takes_nothing_has_nothing_set_aside(outbox: Outbox, store: FailingStore) -> None:
    delivery = Delivery(outbox, store, HeldClock())
    for known in (False, True):  # whether it took something before
        if known:
            outbox.add([poll(1_000)])
            store.failure = None
            while outbox.status().pending:
                delivery._retry_at = 0.0
                delivery.step()
        outbox.add([poll(number) for number in range(500)])
        before, store.failure = store.requests, PollsRejected("400: so says a proxy")
        assert delivery.step() > 0
        status = outbox.status()
        assert (status.pending, status.quarantined) == (500, 0)
        assert status.error == "none of 500 polls is taken, so it is not the polls: 400: so says a proxy"
        assert store.requests - before < 20


def test_a_poll_that_comes_alone_is_set_aside_only_by_a_store_that_takes_others(
    outbox: Outbox, store: FailingStore
) -> None:
    clock = HeldClock()
    delivery = Delivery(outbox, store, clock)
    store.poison = {SLOT}
    outbox.add([poll(0)])
    wait = delivery.step()
    assert (outbox.status().pending, outbox.status().quarantined) == (1, 0)
    clock.advance(round(wait * 1000))
    outbox.add([poll(1)])
    delivery.step()
    assert (store.slots(), outbox.status().pending, outbox.status().quarantined) == ([1], 0, 1)
    store.poison = {SLOT + 20_000}
    outbox.add([poll(2)])
    delivery.step()
    assert (outbox.status().pending, outbox.status().quarantined) == (0, 2)


def test_a_deliverer_that_was_given_up_lets_go_of_nothing_that_it_wrote(outbox: Outbox, store: FailingStore) -> None:
    """Whoever delivers by then has the same polls."""
    outbox.add([poll(0)])
    given_up = []
    write = store.write

    def slow(polls: Sequence[Poll]) -> None:
        write(polls)
        given_up.append(True)

    store.write = slow  # type: ignore[method-assign]
    delivery = Delivery(outbox, store, HeldClock(), lambda: bool(given_up))
    delivery.step()
    assert (store.slots(), outbox.status().pending) == ([0], 1)
    assert delivery.step() > 0
    assert outbox.status().pending == 1


def test_a_deliverer_that_is_given_up_while_it_looks_for_what_is_rejected_sets_nothing_aside(
    outbox: Outbox, store: FailingStore
) -> None:
    outbox.add([poll(number) for number in range(8)])
    store.poison = {SLOT}
    given_up = []
    write = store.write

    def slow(polls: Sequence[Poll]) -> None:
        given_up.extend([True] * (len(polls) == 1))  # after the first rejection some are tried one by one
        write(polls)

    store.write = slow  # type: ignore[method-assign]
    Delivery(outbox, store, HeldClock(), lambda: bool(given_up)).step()
    assert given_up
    assert (outbox.status().pending, outbox.status().quarantined) == (8, 0)


@given(number=st.integers(1, 40), poison=st.sets(st.integers(0, 39)))
@settings(max_examples=30)  # each with two files of its own
def test_only_polls_that_the_store_will_never_take_are_set_aside(number: int, poison: set[int]) -> None:
    with (
        TemporaryDirectory() as folder,
        closing(Outbox(Path(folder) / "outbox.sqlite")) as outbox,
        closing(FailingStore(Path(folder) / "readings.sqlite")) as store,
    ):
        delivery = Delivery(outbox, store, HeldClock())
        outbox.add([poll(100)])  # one that it takes, so that it is known to take polls
        delivery.step()
        store.poison = {SLOT + bad * 10_000 for bad in poison}
        outbox.add([poll(one) for one in range(number)])
        delivery.step()
        assert store.slots() == [*(one for one in range(number) if one not in poison), 100]
        assert {one.poll.observed_at for one in outbox.quarantined()} == {
            SLOT + bad * 10_000 for bad in poison if bad < number
        }
        assert outbox.status().pending == 0


def test_what_was_set_aside_can_be_tried_again(outbox: Outbox, store: FailingStore) -> None:
    store.poison = {SLOT}
    outbox.add([poll(0), poll(1)])
    delivery = Delivery(outbox, store, HeldClock())
    delivery.step()
    [quarantined] = outbox.quarantined()
    assert quarantined.reason == "field type conflict"
    store.poison = set()
    assert outbox.release() == 1
    delivery.step()
    assert store.slots() == [0, 1]
    assert outbox.status().quarantined == 0


def test_readings_that_come_late_mark_their_days(outbox: Outbox, store: FailingStore) -> None:
    clock = HeldClock(SLOT + 3 * 86_400_000)
    outbox.add([poll(0), poll(8640)])
    Delivery(outbox, store, clock).step()
    first = datetime.fromtimestamp(SLOT / 1000, UTC).date()
    marks = outbox.late_marks()
    assert set(marks) == {first, first.replace(day=first.day + 1)}
    outbox.forget_late({first: marks[first]})
    assert set(outbox.late_marks()) == {first.replace(day=first.day + 1)}


def test_a_day_that_is_marked_anew_while_it_is_looked_at_stays_marked(outbox: Outbox) -> None:
    day = date(2026, 5, 28)
    outbox.mark_late([day])
    seen = outbox.late_marks()
    outbox.mark_late([day])
    outbox.forget_late(seen)
    assert set(outbox.late_marks()) == {day}
    outbox.forget_late(outbox.late_marks())
    outbox.mark_late([day])  # its number is not one of those that were seen
    outbox.forget_late(seen)
    assert set(outbox.late_marks()) == {day}


def test_readings_in_time_mark_nothing(outbox: Outbox, store: FailingStore) -> None:
    outbox.add([poll(0)])
    Delivery(outbox, store, HeldClock(SLOT + 60_000)).step()
    assert outbox.late_marks() == {}


@pytest.mark.influxdb
def test_a_real_influxdb_gets_all_but_the_polls_whose_fields_it_refuses(outbox: Outbox, influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    influxdb.api(
        "POST",
        "/api/v2/write",
        params={"org": connection.org, "bucket": connection.bucket, "precision": "ms"},
        data=f'air,device=b odd="somebody else wrote a text here" {SLOT}',
    )
    with closing(InfluxStore(connection)) as store:
        outbox.add([poll(number) for number in range(7)])
        outbox.add([poll(7, odd=1.0)])
        delivery = Delivery(outbox, store)
        while delivery.step() == 0:
            pass
        [quarantined] = outbox.quarantined()
        assert quarantined.poll.observed_at == SLOT + 70_000
        assert "odd" in quarantined.reason
        assert list(store.readings("a", 0, SLOT + 10**7)["dht22_temperature"]) == [20.5] * 7
        assert outbox.status().pending == 0


@pytest.mark.influxdb
def test_what_is_older_than_a_bucket_keeps_is_set_aside_in_one_go_and_said_in_one_line(
    outbox: Outbox, influxdb: InfluxServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time()) // 10 * 10_000
    old = [replace(poll(0), observed_at=now - 86_400_000 - 10_000 * number) for number in range(1_500)]
    new = [replace(poll(0), observed_at=now - 10_000 * number) for number in range(5)]
    writes = []
    with closing(InfluxStore(influxdb.connection(influxdb.make_bucket(retention_s=3_600)))) as store:
        real = store.write
        monkeypatch.setattr(store, "write", lambda polls: (writes.append(len(polls)), real(polls)))
        outbox.add([*old, *new])
        delivery = Delivery(outbox, store)
        while delivery.step() == 0:
            pass
        assert store.outcome_counts(0, now + 1) == {"a": {"ok": 5}}
    status = outbox.status()
    assert (status.pending, status.quarantined, status.failures) == (0, 1_500, 0)
    assert writes == [1_505, 5]
    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert line.startswith("1500 polls from ")


def test_a_store_whose_clock_has_run_away_has_nothing_set_aside(outbox: Outbox, store: FailingStore) -> None:
    """All that there is would be older than it keeps."""
    store.failure = PollsRejected("too old", refused_before=SLOT + 10**9)
    outbox.add([poll(number) for number in range(3)])
    Delivery(outbox, store, HeldClock(SLOT + 60_000)).step()
    status = outbox.status()
    assert (status.pending, status.quarantined) == (3, 0)


FAULTS = {
    "500": (500, {}, b"oh"),
    "503": (503, {"Retry-After": "7"}, b""),
    "429": (429, {"Retry-After": "3"}, influx_json("too many requests")),
    "400 to everything": (400, {}, influx_json("invalid", "a proxy's idea")),
    "413 to everything": (413, {}, b""),
    "a login page": (200, {}, b"<html>who are you?</html>"),
    "a 204 of anybody": (204, {}, b""),
    "closing in the middle": (500, {"Content-Length": "1000"}, b"x"),
    "no bucket": (404, {}, influx_json("not found", 'bucket "air" not found')),
    "no right": (403, {}, influx_json("forbidden")),
}


@pytest.mark.influxdb
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_stands_before_influxdb_says_every_poll_is_stored_once_it_lets_them_through(
    outbox: Outbox, influxdb: InfluxServer, fault: str
) -> None:
    """A proxy with a real InfluxDB behind it, which for a while answers by itself."""
    connection, clock, by_itself = influxdb.connection(), HeldClock(), [True]

    def answer(method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if by_itself:
            return FAULTS[fault]
        headers = {"Authorization": f"Token {connection.token}"}
        passed = requests.request(method, influxdb.url + path, data=body, headers=headers, timeout=WITHIN_S)
        return passed.status_code, {"X-Influxdb-Build": passed.headers["X-Influxdb-Build"]}, passed.content

    with proxy(answer) as url, closing(InfluxStore(replace(connection, url=url))) as store:
        outbox.add([poll(number) for number in range(30)])
        delivery = Delivery(outbox, store, clock)
        for _ in range(3):
            clock.advance(round(delivery.step() * 1000))
        status = outbox.status()
        assert (status.pending, status.quarantined, status.failures) == (30, 0, 3)
        assert url in status.error
        by_itself.clear()
        delivery.step()
        assert (outbox.status().pending, outbox.status().error) == (0, "")
    with closing(InfluxStore(connection)) as store:
        assert len(store.polls("a", 0, 10**13)) == 30


@contextmanager
def proxy(answer: Callable[[str, str, bytes], tuple[int, dict[str, str], bytes]]) -> Iterator[str]:
    """The URL of a server that answers a method, a path and a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, headers, body = answer(
                self.command, self.path, self.rfile.read(int(self.headers.get("Content-Length", 0)))
            )
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        do_GET = do_POST  # noqa: N815 - as there

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

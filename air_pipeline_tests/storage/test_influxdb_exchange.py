"""An exchange with InfluxDB ends, whatever answers; who answers is InfluxDB; the token is that of now."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.influxdb_examination import examine_influxdb
from air_pipeline.storage.store import StoreError, StoreRefused, StoreUnavailable
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.storage.model import END, START, poll
from air_pipeline_tests.storage.test_influxdb_answers import answering, influx_json
from air_pipeline_tests.waiting import WITHIN_S

SHORT_S = 0.3
TAKEN = (204, {"X-Influxdb-Version": ""}, b"")


@contextmanager
def saying(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """The URL of a server that says what it likes to each connection, until the block ends."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65_536)
            talk(connection, over)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=serve, args=(server.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def test_who_reads_waits_once_for_a_server_that_says_nothing() -> None:
    asked = []

    def silent(_: socket.socket, over: threading.Event) -> None:
        asked.append("something")
        over.wait(WITHIN_S)

    with saying(silent) as url:
        store = InfluxStore(InfluxConnection(url, "token", "home", "air"), SHORT_S, SHORT_S)
        with pytest.raises(StoreUnavailable):
            store.readings("garage", START, END)
    assert asked == ["something"]


def dripping(start: bytes, drop: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.wait(SHORT_S / 10):
            connection.sendall(drop)

    return talk


def endless(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 503 Later\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"x" * 100_000)


WITHOUT_END = {
    "silent": dripping(b"", b""),
    "headers that drip": dripping(b"HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 2\r\nX-More: ", b"a"),
    "a body that drips": dripping(b"HTTP/1.1 500 Oh\r\nContent-Length: 100000\r\n\r\n", b"a"),
    "a body that drips without a length": dripping(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"a"),
    "a body without end": endless,
}


@pytest.mark.parametrize("talk", WITHOUT_END.values(), ids=WITHOUT_END)
def test_an_answer_without_end_is_cut(talk: Callable[[socket.socket, threading.Event], None]) -> None:
    """Without a limit each of them lasts until the server's block ends, which waits for the request."""
    with saying(talk) as url, closing(InfluxStore(InfluxConnection(url, "token", "home", "air"), SHORT_S)) as store:
        for ask in (lambda: store.write([poll()]), store.latest, lambda: store.readings("garage", START, END)):
            with pytest.raises(StoreUnavailable, match=r"gives no answer|did not answer within|gave more than"):
                ask()


@pytest.mark.influxdb
def test_a_frozen_influxdb_is_an_error_to_each_that_asks(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    with closing(InfluxStore(connection, SHORT_S)) as store, influxdb.paused():
        for ask in (store.latest, lambda: store.readings("garage", START, END), lambda: store.write([poll()])):
            with pytest.raises(StoreUnavailable):
                ask()
        with pytest.raises(StoreUnavailable):
            examine_influxdb(connection, SHORT_S)
    with closing(InfluxStore(connection)) as store:
        store.write([poll()])
        assert list(store.latest()) == ["living-room"]


@pytest.mark.parametrize("header", ["X-Influxdb-Build", "X-Influxdb-Version"])
@pytest.mark.parametrize("value", ["", "v2.7.10"])
def test_who_says_that_he_is_influxdb_is_believed(header: str, value: str) -> None:
    with answering(lambda _path, _accept: (204, {header: value}, b"")) as store:
        store.write([poll()])


def test_nobody_else_is_believed_to_have_stored_anything() -> None:
    with (
        answering(lambda _path, _accept: (204, {}, b"")) as store,
        pytest.raises(StoreRefused, match="does not say that it is InfluxDB"),
    ):
        store.write([poll()])
    for status in (200, 201, 202, 302):  # what stands before it answers so, and says the headers of the one behind it
        with (
            answering(lambda _path, _accept, status=status: (status, TAKEN[1], b"")) as store,
            pytest.raises(StoreError),
        ):
            store.write([poll()])


def test_behind_a_proxy_that_keeps_its_headers_influxdb_is_asked_once_who_it_is() -> None:
    asked = []

    def answer(path: str, _accept: str) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        return (200, {}, b'{"name":"influxdb", "status":"pass"}') if path == "/health" else (204, {}, b"")

    with answering(answer) as store:
        for _ in range(3):
            store.write([poll()])
    assert asked == ["/api/v2/write", "/health", "/api/v2/write", "/api/v2/write"]


@pytest.mark.influxdb
def test_a_token_in_a_file_is_changed_without_a_restart(influxdb: InfluxServer, tmp_path: Path) -> None:
    bucket = influxdb.make_bucket()
    file = tmp_path / "token"
    file.write_text("wrong\n", encoding="utf-8")
    connection = InfluxConnection(influxdb.url, "wrong", influxdb.org, bucket, file)
    with closing(InfluxStore(connection)) as store:
        with pytest.raises(StoreRefused, match=rf"put one into {file} .* read again without a restart"):
            store.write([poll()])
        file.write_text(influxdb.make_token(bucket, "read", "write"), encoding="utf-8")
        store.write([poll()])
        assert list(store.latest()) == ["living-room"]
        assert not store.flux(f'from(bucket: "{bucket}") |> range(start: 0) |> limit(n: 1)').empty


def test_a_refused_token_is_looked_up_again_though_its_file_looks_the_same(tmp_path: Path) -> None:
    """A file may be written over within the clock's tick, with as many characters."""
    import os

    file = tmp_path / "token"
    file.write_text("old-token", encoding="utf-8")
    before = file.stat()
    seen: list[str] = []

    def answer(_path: str, _accept: str) -> tuple[int, dict[str, str], bytes]:
        seen.append("asked")
        return TAKEN if len(seen) > 1 else (401, {}, influx_json("unauthorized"))

    with answering(answer) as plain:
        connection = InfluxConnection(plain._connection.url, "old-token", "home", "air", file)
        with closing(InfluxStore(connection)) as store:
            file.write_text("new-token", encoding="utf-8")
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            store.write([poll()])
            assert store._exchange.token.now() == "new-token"
            file.unlink()
            store.write([poll()])  # what was there last is in force
            os.mkfifo(file)
            store.write([poll()])  # nor is a pipe waited for
            file.unlink()
            for text in ("two\nlines", "źle"):
                file.write_text(text, encoding="utf-8")
                for _ in range(2):  # a library that was given it would quote it
                    with pytest.raises(StoreRefused, match=r"TOKEN_FILE.* has characters that no token has"):
                        store.write([poll()])
            file.write_text("right", encoding="utf-8")
            store.write([poll()])
    assert len(seen) == 5


def test_a_token_of_the_environment_needs_a_restart_and_the_refusal_says_so() -> None:
    with (
        answering(lambda _path, _accept: (401, {}, influx_json("unauthorized"))) as store,
        pytest.raises(StoreRefused, match=r"set INFLUXDB_V2_TOKEN .* and start air-pipeline again"),
    ):
        store.write([poll()])


names = st.sampled_from(["time", "outcome", "polls", "count_x", "name"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
series = st.fixed_dictionaries(
    {},
    optional={
        "name": anything,
        "tags": anything | st.just({"device": "garage"}),
        "columns": anything | st.lists(names, max_size=3),
        "values": anything | st.lists(st.lists(anything, max_size=3), max_size=3),
    },
)
result = st.fixed_dictionaries({}, optional={"series": st.lists(series | anything, max_size=3), "error": anything})
results = st.fixed_dictionaries({"results": anything | st.lists(result, min_size=1, max_size=8)})
bodies = st.binary(max_size=60) | results.map(lambda one: json.dumps(one).encode())
parts = st.lists(results.map(lambda one: msgpack.packb(one, default=str)), max_size=3).map(b"".join)
statuses = st.sampled_from([200, 200, 200, 204, 301, 400, 401, 404, 418, 429, 500, 503])
answers = st.tuples(statuses, bodies, bodies | parts)


@tries(max_examples=150)
@given(answer=answers, cut=st.integers(0, 200))
def test_no_answer_makes_another_error_than_those_of_a_store(answer: tuple[int, bytes, bytes], cut: int) -> None:
    status, plain, packed = answer

    def said(_path: str, accept: str) -> tuple[int, dict[str, str], bytes]:
        body = packed if "msgpack" in accept else plain
        return status, {"X-Influxdb-Version": "2", "Retry-After": "x"}, body[: len(body) - cut % 7] if cut else body

    server.answer = said
    for ask in (
        lambda: server.store.write([poll()]),
        server.store.latest,
        lambda: server.store.readings("garage", START, END),
        lambda: server.store.polls("garage", START, END),
        lambda: server.store.outcome_counts(START, END),
        lambda: server.store.summaries(START, END),
        lambda: server.store.first_poll("garage"),
        lambda: server.store.before("garage", END),
        lambda: server.store.asked(START, END),
        lambda: server.store.stated("garage", START, END),
        lambda: server.store.nearest_stated("garage", START, earlier=True),
        lambda: server.store.flux("buckets()"),
        lambda: examine_influxdb(server.store._connection, 60),
    ):
        with suppress(StoreError):
            ask()


class _Server:
    """One server for all examples."""

    answer: Callable[[str, str], tuple[int, dict[str, str], bytes]]
    store: InfluxStore


server = _Server()


@pytest.fixture(autouse=True, scope="module")
def _serve() -> Iterator[None]:
    with answering(lambda *asked: server.answer(*asked)) as server.store:  # noqa: PLW0108 - it changes
        yield

"""What is not InfluxDB's usual answer: a scripted server says it, the store must make the right error of it."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import nan
from typing import Any

import msgpack
import pytest

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.store import PollsRejected, StoreError, StoreRefused, StoreUnavailable
from air_pipeline_tests.storage.model import END, START, poll, rows
from air_pipeline_tests.waiting import WITHIN_S

Answer = tuple[int, dict[str, str], bytes]
BUCKET = {
    "/api/v2/buckets": b'{"buckets":[{"id":"1"}]}',
    "/api/v2/dbrps": b'{"content":[{"bucketID":"1","default":1}]}',
}
"""What is said of the bucket, and that nobody else writes into it: as InfluxDB does, whatever the script is about."""


@contextmanager
def answering(answer: Callable[[str, str], Answer]) -> Iterator[InfluxStore]:
    """A store whose server answers as a function of path (of a query: with its form) and Accept says."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.partition("?")[0]
            if b"SHOW+TAG+KEYS" in asked or path in BUCKET:
                status, headers, body = 200, {}, BUCKET.get(path, b'{"results":[{}]}')
            else:
                form = f"?{asked.decode()}" if path == "/query" else ""
                status, headers, body = answer(path + form, self.headers.get("Accept", ""))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    store = InfluxStore(InfluxConnection(url, "the-token", "home", "air"), timeout_s=WITHIN_S, read_timeout_s=WITHIN_S)
    try:
        yield store
    finally:
        store.close()
        server.shutdown()
        server.server_close()
        thread.join()


def influx_json(code: str, message: str = "so it is.") -> bytes:
    return json.dumps({"code": code, "message": message}).encode()


PAGE = "<html>Grüezi, please log in</html>".encode("latin-1")

# Status, headers and body; the error of a write, the error of a read, seconds to wait.
TABLE = [
    (429, {"Retry-After": "7"}, influx_json("too many requests"), StoreUnavailable, StoreUnavailable, 7.0),
    (503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, b"", StoreUnavailable, StoreUnavailable, None),
    (500, {}, influx_json("internal error"), StoreUnavailable, StoreUnavailable, None),
    (502, {}, PAGE, StoreUnavailable, StoreUnavailable, None),
    (408, {}, b"", StoreUnavailable, StoreUnavailable, None),
    (401, {}, influx_json("unauthorized"), StoreRefused, StoreRefused, None),
    (403, {}, influx_json("forbidden"), StoreRefused, StoreRefused, None),
    (404, {}, influx_json("not found", 'organization name "home" not found'), StoreRefused, StoreRefused, None),
    (404, {}, PAGE, StoreRefused, StoreRefused, None),
    (405, {}, influx_json("method not allowed"), StoreRefused, StoreRefused, None),
    (400, {}, influx_json("invalid"), PollsRejected, StoreError, None),
    (422, {}, influx_json("unprocessable entity"), PollsRejected, StoreError, None),
    (413, {}, PAGE, PollsRejected, StoreError, None),
    # What a TLS port says to http://: the polls are not to blame.
    (400, {}, b"Client sent an HTTP request to an HTTPS server.\n", StoreRefused, StoreRefused, None),
    (302, {"Location": "http://127.0.0.1:9/login"}, b"", StoreRefused, StoreRefused, None),
    (200, {}, PAGE, StoreRefused, StoreRefused, None),
    (200, {}, b"", StoreRefused, StoreRefused, None),
]


@pytest.mark.parametrize(("status", "headers", "body", "of_write", "of_read", "wait"), TABLE)
def test_each_answer_is_one_error(
    status: int, headers: dict[str, str], body: bytes, of_write: type, of_read: type, wait: float | None
) -> None:
    with answering(lambda _path, _accept: (status, headers, body)) as store:
        requests = [
            (lambda: store.write([poll()]), of_write),
            (lambda: store.readings("garage", START, END), of_read),
            (store.latest, of_read),
        ]
        if status != 200 or body:  # an empty answer to Flux is one without rows
            requests.append((lambda: store.flux("buckets()"), of_read))
        for request, kind in requests:
            with pytest.raises(StoreError) as raised:
                request()
            assert type(raised.value) is kind
            assert "the-token" not in str(raised.value)
            assert "http://127.0.0.1:" in str(raised.value)
            if isinstance(raised.value, StoreUnavailable):
                assert raised.value.retry_after_s == wait


def test_an_answer_that_breaks_off_is_unavailable() -> None:
    with answering(lambda _path, _accept: (200, {"Content-Length": "100"}, b"#datatype,string")) as store:
        for request in (store.latest, lambda: store.write([poll()]), lambda: store.flux("buckets()")):
            with pytest.raises(StoreUnavailable, match="gives no answer"):
                request()


def packed(*results: dict[str, Any]) -> bytes:
    """An answer in parts, as InfluxDB gives it: an object of MessagePack each."""
    return b"".join(msgpack.packb({"results": [{"statement_id": 0, **result}]}) for result in results)


def of_air(*points: tuple[float | None, ...]) -> dict[str, Any]:
    columns = ["time", "ds18b20_temperature", "mq135_co"]
    return {"series": [{"name": "air", "columns": columns, "values": [list(point) for point in points]}]}


FIRST = of_air((START, 0.5, 1.5), (START + 1, None, 2.5))
LAST = of_air((START + 2, 0.5, None))
NONE = packed({"series": []})
WHOLE = packed({**FIRST, "partial": True}, LAST)


@contextmanager
def giving(readings: bytes, others: bytes = NONE) -> Iterator[InfluxStore]:
    """A store whose server gives these readings, and these polls without one."""
    timeout = {"columns": ["time", "outcome"], "values": [[START, "timeout"]]}

    def answer(path: str, accept: str) -> Answer:
        if accept == "application/json":  # whether there are any
            return 200, {}, json.dumps({"results": [{"statement_id": 0, "series": [timeout]}]}).encode()
        return 200, {}, readings if "FROM+air" in path else others

    with answering(answer) as store:
        yield store


def test_an_answer_in_parts_is_a_reading_when_all_have_come() -> None:
    with giving(WHOLE) as store:
        read = store.readings("garage", START, END)
    assert rows(read) == {
        START: {"ds18b20_temperature": 0.5, "mq135_co": 1.5},
        START + 1: {"mq135_co": 2.5},
        START + 2: {"ds18b20_temperature": 0.5},
    }


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))  # nothing at all is not InfluxDB's
def test_an_answer_that_is_cut_anywhere_is_not_a_reading(cut: int) -> None:
    """Though it ends as an answer does, as behind a proxy that has a limit."""
    for served in (giving(WHOLE[:cut]), giving(NONE, others=WHOLE[:cut])):
        with served as store, pytest.raises(StoreUnavailable, match="ends an answer before it has given all"):
            store.readings("garage", START, END)
    with giving(NONE, others=WHOLE[:cut]) as store, pytest.raises(StoreUnavailable, match="before it has given all"):
        store.polls("garage", START, END)


@pytest.mark.parametrize("first", [[], [{**FIRST, "partial": True}]])
def test_a_query_that_fails_after_its_first_rows_is_not_a_reading(first: list[dict[str, Any]]) -> None:
    failed = packed(*first, {"error": "boom"})
    for served in (giving(failed), giving(WHOLE, others=failed)):
        with served as store, pytest.raises(StoreError, match="failed: boom"):
            store.readings("garage", START, END)


def rows_of(columns: Any, *points: Any) -> bytes:
    return packed({"series": [{"name": "air", "columns": columns, "values": list(points)}]})


@pytest.mark.parametrize(
    "answer",
    [
        rows_of([], [], []),
        rows_of(["mq135_co"], [1.5]),
        rows_of({"time": 1}, [1]),
        rows_of(["time", 5], [START, 1.5]),
        rows_of(["time", "mq135_co"], [None, 1.5]),
        rows_of(["time", "mq135_co"], ["now", 1.5]),
        msgpack.packb({"error": "boom"}),
        msgpack.packb({"results": [{"series": []}], "error": "boom"}),
        *(rows_of(["time", "mq135_co"], [START, one], [START + 1, odd]) for one in (nan, 0.5) for odd in ("2.5", True)),
    ],
)
def test_what_has_no_times_or_names_or_is_of_two_kinds_is_refused(answer: bytes) -> None:
    with giving(answer) as store, pytest.raises(StoreError):
        store.readings("garage", START, END)


def test_times_that_do_not_rise_are_put_in_order_and_one_of_each_is_shown() -> None:
    """InfluxDB gives them in order, and a frame is."""
    columns = ["time", "mq135_co"]
    with giving(rows_of(columns, [START + 5, 1.0], [START + 3, 2.0], [START + 5, 3.0])) as store:
        assert list(rows(store.readings("garage", START, END)).items()) == [
            (START + 3, {"mq135_co": 2.0}),
            (START + 5, {"mq135_co": 3.0}),
        ]


def test_a_server_that_never_ends_is_asked_no_further_than_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("air_pipeline.storage.influxdb_points._ROWS_AT_ONCE", 2)
    with giving(packed(of_air((START, 0.5, None), (START + 40, 0.5, None)))) as store:
        assert len(store.readings("garage", START, START + 50)) == 2


@pytest.mark.parametrize("value", ["1.5", "warm", "", True, False, [1.5], {"a": 1.5}, b"1.5"])
def test_a_value_of_another_kind_is_an_error_that_names_it(value: Any) -> None:
    gives = packed(of_air((START, 0.5, None), (START + 1, 0.5, value)))
    refused = pytest.raises(StoreError, match="something in air that air_pipeline did not write: its field mq135_co")
    with giving(gives) as store, refused:
        store.readings("garage", START, END)


def test_a_number_where_polls_have_texts_is_an_error_that_names_it() -> None:
    polls = {"series": [{"name": "poll", "columns": ["time", "outcome"], "values": [[START, "ok"], [START + 1, 3.5]]}]}
    refused = pytest.raises(StoreError, match=r"something in poll that .* its field outcome holds the value '3.5'")
    with giving(NONE, others=packed(polls)) as store, refused:
        store.polls("garage", START, END)


@pytest.mark.parametrize("number", [2, -3, 2**53 + 1, 2**63 - 1])
def test_a_whole_number_of_others_is_a_number(number: int) -> None:
    with giving(packed(of_air((START, 0.5, number)))) as store:
        assert rows(store.readings("garage", START, END))[START]["mq135_co"] == float(number)


def test_rows_of_other_lengths_than_the_header_are_an_error() -> None:
    with giving(packed(of_air((START, 0.5), (START + 1, 0.5, 1.5, 2.5)))) as store, pytest.raises(StoreError):
        store.readings("garage", START, END)


@pytest.mark.parametrize(
    "results",
    [[{"partial": True}], [{"series": [{"columns": [], "values": [], "partial": True}]}], [{"error": "boom"}]],
)
def test_results_that_are_cut_short_or_failed_are_errors(results: list[dict[str, Any]]) -> None:
    answer = (200, {}, json.dumps({"results": results}).encode())
    refused = pytest.raises(StoreError, match=r"max-row-limit|failed: boom")
    with answering(lambda _path, _accept: answer) as store, refused:
        store.latest()


def test_a_netrc_file_does_not_replace_the_token(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    seen = set()
    request = http.client.HTTPConnection.request

    def recorded(connection: Any, method: str, path: str, body: Any, headers: Any) -> None:
        seen.add(headers["Authorization"])
        request(connection, method, path, body, headers)

    monkeypatch.setattr(http.client.HTTPConnection, "request", recorded)
    with answering(lambda _path, _accept: (200, {}, b'{"results": [{}, {}, {}]}')) as store:
        store.latest()
    assert seen == {"Token the-token"}

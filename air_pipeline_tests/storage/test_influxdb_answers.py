"""What is not InfluxDB's usual answer: a scripted server says it, the store must make the right error of it."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.store import PollsRejected, StoreError, StoreRefused, StoreUnavailable
from air_pipeline_tests.storage.model import END, START, poll
from air_pipeline_tests.waiting import WITHIN_S

Answer = tuple[int, dict[str, str], bytes]
BUCKET = {
    "/api/v2/buckets": b'{"buckets":[{"id":"1"}]}',
    "/api/v2/dbrps": b'{"content":[{"bucketID":"1","default":1}]}',
}
"""What is said of the bucket, and that nobody else writes into it: as InfluxDB does, whatever the script is about."""


@contextmanager
def answering(answer: Callable[[str, str], Answer]) -> Iterator[InfluxStore]:
    """A store whose server answers as a function of path and Accept says."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.partition("?")[0]
            if b"SHOW+TAG+KEYS" in asked or path in BUCKET:
                status, headers, body = 200, {}, BUCKET.get(path, b'{"results":[{}]}')
            else:
                status, headers, body = answer(path, self.headers.get("Accept", ""))
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


def counted(count: int) -> Answer:
    series = {"name": "air", "columns": ["time", "count_mq135_co"], "values": [[START, count]]}
    return 200, {}, json.dumps({"results": [{"series": [series]}]}).encode()


@pytest.mark.parametrize("gives", [b"", b"name,tags,time,mq135_co\nair,,%d,1.5\nair,,%d,\n" % (START, START + 1)])
def test_fewer_values_than_the_server_counted_are_not_a_reading(gives: bytes) -> None:
    refused = pytest.raises(StoreUnavailable, match="counts 2 values of mq135_co of device 'garage' and gives")
    with answering(lambda _path, accept: (200, {}, gives) if "csv" in accept else counted(2)) as store, refused:
        store.readings("garage", START, END)


def test_values_that_came_in_after_the_count_are_welcome() -> None:
    gives = b"name,tags,time,mq135_co\nair,,%d,1.5\nair,,%d,2.5\n" % (START, START + 1)
    all_read = (200, {}, json.dumps({"results": [{}]}).encode())  # no poll without a reading
    others = iter([counted(1), all_read])

    def answer(path: str, accept: str) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/health"):
            return 200, {}, b"{}"
        return (200, {}, gives) if "csv" in accept else next(others)

    with answering(answer) as store:
        assert list(store.readings("garage", START, END)["mq135_co"]) == [1.5, 2.5]


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

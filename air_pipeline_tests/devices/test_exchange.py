"""Every row of the table of outcomes, through real HTTP exchanges; deadlines that hold whatever hangs."""

import gzip
import selectors
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import zlib
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest

import air_pipeline.devices.client
from air_pipeline import tls
from air_pipeline.boottime import boottime
from air_pipeline.devices.answers import Answer
from air_pipeline.devices.client import Exchange
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.response import MAX_BODY_BYTES, read_response
from air_pipeline.devices.simulator import Simulator
from air_pipeline.devices.steps import take
from air_pipeline_tests.devices.getting import get
from air_pipeline_tests.devices.raw_server import answering, http
from air_pipeline_tests.waiting import WITHIN_S, wait_for

DEVICE = "living-room"
NEVER_S = 10 * WITHIN_S
"""The deadline of an exchange that something else is to end."""

# What a server sends first, and then again and again: an answer that has no end.
ENDLESS = pytest.mark.parametrize(
    ("data", "then"),
    [
        pytest.param(b"", b"", id="silence"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x", id="headers"),
        pytest.param(http(b"{", length=MAX_BODY_BYTES), b" ", id="body"),
    ],
)


@pytest.fixture(scope="module")
def simulator():
    with Simulator([DEVICE], seed=3) as running:
        yield running


def ask(simulator, fault=None, timeout_s=WITHIN_S, **options):
    simulator.set_fault(DEVICE, fault, **options)
    try:
        return Exchange(simulator.url(DEVICE), timeout_s).run()
    finally:
        simulator.set_fault(DEVICE, None)


def begun(ask):
    """Begins to ask: the thread in which that is done, and where its answer will be."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    return thread, answers


def nobody_gets(url):
    return not any(thread.name == f"get {url}" for thread in threading.enumerate())


def test_a_healthy_device_gives_its_document(simulator):
    answer = ask(simulator)
    assert (answer.outcome, answer.status, answer.reason) == (None, 200, "")
    assert answer.body.startswith(b'{"nodemcu":{')


@pytest.mark.parametrize(
    ("fault", "outcome", "status", "words"),
    [
        ("refuse", Outcome.UNREACHABLE, None, "connection broke"),
        ("reset", Outcome.UNREACHABLE, None, "connection broke"),
        ("truncate", Outcome.UNREACHABLE, 200, "announced length"),
        ("http_500", Outcome.HTTP_ERROR, 500, "status 500"),
        ("redirect", Outcome.HTTP_ERROR, 302, "status 302 and leads to http"),
        ("huge", Outcome.TOO_LARGE, 200, "64 KiB"),
        ("gzip_bomb", Outcome.TOO_LARGE, 200, "64 KiB"),
        ("login_page", None, 200, ""),
        ("empty", None, 200, ""),
        ("text_plain", None, 200, ""),
        ("slow", None, 200, ""),
    ],
)
def test_what_happens_has_its_outcome(simulator, fault, outcome, status, words):
    options = {"seconds": 0.05} if fault == "slow" else {}
    answer = ask(simulator, fault, **options)
    assert answer.outcome is outcome
    assert words in answer.reason
    if fault != "reset":  # the reset may come before the status was read
        assert answer.status == status
    assert not answer.body or answer.outcome is None


def test_a_redirect_is_not_followed(simulator):
    before = len(simulator.requests(DEVICE).times_ms)
    ask(simulator, "redirect")
    assert len(simulator.requests(DEVICE).times_ms) == before + 1


def test_a_closed_port_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = Exchange(f"http://127.0.0.1:{port}/circumstances", WITHIN_S).run()
    assert answer.outcome is Outcome.UNREACHABLE
    assert "refused" in answer.reason


@pytest.mark.parametrize(
    "url", ["http://no-such-device.invalid/", "http://", "ftp://127.0.0.1/", "nonsense", "http://a..b/", ""]
)
def test_what_cannot_be_asked_is_unreachable(url):
    answer = Exchange(url, WITHIN_S).run()
    assert answer.outcome is Outcome.UNREACHABLE
    assert answer.reason


@ENDLESS
def test_abort_ends_an_exchange_that_hangs_and_its_connection(data, then):
    with answering(data, then=then) as server:
        exchange = Exchange(server.url, NEVER_S)
        thread, answers = begun(exchange.run)
        wait_for(lambda: server.requests, "the request")
        exchange.abort()
        thread.join(WITHIN_S)
        assert [answer.outcome for answer in answers] == [Outcome.TIMEOUT]
        wait_for(lambda: server.open_now == 0, "the end of the connection")


@ENDLESS
def test_get_ends_at_its_deadline_what_would_never_end(data, then):
    with answering(data, then=then) as server:
        thread, answers = begun(lambda: get(server.url, 0.5))
        thread.join(WITHIN_S)
        assert [answer.outcome for answer in answers] == [Outcome.TIMEOUT]
        wait_for(lambda: nobody_gets(server.url) and server.open_now == 0, "the end of the connection")


def test_get_gives_the_answer_of_a_healthy_device(simulator):
    assert get(simulator.url(DEVICE), WITHIN_S).outcome is None


def test_a_silent_device_ends_an_exchange_without_a_watchdog(simulator):
    assert ask(simulator, "hang", timeout_s=0.3).outcome is Outcome.TIMEOUT


def test_a_tls_handshake_that_hangs_ends_by_abort():
    with answering(b"", then=b"", read_first=False) as server:
        url = server.url.replace("http", "https")
        assert get(url, 0.5).outcome is Outcome.TIMEOUT
        wait_for(lambda: nobody_gets(url) and server.open_now == 0, "the end of the connection")


def test_a_tls_handshake_that_hangs_ends_without_a_watchdog():
    with answering(b"", then=b"", read_first=False) as server:
        assert Exchange(server.url.replace("http", "https"), 0.3).run().outcome is Outcome.TIMEOUT


def test_a_server_that_speaks_no_tls_is_unreachable():
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n", read_first=False) as server:
        assert Exchange(server.url.replace("http", "https"), WITHIN_S).run().outcome is Outcome.UNREACHABLE


def test_an_abort_before_the_connection_prevents_it():
    with answering(http(b"{}")) as server:
        exchange = Exchange(server.url, WITHIN_S)
        exchange.abort()
        assert exchange.run().outcome is Outcome.TIMEOUT
        assert server.requests == []


def test_an_abort_during_the_look_up_of_the_name_ends_the_exchange_with_it(monkeypatch):
    looking, found = threading.Event(), threading.Event()

    def look_up(*_, **__):
        looking.set()
        assert found.wait(WITHIN_S)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with answering(http(b"{}")) as server:
        port = server.port
        monkeypatch.setattr(air_pipeline.devices.client.socket, "getaddrinfo", look_up)
        exchange = Exchange(f"http://slow-name.test:{port}/", NEVER_S)
        thread, answers = begun(exchange.run)
        assert looking.wait(WITHIN_S)
        exchange.abort()
        found.set()
        thread.join(WITHIN_S)
        assert [answer.outcome for answer in answers] == [Outcome.TIMEOUT]
        assert server.requests == []


def test_get_does_not_wait_for_the_look_up_of_a_name(monkeypatch):
    found, looked_up = threading.Event(), threading.Event()

    def look_up(*_, **__):
        found.wait(WITHIN_S)
        looked_up.set()
        return []

    monkeypatch.setattr(air_pipeline.devices.client.socket, "getaddrinfo", look_up)
    url = "http://slow-name.test/"
    assert get(url, 0.2).outcome is Outcome.TIMEOUT
    assert not looked_up.is_set()
    found.set()
    wait_for(lambda: nobody_gets(url), "the end of the look-up")


def test_an_abort_while_connecting_ends_the_exchange():
    # A listener whose queue is full answers no further handshake.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        try:
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                waiting.append(filler)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            assert get(url, 0.5).outcome is Outcome.TIMEOUT
            wait_for(lambda: nobody_gets(url), "the end of the exchange")
        finally:
            for filler in waiting:
                filler.close()


def test_an_abort_after_the_end_changes_nothing(simulator):
    exchange = Exchange(simulator.url(DEVICE), WITHIN_S)
    answer = exchange.run()
    exchange.abort()
    assert answer.outcome is None


IN_PIECES = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "outcome", "words"),
    [
        (b"", Outcome.UNREACHABLE, "without an answer"),
        (b"220 mail.example ESMTP\r\n", Outcome.HTTP_ERROR, "not HTTP"),
        (b"71\r\n{", Outcome.HTTP_ERROR, "not HTTP as it should be: it begins with '71'"),
        (b"\x16\x03\x01\x02\x00\x01\x00", Outcome.HTTP_ERROR, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nno colon in here\r\nContent-Length: 2\r\n\r\n{}", Outcome.HTTP_ERROR, "header"),
        (http(b"{}", *(f"X-{n}: 1" for n in range(200))), Outcome.HTTP_ERROR, "header"),
        (http(b"{}", "X-Long: " + "x" * 70_000), Outcome.HTTP_ERROR, "header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", Outcome.HTTP_ERROR, "Content-Length"),
        (b"HTTP/1.1 abc OK\r\n\r\n", Outcome.HTTP_ERROR, "not HTTP"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Outcome.HTTP_ERROR, "204"),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\n{}", Outcome.HTTP_ERROR, "206"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{", Outcome.UNREACHABLE, "announced length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", Outcome.UNREACHABLE, "announced length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", Outcome.UNREACHABLE, "announced length"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\n\r\n",
            Outcome.HTTP_ERROR,
            "status 302 and leads to http://[:",
        ),
        (IN_PIECES + b"1\r\n \r\n" * 5_000 + b"0\r\n\r\n", Outcome.HTTP_ERROR, "4096 lines or pieces"),
        (IN_PIECES + b"0\r\n" + b"a: b\n" * 5_000 + b"\r\n", Outcome.HTTP_ERROR, "4096 lines or pieces"),
        (http(b"{}", "X-Ends: " + "a:b\r" * 5_000), Outcome.HTTP_ERROR, "4096 lines or pieces"),
        (http(zlib.compress(b"") * 20, "Content-Encoding: deflate"), Outcome.REJECTED, "16 compressed streams"),
        (http(b"{}", f"Content-Encoding: {'gzip,' * 20}"), Outcome.REJECTED, "compressed 20 times"),
        (http(b"no gzip", "Content-Encoding: gzip"), Outcome.REJECTED, "not encoded"),
        (http(b"x" * (MAX_BODY_BYTES + 1)), Outcome.TOO_LARGE, "64 KiB"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000, Outcome.TOO_LARGE, "64 KiB"),
    ],
)
def test_odd_answers_have_an_outcome(data, outcome, words):
    with answering(data) as server:
        answer = Exchange(server.url, WITHIN_S).run()
    assert answer.outcome is outcome
    assert words in answer.reason
    assert answer.body == b""


@pytest.mark.parametrize(
    "data",
    [
        http(b'{"a":1}'),
        b'HTTP/1.0 200 OK\r\n\r\n{"a":1}',
        b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\n\r\n',
        IN_PIECES + b"".join(b"1\r\n%c\r\n" % one for one in b'{"a":1}') + b"0\r\n\r\n",
        http(gzip.compress(b'{"a":1}', mtime=0), "Content-Encoding: gzip"),
        http(zlib.compress(b'{"a"') + zlib.compress(b":1}"), "Content-Encoding: deflate"),
        http(b'{"a":1}', "Content-Type: text/html; charset=iso-8859-1", "Set-Cookie: a=b", "Retry-After: 3600"),
    ],
)
def test_complete_answers_are_read(data):
    with answering(data) as server:
        assert Exchange(server.url, WITHIN_S).run() == Answer(None, 200, b'{"a":1}', "")


def test_the_longest_document_is_read():
    with answering(http(b"x" * MAX_BODY_BYTES)) as server:
        assert len(Exchange(server.url, WITHIN_S).run().body) == MAX_BODY_BYTES


def test_an_endless_document_is_not_read_to_its_end():
    bomb = gzip.compress(gzip.compress(b"0" * 50_000_000))
    with answering(http(bomb, "Content-Encoding: gzip, gzip")) as server:
        assert Exchange(server.url, WITHIN_S).run().outcome is Outcome.TOO_LARGE


def test_a_server_that_would_keep_the_connection_does_not():
    with answering(http(b"{}", "Connection: keep-alive"), then=b"") as server:
        assert Exchange(server.url, WITHIN_S).run().outcome is None
        wait_for(lambda: server.open_now == 0, "the end of the connection")


def test_one_modest_request_is_sent(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with answering(http(b"{}", status="503 Busy")) as server:
        Exchange(server.url, WITHIN_S).run()
        assert len(server.requests) == 1
        lines = server.requests[0].decode().split("\r\n")
        assert lines[0] == "GET /circumstances HTTP/1.1"
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        assert headers.pop("User-Agent").startswith("air-pipeline/")
        assert headers == {
            "Host": f"127.0.0.1:{server.port}",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }


def test_a_name_is_looked_up():
    with answering(http(b"{}")) as server:
        assert Exchange(server.url.replace("127.0.0.1", "localhost"), WITHIN_S).run().outcome is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
@pytest.mark.parametrize("trusted", [True, False])
def test_certificates_are_verified(tmp_path, trusted, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=device -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls.trusted.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve():
        accepted, _ = listener.accept()
        with accepted:
            try:
                with context.wrap_socket(accepted, server_side=True) as secure:
                    secure.recv(4096)
                    secure.sendall(http(b"{}"))
            except OSError:
                pass  # the client did not like the certificate

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        answer = Exchange(f"https://127.0.0.1:{listener.getsockname()[1]}/", WITHIN_S).run()
        thread.join(WITHIN_S)
    tls.trusted.cache_clear()
    if trusted:
        assert answer == Answer(None, 200, b"{}", "")
    else:
        assert answer.outcome is Outcome.UNREACHABLE
        assert "certificate" in answer.reason


def test_the_collectors_side_of_the_room_stays_light():
    code = (
        "import sys, air_pipeline.devices.assemble, air_pipeline.devices.client;"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'dagster', 'requests', 'urllib3', 'yaml'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def to_addresses(monkeypatch, *ports):
    """A name whose addresses are these ports of loopback, in this order."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(air_pipeline.devices.client.socket, "getaddrinfo", lambda *_, **__: found)


@contextmanager
def nobody_accepts():
    """A port whose queue of connections is full: a further attempt hears nothing, as from a machine that is gone."""
    with socket.socket() as listener, ExitStack() as queue:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_name_with_a_dead_first_address_works(monkeypatch):
    with nobody_accepts() as dead, answering(http(b"{}")) as server:
        to_addresses(monkeypatch, dead, server.port)
        answer = Exchange("http://device.test/", 5.0).run()
        assert (answer.outcome, answer.body) == (None, b"{}"), answer.reason
        assert len(server.requests) == 1


def test_an_attempt_is_closed_before_the_next_begins_and_one_request_is_sent(monkeypatch):
    begun_to: dict[int, list[int]] = {}
    with nobody_accepts() as dead, nobody_accepts() as gone, answering(http(b"{}")) as server:

        def ours():
            return [one.raddr.port for one in psutil.Process().net_connections() if one.raddr]

        before = Counter(ours())
        real = socket.socket.connect

        def connect(self, address):
            begun_to[address[1]] = list((Counter(ours()) - before).elements())
            return real(self, address)

        monkeypatch.setattr(socket.socket, "connect", connect)
        to_addresses(monkeypatch, dead, gone, server.port)
        assert Exchange("http://device.test/", 5.0).run().body == b"{}"
        assert begun_to == {dead: [], gone: [], server.port: []}
        assert len(server.requests) == 1


def waits_of(exchange):
    """What is answered, and for how long each step waited at most: what for, and seconds."""
    waits = []

    def noting(steps):
        while True:
            try:
                wait = next(steps)
            except StopIteration as end:
                return end.value
            waits.append((wait.events, wait.until - boottime()))
            yield wait

    return take(noting(exchange.steps())), waits


def test_who_has_connected_may_answer_until_the_deadline(monkeypatch):
    """A share of the time is for connecting only."""
    with nobody_accepts() as dead, answering(b"", then=http(b"{}")) as server:
        to_addresses(monkeypatch, dead, dead, server.port)
        answer, waits = waits_of(Exchange("http://device.test/", NEVER_S))
    assert answer.body == b"{}"
    connecting = [longest for events, longest in waits if events == selectors.EVENT_WRITE]
    reading = [longest for events, longest in waits if events == selectors.EVENT_READ]
    assert max(connecting) <= NEVER_S / 3
    assert all(longest > NEVER_S / 2 for longest in reading)


ANSWERS = [
    http(b'{"a":1}'),
    b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
    b'HTTP/1.1 200 OK\nContent-Length: 7\n\n{"a":1}',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n',
    http(gzip.compress(b'{"a":1}', mtime=0), "Content-Encoding: gzip"),
    http(b"Not Found", status="404 Not Found"),
]


@pytest.mark.parametrize("data", ANSWERS)
def test_an_answer_is_the_same_however_it_is_cut_into_pieces(data):
    """And it is known as soon as all of it is there, though the connection stays open."""
    whole = read_response(data, "http://device/", is_over=True)
    known = [cut for cut in range(len(data) + 1) if read_response(data[:cut], "", is_over=False).answer is not None]
    is_of_head = whole.status != 200
    assert known[0] == (data.index(b"\r\n\r\n") + 4 if is_of_head else len(data))
    for cut in known:
        assert read_response(data[:cut], "http://device/", is_over=False) == whole
    for cut in range(len(data)):
        assert read_response(data[:cut], "", is_over=False).needs <= len(data)


@pytest.mark.parametrize("data", [ANSWERS[0], ANSWERS[3]])
def test_an_answer_that_comes_byte_by_byte_is_read_before_the_connection_ends(data):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answers = []
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread = threading.Thread(target=lambda: answers.append(Exchange(url, WITHIN_S).run()))
        thread.start()
        accepted, _ = listener.accept()
        with accepted:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(len(data)):
                accepted.sendall(data[number : number + 1])
            thread.join(WITHIN_S)
            assert answers == [Answer(None, 200, b'{"a":1}', "")]


def test_what_has_no_end_is_given_up_however_fast_it_comes():
    for data in (
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 60_000,
        b"x" * 300_000,
    ):
        response = read_response(data, "", is_over=False)
        assert response.answer is not None
        assert response.answer.outcome in {Outcome.HTTP_ERROR, Outcome.TOO_LARGE}

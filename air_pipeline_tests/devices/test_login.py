"""Devices that want to know who asks: basic and digest, by real exchanges with servers that look closely."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import parse_http_list, parse_keqv_list

import pytest

from air_pipeline.collection.asking import ask_device
from air_pipeline.devices.client import Exchange
from air_pipeline.devices.login import digest
from air_pipeline.devices.polls import Outcome
from air_pipeline.health.devices import finding_of
from air_pipeline.settings import Access, Device, SettingsError
from air_pipeline.settings.file import parse_settings
from air_pipeline_tests.devices.raw_server import answering, http
from air_pipeline_tests.waiting import WITHIN_S

USER, PASSWORD = "Änne", 'pä$$:w"ord€'
HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


class _Asking(BaseHTTPRequestHandler):
    """A device that wants one way of login, with a nonce that is good for two answers."""

    def do_GET(self) -> None:
        server = self.server
        said = self.headers.get("Authorization", "")
        server.said.append(said)
        if self._is_right(said):
            self._answer(200, b"{}")
        else:
            self._answer(401, b"who?", ("WWW-Authenticate", server.challenge.format(nonce=f"n{server.nonce}")))

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _is_right(self, said: str) -> bool:
        server = self.server
        scheme, _, rest = said.partition(" ")
        if scheme == "Basic":
            import base64

            return server.challenge.startswith("Basic") and base64.b64decode(rest).decode() == f"{USER}:{PASSWORD}"
        if scheme != "Digest":
            return False
        fields = parse_keqv_list(parse_http_list(rest))
        count = int(fields.get("nc", "1"), 16)
        if fields["nonce"] != f"n{server.nonce}" or fields["uri"] != self.path:
            return False
        if "nc" in fields and count != server.count + 1:
            return False
        algorithm = fields.get("algorithm", "MD5")

        def hashed(*parts: str) -> str:
            return HASHES[algorithm.removesuffix("-sess")](":".join(parts).encode()).hexdigest()

        secret = hashed(USER, 'a, "r"'.replace('"', ""), PASSWORD)
        if algorithm.endswith("-sess"):
            secret = hashed(secret, fields["nonce"], fields["cnonce"])
        middle = [fields["nc"], fields["cnonce"], "auth"] if "qop" in fields else []
        if fields["response"] != hashed(secret, fields["nonce"], *middle, hashed("GET", self.path)):
            return False
        server.count += 1
        if server.count == 2:
            server.nonce, server.count = server.nonce + 1, 0
        return True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def asking(challenge: str) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Asking)
    server.challenge, server.said, server.nonce, server.count = challenge, [], 1, 0
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


WAYS = {
    "basic": 'Basic realm="a, r"',
    "digest as of old": 'Digest realm="a, r", nonce="{nonce}"',
    "digest": 'Digest realm="a, r", nonce="{nonce}", qop="auth", opaque="o"',
    "digest of more": 'Digest realm="a, r", nonce="{nonce}", qop="auth-int, auth", algorithm=MD5-sess',
    "digest of now": 'Digest realm="a, r", qop="auth", algorithm=SHA-256, nonce="{nonce}"',
    "several": 'Negotiate, Digest realm="a, r", qop="auth", algorithm=SHA-256, nonce="{nonce}", Basic realm="x"',
}


@pytest.mark.parametrize("way", WAYS)
def test_a_challenge_is_answered_in_the_same_poll_and_kept_for_the_next(way):
    access = Access(USER, PASSWORD)
    with asking(WAYS[way]) as server:
        url = f"http://127.0.0.1:{server.server_port}/cm?cmnd=Status%208"
        for _ in range(5):
            answer = Exchange(url, WITHIN_S, access).run()
            assert (answer.outcome, answer.body) == (None, b"{}"), answer.reason
    asked_anew = [n for n, said in enumerate(server.said) if not said]
    assert asked_anew == [0]  # a nonce that is over is answered with the header of before
    assert len(server.said) == (6 if way == "basic" else 8)


@pytest.mark.parametrize("way", ["basic", "digest"])
def test_a_login_that_is_refused_is_answered_once_and_told(way):
    with asking(WAYS[way]) as server:
        device = Device("hall", f"http://127.0.0.1:{server.server_port}/", "UTC", access=Access(USER, "wrong"))
        asked = ask_device(device)
    assert len(server.said) == 2
    assert (asked.poll.outcome, asked.poll.http_status) == (Outcome.HTTP_ERROR, 401)
    assert "does not take this user and password" in asked.reason
    assert "correct user and password of its auth" in finding_of(asked, datetime.now(UTC)).remedy


@pytest.mark.parametrize(
    "challenge", ["", "Negotiate", 'Digest nonce="n", algorithm=MD7', 'Digest nonce="n", qop="auth-int"']
)
def test_a_login_of_another_kind_is_not_tried(challenge):
    with answering(http(b"", f"WWW-Authenticate: {challenge}", status="401 Who")) as server:
        answer = Exchange(server.url, WITHIN_S, Access(USER, PASSWORD)).run()
    assert len(server.requests) == 1
    assert "another kind than basic or digest" in answer.reason


def test_a_device_that_asks_for_a_login_that_nobody_set_says_what_to_write():
    with answering(http(b"", 'WWW-Authenticate: Basic realm="r"', status="401 Who")) as server:
        asked = ask_device(Device("hall", server.url, "UTC"))
    assert len(server.requests) == 1
    assert "auth: {user: …, password: $NAME}" in finding_of(asked, datetime.now(UTC)).remedy


def test_the_example_of_the_standard_has_its_response():
    """RFC 2617, 3.5."""
    fields = {"realm": "testrealm@host.com", "qop": "auth,auth-int", "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093"}
    header = digest(fields, "Mufasa", "Circle Of Life", "/dir/index.html", 1, "0a4f113b")
    assert 'response="6629fae49393a05397450978507c4ef1"' in header


def test_names_in_any_letters_are_sent_and_proved_as_the_device_reads_them():
    """RFC 7616, 3.4: a quoted text has its `"` and `\\` escaped, and what is hashed is the text itself, as UTF-8."""
    user, password, realm = 'Łuk"as\\z', "zażółć", 'stacja "Łódź"'
    challenge = r'WWW-Authenticate: Digest realm="stacja \"Łódź\"", nonce="n"'
    with answering(http(b"", challenge, status="401 Who")) as server:
        Exchange(server.url, WITHIN_S, Access(user, password)).run()
    said = server.requests[1].decode().partition("Authorization: Digest ")[2].partition("\r\n")[0]
    fields = parse_keqv_list(parse_http_list(said))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    assert (fields["username"], fields["realm"]) == (user, realm)
    assert fields["response"] == md5(f"{md5(f'{user}:{realm}:{password}')}:n:{md5('GET:/circumstances')}")


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        ("anna:p%40ss%3Aw", "anna:p@ss:w"),
        ("anna:", "anna:"),
        ("anna", "anna:"),
        ("%C3%84nne:€", "Änne:€"),
        ("a:b:c", "a:b:c"),
    ],
)
def test_a_login_in_the_address_is_sent_as_it_is_meant_to_a_device_that_asks_for_it(login, sent):
    with asking("Basic") as server:
        ask_device(Device("hall", f"http://{login}@127.0.0.1:{server.server_port}/", "UTC"))

    assert server.said[0] == ""
    assert base64.b64decode(server.said[1].removeprefix("Basic ")).decode() == sent


FILE = """
timezone: UTC
start: 2026-11-01
devices:
  - id: hall
    url: http://192.168.1.32/
    {}
"""


def test_passwords_and_headers_come_from_the_environment_or_files(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("of the file\n", encoding="utf-8")
    headers = f"{{X-Key: file:{secret}, Accept: text/plain, X-B: $PW}}"
    text = FILE.format(f"auth: {{user: admin, password: $PW}}\n    headers: {headers}")
    [device] = parse_settings(text, variables={"PW": "of-the-environment"}).devices
    assert (device.access.user, device.access.password) == ("admin", "of-the-environment")
    assert dict(device.access.headers) == {"X-Key": "of the file", "Accept": "text/plain", "X-B": "of-the-environment"}
    assert "of the file" not in repr(device)
    assert "of-the-environment" not in repr(device)
    with answering(http(b"{}")) as server:
        Exchange(server.url, WITHIN_S, Access(headers=device.access.headers)).run()
    assert b"\r\nX-Key: of the file\r\n" in server.requests[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("auth: {user: admin, password: hunter2}", "auth.password: does not stand in this file; name a variable"),
        ("auth: {user: admin, password: $NO}", "auth.password: $NO of the environment is not set; set it"),
        ("auth: {user: admin, password: file:/no/such}", "auth.password: file:/no/such cannot be read (No such file"),
        ("auth: {user: admin, password: $LINES}", "auth.password: $LINES says nothing on one line"),
        ("auth: {user: admin}", "auth: password is missing"),
        ("auth: {user: admin, pasword: $PW}", "did you mean password?"),
        ("auth: admin", "auth: is not a mapping; write auth: {user: admin, password: $STATION_PASSWORD}"),
        ("headers: {Host: x}", "headers.Host"),
        ('headers: {"X Y": x}', "is no name of a header"),
        ("headers: {X-Key: $UMLAUT}", "headers.X-Key: $UMLAUT says nothing on one line that can be sent"),
        ("headers: {X-Key: 'ä'}", "is not a text in ASCII"),
    ],
)
def test_a_mistake_in_a_login_is_a_sentence_without_the_secret(line, words):
    with pytest.raises(SettingsError) as caught:
        parse_settings(FILE.format(line), variables={"PW": "x", "LINES": "hunter2\nmore", "UMLAUT": "hünter2"})
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "hünter2" not in str(caught.value)


class _Tasmota(BaseHTTPRequestHandler):
    """Wants user and password in the address, as Tasmota does, and takes no other word for it."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        said = parse_qs(parts.query)
        self.server.said.append(self.path)
        right = (said.get("user"), said.get("password")) == ([USER], [PASSWORD]) and said.get("cmnd") == ["Status 10"]
        status, body = (200, SENSORS) if right else (self.server.refusal, WARNING)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


SENSORS = (
    b'{"StatusSNS":{"Time":"2026-11-21T10:31:07","DS18B20":{"Id":"00000566CC39","Temperature":13.3},"TempUnit":"C"}}'
)
WRONG = "wröng&pass word"
WARNING = b'{"WARNING":"Need user=<username>&password=<password>"}'


@pytest.mark.parametrize(
    ("password", "refusal", "outcome", "reason"),
    [
        (PASSWORD, 401, Outcome.OK, ""),
        (WRONG, 401, Outcome.HTTP_ERROR, "it does not take this user and password"),
        (WRONG, 200, Outcome.REJECTED, "it wants another login: it says"),  # of older versions
    ],
)
def test_a_tasmota_is_told_in_the_address_who_asks_and_nobody_else_is(password, refusal, outcome, reason):
    text = """
timezone: Europe/Warsaw
start: 2026-11-01
devices:
- id: plug
  url: http://127.0.0.1:{port}
  kind: tasmota
  auth: {{user: {user}, password: $PLUG}}
  sensors: {{ds18b20: [temperature]}}
"""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Tasmota)
    server.said, server.refusal = [], refusal
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        settings = parse_settings(text.format(port=server.server_port, user=USER), variables={"PLUG": password})
        asked = ask_device(settings.device("plug"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (asked.poll.outcome, len(server.said)) == (outcome, 1)
    assert reason in asked.reason
    assert asked.poll.values == ({"ds18b20_temperature": 13.3} if outcome is Outcome.OK else {})
    shown = f"{asked} {settings} {finding_of(asked, datetime.now(UTC))}"
    assert password not in shown
    assert quote(password) not in shown

"""Devices with a login, each in the way of its firmware, behind real ports: what they say to whom they know is the
simulator's."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import parse_http_list, parse_keqv_list

from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.simulator.faults import document_at
from air_pipeline.devices.simulator.weather import Profile

USER, PASSWORD = "admin", "pä$$:w"
_NOW_MS = 1_780_000_000_000
_GEN_1 = (
    b'{"mac":"E8DB84ABE866","tmp":{"value":22.5,"units":"C","tC":22.5,"tF":72.5,"is_valid":true},'
    b'"hum":{"value":50.5,"is_valid":true}}'
)


@dataclass(frozen=True)
class Firmware:
    """How a firmware asks who is there.

    Attributes:
        kind: which kind it is.
        challenge: what its 401 says; empty where it says nothing.
        server: what it calls itself.
        guards_all: whether it does so at pages too that it does not have.
        status: of an answer to whom it does not know.
        path: where it answers, where that is not what is usual.
    """

    kind: str
    challenge: str = ""
    server: str = ""
    guards_all: bool = False
    status: int = 401
    path: str = ""


FIRMWARES = {
    "tasmota": Firmware("tasmota", server="Tasmota/14.2.0 (ESP8266EX)"),
    "tasmota before 8.2.3": Firmware("tasmota", server="Tasmota/8.1.0 (ESP8266EX)", status=200),
    "shelly": Firmware(
        "shelly",
        'Digest qop="auth", realm="shellyplusht-aabbccddeeff", nonce="60dc59c6", algorithm=SHA-256',
        "ShellyHTTP/1.0.0",
        guards_all=True,
    ),
    "shelly, first generation": Firmware(
        "shelly", 'Basic realm="shellyht-E8DB84"', "Mongoose/6.18", guards_all=True, path="/status"
    ),
    "esphome": Firmware("esphome", 'Digest realm="Login Required",qop="auth",nonce="n",opaque="o"'),
    "esphome of ESP-IDF": Firmware("esphome", 'Basic realm="Login Required"'),
    "airrohr behind a proxy": Firmware("airrohr", 'Basic realm="home"', guards_all=True),
    "airgradient behind a proxy": Firmware("airgradient", 'Basic realm="home"', guards_all=True),
    "purpleair behind a proxy": Firmware("purpleair", 'Basic realm="home"', guards_all=True),
    "nodemcu": Firmware("nodemcu", 'Digest realm="station", nonce="n"'),
}


@dataclass
class Guarded:
    """A device, and what it was asked: the path, and what was said of who asks."""

    port: int
    asked: list[tuple[str, str]]

    def address(self, user: str = "", password: str = "") -> str:
        return f"http://{user}:{password}@127.0.0.1:{self.port}" if user else f"http://127.0.0.1:{self.port}"


@contextmanager
def guarded(firmware: Firmware) -> Iterator[Guarded]:
    path = firmware.path or KINDS[firmware.kind].path
    document = _GEN_1 if firmware.path else document_at(Profile("garage", kind=firmware.kind), _NOW_MS)
    device = Guarded(0, [])

    class Device(BaseHTTPRequestHandler):
        def version_string(self) -> str:
            return firmware.server

        def do_GET(self) -> None:
            said = self.headers.get("Authorization", "")
            device.asked.append((self.path, said))
            is_its = urlsplit(self.path).path == urlsplit(path).path
            if (is_its or firmware.guards_all) and not _is_known(firmware.challenge, self.path, said):
                self._answer(firmware.status, b'{"WARNING":"Need user=<username>&password=<password>"}')
            else:
                self._answer(200 if is_its else 404, document if is_its else b"not found")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if status == 401 and firmware.challenge:
                self.send_header("WWW-Authenticate", firmware.challenge)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Device) as server:
        device.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield device
        finally:
            server.shutdown()
            thread.join()


def _is_known(challenge: str, path: str, said: str) -> bool:
    scheme, _, rest = said.partition(" ")
    if not challenge:
        query = parse_qs(urlsplit(path).query)
        return (query.get("user"), query.get("password")) == ([USER], [PASSWORD])
    if challenge.startswith("Basic"):
        return scheme == "Basic" and base64.b64decode(rest).decode() == f"{USER}:{PASSWORD}"
    wanted = parse_keqv_list(parse_http_list(challenge.partition(" ")[2]))
    given = parse_keqv_list(parse_http_list(rest)) if scheme == "Digest" else {}
    make: Callable[[bytes], hashlib._Hash] = hashlib.sha256 if "SHA-256" in challenge else hashlib.md5

    def hashed(*parts: str) -> str:
        return make(":".join(parts).encode()).hexdigest()

    secret, what = hashed(USER, wanted["realm"], PASSWORD), hashed("GET", path)
    middle = [given.get("nc", ""), given.get("cnonce", ""), "auth"] if "qop" in wanted else []
    right = hashed(secret, wanted["nonce"], *middle, what)
    return (given.get("uri"), given.get("response")) == (path, right)

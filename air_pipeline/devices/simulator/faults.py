"""What goes wrong with devices, each under a name: in the sensors, in the document, in the server, on the wire.

Belongs here: what a fault does to an answer. Does not: when it happens (`script`), how bytes leave (`server`).
"""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from air_pipeline.catalogue import PROBES
from air_pipeline.devices.simulator.firmware import Payload, boot_payload, payload_at, render
from air_pipeline.devices.simulator.speaking import AFTER_START, SAY_WHO, SPEAKERS, STREAMS, TWO_LASERS, Air, air_at
from air_pipeline.devices.simulator.weather import Profile

Options = Mapping[str, Any]
_NONE: Options = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one device.

    Attributes:
        name: one of `FAULTS`.
        options: overrides of that fault's options.
        since_s: when it began, in seconds since 1970 UTC: a frozen sensor shows that instant's values.
    """

    name: str
    options: Options = field(default_factory=lambda: _NONE)
    since_s: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in FAULTS:
            raise ValueError(f"no fault is called {self.name!r}; there are: {', '.join(FAULTS)}")
        unknown = self.options.keys() - FAULTS[self.name].keys()
        if unknown:
            known = ", ".join(FAULTS[self.name]) or "none"
            raise ValueError(f"the fault {self.name!r} has no option {', '.join(sorted(unknown))!r}; it has: {known}")

    def option(self, name: str) -> Any:  # noqa: ANN401 - numbers and texts
        """The option as given, or what it is when nothing is said."""
        return self.options.get(name, FAULTS[self.name][name])


@dataclass(frozen=True, slots=True)
class Reply:
    """What leaves the device, and how.

    Attributes:
        data: the bytes.
        delay_s: how long it waits before the first.
        drip_from: from this byte on they come one by one; None: at once.
        drip_s: time between two of these, in seconds.
        reset: the connection is reset after them instead of closed.
        hang: the connection is left open after them.
    """

    data: bytes
    delay_s: float = 0.0
    drip_from: int | None = None
    drip_s: float = 0.0
    reset: bool = False
    hang: bool = False


def document_at(profile: Profile, time_ms: int, fault: Fault | None = None) -> bytes:
    """The body of the device's answer at an instant, in ms since 1970 UTC; empty where a fault leaves none.

    A fault of the wire leaves the document as it is.
    """
    return _message(profile, time_ms / 1000, fault).body


def reply_at(profile: Profile, time_s: float, fault: Fault | None = None, *, is_stream: bool = False) -> Reply:
    """What the device does when it is asked at an instant, in seconds since 1970 UTC; `is_stream`: without an end."""
    message = _of_kind(profile, time_s, fault, STREAMS) if is_stream else _message(profile, time_s, fault)
    is_stream = is_stream and message.status == _OK
    head = message.head(is_stream=is_stream)
    whole = Reply(head + message.body, hang=is_stream)
    change = _WIRE.get(fault.name) if fault else None
    return change(fault, whole, len(head)) if fault and change else whole


_OK = "200 OK"


@dataclass(frozen=True, slots=True)
class _Message:
    body: bytes
    status: str = _OK
    content_type: str = "application/json"
    headers: tuple[str, ...] = ()

    def head(self, *, is_stream: bool = False) -> bytes:
        about = ("Content-Type: text/event-stream", "Cache-Control: no-cache")
        lines = (
            f"HTTP/1.1 {self.status}",
            *(about if is_stream else (f"Content-Type: {self.content_type}", f"Content-Length: {len(self.body)}")),
            *self.headers,
            "Connection: close",
        )
        return "\r\n".join((*lines, "", "")).encode()


def _message(profile: Profile, time_s: float, fault: Fault | None) -> _Message:
    if profile.kind in SPEAKERS:
        return _of_kind(profile, time_s, fault)
    if fault is None:
        return _Message(render(payload_at(profile, time_s)))
    if fault.name in _SENSORS:
        return _Message(render(_SENSORS[fault.name](fault, profile, payload_at(profile, time_s))))
    if fault.name == "renamed_top_level":
        return _Message(render(payload_at(profile, time_s), str(fault.option("name"))))
    whole = render(payload_at(profile, time_s))
    return _DOCUMENTS[fault.name](fault, whole) if fault.name in _DOCUMENTS else _Message(whole)


def _of_kind(
    profile: Profile, time_s: float, fault: Fault | None, speakers: Mapping[str, Callable[[Air], bytes]] = SPEAKERS
) -> _Message:
    """What a device of another kind than the station says; faults that only the station has leave it well."""
    name = fault.name if fault else ""
    air, say = air_at(profile, time_s), speakers[profile.kind]
    if fault and name == "stuck":
        air = air_at(profile, fault.since_s)
    elif name == "other_device":
        air = replace(air, who="0123456789ab")
    elif fault and name == "lasers_apart":
        air = replace(air, second_laser=float(fault.option("times")))
    elif name == "missing_sensor":
        air = replace(air, pm25=None, pm10=None)
    elif name == "boot":
        say = AFTER_START.get(profile.kind, say)
    body = say(air)
    return _DOCUMENTS[name](fault, body) if fault and name in _DOCUMENTS else _Message(body)


def _frozen(fault: Fault, profile: Profile, payload: Payload) -> Payload:
    return {**payload, "dht22": payload_at(profile, fault.since_s)["dht22"]}


def _dropped_probes(fault: Fault, _: Profile, payload: Payload) -> Payload:
    dropped = int(fault.option("dropped"))
    true = float(payload["ds18b20"]["temperature"])
    mean = (true * (PROBES - dropped) + fault.option("instead") * dropped) / PROBES
    return {**payload, "ds18b20": {"temperature": f"{mean:.2f}"}}


def _garbage(_: Fault, __: Profile, payload: Payload) -> Payload:
    # −306.27 hPa and −13.2 °C were seen in the field; the other two follow from the pressure.
    garbage = {"temperature": "-13.20", "pressure": "-306.27", "seaLevelPressure": "-311.77", "altitude": "149.99"}
    return {**payload, "bmp180": garbage}


def _without(fault: Fault, _: Profile, payload: Payload) -> Payload:
    return {sensor: keys for sensor, keys in payload.items() if sensor != fault.option("sensor")}


def _printed(text: str) -> Callable[[Fault, Profile, Payload], Payload]:
    def change(fault: Fault, _: Profile, payload: Payload) -> Payload:
        sensor = fault.option("sensor")
        return {**payload, sensor: dict.fromkeys(payload[sensor], text)}

    return change


def _off(_: Fault, __: Profile, payload: Payload) -> Payload:
    return {**payload, "mq135": {key: "400.00" if key == "co2" else "0.00" for key in payload["mq135"]}}


def _more(_: Fault, __: Profile, payload: Payload) -> Payload:
    return {**payload, "sds011": {"PM2.5": "7.30", "PM10": "12.10"}}


_SENSORS: dict[str, Callable[[Fault, Profile, Payload], Payload]] = {
    "boot": lambda _, __, ___: boot_payload(),
    "dht22_frozen": _frozen,
    "ds18b20_probes": _dropped_probes,
    "bmp180_garbage": _garbage,
    "mq135_off": _off,
    "nan": _printed("nan"),
    "inf": _printed("inf"),
    "missing_sensor": _without,
    "unknown_sensor": _more,
}

_PAGE = b"<!DOCTYPE html><html><head><title>Login</title></head><body><form>Password: <input></form></body></html>"


def _bomb(fault: Fault, _: bytes) -> _Message:
    body = gzip.compress(b" " * int(fault.option("bytes")), mtime=0)
    return _Message(body, headers=("Content-Encoding: gzip",))


_DOCUMENTS: dict[str, Callable[[Fault, bytes], _Message]] = {
    "http_500": lambda _, __: _Message(b"out of memory", "500 Internal Server Error", "text/plain"),
    "redirect": lambda _, __: _Message(b"", "302 Found", headers=("Location: /elsewhere",)),
    "login_page": lambda _, __: _Message(_PAGE, content_type="text/html"),
    "empty": lambda _, __: _Message(b""),
    "truncated_json": lambda _, whole: _Message(whole[:-40]),
    "two_documents": lambda _, whole: _Message(whole * 2),
    "huge": lambda fault, whole: _Message(whole.ljust(int(fault.option("bytes")))),
    "gzip_bomb": _bomb,
    "invalid_utf8": lambda _, whole: _Message(whole.replace(b"dht22", b"dht\xff\xfe")),
    "bom": lambda _, whole: _Message(b"\xef\xbb\xbf" + whole),
    "text_plain": lambda _, whole: _Message(whole, content_type="text/plain"),
}
"""What is left of a whole document."""

_WIRE: dict[str, Callable[[Fault, Reply, int], Reply]] = {
    "refuse": lambda _, __, ___: Reply(b"", reset=True),
    "hang": lambda _, __, ___: Reply(b"", hang=True),
    "slow": lambda fault, whole, _: Reply(whole.data, delay_s=float(fault.option("seconds"))),
    "drip_headers": lambda fault, whole, _: Reply(whole.data, drip_from=0, drip_s=float(fault.option("seconds"))),
    "drip_body": lambda fault, whole, head: Reply(whole.data, drip_from=head, drip_s=float(fault.option("seconds"))),
    "reset": lambda _, whole, head: Reply(whole.data[: head + 40], reset=True),
    "truncate": lambda _, whole, __: Reply(whole.data[:-40]),
}

FAULTS: Mapping[str, Options] = MappingProxyType(
    {
        **dict.fromkeys((*_WIRE, *_DOCUMENTS, *_SENSORS, "stuck", "other_device"), _NONE),
        "slow": {"seconds": 3.0},
        "drip_headers": {"seconds": 0.2},
        "drip_body": {"seconds": 0.2},
        "huge": {"bytes": 200_000},
        "gzip_bomb": {"bytes": 10_000_000},
        "renamed_top_level": {"name": "esp32"},
        "ds18b20_probes": {"dropped": 1, "instead": -127.0},
        "nan": {"sensor": "dht22"},
        "inf": {"sensor": "mq135"},
        "missing_sensor": {"sensor": "dht22"},
        "lasers_apart": {"times": 3.0},
    }
)
"""Every fault's name, with its options and what they are when nothing is said."""


def is_of(fault: str, kind: str) -> bool:
    """Whether a device of a kind can have a fault."""
    if kind not in SPEAKERS:
        return fault not in {"stuck", "other_device", "lasers_apart"}
    own = {"stuck": True, "missing_sensor": True}
    own |= {
        "lasers_apart": kind in TWO_LASERS,
        "other_device": kind in SAY_WHO,
        "boot": kind in AFTER_START,
        "invalid_utf8": False,
    }
    return own.get(fault, fault in _WIRE or fault in _DOCUMENTS)

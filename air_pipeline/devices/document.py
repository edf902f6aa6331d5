"""A device's document, made a reading: bytes in, values and problems out, whatever the bytes are.

Belongs here: what is accepted, what is missing, what is unusable, in which words. Pure and total: no input makes it
raise. Does not: how the document came (`client`), whether a number is believable (`processing`).

What the tables leave open is decided here:

- numbers are `[+-]digits[.digits][e[+-]digits]` in ASCII, ASCII white space around them, shorter than 40 characters;
- `nan` and `no data` count as nothing in upper and lower case, `nan` with any sign; the literals NaN and Infinity of a
  sloppy JSON writer count as the texts would;
- with several top-level objects, those that hold a sensor of the device compete; none of them: the first.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice

from air_pipeline.catalogue import KNOWN, Parameter
from air_pipeline.devices.polls import Flag, Outcome, Problem
from air_pipeline.errors import AirPipelineError
from air_pipeline.settings import Device
from air_pipeline.showing import plain
from air_pipeline.words import some

FIRMWARE_KEY = "nodemcu"
"""The top-level name that the firmware gives itself."""

MAX_DEPTH = 8
"""How deep objects and lists may be nested, the root included: a station's document has three levels."""

MAX_NUMBER_LENGTH = 39
"""Longest text that can be a number: a double needs at most 24 characters."""

MAX_SHOWN = 100
"""How much of an unusable value is kept."""

MAX_NOTES = 20
MAX_NOTES_BYTES = 2048
"""Of the notes of one document together: a device may not fill a disk with what nobody asked for."""

_MOST_NAMED = 5
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WHITE = " \t\r\n\v\f"
_NOTHING = frozenset({"", "nan", "+nan", "-nan", "no data"})


@dataclass(frozen=True, slots=True)
class Document:
    """What a device said.

    Attributes:
        values: series to number: all that can be used.
        problems: the series of the device that have no value here, each with what was sent.
        rejection: why nothing of it can be used, in words; empty where something can.
        notes: what the document holds and nobody asked for, with the line of `devices.yaml` that would change that.
    """

    values: dict[str, float]
    problems: tuple[Problem, ...] = ()
    rejection: str = ""
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """`ok`, `partial` or `rejected`."""
        if self.rejection:
            return Outcome.REJECTED
        return Outcome.PARTIAL if self.problems else Outcome.OK


def read_document(body: bytes, device: Device) -> Document:
    """Reads one document.

    Args:
        body: as it came, decompressed.
        device: says which sensors are meant and, by `payload_key`, which top-level object.
    """
    try:
        payload, notes = _payload(parse_document(body), device)
    except DocumentUnusable as error:
        return Document({}, rejection=str(error))
    values: dict[str, float] = {}
    problems: list[Problem] = []
    for parameter in device.parameters:
        value = _value(payload, parameter)
        if isinstance(value, Problem):
            problems.append(value)
        else:
            values[parameter.series] = value
    rejection = "" if values else "not one value of the device's sensors can be used"
    return Document(values, tuple(problems), rejection, bounded_notes(chain(notes, _unknown(payload, device))))


def bounded_notes(notes: Iterable[str]) -> tuple[str, ...]:
    """The first notes, at most 20 and with their line ends at most 2 KiB of UTF-8; the last one may be cut."""
    kept: list[str] = []
    left = MAX_NOTES_BYTES
    for note in islice(notes, MAX_NOTES):
        encoded = note.encode("utf-8", "replace")
        if len(encoded) >= left:
            cut = encoded[: max(left - len(" …\n".encode()), 0)].decode("utf-8", "ignore")
            return (*kept, f"{cut} …") if cut else tuple(kept)
        kept.append(note)
        left -= len(encoded) + 1
    return tuple(kept)


class DocumentUnusable(AirPipelineError, ValueError):
    """The document as a whole cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it was written: one grammar judges texts and numbers, and an unusable one is shown as it came."""

    text: str


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise DocumentUnusable(f"the key '{_shown(name)}' stands twice in one object")
        found[name] = value
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_Number, parse_int=_Number, parse_constant=_Number)
_TOO_DEEP = f"objects or lists are nested deeper than {MAX_DEPTH}"


def parse_document(body: bytes) -> dict[str, object]:
    """The root of a document, its numbers as they were written.

    Raises:
        DocumentUnusable: it is none, or one that no device sends.
    """
    try:
        text = body.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DocumentUnusable(f"byte {error.start} is not UTF-8") from None
    if not text.strip(_WHITE):
        raise DocumentUnusable("the answer is empty")
    if text.lstrip(_WHITE).startswith("<"):
        raise DocumentUnusable("the answer is a web page: is another machine at this address?")
    try:
        root: object = _DECODER.decode(text)
    except RecursionError:
        raise DocumentUnusable(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise DocumentUnusable(f"something follows the document at character {error.pos}") from None
        raise DocumentUnusable(f"no complete JSON: {error.msg} at character {error.pos}") from None
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(root) > MAX_DEPTH:
        raise DocumentUnusable(_TOO_DEEP)
    if not isinstance(root, dict):
        raise DocumentUnusable("the document is no JSON object")
    return root


def _depth(root: object) -> int:
    depth, level = 0, [root]
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
    return depth


def _payload(root: dict[str, object], device: Device) -> tuple[dict[str, object], Iterator[str]]:
    """The object that holds the sensors, with what is to be said of its name."""
    objects = {name: part for name, part in root.items() if isinstance(part, dict)}
    if not objects:
        raise DocumentUnusable("the document holds no object with sensors")
    sensors = {parameter.sensor for parameter in device.parameters}
    holding = [name for name, part in objects.items() if not sensors.isdisjoint(part)]
    if device.payload_key in objects:
        name = device.payload_key or ""
    elif len(holding) > 1:
        names = some([_shown(name) for name in holding[:MAX_NOTES]], _MOST_NAMED, of=len(holding))
        raise DocumentUnusable(
            f"several objects hold sensors ({names}): say which is meant with payload_key: {_shown(holding[0])}"
        )
    elif not holding and not sensors.isdisjoint(root):
        raise DocumentUnusable("the sensors stand at the top level: an object with a name of its own is to hold them")
    else:
        name = holding[0] if holding else next(iter(objects))
    return objects[name], _notes_of_name(name, objects, device)


def _notes_of_name(name: str, objects: Mapping[str, object], device: Device) -> Iterator[str]:
    meant = device.payload_key or FIRMWARE_KEY
    if name != meant:
        yield (
            f"calls itself '{_shown(name)}', not '{_shown(meant)}'; if that is right, write payload_key:"
            f" {flow_text(name)}"
        )
    for other in objects:
        if other != name:
            yield f"sends an object '{_shown(other)}' beside '{_shown(name)}', which is not read"


def _value(payload: Mapping[str, object], parameter: Parameter) -> float | Problem:
    sensor = payload.get(parameter.sensor, _ABSENT)
    if sensor is _ABSENT:
        return Problem(parameter.series, None, Flag.MISSING, f"no {parameter.sensor} in the document")
    if not isinstance(sensor, dict):
        return Problem(parameter.series, _shown(sensor), Flag.MISSING, f"{parameter.sensor} is not an object")
    sent = sensor.get(parameter.key, _ABSENT)
    if sent is _ABSENT:
        return Problem(parameter.series, None, Flag.MISSING, f"no {parameter.key} in {parameter.sensor}")
    number = _number(sent)
    return number if isinstance(number, float) else Problem(parameter.series, _shown(sent), *number)


_ABSENT = object()


def _number(sent: object) -> float | tuple[Flag, str]:
    """The number that was sent, or how its absence is flagged and why."""
    if sent is None:
        return Flag.MISSING, "no value"
    if isinstance(sent, _Number):
        text = sent.text
    elif isinstance(sent, str):
        text = sent.strip(_WHITE)
    else:
        return Flag.BAD, "not a number"
    if text.lower() in _NOTHING:
        return Flag.MISSING, "no value"
    if len(text) > MAX_NUMBER_LENGTH:
        return Flag.BAD, "too long for a number"
    if not _NUMBER.fullmatch(text):
        infinite = text.lower().lstrip("+-") in {"inf", "infinity"}
        return Flag.BAD, "not finite" if infinite else "not a number"
    number = float(text)
    return number + 0.0 if math.isfinite(number) else (Flag.BAD, "not finite")  # −0.0 + 0.0 is 0.0


def _unknown(payload: Mapping[str, object], device: Device) -> Iterator[str]:
    wanted: dict[str, set[str]] = {}
    for parameter in device.parameters:
        wanted.setdefault(parameter.sensor, set()).add(parameter.key)
    for sensor, sent in payload.items():
        if isinstance(sent, dict):
            unknown = [key for key in sent if key not in wanted.get(sensor, ())]
            if unknown:
                yield _unknown_note(sensor, unknown)
        elif sensor not in wanted:
            yield f"sends '{_shown(sensor)}' outside of any sensor, which is not stored"


def _unknown_note(sensor: str, keys: list[str]) -> str:
    sent = some([f"{_shown(sensor)}.{_shown(key)}" for key in keys[:MAX_NOTES]], MAX_NOTES, of=len(keys))
    keys = keys[:MAX_NOTES]
    known = {parameter.key: parameter.name for parameter in KNOWN.get(sensor, {}).values()}
    if known.keys() >= set(keys):
        line = f"{sensor}: [{', '.join(known[key] for key in keys)}]"
    else:
        entries = (f"{known.get(key) or parameter_name(key)}: {{key: {flow_text(key)}, unit: …}}" for key in keys)
        line = f"{_sensor_id(sensor)}: {{{', '.join(entries)}}}"
    be, them = ("is", "it") if len(keys) == 1 else ("are", "them")
    return f"sends {sent}, which {be} not stored; to store {them} add under sensors: {line}"


def parameter_name(key: str) -> str:
    """A parameter's name for a device's spelling: `PM2.5` → `pm25`, `dewPoint` → `dew_point`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    name = re.sub(r"[^a-z0-9_]", "", re.sub(r"[\s-]", "_", snake)).lstrip("_") or "name"
    return (name if name[0].isalpha() else f"p{name}")[:40]


def _sensor_id(sensor: str) -> str:
    return sensor if re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*", sensor) else flow_text(sensor)


def flow_text(text: str) -> str:
    """A text as it is written in YAML's flow style: quoted where it has to be."""
    is_plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", text) and text.lower() not in {
        "null",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
    }
    text = text[:MAX_SHOWN]
    return text if is_plain else json.dumps(text, ensure_ascii=not text.isprintable())


def _shown(value: object) -> str:
    r"""A value as it came in, shortened, on one line: what is no character for people to see as `\x1b`."""
    text = value if isinstance(value, str) else _rendered(value)
    return plain(text[:MAX_SHOWN])[:MAX_SHOWN]


def _rendered(value: object) -> str:
    match value:
        case _Number():
            return value.text
        case dict():
            return "{" + ",".join(f"{_rendered(name)}:{_rendered(part)}" for name, part in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_rendered, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)

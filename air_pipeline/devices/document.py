"""A device's document, made a reading: bytes in, values and problems out, whatever the bytes are.

Belongs here: what is accepted, what is missing, what is unusable, in which words. Pure and total: no input makes it
raise. Does not: how the document came (`client`), whether a number is believable (`processing`).

What the tables leave open is decided here:

- numbers are `[+-]digits[.digits][e[+-]digits]` in ASCII, one side of the point may be empty, ASCII white space around
  them, shorter than 40 characters;
- `nan` and `no data` count as nothing in upper and lower case, `nan` with any sign;
- a word that stands bare where a value is due and is none of JSON (`nan`, `-inf`, `27.` as C prints them, `undefined`)
  counts as the text would, nothing at all as an empty one: it costs its neighbours nothing;
- what is not UTF-8 is Latin-1 if it is JSON then, and noted: a label nobody reads must not cost the numbers;
- white space and NULs around the document are nothing;
- with several top-level objects, those that hold a sensor of the device compete; none of them: the first.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice

from air_pipeline.catalogue import KNOWN, STATION, Parameter
from air_pipeline.devices.polls import Flag, Outcome, Problem
from air_pipeline.devices.proposing import flow_text, proposals
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
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHITE = " \t\r\n\v\f"
_NOTHING = re.compile(r"|[+-]?nan(\(\w*\))?|no data", re.ASCII)
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s"{}\[\],:]++', re.DOTALL)
_OF_JSON = re.compile(r'".*|true|false|null|NaN|-?Infinity|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?', re.DOTALL)
_SHAPE = '{"nodemcu": {"dht22": {"temperature": "27.90"}}}'


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
        root, is_latin1 = parse(body)
        payload, notes = _payload(root, device)
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
    first = (_NOT_UTF8,) if is_latin1 else ()
    return Document(values, tuple(problems), rejection, bounded_notes(chain(first, notes, _unknown(payload, device))))


_NOT_UTF8 = "writes bytes that are not UTF-8, which are read as Latin-1; numbers are not touched by it"


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
    return parse(body)[0]


def parse(body: bytes) -> tuple[dict[str, object], bool]:
    """The root of a document, and whether it is not UTF-8 and was read as Latin-1; see `parse_document`."""
    try:
        return _parsed(body.decode("utf-8").removeprefix("\ufeff")), False
    except UnicodeDecodeError as error:
        try:
            return _parsed(body.decode("latin-1")), True
        except DocumentUnusable as unusable:
            also = f"byte {error.start} is not UTF-8, and as Latin-1 it is none either: {unusable}"
            raise DocumentUnusable(also) from None


def _parsed(text: str) -> dict[str, object]:
    text = text.strip(f"{_WHITE}\0")
    if not text:
        raise DocumentUnusable("the answer is empty")
    if text.startswith("<"):
        raise DocumentUnusable("the answer is a web page: is another machine at this address?")
    try:
        root: object = _decoded(text)
    except RecursionError:
        raise DocumentUnusable(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise DocumentUnusable(f"something follows the document at character {error.pos}") from None
        is_cut = error.pos >= len(text) or error.msg.startswith("Unterminated")
        what = "no complete JSON" if is_cut else "no JSON"
        raise DocumentUnusable(f"{what}: {error.msg} at character {error.pos}") from None
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(root) > MAX_DEPTH:
        raise DocumentUnusable(_TOO_DEEP)
    if not isinstance(root, dict):
        raise DocumentUnusable("the document is no JSON object")
    return root


def _decoded(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        quoted = _bare_words_quoted(text)
        if quoted == text:
            raise
    return _DECODER.decode(quoted)


def _bare_words_quoted(text: str) -> str:
    """The text with whatever stands bare where a value is due, and is none of JSON, in quotes."""
    parts: list[str] = []
    opened: list[str] = []
    last, before = 0, ""
    for token in _TOKEN.finditer(text):
        word = token[0]
        is_due = before == ":" or (before in {"[", ","} and opened[-1:] == ["["])
        if is_due and (word in {",", "}"} and before == ":"):  # nothing at all
            parts += [text[last : token.start()], '""']
            last = token.start()
        if word in {"{", "["}:
            opened.append(word)
        elif word in {"}", "]"}:
            del opened[-1:]
        elif is_due and word not in {",", ":"} and not _OF_JSON.fullmatch(word):
            parts += [text[last : token.start()], json.dumps(word)]
            last = token.end()
        before = word
    return "".join([*parts, text[last:]])


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
        raise DocumentUnusable(NO_SENSORS)
    sensors = {parameter.sensor_key for parameter in device.parameters}
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
    elif any(objects.values()) and not any(_holds_objects(part) for part in objects.values()):
        raise DocumentUnusable(NO_SENSORS)
    else:
        name = holding[0] if holding else next(iter(objects))
    return objects[name], _notes_of_name(name, objects, device)


NO_SENSORS = f"the document holds no object with sensors; read is what has the shape of {_SHAPE}"


def _holds_objects(part: Mapping[str, object]) -> bool:
    return any(isinstance(inner, dict) for inner in part.values())


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
    sensor = payload.get(parameter.sensor_key, _ABSENT)
    if sensor is _ABSENT:
        return Problem(parameter.series, None, Flag.MISSING, f"no {_shown(parameter.sensor_key)} in the document")
    if not isinstance(sensor, dict):
        reason = f"{_shown(parameter.sensor_key)} is not an object"
        return Problem(parameter.series, _shown(sensor), Flag.MISSING, reason)
    sent = sensor.get(parameter.key, _ABSENT)
    if sent is _ABSENT:
        reason = f"no {_shown(parameter.key)} in {_shown(parameter.sensor_key)}"
        return Problem(parameter.series, None, Flag.MISSING, reason)
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
    if _NOTHING.fullmatch(text.lower()):
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
        wanted.setdefault(parameter.sensor_key, set()).add(parameter.key)
    is_named = device.parameters != STATION  # which devices.yaml need not name, unless there is more
    for sensor, sent in payload.items():
        if isinstance(sent, dict):
            unknown = [key for key in sent if key not in wanted.get(sensor, ())]
            if unknown:
                yield _unknown_note(sensor, unknown, device, None if is_named else payload)
                is_named = True
        elif sensor not in wanted:
            yield f"sends '{_shown(sensor)}' outside of any sensor, which is not stored"


def _unknown_note(sensor: str, keys: list[str], device: Device, unnamed: Mapping[str, object] | None) -> str:
    """What is not stored, and what to write for it; `unnamed`: what is sent, where devices.yaml names no sensors."""
    sent = some([f"{_shown(sensor)}.{_shown(key)}" for key in keys[:MAX_NOTES]], MAX_NOTES, of=len(keys))
    be, them = ("is", "it") if len(keys) == 1 else ("are", "them")
    there = device.parameters
    (proposal,) = proposals({sensor: keys[:MAX_NOTES]}, there=there)
    if unnamed is not None:
        others = (one for one in KNOWN if one in unnamed and one != proposal.sensor)
        station = [one.line for one in proposals(dict.fromkeys(others, ()), there=there)]
        write = f"write sensors: {{{', '.join([*station, proposal.line])}}}"
    elif any(one.sensor == proposal.sensor for one in there):
        write = f"write under sensors: {proposal.line}"
    else:
        write = f"add under sensors: {proposal.line}"
    return f"sends {sent}, which {be} not stored; to store {them} {write}"


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

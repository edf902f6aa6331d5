"""A device's document, made a reading: bytes in, values and problems out, whatever the bytes are.

Belongs here: what is accepted, what is missing, what is unusable, in which words. Pure and total: no input makes it
raise. Does not: how the document came (`client`), where in it the sensors are (`kinds`), whether a number is
believable (`processing`).

What the tables leave open is decided here:

- numbers are `[+-]digits[.digits][e[+-]digits]` in ASCII, one side of the point may be empty, ASCII white space around
  them, shorter than 40 characters;
- `nan` and `no data` count as nothing in upper and lower case, `nan` with any sign.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice

from air_pipeline.catalogue import Parameter
from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.kinds.json_text import WHITE, DocumentUnusable, Number, shown
from air_pipeline.devices.kinds.kind import Kind, Wanted
from air_pipeline.devices.kinds.units import In
from air_pipeline.devices.polls import Flag, Outcome, Problem
from air_pipeline.devices.proposing import proposals
from air_pipeline.settings import Device
from air_pipeline.words import some

MAX_NUMBER_LENGTH = 39
"""Longest text that can be a number: a double needs at most 24 characters."""

MAX_NOTES = 20
MAX_NOTES_BYTES = 2048
"""Of the notes of one document together: a device may not fill a disk with what nobody asked for."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOTHING = re.compile(r"|[+-]?nan(\(\w*\))?|no data", re.ASCII)


@dataclass(frozen=True, slots=True)
class Document:
    """What a device said.

    Attributes:
        values: series to number: all that can be used.
        problems: the series of the device that have no value here, each with what was sent.
        rejection: why nothing of it can be used, in words; empty where something can.
        notes: what the document holds and nobody asked for, with the line of `devices.yaml` that would change that.
        cycle: the mark of its measuring cycle; empty where the kind of device has none.
        identity: which device it is, by its own word; empty where it does not say.
    """

    values: dict[str, float]
    problems: tuple[Problem, ...] = ()
    rejection: str = ""
    notes: tuple[str, ...] = ()
    cycle: str = ""
    identity: str = ""

    @property
    def outcome(self) -> Outcome:
        """`ok`, `partial` or `rejected`."""
        if self.rejection:
            return Outcome.REJECTED
        return Outcome.PARTIAL if self.problems else Outcome.OK


def read_document(body: bytes, device: Device, bound_to: str = "") -> Document:
    """Reads one document.

    Args:
        body: as it came, decompressed.
        device: says which kind it is, which sensors are meant and, by `payload_key`, which top-level object.
        bound_to: the identity of which its history is; that of the settings counts before it.
    """
    kind = KINDS[device.kind]
    try:
        root, is_latin1 = kind.parse(body)
        found = kind.find(root, Wanted(device.parameters, device.payload_key))
    except DocumentUnusable as error:
        return Document({}, rejection=str(error))
    identity = kind.identity(root)
    if identity and not same_identity(identity, device.identity or bound_to or identity):
        return Document({}, rejection=_of_another(identity, device, bound_to), identity=identity)
    values: dict[str, float] = {}
    problems: list[Problem] = []
    sent = [(parameter, _sent(found.sensors, parameter)) for parameter in device.parameters]
    for parameter, one in sent:
        value = _value(one, parameter)
        if isinstance(value, Problem):
            problems.append(value)
        else:
            values[parameter.series] = value
    rejection = "" if values else "not one value of the device's sensors can be used"
    first = (_NOT_UTF8,) if is_latin1 else ()
    notes = bounded_notes(chain(first, found.notes, _units(sent), _unknown(found.sensors, device, kind)))
    return Document(values, tuple(problems), rejection, notes, kind.cycle(root), identity)


_SAYS_THAT = "another device answers at this address: it says that it is "


def may_say_who(device: Device) -> bool:
    """Whether documents of its kind can say which device it is."""
    return KINDS[device.kind].tells_identity


def same_identity(one: str, other: str) -> bool:
    """Whether two spellings mean one device: some firmwares write a MAC in small letters, some in capitals."""
    return one.strip().casefold() == other.strip().casefold()


def _of_another(identity: str, device: Device, bound_to: str) -> str:
    expected = f"{shown(device.identity or bound_to)} {'is expected' if device.identity else 'answered before'}"
    return (
        f"{_SAYS_THAT}{identity}, and {expected}; write the address that {device.id} has now,"
        f" or, if this one takes its place: air-pipeline accept {device.id}"
    )


def other_identity(reason: str) -> str:
    """The identity of the other device, where that is why a document was rejected; else nothing."""
    said = reason.removeprefix(_SAYS_THAT)
    return "" if said == reason else said.rpartition("; write the address")[0].rpartition(", and ")[0]


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


def _sent(payload: Mapping[str, object], parameter: Parameter) -> object:
    """What was sent of a parameter, as it came; a problem where there is nothing of it."""
    sensor = payload.get(parameter.sensor_key, _ABSENT)
    if sensor is _ABSENT:
        return Problem(parameter.series, None, Flag.MISSING, f"no {shown(parameter.sensor_key)} in the document")
    if not isinstance(sensor, dict):
        reason = f"{shown(parameter.sensor_key)} is not an object"
        return Problem(parameter.series, shown(sensor), Flag.MISSING, reason)
    sent = sensor.get(parameter.key, _ABSENT)
    if sent is _ABSENT:
        reason = f"no {shown(parameter.key)} in {shown(parameter.sensor_key)}"
        return Problem(parameter.series, None, Flag.MISSING, reason)
    return sent


_ABSENT = object()


def _value(sent: object, parameter: Parameter) -> float | Problem:
    if isinstance(sent, Problem):
        return sent
    if isinstance(sent, In) or parameter.sent_in is not None:
        return _in_unit(sent, parameter)
    number = _number(sent)
    return number if isinstance(number, float) else Problem(parameter.series, shown(sent), *number)


def _in_unit(sent: object, parameter: Parameter) -> float | Problem:
    """A value that was sent in a unit: the document's word for it, if there is one that is understood."""
    if not isinstance(sent, In) or not (parameter.sent_in is None or sent.can_be(parameter.unit)):
        sent = In(sent.sent if isinstance(sent, In) else sent, parameter.sent_in or parameter.unit)
    number = _number(sent.sent)
    if isinstance(number, float):
        if sent.contradicts(parameter.unit):
            reason = f"is in {shown(sent.unit)}, not in {parameter.unit}; write its unit, or by sent_in a better one"
            return Problem(parameter.series, f"{shown(sent.sent)} {shown(sent.unit)}", Flag.BAD, reason)
        ours = sent.ours(number, parameter.unit)
        if math.isfinite(ours):
            return ours
        number = Flag.BAD, "not finite"
    return Problem(parameter.series, shown(sent.sent), *number)


def _number(sent: object) -> float | tuple[Flag, str]:
    """The number that was sent, or how its absence is flagged and why."""
    if isinstance(sent, str):
        text = sent.strip(WHITE)
    elif isinstance(sent, Number):
        text = sent.text
    elif sent is None:
        return Flag.MISSING, "no value"
    else:
        return Flag.BAD, "not a number"
    if len(text) <= MAX_NUMBER_LENGTH and _NUMBER.fullmatch(text):
        number = float(text)
        return number + 0.0 if math.isfinite(number) else (Flag.BAD, "not finite")  # −0.0 + 0.0 is 0.0
    if _NOTHING.fullmatch(text.lower()):
        return Flag.MISSING, "no value"
    if len(text) > MAX_NUMBER_LENGTH:
        return Flag.BAD, "too long for a number"
    infinite = text.lower().lstrip("+-") in {"inf", "infinity"}
    return Flag.BAD, "not finite" if infinite else "not a number"


def _units(sent: Iterable[tuple[Parameter, object]]) -> Iterator[str]:
    """What is stored as it came, though the document calls its unit otherwise."""
    for parameter, one in sent:
        if not isinstance(one, In) or parameter.sent_in or one.can_be(parameter.unit):
            continue
        if not one.contradicts(parameter.unit):
            unit = shown(one.unit)
            yield f"sends {parameter.series} in {unit}, stored as {parameter.unit}; if they differ, write unit: {unit}"


def _unknown(payload: Mapping[str, object], device: Device, kind: Kind) -> Iterator[str]:
    wanted = {(parameter.sensor_key, parameter.key) for parameter in device.parameters}
    is_named = device.parameters != kind.usual  # which devices.yaml need not name, unless there is more
    for sensor, sent in payload.items():
        if isinstance(sent, dict):
            unknown = [key for key in sent if (sensor, key) not in wanted and key not in kind.lesser]
            if unknown:
                yield _unknown_note(sensor, unknown, device, kind, None if is_named else payload)
                is_named = True
        elif not any(sensor == asked for asked, _ in wanted):
            yield f"sends '{shown(sensor)}' outside of any sensor, which is not stored"


def _unknown_note(
    sensor: str, keys: list[str], device: Device, kind: Kind, unnamed: Mapping[str, object] | None
) -> str:
    """What is not stored, and what to write for it; `unnamed`: what is sent, where devices.yaml names no sensors."""
    sent = some([f"{shown(sensor)}.{shown(key)}" for key in keys[:MAX_NOTES]], MAX_NOTES, of=len(keys))
    be, them = ("is", "it") if len(keys) == 1 else ("are", "them")
    there = device.parameters
    (proposal,) = proposals({sensor: keys[:MAX_NOTES]}, there=there, kind=kind)
    if unnamed is not None:
        usual = dict.fromkeys(one.sensor for one in kind.usual)
        others = (one for one in usual if one in unnamed and one != proposal.sensor)
        there_too = [one.line for one in proposals(dict.fromkeys(others, ()), there=there, kind=kind)]
        write = f"write sensors: {{{', '.join([*there_too, proposal.line])}}}"
    elif any(one.sensor == proposal.sensor for one in there):
        write = f"write under sensors: {proposal.line}"
    else:
        write = f"add under sensors: {proposal.line}"
    return f"sends {sent}, which {be} not stored; to store {them} {write}"

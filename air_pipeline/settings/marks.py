"""`marks.yaml`, beside `devices.yaml`: what people said by hand of values, as a list that people may edit as well.

Belongs here: from its text to marks, every mistake with its place and its remedy; and from one text to the next, with
whatever else stands in it. Does not: who changes it (`marking`), what follows from a mark (`processing.rules.marked`).

Where several marks are of one slot, the last of the file counts. Devices and series that there never were are no
mistake of the file, as what there was is known by the state directory alone; `misplaced` names them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast
from zoneinfo import ZoneInfo

import yaml
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.settings import EVERY_SERIES, Mark, Settings, SettingsError, Verdict
from air_pipeline.settings.file import settings_text
from air_pipeline.settings.mistakes import mistakes_of
from air_pipeline.settings.moments import Moment, instant_of
from air_pipeline.settings.remote import ConfigFile, RemoteFile
from air_pipeline.settings.schema import Entry
from air_pipeline.settings.values import DeviceId, Text, choice, near, shown
from air_pipeline.settings.yaml import read_yaml, settings_error

MARKS = "marks.yaml"
HEAD = """\
# What was said of values by hand. Written by `air-pipeline mark`, and free to be edited:
# - device: living-room
#   series: dht22_temperature       # all series of the device without
#   from: 2026-11-21T08:00          # by the clock at the device; or with an offset, or a date
#   to: 2026-11-21T09:30            # not included
#   verdict: bad                    # or suspect; or good, whatever the rules say
#   why: in the fridge
# Of several marks of one time the last counts.
"""
_EXAMPLES = {
    "device": "device: living-room",
    "from": "from: 2026-11-21T08:00",
    "to": "to: 2026-11-21T09:30",
    "verdict": "verdict: bad, suspect or good",
    "why": "why: in the fridge",
}
_PLAIN = re.compile(r"[A-Za-z](?:[\w .,/()+-]*[\w.)])?|[0-9-]+T[0-9:.]+(?:[+-][0-9:]+|Z)")


class _MarkEntry(Entry):
    """One entry of the list."""

    device: DeviceId
    series: Text = EVERY_SERIES
    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    verdict: Annotated[Verdict, BeforeValidator(choice("suspect", "bad", "good"))]
    why: Text
    by: Text | None = None
    at: Text | None = None


_KEYS = [field.alias or name for name, field in _MarkEntry.model_fields.items()]
_LIST = TypeAdapter(list[_MarkEntry])


_Place = TypeVar("_Place", Path, RemoteFile, ConfigFile)


def marks_file(config: _Place) -> _Place:
    """Where the marks of a configuration file are."""
    return config.beside(MARKS) if isinstance(config, RemoteFile) else config.parent / MARKS


def marks_text(path: ConfigFile) -> str | None:
    """The text of a file of marks; None where there is none.

    Raises:
        SettingsError: it cannot be read.
    """
    return settings_text(path) if path.exists() else None


def read_marks(path: ConfigFile, settings: Settings) -> tuple[Mark, ...]:
    """The marks in a file; none where there is none.

    Raises:
        SettingsError: it cannot be read, or has a mistake.
    """
    return parse_marks(marks_text(path) or "", str(path), settings)


def parse_marks(text: str, name: str, settings: Settings) -> tuple[Mark, ...]:
    """The marks in a text, in its order.

    Args:
        text: the text.
        name: how errors call it.
        settings: whose clocks are meant where a time has no offset.

    Raises:
        SettingsError: with a line for each mistake.
    """
    root, document = read_yaml(text, name)
    if document is None:
        return ()
    try:
        entries = _LIST.validate_python(document)
    except ValidationError as error:
        raise settings_error(name, root, mistakes_of(error, _EXAMPLES, lambda _: _KEYS, _of_shape)) from None
    marks = [_mark(entry, zone_of(settings, entry.device)) for entry in entries]
    if empty := [place for place, mark in enumerate(marks) if mark.start >= mark.end]:
        message = "is not after from; put the earlier time first"
        raise settings_error(name, root, [((place, "to"), message) for place in empty])
    return tuple(marks)


def zone_of(settings: Settings, device: str) -> ZoneInfo:
    """The zone of a device, of before too; that of the deployment for one that there never was."""
    return settings.known[device].zone if device in settings.known else settings.zone


def misplaced(settings: Settings) -> list[str]:
    """The marks of devices or series that there never were, in words, with what may be meant."""
    known = {name: device.units for name, device in settings.known.items()}
    found = {}
    for mark in settings.marks:
        if mark.device not in known:
            found[mark.device] = f"device {mark.device}{near(mark.device, known)}"
        elif mark.series not in {EVERY_SERIES, *known[mark.device]}:
            name = f"{mark.device} {mark.series}"
            found[name] = f"series {mark.series} of {mark.device}{near(mark.series, known[mark.device])}"
    return list(found.values())


def edited(
    text: str, name: str, settings: Settings, instead: Mapping[int, Sequence[Mark]], more: Sequence[Mark] = ()
) -> str:
    """The text with some marks replaced and others added at its end; comments and all else stay where they can.

    Args:
        text: a valid one.
        name: how errors call it.
        settings: as for `parse_marks`.
        instead: the place of a mark to those that it becomes; none, and it is taken away.
        more: those that are added.
    """
    marks = parse_marks(text, name, settings)
    wanted = (*(one for place, mark in enumerate(marks) for one in instead.get(place, [mark])), *more)
    lines = _with_lines(text, name, settings, instead, more)
    try:
        if lines is not None and parse_marks(lines, name, settings) == wanted:
            return lines
    except SettingsError:
        pass
    return HEAD + "".join(_lines(wanted, settings))  # what was there was written in another way than a mark a line


def as_entry(mark: Mark, settings: Settings) -> dict[str, str]:
    """A mark as it stands in the file."""
    zone = zone_of(settings, mark.device)
    start, end = (from_epoch_ms(moment).astimezone(zone).isoformat() for moment in (mark.start, mark.end))
    said = {"device": mark.device, "series": mark.series, "from": start, "to": end, "verdict": mark.verdict}
    return said | {key: text for key, text in (("why", mark.why), ("by", mark.by), ("at", mark.at)) if text}


def _of_shape(kind: str, detail: Mapping[str, Any]) -> str:
    if kind == "list_type":
        return "is not a list of marks; begin each with - device: …"
    return f"{shown(detail['input'])} is not a mark; begin it with - device: … and add {_REST}"


_REST = "from, to, verdict and why"


def _mark(entry: _MarkEntry, zone: ZoneInfo) -> Mark:
    start, end = (instant_of(moment, zone) for moment in (entry.start, entry.end))
    return Mark(entry.device, entry.series, start, end, entry.verdict, entry.why, entry.by or "", entry.at or "")


def _with_lines(
    text: str, name: str, settings: Settings, instead: Mapping[int, Sequence[Mark]], more: Sequence[Mark]
) -> str | None:
    """The text with the lines of some marks replaced, and others below; None where it is no list of a mark a line."""
    root, _ = read_yaml(text, name)
    if root is not None and (not isinstance(root, yaml.SequenceNode) or root.flow_style):
        return None
    indent = " " * (root.start_mark.column if root else 0)
    lines = (text or HEAD).splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    for place in sorted(instead, reverse=True):
        node = cast("yaml.Node", cast("yaml.SequenceNode", root).value[place])
        lines[node.start_mark.line : _last_line(node) + 1] = _lines(instead[place], settings, indent)
    return "".join([*lines, *_lines(more, settings, indent)])


def _last_line(node: yaml.Node) -> int:
    """The last line of what is written of a node: its own end is that of the blank lines after it."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1][1])
    end = node.end_mark
    return end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line


def _lines(marks: Iterable[Mark], settings: Settings, indent: str = "") -> Iterator[str]:
    for mark in marks:
        entry = as_entry(mark, settings)
        if mark.series == EVERY_SERIES:
            del entry["series"]
        for place, (key, said) in enumerate(entry.items()):
            yield f"{indent}{'  ' if place else '- '}{key}: {_scalar(said)}\n"


def _scalar(text: str) -> str:
    """A text as YAML has it: in quotes where it would be something else without."""
    return text if _PLAIN.fullmatch(text) and read_yaml(text, "")[1] == text else json.dumps(text, ensure_ascii=False)

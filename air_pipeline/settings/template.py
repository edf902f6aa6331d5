"""A new `devices.yaml`: its text, with comments that say what else can be set, and always valid.

Belongs here: the text. Does not: what devices say (`devices.introduction`), and asking people (`cli`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from air_pipeline.settings import Device, SettingsError
from air_pipeline.settings.file import parse_settings
from air_pipeline.showing import flow_text

_HEAD = """\
# The devices and what is expected of them. Every setting: docs/configuration.md.
# A changed file is taken up within seconds; while it has a mistake, the last valid one stays in force.

timezone: {timezone}  # days are this zone's days
start: {start}  # the first local date to build; earlier, if older readings are imported
# interval: 10s  # how often each device is asked; from 1s to 1h
# timeout: 5s  # how long an answer may take
# grace: 15m  # how long after its end a day is built
# collector: external  # if air-pipeline collect runs by itself, and not with Dagster

devices:
"""
_SAID_OF_A_DEVICE = (
    "timezone: Asia/Tokyo  # if it is in another one",
    "interval: 1m",
    "since: 2026-11-05  # expected from its first poll, or from here, until:",
    "until: 2027-03-01",
)
_EXPECTED: Mapping[str, str] = {
    "temperature": "[5, 40]",
    "humidity": "[20, 80]",
    "pressure": "[950, 1050]",
    "co2": "[400, 5000]",
    "pm25": "[0, 250]",
}
"""Ranges to begin with, of parameters that devices have inside."""
_THRESHOLDS: Mapping[str, str] = {"co2": "1000", "pm25": "15", "pm10": "45", "humidity": "70", "temperature": "30"}
"""Values above which people count minutes: of fresh air (Pettenkofer), of dust a day (WHO, 2021), of mould and heat."""
_OF_UNIT = {"°C": "temperature", "%": "humidity", "hPa": "pressure", "ppm": "co2", "µg/m³": "pm25"}
"""What a parameter of the user's own name is like."""
_ANY_RANGE, _ANY_THRESHOLD = "[0, 100]", "100"


@dataclass(frozen=True, slots=True)
class Entry:
    """A device of the new file.

    Attributes:
        id: its id.
        url: where it answers.
        lines: what else there is to say of it, as lines of YAML.
    """

    id: str
    url: str
    lines: tuple[str, ...] = ()


def new_configuration(timezone: str, start: date, entries: Sequence[Entry]) -> str:
    """The text of a new file, valid: what of an entry's lines cannot be said is left in it as comments.

    Its examples are of the last device, which they stand below: they are valid there as they are.

    Raises:
        SettingsError: the zone, an id or a URL is none, or stands there twice.
    """
    parse_settings(_text(timezone, start, [Entry(entry.id, entry.url) for entry in entries]))
    written = [_valid(timezone, start, entry) for entry in entries]
    [last] = parse_settings(_text(timezone, start, written[-1:])).devices
    examples = (f"    {line}\n" for line in _examples(last, written[-1]))
    return _text(timezone, start, written) + "".join(examples)


def _examples(device: Device, entry: Entry) -> Iterator[str]:
    """What else can be said of a device, each in a comment."""
    yield "# What else can be said of a device:"
    has = {line.partition(":")[0] for line in entry.lines}
    yield from (f"# {line}" for line in _SAID_OF_A_DEVICE if line.partition(":")[0] not in has)
    if device.parameters:
        name, values = _example(_EXPECTED, device, _ANY_RANGE)
        yield f"# expected_range: {{{name}: {values}}}  # outside: suspect"
        name, values = _example(_THRESHOLDS, device, _ANY_THRESHOLD)
        yield f"# thresholds: {{{name}: {values}}}  # minutes above it are counted"


def _example(known: Mapping[str, str], device: Device, otherwise: str) -> tuple[str, str]:
    """A series of a device and what to begin with: by the first parameter that is known of it, else any of it."""
    own = {_OF_UNIT.get(one.unit, ""): one for one in reversed(device.parameters)}
    own |= {one.name: one for one in reversed(device.parameters)}
    name = next((name for name in known if name in own), "")
    return flow_text(own.get(name, device.parameters[0]).series), known.get(name, otherwise)


def _valid(timezone: str, start: date, entry: Entry) -> Entry:
    try:
        parse_settings(_text(timezone, start, [entry]))
    except SettingsError:
        return Entry(entry.id, entry.url, tuple(f"# {line}" for line in entry.lines))
    return entry


def _text(timezone: str, start: date, entries: Sequence[Entry]) -> str:
    text = _HEAD.format(timezone=timezone, start=start)
    for entry in entries:
        text += f"  - id: {_plain(entry.id)}\n    url: {entry.url}\n" + "".join(f"    {line}\n" for line in entry.lines)
    return text


def _plain(name: str) -> str:
    """An id as YAML takes it for a text."""
    return name if re.fullmatch(r"[a-z][a-z0-9_-]*", name) and name != "null" else json.dumps(name)

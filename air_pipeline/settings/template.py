"""A new `devices.yaml`: its text, with comments that say what else can be set, and always valid.

Belongs here: the text. Does not: what devices say (`devices.introduction`), and asking people (`cli`).
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import parse_settings

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
_TAIL = """\
    # What else can be said of a device:
    # timezone: Asia/Tokyo  # if it is in another one
    # interval: 1m
    # since: 2026-11-05  # expected from its first poll, or from here, until:
    # until: 2027-03-01
    # expected_range: {dht22_temperature: [5, 40]}  # outside: suspect
    # thresholds: {mq135_co2: 1000}  # minutes above it are counted
"""


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

    Raises:
        SettingsError: the zone, an id or a URL is none, or stands there twice.
    """
    parse_settings(_text(timezone, start, [Entry(entry.id, entry.url) for entry in entries]))
    return _text(timezone, start, [_valid(timezone, start, entry) for entry in entries])


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
    return text + _TAIL


def _plain(name: str) -> str:
    """An id as YAML takes it for a text."""
    return name if re.fullmatch(r"[a-z][a-z0-9_-]*", name) and name != "null" else json.dumps(name)

"""What a device's first document says of it: the lines of `devices.yaml` that fit it.

Belongs here: from a document to lines below `- id: …`. Does not: the rest of the file (`settings.template`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from air_pipeline.catalogue import KNOWN
from air_pipeline.devices.document import (
    FIRMWARE_KEY,
    MAX_SHOWN,
    DocumentUnusable,
    flow_text,
    parameter_name,
    parse_document,
)

_STATION = {sensor: {parameter.key for parameter in known.values()} for sensor, known in KNOWN.items()}


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a device sends.

    Attributes:
        payload_key: its top-level name, if devices.yaml has to say it; None for the station's, alone.
        sensors: sensor to the parameters that it sends, both as the device spells them.
    """

    payload_key: str | None
    sensors: Mapping[str, tuple[str, ...]]

    @property
    def is_station(self) -> bool:
        """Whether these are the sensors that devices.yaml need not name."""
        return {sensor: set(keys) for sensor, keys in self.sensors.items()} == _STATION

    @property
    def unknown(self) -> list[tuple[str, str]]:
        """The sensors and keys that the catalogue does not know, and whose units only the user knows."""
        return [(sensor, key) for sensor, keys in self.sensors.items() for key in keys if not _known(sensor, key)]

    def lines(self, units: Mapping[tuple[str, str], str] | None = None) -> list[str]:
        """The lines for the entry; what has no unit is in a comment that says what to fill in.

        Args:
            units: sensor and key to unit, of what the catalogue does not know.
        """
        lines = [] if self.payload_key is None else [f"payload_key: {_quoted(self.payload_key)}"]
        if self.is_station:
            return lines
        stored: list[str] = []
        for sensor, keys in self.sensors.items():
            entries = _entries(sensor, keys, units or {})
            usable = {name: entry for name, entry in entries.items() if "unit: ?" not in entry}
            if usable:
                stored.append(f"  {_sensor_line(sensor, usable)}")
            if len(usable) < len(entries):
                stored.append(f"  # fill in what is measured: {_sensor_line(sensor, entries)}")
        active = any(not line.lstrip().startswith("#") for line in stored)
        return lines + ([] if not stored else ["sensors:" if active else "# sensors:", *stored])


def introduce(body: bytes) -> Introduction:
    """Reads the first document of a device of which nothing is known.

    Raises:
        DocumentUnusable: it is no document of a device; the message says why.
    """
    objects = {name: part for name, part in parse_document(body).items() if isinstance(part, dict)}
    found = {name: _sensors(part) for name, part in objects.items()}
    holding = [name for name in found if not _STATION.keys().isdisjoint(found[name])] or [n for n in found if found[n]]
    if not holding:
        raise DocumentUnusable("the document holds no object with sensors")
    name = FIRMWARE_KEY if FIRMWARE_KEY in holding else holding[0]
    needed = name != FIRMWARE_KEY or len(objects) > 1
    usable = bool(name.strip()) and name.isprintable()
    return Introduction(name if needed and usable else None, found[name])


def _sensors(payload: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    return {sensor: tuple(sent) for sensor, sent in payload.items() if isinstance(sent, dict) and sent}


def _known(sensor: str, key: str) -> str | None:
    """The catalogue's name for what a sensor sends under a key."""
    return next((name for name, parameter in KNOWN.get(sensor, {}).items() if parameter.key == key), None)


def _entries(sensor: str, keys: tuple[str, ...], units: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """Parameter to what `devices.yaml` says of it: nothing, if the catalogue knows it; `unit: ?` if nobody does."""
    entries: dict[str, str] = {}
    for key in keys:
        name, unit = _known(sensor, key), units.get((sensor, key))
        entry = "" if name else f"{{key: {_quoted(key)}, unit: {_quoted(unit) if unit else '?'}}}"
        entries[name or _free(parameter_name(key), entries)] = entry
    return entries


def _free(name: str, taken: Mapping[str, str]) -> str:
    return next(one for one in _numbered(name) if one not in taken)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name[:36]}_{number}"
        number += 1


def _sensor_line(sensor: str, entries: Mapping[str, str]) -> str:
    if not any(entries.values()):
        return f"{_quoted(sensor)}: [{', '.join(entries)}]"
    parameters = ", ".join(f"{name}: {entry or '{}'}" for name, entry in entries.items())
    return f"{_quoted(sensor)}: {{{parameters}}}"


def _quoted(text: str) -> str:
    """A text of any length in YAML's flow style, in characters that YAML and a comment take."""
    return flow_text(text) if text.isprintable() and len(text) <= MAX_SHOWN else json.dumps(text)

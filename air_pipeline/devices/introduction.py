"""What a device's first document says of it: the lines of `devices.yaml` that fit it.

Belongs here: from a document to lines below `- id: …`. Does not: the rest of the file (`settings.template`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from air_pipeline.catalogue import KNOWN
from air_pipeline.devices.kinds.json_text import DocumentUnusable, parse_document
from air_pipeline.devices.kinds.kind import Kind
from air_pipeline.devices.kinds.nodemcu import FIRMWARE_KEY, NO_SENSORS, NODEMCU
from air_pipeline.devices.proposing import TO_FILL_IN, Proposal, proposals
from air_pipeline.showing import flow_text

_FILL_IN = f"  # put its unit for {TO_FILL_IN} and take the mark at the beginning away: then it is stored"
_STATION = {sensor: {parameter.key for parameter in known.values()} for sensor, known in KNOWN.items()}


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a device sends.

    Attributes:
        payload_key: its top-level name, if devices.yaml has to say it; None for the station's, alone.
        sensors: sensor to the parameters that it sends, both as the device spells them.
        kind: which kind of device it is.
        identity: which device it is, by its own word.
        units: sensor and key to the unit that it says itself.
    """

    payload_key: str | None
    sensors: Mapping[str, tuple[str, ...]]
    kind: Kind = NODEMCU
    identity: str = ""
    units: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def is_usual(self) -> bool:
        """Whether these are the sensors that devices.yaml need not name, or none are there yet."""
        usual = {(one.sensor_key, one.key) for one in self.kind.usual}
        sent = {(sensor, key) for sensor, keys in self.sensors.items() for key in keys}
        return bool(usual) and sent in (usual, set())

    @property
    def unknown(self) -> list[tuple[str, str]]:
        """The sensors and keys that the catalogue does not know, and whose units only the user knows."""
        return [
            (one.spelt, key)
            for one in proposals(self.sensors, self.units, kind=self.kind)
            for key, name in zip(self.sensors[one.spelt], one.entries, strict=True)
            if name in one.missing
        ]

    def lines(self, units: Mapping[tuple[str, str], str] | None = None) -> list[str]:
        """The lines for the entry; what has no unit is in a comment that says what to fill in.

        Args:
            units: sensor and key to unit, of what the catalogue does not know.
        """
        lines = [] if self.kind is NODEMCU else [f"kind: {self.kind.name}"]
        lines += [f"identity: {flow_text(self.identity)}"] if self.identity else []
        lines += [f"interval: {self.kind.interval}"] if self.kind.interval else []
        lines += [] if self.payload_key is None else [f"payload_key: {flow_text(self.payload_key)}"]
        if self.is_usual:
            return lines
        units = {**self.units, **(units or {})}
        proposed = proposals(self.sensors, units, kind=self.kind)
        head = "sensors:" if self.stores(units) else "# sensors:  # and the mark of this line"
        return [*lines, head, *(f"  {line}" for one in proposed for line in _sensor_lines(one))]

    def stores(self, units: Mapping[tuple[str, str], str] | None = None) -> bool:
        """Whether anything of it is stored as these lines stand."""
        proposed = proposals(self.sensors, {**self.units, **(units or {})}, kind=self.kind)
        return self.is_usual or any(len(one.missing) < len(one.entries) for one in proposed)


def introduce(body: bytes) -> Introduction:
    """Reads the first document of a device of which nothing is known.

    Raises:
        DocumentUnusable: it is no document of a device; the message says why.
    """
    objects = {name: part for name, part in parse_document(body).items() if isinstance(part, dict)}
    found = {name: _sensors(part) for name, part in objects.items()}
    holding = [name for name in found if not _STATION.keys().isdisjoint(found[name])] or [n for n in found if found[n]]
    if not holding:
        raise DocumentUnusable(NO_SENSORS)
    name = FIRMWARE_KEY if FIRMWARE_KEY in holding else holding[0]
    needed = name != FIRMWARE_KEY or len(objects) > 1
    usable = bool(name.strip()) and name.isprintable()
    return Introduction(name if needed and usable else None, found[name])


def _sensors(payload: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    return {sensor: tuple(sent) for sensor, sent in payload.items() if isinstance(sent, dict) and sent}


def _sensor_lines(one: Proposal) -> list[str]:
    """A sensor in lines of the file; what lacks its unit stands behind a comment's mark, to be taken away alone."""
    if not one.missing:
        return [one.line]
    if len(one.missing) == len(one.entries):
        return [f"# {one.line}{_FILL_IN}"]
    lines = [f"{flow_text(one.sensor)}:", *([f"  {one.key}"] if one.key else [])]
    for name, entry in one.entries.items():
        mark, more = ("# ", _FILL_IN) if name in one.missing else ("", "")
        lines.append(f"  {mark}{flow_text(name)}: {entry or '{}'}{more}")
    return lines

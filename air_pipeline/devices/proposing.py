"""What would be written in `devices.yaml` for what a device sends: names for its spellings, units to be filled in.

Belongs here: one way of naming and quoting, for what `init` writes and for what notes advise. Does not: where the lines
stand (`introduction`), what a document is (`document`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from air_pipeline.catalogue import Parameter
from air_pipeline.devices.kinds.kind import Kind
from air_pipeline.devices.kinds.nodemcu import NODEMCU
from air_pipeline.showing import flow_text

TO_FILL_IN = "…"
"""Stands for a unit that only the user knows."""
_LONGEST_NAME = 40
_ROOM_FOR_NUMBER = 4


@dataclass(frozen=True, slots=True)
class Proposal:
    """A sensor and its parameters, as they would be written.

    Attributes:
        sensor: its id.
        spelt: how the device spells it.
        entries: name of a parameter to what is said of it: an empty text where the catalogue says all.
    """

    sensor: str
    spelt: str
    entries: Mapping[str, str]

    @property
    def key(self) -> str | None:
        """The line that says how the device spells the sensor, where that is not its id."""
        return None if self.spelt == self.sensor else f"key: {flow_text(self.spelt)}"

    @property
    def missing(self) -> list[str]:
        """The parameters whose unit is to be filled in."""
        return [name for name, entry in self.entries.items() if f"unit: {flow_text(TO_FILL_IN)}" in entry]

    @property
    def line(self) -> str:
        """All of it, on one line."""
        if self.key is None and not any(self.entries.values()):
            return f"{flow_text(self.sensor)}: [{', '.join(map(flow_text, self.entries))}]"
        parts = [self.key] if self.key else []
        parts += [f"{flow_text(name)}: {entry or '{}'}" for name, entry in self.entries.items()]
        return f"{flow_text(self.sensor)}: {{{', '.join(parts)}}}"


def proposals(
    sent: Mapping[str, Iterable[str]],
    units: Mapping[tuple[str, str], str] | None = None,
    there: Sequence[Parameter] = (),
    kind: Kind = NODEMCU,
) -> list[Proposal]:
    """How sensors would be written, so that no two names are one, with those of their parameters that are there.

    Args:
        sent: sensor to keys, as the device spells both.
        units: of what the catalogue does not know, by those.
        there: the parameters that the settings have already.
        kind: which kind of device sends it.
    """
    ids = {one.sensor_key: one.sensor for one in there}
    names = {(one.sensor, one.name) for one in there}
    found = []
    for spelt, keys in sent.items():
        if spelt not in ids:
            others = {one.lower() for one in ids.values()}
            ids[spelt] = next(one for one in _numbered(sensor_id(spelt), "-") if one.lower() not in others)
        sensor = ids[spelt]
        entries = {one.name: _entry(one, kind) for one in there if one.sensor == sensor}
        for key in keys:
            name, entry = known_name(sensor, key, kind), ""
            if name is None or (sensor, name) in names:
                name = next(one for one in _numbered(parameter_name(key), "_") if _is_free(sensor, one, names, kind))
                unit = (units or {}).get((spelt, key)) or TO_FILL_IN
                entry = f"{{key: {flow_text(key)}, unit: {flow_text(unit)}}}"
            entries[name] = entry
            names.add((sensor, name))
        found.append(Proposal(sensor, spelt, entries))
    return found


def _entry(parameter: Parameter, kind: Kind) -> str:
    """What the settings said of a parameter that is there, where the catalogue does not."""
    known = kind.known(parameter.sensor, parameter.name)
    said = [] if known and known.key == parameter.key else [f"key: {flow_text(parameter.key)}"]
    said += [] if known else [f"unit: {flow_text(parameter.unit)}"]
    if parameter.sensor_range and (known is None or known.sensor_range != parameter.sensor_range):
        said.append("sensor_range: [{}, {}]".format(*parameter.sensor_range))
    if parameter.resolution and (known is None or known.resolution != parameter.resolution):
        said.append(f"resolution: {parameter.resolution}")
    return f"{{{', '.join(said)}}}" if said else ""


def _is_free(sensor: str, name: str, names: set[tuple[str, str]], kind: Kind) -> bool:
    """Whether a parameter may be called so: a parameter of several sensors makes a series of its own name."""
    is_series = any(name == f"{other}_{its}" or f"{sensor}_{name}" == its for other, its in names)
    return (sensor, name) not in names and kind.known(sensor, name) is None and not is_series


def known_name(sensor: str, key: str, kind: Kind = NODEMCU) -> str | None:
    """The kind's name for what a sensor sends under a key."""
    known = kind.known(sensor, key)
    if known and known.key == key:
        return key
    return next((one.name for one in kind.usual if (one.sensor, one.key) == (sensor, key)), None)


def sensor_id(spelt: str) -> str:
    """A sensor's id for a device's spelling: `bme680_0x76` → `bme680-0x76`, `sensor #2` → `sensor-2`."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", spelt).strip("-.")[:_LONGEST_NAME].rstrip("-.") or "sensor"


def parameter_name(key: str) -> str:
    """A parameter's name for a device's spelling: `PM2.5` → `pm25`, `dewPoint` → `dew_point`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    name = re.sub(r"[^a-z0-9_]", "", re.sub(r"[\s-]", "_", snake)).lstrip("_") or "name"
    return (name if name[0].isalpha() else f"p{name}")[:_LONGEST_NAME]


def _numbered(name: str, between: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name[: _LONGEST_NAME - _ROOM_FOR_NUMBER]}{between}{number}"
        number += 1

"""Shelly: `/rpc/Shelly.GetStatus` of the second generation and later, `/status` of the first, told apart.

Source: shelly-api-docs.shelly.cloud (components Temperature, Humidity, Illuminance; Sensor Add-on: ids from 100;
Authentication: digest with SHA-256; Common Device Traits: `_shelly._tcp` of the second generation, `_http._tcp` of
both) and captures of first-generation devices, as no document of their maker was at hand for the H&T's `tmp` and `hum`.
What is built in is the sensor `shelly`, what is added `shelly-100` and so on.
`is_valid: false` means no value, whatever number stands beside it. With a password the first generation wants basic,
the others digest with SHA-256, of the realm `shelly…`.
"""

import re

from air_pipeline.devices.kinds import parts
from air_pipeline.devices.kinds.json_text import DocumentUnusable
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted, named
from air_pipeline.devices.kinds.units import In

_COMPONENT = re.compile(r"(temperature|humidity|illuminance):(0|[1-9][0-9]{0,2})")
_KEYS = {"temperature": "tC", "humidity": "rh", "illuminance": "lux"}
_NOT_VALID = "no data"  # as the texts of other devices say it


def _find(root: Root, _: Wanted) -> Found:
    sensors: dict[str, dict[str, object]] = {}
    for component, said in root.items():
        found = _COMPONENT.fullmatch(component)
        if found and isinstance(said, dict):
            name, number = found[1], int(found[2])
            sensors.setdefault(_id(number), {})[name] = said.get(_KEYS[name])
    if not _is_second(root) and "mac" in root:
        _first_generation(root, sensors)
    if not sensors:
        raise DocumentUnusable("the document is none of a Shelly's sensors: it has no thermometer and the like")
    return Found(sensors)


def _id(number: int) -> str:
    return f"shelly-{number}" if number else "shelly"


def _is_second(root: Root) -> bool:
    return isinstance(root.get("sys"), dict)


def _first_generation(root: Root, sensors: dict[str, dict[str, object]]) -> None:
    own = sensors.setdefault("shelly", {})
    for part, name, key in (
        ("tmp", "temperature", "tC"),
        ("hum", "humidity", "value"),
        ("lux", "illuminance", "value"),
        ("concentration", "gas", "ppm"),
    ):
        if isinstance(said := root.get(part), dict):
            value = said.get(key, said.get("value"))
            if said.get("is_valid") is False:
                value = _NOT_VALID
            elif key not in said and isinstance(unit := said.get("units"), str):
                value = In(value, unit)
            own[name] = value
    added = root.get("ext_temperature")
    for number, said in added.items() if isinstance(added, dict) else ():
        if isinstance(said, dict):
            sensors.setdefault(f"shelly-ext-{number}", {})["temperature"] = said.get("tC")
    if not own:
        del sensors["shelly"]


def _identity(root: Root) -> str:
    said = root["sys"] if _is_second(root) else root
    return named(said.get("mac"))


SHELLY = Kind(
    name="shelly",
    path="/rpc/Shelly.GetStatus",
    find=_find,
    usual=parts.usual(shelly="temperature humidity"),
    known=parts.known,
    names=parts.names,
    lesser=parts.LESSER,
    identity=_identity,
    head=re.compile(r'\bShellyHTTP/|\brealm="?shelly', re.IGNORECASE),
)

"""Tasmota: `/cm?cmnd=Status%2010`, an object a sensor below `StatusSNS`, in the units that its owner chose.

Source: the drivers `xsns_*.ino` of arendst/Tasmota. `TempUnit` and `PressureUnit` say the units of each document. Of a
PMS5003, `CF1`, `CF2.5` and `CF10` are PM1, PM2.5 and PM10 for CF=1. `Time` is when it was asked, no time of measuring.
`Status 0` (`/cm?cmnd=Status%200`) says the MAC as well. With a password, `/cm` answers 401 without a challenge, and 200
before 8.2.3; `Server` says `Tasmota/` and its version.
"""

import re
from collections.abc import Mapping

from air_pipeline.devices.kinds import parts
from air_pipeline.devices.kinds.json_text import DocumentUnusable, shown
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted, named
from air_pipeline.devices.kinds.units import In
from air_pipeline.words import some

_NAMES: Mapping[str, str] = {
    "Temperature": "temperature",
    "Humidity": "humidity",
    "DewPoint": "dew_point",
    "Pressure": "pressure",
    "SeaPressure": "sea_level_pressure",
    "CarbonDioxide": "co2",
    "eCO2": "eco2",
    "TVOC": "tvoc",
    "Illuminance": "illuminance",
    "CF1": "pm1_standard",
    "CF2.5": "pm25_standard",
    "CF10": "pm10_standard",
    "PM1": "pm1",
    "PM2.5": "pm25",
    "PM10": "pm10",
    "PB0.3": "count_0_3",
    "PB0.5": "count_0_5",
    "PB1": "count_1",
    "PB2.5": "count_2_5",
    "PB5": "count_5",
    "PB10": "count_10",
}
_IDS = {"sds0x1": "sds011"}
_NO_VALUES = frozenset({"Id"})
_UNIT_OF = {"°C": "TempUnit", "hPa": "PressureUnit"}
_MOST_NAMED = 5
WANTS_LOGIN = "it wants another login"
"""How the reason begins where it answers nobody else: its status says nothing of it."""


def _find(root: Root, wanted: Wanted) -> Found:
    said = root.get("StatusSNS")
    if not isinstance(said, dict):
        if "WARNING" in root:
            raise DocumentUnusable(
                f"{WANTS_LOGIN}: it says {shown(root['WARNING'])}; its user is admin, see auth of devices.yaml"
            )
        raise DocumentUnusable("the document is none of a Tasmota's sensors: it has no StatusSNS")
    units = {name: unit for name in ("°C", "hPa") if (unit := _said_unit(said.get(_UNIT_OF[name])))}
    spelt = {_id(name): name for name, part in said.items() if isinstance(part, dict)}
    if len(spelt) < sum(isinstance(part, dict) for part in said.values()):
        raise DocumentUnusable(f"several sensors have one name: {some([shown(name) for name in said], _MOST_NAMED)}")
    ours = {(one.sensor_key, one.key): one.unit for one in wanted.parameters}
    return Found({sensor: _values(said[name], sensor, units, ours) for sensor, name in spelt.items()})


def _said_unit(said: object) -> str:
    """What the document calls a unit; what is no text there is no unit that anything could be in."""
    return "" if said is None else shown(said)


def _id(spelt: str) -> str:
    sensor = spelt.lower().replace("_", "-")
    return _IDS.get(sensor, sensor)


def _values(
    said: Mapping[str, object], sensor: str, units: Mapping[str, str], ours: Mapping[tuple[str, str], str]
) -> dict[str, object]:
    """A sensor's values; those that we store in °C or hPa in the units that the document says for such."""
    values: dict[str, object] = {}
    for key, value in said.items():
        if key not in _NO_VALUES and not isinstance(value, dict | list):
            name = _NAMES.get(key, key)
            unit = units.get(ours.get((sensor, name)) or parts.UNITS.get(name, ""))
            values[name] = value if unit is None else In(value, unit)
    return values


def _identity(root: Root) -> str:
    network = root.get("StatusNET")
    return named(network.get("Mac")) if isinstance(network, dict) else ""


TASMOTA = Kind(
    name="tasmota",
    path="/cm?cmnd=Status%2010",
    find=_find,
    known=parts.known,
    names=parts.names,
    lesser=parts.LESSER,
    identity=_identity,
    login_in_query=True,
    head=re.compile(r"\bTasmota/"),
)

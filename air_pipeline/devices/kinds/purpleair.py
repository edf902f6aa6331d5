"""PurpleAir PA-II, PA-I and others (firmware 7.0x): `/json`, flat, means of two minutes.

Channel A has no suffix, B has `_b`: two sensors, whose mean is ours. A one-laser unit has no `_b` at all. Temperatures
are whole °F. Documents have `pm2.5_aqi` by the table of before 2024: not stored.
"""

import re

from air_pipeline.devices.kinds import parts
from air_pipeline.devices.kinds.json_text import DocumentUnusable
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted, named
from air_pipeline.devices.kinds.parts import usual
from air_pipeline.devices.kinds.units import In

_LASER = {
    "pm1_0_atm": "pm1",
    "pm2_5_atm": "pm25",
    "pm10_0_atm": "pm10",
    "pm1_0_cf_1": "pm1_standard",
    "pm2_5_cf_1": "pm25_standard",
    "pm10_0_cf_1": "pm10_standard",
    "p_0_3_um": "count_0_3",
    "p_0_5_um": "count_0_5",
    "p_1_0_um": "count_1",
    "p_2_5_um": "count_2_5",
    "p_5_0_um": "count_5",
    "p_10_0_um": "count_10",
}
_AIR = {
    "current_temp_f": "temperature",
    "current_humidity": "humidity",
    "current_dewpoint_f": "dew_point",
    "pressure": "pressure",
}
_MEASURES = re.compile(r"current_|gas_|pm\d|p_\d")
_INDEX = re.compile(r"p25aqic|pm2[._]5_aqi")


def _find(root: Root, _: Wanted) -> Found:
    if "SensorId" not in root:
        raise DocumentUnusable("the document is none of a PurpleAir: it has no SensorId")
    sensors: dict[str, dict[str, object]] = {}
    for key, value in root.items():
        laser, channel = (key[:-2], "pms5003-b") if key.endswith("_b") else (key, "pms5003-a")
        air, climate = (key[:-4], "bme680") if key.endswith("_680") else (key, "bme280")
        if laser in _LASER:
            sensors.setdefault(channel, {})[_LASER[laser]] = value
        elif air in _AIR:
            sensors.setdefault(climate, {})[_AIR[air]] = In(value, "°F") if air.endswith("_f") else value
        elif key == "rssi":
            sensors.setdefault("purpleair", {})["signal"] = value
        elif _MEASURES.match(key) and not _INDEX.match(key):
            sensors.setdefault("purpleair", {})[key] = value
    return Found(sensors)


PURPLEAIR = Kind(
    name="purpleair",
    path="/json",
    find=_find,
    usual=usual(pms5003_a="pm1 pm25 pm10", pms5003_b="pm1 pm25 pm10", bme280="temperature humidity pressure"),
    known=parts.known,
    names=parts.names,
    lesser=parts.LESSER,
    interval="2m",
    identity=lambda root: named(root.get("SensorId")),
)

"""AirGradient ONE, Open Air and DIY with firmware 3.x: `/measures/current`, flat, numbers as numbers.

Source: `Measurements::toString` and `AgApiClient` of airgradienthq/arduino. Everything is a moving mean of the last
12 seconds; what a sensor does not deliver is no key. Two lasers come as `channels` beside their mean, which is left to
us; an outdoor unit measures temperature and humidity in them.
"""

from collections.abc import Mapping
from dataclasses import replace

from air_pipeline.catalogue import Parameter
from air_pipeline.devices.kinds import parts
from air_pipeline.devices.kinds.json_text import DocumentUnusable
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted, named
from air_pipeline.devices.kinds.parts import usual

_LASER = {
    "pm01": "pm1",
    "pm02": "pm25",
    "pm10": "pm10",
    "pm01Standard": "pm1_standard",
    "pm02Standard": "pm25_standard",
    "pm10Standard": "pm10_standard",
    "pm003Count": "count_0_3",
    "pm005Count": "count_0_5",
    "pm01Count": "count_1",
    "pm02Count": "count_2_5",
    "pm50Count": "count_5",
    "pm10Count": "count_10",
    "pm02Compensated": "pm25_compensated",
}
_CLIMATE = {
    "atmp": "temperature",
    "atmpCompensated": "temperature_compensated",
    "rhum": "humidity",
    "rhumCompensated": "humidity_compensated",
}
_INSIDE = {**_LASER, **_CLIMATE}
_GASES = {
    "rco2": ("s8", "co2"),
    "tvocIndex": ("sgp41", "tvoc_index"),
    "tvocRaw": ("sgp41", "tvoc_raw"),
    "noxIndex": ("sgp41", "nox_index"),
    "noxRaw": ("sgp41", "nox_raw"),
    "wifi": ("airgradient", "signal"),
}
_ABOUT = frozenset({"boot", "bootCount", "ledMode", "serialno", "firmware", "model", "channels", "satellites"})
_CHANNELS = {"1": "pms5003-a", "2": "pms5003-b"}
_OUTDOOR = ("O-", "0-")  # one model is spelled with a zero
_DUST_RANGE = (0.0, 1000.0)  # of what the firmware lets through


def _find(root: Root, _: Wanted) -> Found:
    if "serialno" not in root or not ("model" in root or "wifi" in root):
        raise DocumentUnusable("the document is none of an AirGradient: it has no serialno")
    sensors: dict[str, dict[str, object]] = {}
    channels = root.get("channels")
    of_channels: set[str] = set()
    if isinstance(channels, dict):
        for number, said in channels.items():
            if isinstance(said, dict):
                sensor = _CHANNELS.get(number, f"pms5003-{number}")
                sensors[sensor] = {_INSIDE.get(str(key), str(key)): value for key, value in said.items()}
                of_channels.update(said)
    climate = "pms5003" if str(root.get("model", "")).startswith(_OUTDOOR) else "sht40"
    for key, value in root.items():
        if key in _ABOUT or key in of_channels:
            continue
        sensor, name = _GASES.get(key, ("airgradient", key))
        if key in _LASER:
            sensor, name = "pms5003", _LASER[key]
        elif key in _CLIMATE:
            sensor, name = climate, _CLIMATE[key]
        sensors.setdefault(sensor, {})[name] = value
    return Found(sensors)


def known(sensor: str, name: str) -> Parameter | None:
    """What is known of a parameter; dust in the range that the firmware lets through."""
    found = parts.known(sensor, name)
    is_dust = found is not None and sensor.startswith("pms5003") and name.startswith("pm")
    return replace(found, sensor_range=_DUST_RANGE) if found and is_dust else found


def _usual(sensors: Mapping[str, str]) -> tuple[Parameter, ...]:
    return tuple(known(one.sensor, one.name) or one for one in usual(**sensors))


AIRGRADIENT = Kind(
    name="airgradient",
    path="/measures/current",
    find=_find,
    usual=_usual(
        {
            "pms5003": "pm1 pm25 pm10 pm25_compensated",
            "sht40": "temperature humidity",
            "s8": "co2",
            "sgp41": "tvoc_index nox_index",
        }
    ),
    known=known,
    names=parts.names,
    lesser=parts.LESSER,
    identity=lambda root: named(root.get("serialno")),
)

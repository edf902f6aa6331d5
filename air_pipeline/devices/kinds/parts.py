"""What parameters are called and measured in, whatever the kind of device, and the ranges of the parts that measure.

Belongs here: names, units, data sheets of parts that several kinds have. Does not: how a kind spells them, and the
NodeMCU station, whose parts are in the catalogue.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from air_pipeline.catalogue import KNOWN, Parameter

_DUST = {name: "µg/m³" for size in ("pm1", "pm25", "pm4", "pm10") for name in (size, f"{size}_standard")}
_COUNTS = {f"count_{size}": "1/dL" for size in ("0_3", "0_5", "1", "2_5", "5", "10")}
_COUNTS_UP_TO = {f"count_up_to_{size}": "1/dL" for size in ("0_5", "1", "2_5", "4", "10")}

UNITS: Mapping[str, str] = MappingProxyType(
    {
        **_DUST,
        "pm25_compensated": "µg/m³",
        **_COUNTS,
        **_COUNTS_UP_TO,
        "typical_size": "µm",
        "co2": "ppm",
        "eco2": "ppm",
        "gas": "ppm",
        "temperature": "°C",
        "temperature_compensated": "°C",
        "dew_point": "°C",
        "humidity": "%",
        "humidity_compensated": "%",
        "pressure": "hPa",
        "sea_level_pressure": "hPa",
        "tvoc": "ppb",
        "tvoc_index": "1",
        "tvoc_raw": "1",
        "nox_index": "1",
        "nox_raw": "1",
        "illuminance": "lx",
        "noise": "dB(A)",
        "noise_min": "dB(A)",
        "noise_max": "dB(A)",
        "signal": "dBm",
    }
)
"""Name of a parameter to its unit. Dust is as in air; `_standard` as the part computes it for its calibration (CF=1).

`count_0_3` and so on: particles larger than 0.3 µm, each including the next; `count_up_to_…`: from 0.3 µm up to that.
"""

LESSER = frozenset(
    {*_COUNTS, *_COUNTS_UP_TO, *(name for name in _DUST if name.endswith("_standard"))}
    | {"temperature_compensated", "humidity_compensated", "dew_point", "eco2"}
    | {"typical_size", "tvoc_raw", "nox_raw", "signal"}
)
"""What is known and worth storing to some alone: nobody is told that it is not stored."""

Range = tuple[float, float]
_AIR: Mapping[str, Range] = {"temperature": (-40.0, 85.0), "humidity": (0.0, 100.0), "pressure": (300.0, 1100.0)}
_SHT: Mapping[str, Range] = {"temperature": (-40.0, 125.0), "humidity": (0.0, 100.0)}
_NO_INDEX = 0.0  # until the algorithm has learned (Sensirion, gas index algorithm)

RANGES: Mapping[str, Mapping[str, Range]] = MappingProxyType(
    {
        "bme280": _AIR,  # Bosch BME280, BMP280 and BME680, data sheets
        "bmp280": {"temperature": _AIR["temperature"], "pressure": _AIR["pressure"]},
        "bme680": _AIR,
        "sht3x": _SHT,  # Sensirion SHT3x and SHT4x
        "sht40": _SHT,
        "htu21d": _SHT,  # TE HTU21D(F)
        "scd30": {"co2": (0.0, 40_000.0), "temperature": (-40.0, 70.0), "humidity": (0.0, 100.0)},  # Sensirion SCD30
        "scd40": {"co2": (0.0, 40_000.0), "temperature": (-10.0, 60.0), "humidity": (0.0, 100.0)},  # Sensirion SCD4x
        "sds011": {"pm25": (0.0, 999.9), "pm10": (0.0, 999.9)},  # Nova SDS011
        "sps30": dict.fromkeys(("pm1", "pm25", "pm4", "pm10"), (0.0, 1000.0)),  # Sensirion SPS30
        "sgp41": {"tvoc_index": (_NO_INDEX, 500.0), "nox_index": (_NO_INDEX, 500.0)},  # Sensirion SGP41
        "s8": {"co2": (0.0, 10_000.0)},  # Senseair S8, extended range
    }
)
"""A part to what it can measure, by its data sheet."""

_RESOLUTIONS: Mapping[str, Mapping[str, float]] = MappingProxyType({"sds011": {"pm25": 0.1, "pm10": 0.1}})
_OF_SEVERAL = re.compile(r"-(?:[a-z]|\d{1,3}|0x[0-9a-fA-F]{2})$")


def known(sensor: str, name: str) -> Parameter | None:
    """What is known of a sensor's parameter by their names; a device spells both as we do.

    Of several sensors of one part, such as `pms5003-a` and `ds18b20-2`, each is known as the part is.
    """
    part = _OF_SEVERAL.sub("", sensor)
    station = KNOWN.get(part, {}).get(name)
    unit = station.unit if station else UNITS.get(name)
    if unit is None:
        return None
    bounds = station.sensor_range if station else RANGES.get(part, {}).get(name)
    resolution = station.resolution if station else _RESOLUTIONS.get(part, {}).get(name)
    return Parameter(sensor, name, unit, name, bounds, resolution)


def names(_: str) -> Iterable[str]:
    """The names of what may be known of a sensor."""
    return UNITS


def usual(**sensors: str) -> tuple[Parameter, ...]:
    """The parameters of sensors, each with the names of what it measures in one text; a `_` of its id means a -."""
    found = [(sensor.replace("_", "-"), name) for sensor, said in sensors.items() for name in said.split()]
    return tuple(one for sensor, name in found if (one := known(sensor, name)))

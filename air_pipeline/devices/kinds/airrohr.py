"""sensor.community's airRohr and Nettigo's NAM: `/data.json`, a list of `value_type` and `value`, all of them texts.

Source: `airrohr-firmware.ino` of opendata-stuttgart/sensors-software. A part that failed is not in the list; the same
value_type twice, as forks send it, counts once. What was measured together has the same `samples`, `min_micro` and
`max_micro`: the cycle's mark. `age` says how old it is, and "0" once it is older than the interval. The document does
not say which device it is.
"""

from collections.abc import Iterator, Mapping

from air_pipeline.devices.kinds import parts
from air_pipeline.devices.kinds.json_text import DocumentUnusable, shown
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted
from air_pipeline.devices.kinds.units import In

_DUST = {"P0": "pm1", "P2": "pm25", "P1": "pm10", "P4": "pm4"}  # P1 is PM10
_AIR = {"temperature": "temperature", "humidity": "humidity", "pressure": "pressure"}
_PARTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "SDS": ("sds011", _DUST),
    "PMS": ("pms", _DUST),
    "HPM": ("hpm", _DUST),
    "NPM": ("npm", _DUST),
    "IPS": ("ips", _DUST),
    "SPS30": (
        "sps30",
        {
            **_DUST,
            "N05": "count_up_to_0_5",
            "N1": "count_up_to_1",
            "N25": "count_up_to_2_5",
            "N4": "count_up_to_4",
            "N10": "count_up_to_10",
            "TS": "typical_size",
        },
    ),
    "BME280": ("bme280", _AIR),
    "BMP280": ("bmp280", _AIR),
    "BMP": ("bmp180", _AIR),
    "HTU21D": ("htu21d", _AIR),
    "SHT3X": ("sht3x", _AIR),
    "SCD30": ("scd30", {**_AIR, "co2_ppm": "co2"}),
    "DS18B20": ("ds18b20", _AIR),
    "DNMS": ("dnms", {"noise_LAeq": "noise", "noise_LA_min": "noise_min", "noise_LA_max": "noise_max"}),
}
_ABOUT = frozenset({"samples", "min_micro", "max_micro", "interval"})
_MARKS = ("samples", "min_micro", "max_micro")
_OTHER_UNITS = {"pressure": "Pa", **{name: "1/cm³" for name in parts.UNITS if name.startswith("count_up_to_")}}


def _find(root: Root, _: Wanted) -> Found:
    sensors: dict[str, dict[str, object]] = {}
    twice = []
    for value_type, value in _said(root):
        if value_type in _ABOUT:
            continue
        sensor, name = _named(value_type)
        if name in sensors.setdefault(sensor, {}):
            twice.append(f"sends {shown(value_type)} twice; the first is read")
        else:
            sensors[sensor][name] = In(value, _OTHER_UNITS[name]) if name in _OTHER_UNITS else value
    return Found(sensors, twice)


def _said(root: Root) -> Iterator[tuple[str, object]]:
    said = root.get("sensordatavalues")
    if not isinstance(said, list):
        raise DocumentUnusable("the document is none of an airRohr: it has no list of sensordatavalues")
    for one in said:
        if isinstance(one, dict) and isinstance(one.get("value_type"), str):
            yield one["value_type"], one.get("value")


def _named(value_type: str) -> tuple[str, str]:
    """Sensor and parameter of a value_type; without a prefix it is the DHT22's."""
    if value_type in _AIR:
        return "dht22", value_type
    if value_type == "signal":
        return "airrohr", "signal"
    prefix, _, key = value_type.partition("_")
    sensor, names = _PARTS.get(prefix, ("", {}))
    return (sensor, names.get(key, key)) if sensor and key else ("airrohr", value_type)


def _cycle(root: Root) -> str:
    said = dict(reversed(list(_said(root))))  # of two, the first
    return " ".join(shown(said[name]) for name in _MARKS) if all(name in said for name in _MARKS) else ""


AIRROHR = Kind(
    name="airrohr",
    path="/data.json",
    find=_find,
    usual=parts.usual(sds011="pm25 pm10", dht22="temperature humidity"),
    known=parts.known,
    names=parts.names,
    lesser=parts.LESSER,
    cycle=_cycle,
    measures_every_ms=145_000,
    interval="150s",
)

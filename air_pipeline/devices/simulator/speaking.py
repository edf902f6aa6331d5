"""How devices of other kinds than the NodeMCU station say what the world is like, each as its firmware prints it.

Belongs here: healthy documents, those of parts that fail, those after a start. Does not: the world (`weather`), what
goes wrong and when (`faults`, `script`). Sources: the modules of `devices.kinds`.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.simulator.weather import Profile, measure

_AIRROHR_CYCLE_S = 145.0
_PURPLEAIR_CYCLE_S = 120.0


@dataclass(frozen=True, slots=True)
class Air:
    """What a device has measured: °C, %, hPa, ppm, µg/m³; None where its part fails.

    Attributes:
        who: its serial number or MAC, twelve hexadecimal digits.
        cycle: the number of its measuring cycle.
        second_laser: how many times what the first of two lasers counts the second does.
    """

    who: str
    cycle: int
    temperature: float
    humidity: float
    pressure: float
    co2: float
    pm25: float | None
    pm10: float | None
    second_laser: float = 1.0


def air_at(profile: Profile, time_s: float) -> Air:
    """What a device measured last at an instant, in seconds since 1970 UTC."""
    every = {"airrohr": _AIRROHR_CYCLE_S, "purpleair": _PURPLEAIR_CYCLE_S}.get(profile.kind, 1.0)
    cycle = math.floor(time_s / every)
    said = measure(profile, cycle * every)
    pm25 = round(3.0 + 1.5 * (said["mq135_co2"] - 400.0), 1)
    return Air(
        who=profile.device.encode()[:6].hex().ljust(12, "0"),
        cycle=cycle,
        temperature=said["dht22_temperature"],
        humidity=said["dht22_humidity"],
        pressure=said["bmp180_pressure"],
        co2=round(420.0 + 40.0 * (said["mq135_co2"] - 400.0), 1),
        pm25=pm25,
        pm10=round(1.4 * pm25, 1),
    )


TWO_LASERS = frozenset({"purpleair"})
"""The kinds that have a second laser beside the first."""


def _airgradient(air: Air) -> bytes:
    dust = {} if air.pm25 is None else {"pm01": air.pm25, "pm02": air.pm25, "pm10": air.pm10, "pm02Compensated": 1.0}
    climate = {"atmp": air.temperature, "rhum": air.humidity, "rco2": air.co2, "tvocIndex": 97, "noxIndex": 1}
    return _json({**dust, **climate, **_airgradient_itself(air)})


def _airgradient_itself(air: Air) -> dict[str, object]:
    return {"boot": air.cycle // 60, "wifi": -54, "serialno": air.who, "firmware": "3.6.5", "model": "I-9PSL"}


def _airrohr(air: Air) -> bytes:
    said: list[tuple[str, float]] = []
    if air.pm25 is not None and air.pm10 is not None:
        said += [("SDS_P1", air.pm10), ("SDS_P2", air.pm25)]
    said += [("BME280_temperature", air.temperature), ("BME280_humidity", air.humidity)]
    texts = [(name, f"{value:.2f}") for name, value in [*said, ("BME280_pressure", air.pressure * 100)]]
    marks = [("samples", f"{5_000_000 + 31 * (air.cycle % 10_000)}"), ("min_micro", "26"), ("max_micro", "20017")]
    rows = [{"value_type": name, "value": text} for name, text in (*texts, *marks, ("signal", "-77"))]
    return _json({"software_version": "NRZ-2024-135", "age": "3", "sensordatavalues": rows})


def _purpleair(air: Air) -> bytes:
    said: dict[str, object] = {"SensorId": _mac(air), "place": "outside", "period": 120, "rssi": -57}
    said |= {"current_temp_f": round(air.temperature * 1.8 + 32), "current_humidity": round(air.humidity)}
    said |= {"pressure": air.pressure}
    if air.pm25 is not None and air.pm10 is not None:
        for channel, times, more in (("", 1.0, 0.0), ("_b", air.second_laser, 0.2)):
            fine, coarse = round(air.pm25 * times, 2), round(air.pm10 * times, 2)
            said |= {f"pm1_0_atm{channel}": fine, f"pm2_5_atm{channel}": round(fine + more, 2)}
            said |= {f"pm10_0_atm{channel}": coarse, f"pm2_5_cf_1{channel}": fine}
    return _json(said)


def _tasmota(air: Air) -> bytes:
    climate = {
        "Temperature": round(air.temperature * 1.8 + 32, 2),
        "Humidity": air.humidity,
        "Pressure": round(air.pressure / 33.8639, 3),
    }
    parts: dict[str, object] = {"BME280": climate, "SCD40": {"CarbonDioxide": air.co2}}
    parts |= {} if air.pm25 is None else {"SDS0X1": {"PM2.5": air.pm25, "PM10": air.pm10}}
    return _json({"StatusSNS": {**parts, "PressureUnit": "inHg", "TempUnit": "F"}})


def _shelly(air: Air) -> bytes:
    valid = air.pm25 is not None  # of what may fail it has the hygrometer alone
    return _json(
        {
            "temperature:0": {"id": 0, "tC": air.temperature, "tF": round(air.temperature * 1.8 + 32, 1)},
            "humidity:0": {"id": 0, "rh": air.humidity} if valid else {"id": 0, "rh": None, "errors": ["read"]},
            "sys": {"mac": air.who.upper(), "unixtime": None, "uptime": air.cycle},
        }
    )


def _entities(air: Air) -> tuple[tuple[str, str, str, float | None], ...]:
    """The sensors of an ESPHome: object id, name, unit, value."""
    return (
        ("room_temperature", "Room Temperature", "°F", air.temperature * 1.8 + 32),
        ("room_humidity", "Room Humidity", "%", air.humidity),
        ("room_pressure", "Room Pressure", "Pa", air.pressure * 100),
        ("dust", "Dust", "µg/m³", air.pm25),
    )


def _esphome_events(air: Air) -> bytes:
    """What it says at first of each entity, all details; a sensor that has no value yet says "NA" and null."""
    ping = {"title": "room", "comment": "", "ota": True, "log": True, "lang": "en"}
    relay: dict[str, object] = {"id": "switch/Relay", "domain": "switch", "value": False, "state": "OFF"}
    said: list[dict[str, object]] = [relay]
    for _, name, unit, value in _entities(air):
        state = "NA" if value is None else f"{value:.1f} {unit}"
        about = {"id": f"sensor/{name}", "domain": "sensor", "value": value, "state": state}
        said.append({**about, "sorting_weight": 0, "uom": unit})
    events = [f"retry: 30000\r\nid: 1\r\nevent: ping\r\ndata: {json.dumps(ping)}"]
    events += [f"event: state\r\ndata: {json.dumps(one, ensure_ascii=False)}" for one in said]
    return "\r\n\r\n".join([*events, "event: log\r\ndata: [D][sensor:093]: event: state", ""]).encode()


def _esphome(air: Air) -> bytes:
    said = _entities(air)
    lines = ["#TYPE esphome_sensor_value gauge", "#TYPE esphome_sensor_failed gauge"]
    for key, name, unit, value in said:
        labels = f'id="{key}",name="{name}"'
        lines.append(f"esphome_sensor_failed{{{labels}}} {int(value is None)}")
        if value is not None:
            lines.append(f'esphome_sensor_value{{{labels},unit="{unit}"}} {value:.2f}')
    return "\n".join([*lines, ""]).encode()


def _any_json(air: Air) -> bytes:
    room = {"name": "room", "t": str(air.temperature), "h": air.humidity, "p_kPa": air.pressure / 10}
    return _json({"uptime": air.cycle, "parts": [{"name": "dust", "pm": [air.pm25, air.pm10]}, room]})


def _prometheus(air: Air) -> bytes:
    lines = [f'room_temperature_celsius{{place="room"}} {air.temperature}', 'room_temperature_celsius{place="box"} 41']
    lines += [f"room_humidity_ratio {air.humidity / 100}", f"air_pressure_pascals {air.pressure * 100:.0f}"]
    lines += [] if air.pm25 is None else [f'dust{{size="2.5"}} {air.pm25}', f'dust{{size="10"}} {air.pm10}']
    return "\n".join(["# TYPE room_temperature_celsius gauge", *lines, ""]).encode()


def _mac(air: Air) -> str:
    return ":".join(air.who[place : place + 2] for place in range(0, 12, 2))


def _json(said: Mapping[str, object]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()


SPEAKERS: Mapping[str, Callable[[Air], bytes]] = MappingProxyType(
    {
        "airgradient": _airgradient,
        "airrohr": _airrohr,
        "purpleair": _purpleair,
        "tasmota": _tasmota,
        "shelly": _shelly,
        "esphome": _esphome,
        "json": _any_json,
        "prometheus": _prometheus,
    }
)
"""Kind to what its device says of what it measured."""

STREAMS: Mapping[str, Callable[[Air], bytes]] = MappingProxyType({"esphome": _esphome_events})
"""Kind to what its device says where it goes on without an end: at `Kind.stream_path`."""

AFTER_START: Mapping[str, Callable[[Air], bytes]] = MappingProxyType(
    {
        "airgradient": lambda air: _json({**_airgradient_itself(air), "boot": 0}),
        "airrohr": lambda _: _json({"software_version": "NRZ-2024-135", "age": "-120", "sensordatavalues": []}),
    }
)
"""Kind to what its device says before it has measured; the others answer only when they have."""


SAY_WHO = frozenset({"airgradient", "purpleair", "shelly"})
"""The kinds whose document says which device it is."""


def path_of(kind: str) -> str:
    """Where a device of a kind answers, without what follows a question mark."""
    return KINDS[kind].path.partition("?")[0] or "/status.json"

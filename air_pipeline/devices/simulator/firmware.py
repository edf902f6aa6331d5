"""How the NodeMCU firmware prints what it measured: its spellings, its order, its two decimals.

Belongs here: healthy answers and the payload of the first seconds. Does not: the measurements (`weather`), what goes
wrong (`faults`). Source: the firmware's own output.
"""

import json

from air_pipeline.catalogue import STATION
from air_pipeline.devices.simulator.weather import Profile, measure

TOP_LEVEL_NAME = "nodemcu"

Payload = dict[str, dict[str, str]]
"""Sensor to key to text, in the order in which the firmware prints them."""

_PRINTED = ("mq135", "bmp180", "ds18b20", "dht22")
_LAYOUT = tuple((name, tuple((p.key, p.series) for p in STATION if p.sensor == name)) for name in _PRINTED)


def payload_at(profile: Profile, time_s: float) -> Payload:
    """What the device says at an instant, in seconds since 1970 UTC."""
    values = measure(profile, time_s)
    return {sensor: {key: f"{values[series]:.2f}" for key, series in keys} for sensor, keys in _LAYOUT}


def boot_payload() -> Payload:
    """What the device says before its first measurement."""
    return {sensor: {key: "0.00" if sensor == "ds18b20" else "" for key, _ in keys} for sensor, keys in _LAYOUT}


def render(payload: Payload, name: str = TOP_LEVEL_NAME) -> bytes:
    """The document's bytes."""
    return json.dumps({name: payload}, separators=(",", ":")).encode()

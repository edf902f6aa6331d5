"""What a device would measure at any instant: a pure function of (seed, device, time).

Belongs here: an invented but plausible world (seasons, days, weather fronts, rooms that people cook in) and the
sensors' resolution. Does not: how the device prints it (`firmware`), what goes wrong (`faults`).

One set of formulas serves both one instant and an array of instants: `Arithmetic` says with which functions. Noise
comes from hashed integers, so any instant costs the same and none depends on another.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from air_pipeline.catalogue import CLEAN_AIR_RATIO, GAS_CURVES, MEASURING_CYCLE_S, PROBES, SEA_LEVEL_RATIO

Number = Any
"""A float, or a numpy array of floats."""

_DAY = 86_400.0
_YEAR = 365.2425 * _DAY
MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Profile:
    """Which device in which world.

    Attributes:
        device: the id; devices of one seed share the weather and differ in their rooms and their sensors' offsets.
        seed: of the world.
        booted_at: when the firmware last started and took the air for clean, in seconds since 1970 UTC; None: long ago.
        kind: which kind of device it is (`devices.kinds`): another kind says the same world otherwise.
    """

    device: str
    seed: int = 0
    booted_at: float | None = None
    kind: str = "nodemcu"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The functions that differ between one number and an array of numbers."""

    floor: Callable[[Number], Number]
    rint: Callable[[Number], Number]
    sin: Callable[[Number], Number]
    exp: Callable[[Number], Number]
    least: Callable[[Number, Number], Number]
    most: Callable[[Number, Number], Number]
    unit: Callable[[Number, int], Number]
    """Hashes whole numbers with a key: evenly spread over [−1, 1)."""


def measure(profile: Profile, time_s: Number, arithmetic: Arithmetic | None = None) -> dict[str, Number]:
    """What the sensors say at an instant, series to number, rounded as the firmware prints it.

    Args:
        profile: which device.
        time_s: seconds since 1970 UTC; with array arithmetic an array of them.
        arithmetic: `SCALAR` unless said otherwise.
    """
    a = arithmetic or SCALAR
    key = _key(profile.seed, profile.device)
    loop = a.floor(time_s / MEASURING_CYCLE_S)
    t = loop * MEASURING_CYCLE_S
    air = _room(a, profile.seed, key, t)
    return {
        **_dht22(a, key, loop, air),
        **_bmp180(a, key, loop, air),
        "ds18b20_temperature": _ds18b20(a, key, loop, air),
        **_mq135(a, profile, key, t),
    }


@dataclass(frozen=True, slots=True)
class _Air:
    temperature: Number
    humidity: Number
    pressure: Number


def _room(a: Arithmetic, seed: int, key: int, t: Number) -> _Air:
    sky = _key(seed, "sky")
    day = a.sin(2 * math.pi * (t / _DAY - 0.375))  # warmest at 15:00 UTC
    season = a.sin(2 * math.pi * (t / _YEAR - 0.30))  # warmest in late July
    front = _wave(a, sky, 1, t, 3.7 * _DAY)
    outside = 9.5 + 10.5 * season + (3.5 + 1.5 * season) * day + 5.0 * front + 0.8 * _wave(a, sky, 2, t, 5 * 3600.0)
    setting = 22.0 + 2.0 * _fixed(key, 1)
    at_home = _wave(a, key, 3, t, 7 * 3600.0)
    temperature = setting + 0.16 * (outside - 9.5) + 0.5 * day + 0.9 * at_home + 0.12 * _wave(a, key, 4, t, 900.0)
    moisture = 47.0 + 9.0 * season + 9.0 * _wave(a, sky, 5, t, 2.3 * _DAY) + 3.0 * _wave(a, key, 6, t, 4 * 3600.0)
    humidity = moisture - 2.2 * (temperature - setting) + 0.7 * _wave(a, key, 7, t, 600.0)
    tide = a.sin(4 * math.pi * (t / _DAY - 0.16))
    pressure = (
        997.5 - 9.0 * front + 8.0 * _wave(a, sky, 8, t, 5.3 * _DAY) + 1.2 * _wave(a, sky, 9, t, 9 * 3600.0) + 0.5 * tide
    )
    return _Air(temperature, a.most(a.least(humidity, 98.0), 8.0), pressure)


def _dht22(a: Arithmetic, key: int, loop: Number, air: _Air) -> dict[str, Number]:
    temperature = air.temperature + 0.3 * _fixed(key, 11) + 0.04 * a.unit(loop, key + 12)
    humidity = air.humidity + 1.5 * _fixed(key, 13) + 0.08 * a.unit(loop, key + 14)
    return {"dht22_temperature": _step(a, temperature, 10), "dht22_humidity": _step(a, humidity, 10)}


def _bmp180(a: Arithmetic, key: int, loop: Number, air: _Air) -> dict[str, Number]:
    # The firmware measures anew for each of the three numbers: each has noise of its own.
    pressure = air.pressure + 0.03 * a.unit(loop, key + 15)
    second = air.pressure + 0.03 * a.unit(loop, key + 16)
    third = air.pressure + 0.03 * a.unit(loop, key + 17)
    sea_level = second * SEA_LEVEL_RATIO
    return {
        "bmp180_temperature": _step(
            a, air.temperature + 0.7 + 0.2 * _fixed(key, 18) + 0.03 * a.unit(loop, key + 19), 10
        ),
        "bmp180_pressure": _step(a, pressure, 100),
        "bmp180_sea_level_pressure": _step(a, sea_level, 100),
        "bmp180_altitude": _step(a, 44_330 * (1 - (third / sea_level) ** (1 / 5.255)), 100),
    }


def _ds18b20(a: Arithmetic, key: int, loop: Number, air: _Air) -> Number:
    total: Number = 0.0
    for probe in range(PROBES):
        offset = 0.25 * _fixed(key, 20 + probe)
        total = total + _step(a, air.temperature + offset + 0.03 * a.unit(loop, key + 30 + probe), 16)
    return _step(a, total / PROBES, 100)


def _mq135(a: Arithmetic, profile: Profile, key: int, t: Number) -> dict[str, Number]:
    ratio = _resistance(a, key, t)
    if profile.booted_at is not None:
        start = math.floor(profile.booted_at / MEASURING_CYCLE_S) * MEASURING_CYCLE_S
        cold = 1 + 0.3 * a.exp(a.least(start - t, 0.0) / (9 * 3600.0))  # the heater needs a day
        ratio = CLEAN_AIR_RATIO * ratio * cold / (1.3 * _resistance(SCALAR, key, start))
    return {series: _step(a, c * ratio**b + offset, 100) for series, (c, b, offset) in GAS_CURVES.items()}


def _resistance(a: Arithmetic, key: int, t: Number) -> Number:
    cooking = a.most(_wave(a, key, 41, t, 1.7 * 3600.0) - 0.55, 0.0)
    slow = 0.10 * _wave(a, key, 42, t, 0.6 * _DAY) + 0.05 * _wave(a, key, 43, t, 3 * _DAY)
    return 4.0 * (1 + slow + 0.012 * _wave(a, key, 44, t, 45.0)) / (1 + 1.4 * cooking)


def _wave(a: Arithmetic, key: int, channel: int, t: Number, period_s: float) -> Number:
    """Smooth noise between −1 and 1: hashed values every `period_s` seconds, joined by 3f²−2f³."""
    place = t / period_s
    index = a.floor(place)
    part = place - index
    here, there = a.unit(index, key + channel), a.unit(index + 1.0, key + channel)
    return here + (there - here) * (part * part * (3.0 - 2.0 * part))


def _step(a: Arithmetic, value: Number, steps: int) -> Number:
    """To the nearest of `steps` per unit; + 0.0 makes −0.0 a zero."""
    return a.rint(value * steps) / steps + 0.0


@cache
def _key(seed: int, name: str) -> int:
    key = seed & MASK
    for byte in name.encode():
        key = _mix(key ^ byte)
    return key


@cache
def _fixed(key: int, channel: int) -> float:
    """A number in [−1, 1) that a device has for life."""
    return _scalar_unit(0.0, key + channel)


def _mix(x: int) -> int:
    """The finalizer of splitmix64 (Steele, Lea & Flood, 2014)."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def _scalar_unit(index: float, key: int) -> float:
    return (_mix((int(index) ^ (key & MASK)) & MASK) >> 11) * 2.0**-52 - 1.0


SCALAR = Arithmetic(
    floor=lambda x: float(math.floor(x)),
    rint=lambda x: float(round(x)),
    sin=math.sin,
    exp=math.exp,
    least=min,
    most=max,
    unit=_scalar_unit,
)
"""For one instant."""

"""Units that devices and other programs write, and how their values become ours.

Belongs here: spellings, and conversions that are exact by definition. Does not: which unit a series has (`catalogue`,
`settings`).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

_Numbers = TypeVar("_Numbers")
"""A number, or an array of them."""

DIGITS = 9
"""Decimals of a converted value: 71.24 °F are 21.8 °C, and not 21.799999999999997. No sensor knows as many."""

_SPELT: Mapping[str, str] = MappingProxyType(
    {
        "C": "°C",
        "F": "°F",
        "degC": "°C",
        "degF": "°F",
        "deg C": "°C",
        "deg F": "°F",
        "º C": "°C",
        "º F": "°F",
        "ºC": "°C",
        "ºF": "°F",
        "° C": "°C",
        "° F": "°F",
        "℃": "°C",
        "℉": "°F",
        "Celsius": "°C",
        "Fahrenheit": "°F",
        "celsius": "°C",
        "fahrenheit": "°F",
        "c": "°C",
        "f": "°F",
        "Kelvin": "K",
        "ug/m3": "µg/m³",
        "ug/m³": "µg/m³",
        "µg/m3": "µg/m³",
        "μg/m³": "µg/m³",
        "μg/m3": "µg/m³",
        "μg/m^3": "µg/m³",
        "µg/m^3": "µg/m³",
        "ug/m^3": "µg/m³",
        "mg/m3": "mg/m³",
        "mg/m^3": "mg/m³",
        "1/cm3": "1/cm³",
        "#/cm3": "1/cm³",
        "#/cm³": "1/cm³",
        "#/dL": "1/dL",
        "%RH": "%",
        "% RH": "%",
        "%rH": "%",
        "millibar": "mbar",
        "mb": "mbar",
        "hpa": "hPa",
        "inhg": "inHg",
        "mmhg": "mmHg",
        "Torr": "mmHg",
        "PPM": "ppm",
        "PPB": "ppb",
        "dBA": "dB(A)",
        "lux": "lx",
    }
)
"""Other spellings of a unit."""

OURS: Mapping[str, str] = MappingProxyType(
    {
        "°F": "°C",
        "K": "°C",
        "Pa": "hPa",
        "kPa": "hPa",
        "mbar": "hPa",
        "inHg": "hPa",
        "mmHg": "hPa",
        "mg/m³": "µg/m³",
        "1/cm³": "1/dL",
        "ratio": "%",
        "ft": "m",
    }
)
"""A unit that is sent or written to the one in which we store it."""

_CONVERSIONS: Mapping[tuple[str, str], Callable[[Any], Any]] = MappingProxyType(
    {
        ("°F", "°C"): lambda value: (value - 32) / 1.8,
        ("K", "°C"): lambda value: value - 273.15,
        ("Pa", "hPa"): lambda value: value / 100,
        ("kPa", "hPa"): lambda value: value * 10,
        ("mbar", "hPa"): lambda value: value,
        # NIST SP 811, appendix B.8, for the conventional inch and mm of mercury.
        ("inHg", "hPa"): lambda value: value * 33.863886,
        ("mmHg", "hPa"): lambda value: value * 1.333224,
        ("mg/m³", "µg/m³"): lambda value: value * 1000,
        ("1/cm³", "1/dL"): lambda value: value * 100,
        ("ratio", "%"): lambda value: value * 100,
        ("ft", "m"): lambda value: value * 0.3048,
        ("ppb", "ppm"): lambda value: value / 1000,
        ("ppm", "ppb"): lambda value: value * 1000,
    }
)


SENT: tuple[str, ...] = tuple(dict.fromkeys([*OURS, *(unit for pair in _CONVERSIONS for unit in pair)]))
"""The units of which values can be converted, and into which."""
_KNOWN = frozenset({*SENT, "%", "lx", "dBm", "dB(A)"})
_OF_SEVERAL = frozenset(into for _, into in _CONVERSIONS)


def spelt(unit: str) -> str:
    """A unit as it is spelt here."""
    return _SPELT.get(unit.strip(), unit.strip())


def kept_in(unit: str) -> str:
    """The unit in which we store what comes in another one, where nothing else is said."""
    return OURS.get(spelt(unit), spelt(unit))


def can_convert(unit: str, into: str) -> bool:
    """Whether values of one unit can be said in another."""
    return spelt(unit) == into or (spelt(unit), into) in _CONVERSIONS


def contradicts(unit: str, into: str) -> bool:
    """Whether values of one unit are none of another, or may well be none: what measures °C may be told in many.

    Of two units that nobody knows here, one may be a spelling of the other.
    """
    return not can_convert(unit, into) and (spelt(unit) in _KNOWN or into in _OF_SEVERAL)


def converted(values: _Numbers, unit: str, into: str) -> _Numbers:
    """Values of one unit in another; see `can_convert`."""
    if spelt(unit) == into:
        return values
    found: _Numbers = _CONVERSIONS[spelt(unit), into](values)
    return found

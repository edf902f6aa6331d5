"""Units that others write, and how they become the units of series.

Belongs here: conversions that are exact by definition. Does not: which unit a series has (`catalogue`, `settings`).
"""

from collections.abc import Mapping
from types import MappingProxyType

from air_pipeline.importing.rows import Numbers

_SPELT: Mapping[str, str] = MappingProxyType(
    {
        "C": "°C",
        "F": "°F",
        "degC": "°C",
        "degF": "°F",
        "ug/m3": "µg/m³",
        "ug/m³": "µg/m³",
        "µg/m3": "µg/m³",
        "μg/m³": "µg/m³",
        "μg/m3": "µg/m³",
        "%RH": "%",
        "mbar": "hPa",
        "millibar": "hPa",
        "mb": "hPa",
    }
)
"""Other spellings of a unit."""

# (from, to): value · factor + offset. NIST SP 811, appendix B.8, for the conventional inch and mm of mercury.
_EXACT: Mapping[tuple[str, str], tuple[float, float]] = MappingProxyType(
    {
        ("°F", "°C"): (5 / 9, -160 / 9),
        ("K", "°C"): (1.0, -273.15),
        ("Pa", "hPa"): (0.01, 0.0),
        ("kPa", "hPa"): (10.0, 0.0),
        ("inHg", "hPa"): (33.863886, 0.0),
        ("mmHg", "hPa"): (1.333224, 0.0),
        ("mg/m³", "µg/m³"): (1000.0, 0.0),
        ("ppb", "ppm"): (0.001, 0.0),
        ("ppm", "ppb"): (1000.0, 0.0),
        ("ft", "m"): (0.3048, 0.0),
    }
)
_OURS: Mapping[str, str] = MappingProxyType(
    {"°F": "°C", "K": "°C", "Pa": "hPa", "kPa": "hPa", "inHg": "hPa", "mmHg": "hPa", "mg/m³": "µg/m³", "ft": "m"}
)
"""In which unit a series is kept that nobody knew yet."""


def spelt(unit: str) -> str:
    """A unit as it is spelt here."""
    return _SPELT.get(unit.strip(), unit.strip())


def kept_in(unit: str) -> str:
    """The unit in which a series is kept that came in another one and was not known yet."""
    return _OURS.get(spelt(unit), spelt(unit))


def can_convert(unit: str, into: str) -> bool:
    """Whether values of one unit can be said in another."""
    return spelt(unit) == into or (spelt(unit), into) in _EXACT


def converted(values: Numbers, unit: str, into: str) -> Numbers:
    """Values of one unit in another; see `can_convert`."""
    if spelt(unit) == into:
        return values
    factor, offset = _EXACT[spelt(unit), into]
    return values * factor + offset

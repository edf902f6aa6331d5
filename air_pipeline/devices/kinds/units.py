"""Values that come in another unit than ours, converted where they come in; what cannot be used is shown as it came."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

OURS: Mapping[str, tuple[str, Callable[[float], float]]] = MappingProxyType(
    {
        "°F": ("°C", lambda value: (value - 32) / 1.8),
        "K": ("°C", lambda value: value - 273.15),
        "Pa": ("hPa", lambda value: value / 100),
        "kPa": ("hPa", lambda value: value * 10),
        "mbar": ("hPa", lambda value: value),
        "inHg": ("hPa", lambda value: value * 33.8639),  # NIST SP 811, B.8, of 0 °C
        "mmHg": ("hPa", lambda value: value * 1.33322),  # the same
        "mg/m³": ("µg/m³", lambda value: value * 1000),
        "1/cm³": ("1/dL", lambda value: value * 100),
    }
)
"""A unit that devices send to the one that we store, and how."""


@dataclass(frozen=True, slots=True)
class In:
    """A value as it was sent, in a unit of `OURS`."""

    sent: object
    unit: str

    def ours(self, number: float) -> float:
        """The number that was sent, in our unit."""
        return OURS[self.unit][1](number) + 0.0

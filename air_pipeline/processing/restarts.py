"""When a device restarted, by what it said.

Belongs here: the one way in which restarts are recognized. Does not: what follows from one (`rules.agreement`).
"""

import numpy as np

from air_pipeline.catalogue import CLEAN_AIR_RATIO, GAS_CURVES
from air_pipeline.processing.slots import Instants
from air_pipeline.processing.station import Floats, Places, Station, last_place, nearby_ms
from air_pipeline.settings import Device

_PROBES, _GAS = "ds18b20_temperature", "mq135_co2"  # the six gases are one number: one stands for all


def restarts(station: Station) -> Instants:
    """The slots in which a restart shows, ms since 1970 UTC, rising.

    A device has restarted where it says what the firmware says before its first measurement (`starting`), and where the
    gases are of clean air again after they came as empty texts, at most three intervals before: at its start the
    firmware takes the air of the moment for clean.
    """
    return np.asarray(station.slots.at[starting(station) | _zeroed(station)])


def matter_to(device: Device) -> bool:
    """Whether flags of a device depend on its restarts: those of gases do, for as long as they warm up."""
    return bool(device.warm_up) and not GAS_CURVES.keys().isdisjoint(device.units)


def starting(station: Station) -> Places:
    """Where the server answered before the first measurement: all texts are empty but that of the DS18B20, 0.00."""
    none = np.zeros(len(station.slots), dtype=bool)
    others = station.series.keys() - {_PROBES}
    if _PROBES not in station.series or not others or not others <= station.empty.keys():
        return none
    empty = np.logical_and.reduce([station.empty[name] for name in sorted(others)])
    return np.asarray(empty & (station.series[_PROBES].values == 0.0))


def ratio_of(gas: str, ppm: Floats) -> Floats:
    """The resistance ratio x for which the firmware prints so much of a gas: infinite for none of it."""
    scale, exponent, offset = GAS_CURVES[gas]
    with np.errstate(divide="ignore"):
        return np.asarray((np.maximum(ppm - offset, 0.0) / scale) ** (1 / exponent))


def _zeroed(station: Station) -> Places:
    within = station.device.limits.get(_GAS, {}).get("restart_within")
    if within is None or _GAS not in station.empty:
        return np.zeros(len(station.slots), dtype=bool)
    gas, at = station.series[_GAS], station.slots.at
    empty = last_place(station.empty[_GAS])
    came = (empty > gas.previous) & (at - at[empty] <= nearby_ms(station.slots))
    return np.asarray(came & (np.abs(ratio_of(_GAS, gas.values) / CLEAN_AIR_RATIO - 1) <= within))

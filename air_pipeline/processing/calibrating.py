"""Series that are calibrated by hand: gain × value + offset, each a series of its own beside the raw one.

Belongs here: their values. Does not: how a device is calibrated (`settings.calibration`), their flags (`flags`).
"""

from collections.abc import Mapping

import numpy as np

from air_pipeline.processing.station import Floats, Series, Station
from air_pipeline.settings.calibration import calibrated_name


def calibrated_of(station: Station, raw: Mapping[str, Floats]) -> Station:
    """The calibrated series of a device, as series of a station of their own.

    There is no value before the first calibration, nor where it would be too large for a number.

    Args:
        station: the device.
        raw: series to its values, of sensors and means.
    """
    units, found = station.device.units, {}
    for series, of_one in station.device.calibrations.items():
        if series in raw:
            place = np.searchsorted([one.since for one in of_one], station.slots.at, side="right")
            gain = np.array([np.nan, *(one.gain for one in of_one)])[place]
            offset = np.array([np.nan, *(one.offset for one in of_one)])[place]
            name = calibrated_name(series)
            found[name] = Series(name, units[name], station.slots, _calibrated(raw[series], gain, offset))
    return Station(station.device, station.slots, found, station.outcomes)


def _calibrated(raw: Floats, gain: Floats, offset: Floats) -> Floats:
    with np.errstate(over="ignore"):
        values = gain * raw + offset + 0.0  # which makes 0 of −0
    return np.where(np.isfinite(values), values, np.nan)

"""What devices say at many instants at once: the formulas of `weather` with numpy, for histories.

Belongs here: arithmetic of arrays. Does not: the formulas. The simulator itself answers one instant at a time, without
numpy.
"""

import numpy as np
from numpy.typing import NDArray

from air_pipeline.catalogue import STATION
from air_pipeline.devices.simulator.weather import MASK, Arithmetic, Number, Profile, measure


def unit(index: Number, key: int) -> Number:
    """Noise in [-1, 1) that is equal to that of a single instant."""
    x = index.astype(np.int64).astype(np.uint64) ^ np.uint64(key & MASK)
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


ARRAYS = Arithmetic(np.floor, np.rint, np.sin, np.exp, np.minimum, np.maximum, unit)
"""For arrays of instants."""


def values_at(profile: Profile, times_ms: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """What the device says at many instants, series to an array of values: equal to its documents at those times.

    Args:
        profile: which device.
        times_ms: instants in ms since 1970 UTC.
    """
    values = measure(profile, times_ms / 1000, ARRAYS)
    return {parameter.series: values[parameter.series] for parameter in STATION}

"""What is wrong with a value by itself.

Belongs here: rules that need nothing but the document a value came in. Does not: what came before or after (`course`).
"""

from collections.abc import Iterator

import numpy as np

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.rules.measuring import Measured, rule
from air_pipeline.processing.station import Station


@rule("values", says="the device sent something that is no number", of_nothing=True)
def unusable_value(station: Station) -> Iterator[tuple[str, Measured]]:
    """The device sent something that is no number: bad, and no value."""
    for name, unusable in station.unusable.items():
        sent = unusable & np.isnan(station.series[name].values)
        yield name, Measured(np.where(sent, 1.0, np.nan), Flag.BAD, most=0.0)


@rule("values", says="{value:g} {unit} is outside of {least:g} … {most:g} {unit}, which the sensor can measure")
def sensor_range(station: Station) -> Iterator[tuple[str, Measured]]:
    """The value is outside of what the sensor can measure: bad."""
    for series in station:
        if series.sensor_range is not None:
            low, high = series.sensor_range
            yield series.name, Measured(series.values, Flag.BAD, least=low, most=high)


@rule("values", says="{value:g} {unit} is outside of the expected {least:g} … {most:g} {unit}", of_means=True)
def expected_range(station: Station) -> Iterator[tuple[str, Measured]]:
    """The value is outside of the configured expected_range: suspect."""
    for name, (low, high) in station.device.expected_range.items():
        if name in station.series:
            yield name, Measured(station.series[name].values, Flag.SUSPECT, least=low, most=high)

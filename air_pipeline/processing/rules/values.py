"""What is wrong with a value by itself.

Belongs here: rules that need nothing but the document a value came in. Does not: what came before or after (`course`).
"""

from collections.abc import Iterator

import numpy as np

from air_pipeline.catalogue import ABSENT_PROBE, GAS_CURVES, RESET_PROBE, SHORTED_PROBE
from air_pipeline.devices.polls import Flag
from air_pipeline.processing.restarts import starting
from air_pipeline.processing.rules.measuring import Measured, rule
from air_pipeline.processing.station import Station

FAILURE_VALUES = (ABSENT_PROBE, RESET_PROBE, SHORTED_PROBE)


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


@rule("values", says="{value:g} °C is what the sensor says when it fails: −127 absent, 85 reset, 127.94 shorted")
def failure_value(station: Station) -> Iterator[tuple[str, Measured]]:
    """The DS18B20 is at −127, 85.00 or 127.94 °C, which stand for failures: bad.

    The amount is how far the value is from the nearest of them.
    """
    for series, within in station.with_limit("fixed_within"):
        apart = np.minimum.reduce([np.abs(series.values - fixed) for fixed in FAILURE_VALUES])
        yield series.name, Measured(apart, Flag.BAD, least=within)


@rule("values", says="0.00 °C while all other values are empty: the device has not measured yet")
def before_first_measurement(station: Station) -> Iterator[tuple[str, Measured]]:
    """The device had just started and not measured yet: the other values are empty, the DS18B20 is 0.00: bad.

    The amount is how many measurements stand behind the value: none, where that shows.
    """
    if "ds18b20_temperature" in station.series:
        yield "ds18b20_temperature", Measured(np.where(starting(station), 0.0, np.nan), Flag.BAD, least=1.0)


@rule("values", says="no gas is more than {amount:g} ppm above what the firmware adds: the sensor is off")
def gases_off(station: Station) -> Iterator[tuple[str, Measured]]:
    """All gases of the MQ135 are 0.00, co2 400.00: the sensor is off: bad.

    The amount is by how much the largest of them is above what the firmware adds to it.
    """
    gases = [series for series in station if series.name in GAS_CURVES]
    for _, below in station.with_limit("gases_off_below"):
        above = np.maximum.reduce([series.values - GAS_CURVES[series.name][2] for series in gases])
        for series in gases:
            yield series.name, Measured(above, Flag.BAD, least=below)


@rule("values", says="the same chip says {amount:g} hPa at once, which is no pressure of air")
def bmp180_garbage(station: Station) -> Iterator[tuple[str, Measured]]:
    """The BMP180 gave a pressure that it cannot measure: what else it said in that document is garbage too: bad.

    The amount is that pressure.
    """
    pressure = station.series.get("bmp180_pressure")
    if pressure is None or pressure.sensor_range is None:
        return
    low, high = pressure.sensor_range
    for series in station:
        if series.name.startswith("bmp180_") and series is not pressure:
            yield series.name, Measured(pressure.values, Flag.BAD, least=low, most=high)

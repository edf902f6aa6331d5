"""What parameters and units are called by the CF conventions: standard names, and units as UDUNITS reads them.

Belongs here: names of others for ours. Does not: what is known of sensors (`catalogue`).

Sources: CF standard name table, version 93; UDUNITS-2.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from air_pipeline.settings.calibration import CALIBRATED

_MOLES: Mapping[str, str] = {
    "co": "carbon_monoxide",
    "co2": "carbon_dioxide",
    "ch4": "methane",
    "hcho": "formaldehyde",
    "no": "nitrogen_monoxide",
    "no2": "nitrogen_dioxide",
    "o3": "ozone",
    "so2": "sulfur_dioxide",
}
STANDARD_NAMES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("temperature", "°C"): "air_temperature",
        ("humidity", "%"): "relative_humidity",
        ("pressure", "hPa"): "air_pressure",
        ("sea_level_pressure", "hPa"): "air_pressure_at_mean_sea_level",
        ("noise", "dB"): "sound_pressure_level_in_air",
        **{
            (name, "µg/m³"): f"mass_concentration_of_{size}_ambient_aerosol_particles_in_air"
            for name, size in (("pm1", "pm1"), ("pm25", "pm2p5"), ("pm10", "pm10"))
        },
        **{(name, unit): f"mole_fraction_of_{gas}_in_air" for name, gas in _MOLES.items() for unit in ("ppm", "ppb")},
    }
)
"""Parameter and its unit to standard name."""
UNITS: Mapping[str, str] = MappingProxyType(
    {
        "°C": "degree_Celsius",
        "%": "percent",
        "ppm": "1e-6",
        "ppb": "1e-9",
        "µg/m³": "ug m-3",
        "hPa": "hPa",
        "dB": "dB",
        "lx": "lx",
        "m": "m",
        "V": "V",
        "1": "1",
    }
)
"""Our unit to that of UDUNITS."""

NAMELESS = ("mq135_", "bmp180_temperature")
"""Series that begin so measure something else than the standard name says: an index, and the warmth of a chip."""


def parameter_of(series: str, means: Collection[str]) -> str:
    """The parameter of a series: `temperature` of `dht22_temperature`, and of the mean `temperature` over sensors.

    A calibrated series measures what the raw one does. Of a name alone nobody knows which of the two it is:
    `floor_temperature` is a sensor's, or the mean of several, of another parameter.

    Args:
        series: its name.
        means: the names of means.
    """
    series = series.removesuffix(CALIBRATED)
    return series if series in means or "_" not in series else series.partition("_")[2]


def standard_name(series: str, unit: str, means: Collection[str]) -> str | None:
    """The CF standard name of a series; None where there is none, or where it would say too much."""
    return None if series.startswith(NAMELESS) else STANDARD_NAMES.get((parameter_of(series, means), unit))

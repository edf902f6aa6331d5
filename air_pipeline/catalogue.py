"""What is known of sensors: their parameters, units, spellings and ranges, with the sources.

Belongs here: facts about hardware that hold for every device. Does not: what one user has (`settings`), how a document
is read (`devices`), what is made of the facts (`processing`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

RULE_PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        "max_rate": "largest believable change per second, in the series' unit",
    }
)
"""Names of the rule parameters that `devices.yaml` may override, with their meaning."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that one sensor measures.

    Attributes:
        sensor: id of the sensor, such as `dht22`.
        name: what is measured, such as `temperature`.
        unit: the unit in which the device reports it, such as `°C`.
        key: how the device spells the name in its document.
        sensor_range: what the sensor can measure at all, both ends included; None where it is not known.
        resolution: the smallest step between two values; None where it is not known.
        description: what the number means, for people.
    """

    sensor: str
    name: str
    unit: str
    key: str
    sensor_range: tuple[float, float] | None = None
    resolution: float | None = None
    description: str = ""

    @property
    def series(self) -> str:
        """The name of the series, such as `dht22_temperature`: a column, a field name, part of a key."""
        return f"{self.sensor}_{self.name}"


_GASES = (
    ("co", "co", "carbon monoxide"),
    ("co2", "co2", "carbon dioxide"),
    ("alcohol", "alcohol", "alcohol vapour"),
    ("nh4", "nh4", "ammonium"),
    ("acetone", "aceton", "acetone vapour"),
    ("toluene", "toulen", "toluene vapour"),
)
_GAS_RANGE = (0.0, 10_000.0)  # ppm; the span of the data sheet's curves (Winsen/Hanwei MQ135)


def _gas(name: str, key: str, label: str) -> Parameter:
    description = f"{label}: one of six curves over one uncalibrated resistance ratio, an index and no measurement"
    return Parameter("mq135", name, "ppm", key, _GAS_RANGE, 0.01, description)


STATION: tuple[Parameter, ...] = (
    Parameter(
        "dht22",
        "temperature",
        "°C",
        "temperature",
        (-40.0, 80.0),
        0.1,
        "air temperature, ±0.5 °C (Aosong AM2302)",
    ),
    Parameter("dht22", "humidity", "%", "humidity", (0.0, 100.0), 0.1, "relative humidity, ±2 % (Aosong AM2302)"),
    Parameter(
        "bmp180",
        "temperature",
        "°C",
        "temperature",
        (-40.0, 85.0),
        0.1,
        "temperature of the chip (Bosch BMP180)",
    ),
    Parameter("bmp180", "pressure", "hPa", "pressure", (300.0, 1100.0), 0.01, "station pressure (Bosch BMP180)"),
    Parameter(
        "bmp180",
        "sea_level_pressure",
        "hPa",
        "seaLevelPressure",
        (300.0, 1150.0),
        0.01,
        "pressure reduced to sea level by the firmware, for a fixed altitude of 150 m",
    ),
    Parameter(
        "bmp180",
        "altitude",
        "m",
        "altitude",
        (-500.0, 9000.0),
        0.01,
        "computed by the firmware from its two pressures: always about 150 m",
    ),
    Parameter(
        "ds18b20",
        "temperature",
        "°C",
        "temperature",
        (-55.0, 125.0),
        0.0625,
        "mean of the eight probe slots on the wire (Maxim DS18B20); an absent probe counts as −127 °C",
    ),
    *(_gas(*gas) for gas in _GASES),
)
"""The five-part NodeMCU station: what a device has when `devices.yaml` says nothing else.

Sources: the firmware and the data sheets of the parts.
"""

KNOWN: Mapping[str, Mapping[str, Parameter]] = MappingProxyType(
    {
        sensor: MappingProxyType({parameter.name: parameter for parameter in STATION if parameter.sensor == sensor})
        for sensor in dict.fromkeys(parameter.sensor for parameter in STATION)
    }
)
"""The same parameters by sensor and name."""


def shared_parameters(parameters: tuple[Parameter, ...]) -> dict[str, tuple[Parameter, ...]]:
    """The parameters that several sensors of one device measure: name to its members, as `temperature` for the station.

    Each gives a series of its own: the mean over its members.
    """
    members: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        members.setdefault(parameter.name, []).append(parameter)
    return {name: tuple(found) for name, found in members.items() if len(found) > 1}

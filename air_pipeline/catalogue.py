"""What is known of sensors: their parameters, units, spellings, ranges and the limits of rules, with the sources.

Belongs here: facts about hardware that hold for every device. Does not: what one user has (`settings`), how a document
is read (`devices`), what is made of the facts (`processing`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that one sensor measures.

    Attributes:
        sensor: id of the sensor, such as `dht22`.
        name: what is measured, such as `temperature`.
        unit: the unit in which it is stored, such as `°C`.
        key: how the device spells the name in its document.
        sensor_range: what the sensor can measure at all, both ends included; None where it is not known.
        resolution: the smallest step between two values; None where it is not known.
        description: what the number means, for people.
        sensor_spelt: how the device spells the sensor, where that is not its id.
        sent_in: the unit in which the device sends it, where that is not the unit.
    """

    sensor: str
    name: str
    unit: str
    key: str
    sensor_range: tuple[float, float] | None = None
    resolution: float | None = None
    description: str = ""
    sensor_spelt: str | None = None
    sent_in: str | None = None

    @property
    def sensor_key(self) -> str:
        """How the device spells the sensor in its document."""
        return self.sensor if self.sensor_spelt is None else self.sensor_spelt

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


def of_name(series: str) -> Parameter:
    """What is known of a series by its name alone; of one that is not in the catalogue nothing else is known."""
    sensor, _, name = series.partition("_")
    return KNOWN.get(sensor, {}).get(name) or Parameter(sensor, name, unit="", key=name)


def shared_parameters(parameters: tuple[Parameter, ...]) -> dict[str, tuple[Parameter, ...]]:
    """The parameters that several sensors of one device measure: name to its members, as `temperature` for the station.

    Each gives a series of its own: the mean over its members.
    """
    members: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        members.setdefault(parameter.name, []).append(parameter)
    return {name: tuple(found) for name, found in members.items() if len(found) > 1}


MEASURING_CYCLE_S = 2.0
"""The firmware measures about every two seconds (and the DHT22 no oftener, by its data sheet); asked again within that
time it repeats itself."""

SEA_LEVEL_RATIO = (1 - 150 / 44_330) ** -5.255
"""Sea-level pressure over pressure at the firmware's fixed altitude of 150 m (barometric formula): 1.01797."""

GAS_CURVES: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "mq135_co": (605.18, -3.937, 0.0),
        "mq135_co2": (110.47, -2.862, 400.0),
        "mq135_alcohol": (77.255, -3.18, 0.0),
        "mq135_nh4": (102.2, -2.473, 0.0),
        "mq135_acetone": (34.668, -3.369, 0.0),
        "mq135_toluene": (44.947, -3.445, 0.0),
    }
)
"""Series to (a, b, offset): the firmware prints a·x^b + offset in ppm for one resistance ratio x (MQ135 data sheet)."""

CLEAN_AIR_RATIO = 3.6
"""x that the firmware gives to the air of the moment at which it starts."""

PROBES = 8
"""DS18B20 slots on the wire; the firmware prints the mean over all of them."""

ABSENT_PROBE, RESET_PROBE, SHORTED_PROBE = -127.0, 85.0, 127.94
"""What a DS18B20 counts as when it does not answer, after its power came back, and when its lines touch, in °C
(DallasTemperature library; Maxim DS18B20 data sheet, power-on reset value; all bits set but the sign)."""

ONE_NUMBER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mq135_co2": tuple(name for name in GAS_CURVES if name != "mq135_co2"),
        "bmp180_pressure": ("bmp180_sea_level_pressure",),
    }
)
"""Series to those that the firmware computes from the same number: what is measured of the one is true of all."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Up to where a rule finds fine what it measures.

    Attributes:
        value: in the unit.
        unit: of the value.
        source: where it comes from.
        of_station: whether it holds only for a device that has all of the station's sensors.
        of_firmware: whether it holds only for the station's firmware, and not for such a sensor of another kind.
    """

    value: float
    unit: str
    source: str
    of_station: bool = False
    of_firmware: bool = False


RULE_PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        "max_rate": "largest believable change per second, in the series' unit",
        "max_spike": "largest believable distance from the values before and after at once, in the series' unit",
        "still": "step by which the series always moves: by less than half of it in half an hour, it stands still",
        "frozen": "the same, of the two series of the DHT22 together",
        "max_apart": "largest believable distance from the device's other sensors of the same parameter, in their unit",
        "max_channels_apart": "the same of its mean over an hour, in their unit, where the next is exceeded as well",
        "max_channels_share": "largest believable distance of that mean as a part of the mean of both",
        "fixed_within": "how near to one of the values that stand for a failure a value is that value, in °C",
        "probe_within": "how near to a step of dropped or reset probes a step is one, in °C",
        "gases_off_below": "all gases below this, in ppm above what the firmware adds: the sensor is off",
        "sea_level_ratio": "sea-level pressure over pressure, by the altitude that the firmware was given",
        "max_ratio_error": "largest believable distance of the two pressures from that ratio",
        "max_gas_error": "largest believable disagreement of the gases on the one ratio that they are computed from",
        "restart_within": "how near to clean air the gases are after a restart, as a part of the ratio",
    }
)
"""Names of the rule parameters that `devices.yaml` may override, with their meaning."""

ANY_SERIES = frozenset({"max_rate", "max_spike", "still", "max_apart", "max_channels_apart", "max_channels_share"})
"""The rule parameters that any series may be given; the others mean something for those of `LIMITS` alone."""

_NO_AIR = "our choice: 5 °C in 10 s; the air of a room does not do that, and a door opened to the frost less"
_TOLERANCE = "our choice: six times the tolerance of 0.5 °C (Aosong AM2302, Maxim DS18B20)"
_APART = "our choice: more than all tolerances (±0.5 °C, BMP180 ±2 °C) and the warmth of a chip make together"
_LIFT = "our choice: four times what a lift at 1 m/s makes (0.12 hPa/s, barometric formula)"
_PROBES = "our choice: five steps of the sensor (0.0625 °C, Maxim DS18B20)"
_DOOR = "our choice: more than wind and doors make of the pressure in a room; no weather does it within minutes"
_COUNTS = "step of what the firmware prints; the noise alone is 0.03 hPa and more (Bosch BMP180, RMS)"
_GAS_STEP = "step of what the firmware prints; near clean air (402 ppm) x moves by 0.1 % for it"
_LASERS = "US EPA, sensortoolkit, after Barkjohn et al. 2021 (doi 10.5194/amt-14-4617-2021); both must be exceeded"
_HALF = "half of what the firmware's two decimals tell apart"
_PRESSURES = "our choice: 0.5 hPa; the two are measured one after the other, and their noise is a tenth of that"


def _thermometer(**more: Limit) -> Mapping[str, Limit]:
    return MappingProxyType(
        {
            "max_rate": Limit(0.5, "°C/s", _NO_AIR),
            "max_spike": Limit(3.0, "°C", _TOLERANCE),
            "max_apart": Limit(5.0, "°C", _APART, of_station=True),
            **more,
        }
    )


LIMITS: Mapping[str, Mapping[str, Limit]] = MappingProxyType(
    {
        "dht22_temperature": _thermometer(frozen=Limit(0.1, "°C", "resolution (Aosong AM2302)", of_firmware=True)),
        "dht22_humidity": MappingProxyType(
            {
                "max_rate": Limit(2.0, "%/s", "our choice: 20 % in 10 s; breath does that, the air of a room not"),
                "max_spike": Limit(10.0, "%", "our choice: five times the part's tolerance of 2 % (Aosong AM2302)"),
                "still": Limit(0.1, "%", "resolution (Aosong AM2302)", of_firmware=True),
                "frozen": Limit(0.1, "%", "resolution (Aosong AM2302)", of_firmware=True),
            }
        ),
        "bmp180_temperature": _thermometer(),
        "bmp180_pressure": MappingProxyType(
            {
                "max_rate": Limit(0.5, "hPa/s", _LIFT),
                "max_spike": Limit(2.0, "hPa", _DOOR),
                "still": Limit(0.01, "hPa", _COUNTS),
            }
        ),
        "bmp180_sea_level_pressure": MappingProxyType(
            {
                "max_rate": Limit(0.5, "hPa/s", _LIFT),
                "max_spike": Limit(2.0, "hPa", _DOOR),
                "sea_level_ratio": Limit(round(SEA_LEVEL_RATIO, 5), "1", "barometric formula at the firmware's 150 m"),
                "max_ratio_error": Limit(0.0005, "1", _PRESSURES),
            }
        ),
        "ds18b20_temperature": _thermometer(
            fixed_within=Limit(0.005, "°C", _HALF),
            probe_within=Limit(0.3, "°C", _PROBES, of_firmware=True),
        ),
        "mq135_co2": MappingProxyType(
            {
                "still": Limit(0.01, "ppm", _GAS_STEP),
                "gases_off_below": Limit(0.005, "ppm", _HALF),
                "max_gas_error": Limit(0.01, "1", "our choice, beyond what two decimals leave open"),
                "restart_within": Limit(0.05, "1", "our choice: how far x moves within three slots of a start"),
            }
        ),
        **{
            f"pms5003-{channel}_{name}": MappingProxyType(
                {
                    "max_channels_apart": Limit(5.0, "µg/m³", _LASERS),
                    "max_channels_share": Limit(0.7, "1", _LASERS),
                }
            )
            for channel in "ab"
            for name in ("pm25", "pm25_standard")
        },
    }
)
"""Series to rule parameter to limit: what holds where `devices.yaml` says nothing else under `rules`."""

"""For each rule a series that trips it and one that does not, with what is measured there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from air_pipeline.catalogue import GAS_CURVES, STATION, Parameter
from air_pipeline.devices.polls import Flag, Problem, problems_to_json
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.slots import expected_slots
from air_pipeline.processing.station import Station
from air_pipeline.settings import Device, Mark
from air_pipeline_tests.processing.frames import polls, readings

NAN = float("nan")
START = 1_780_000_000_000 // 3_600_000 * 3_600_000
HOME = Device("home", "http://home/", "Europe/Warsaw")


@dataclass(frozen=True)
class Example:
    """A station of which some series have values.

    Attributes:
        of: the series that is looked at.
        at: the slot that is looked at.
        amount: what the rule measures there; NaN: it does not judge it.
        values: series to value in each slot.
        problems: slot to series to the text that came instead of a value.
        cycle: the mark of its measuring cycle in each slot.
        interval_s: from slot to slot.
        device: its settings.
    """

    of: str
    at: int
    amount: float
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    problems: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    interval_s: float = 10.0
    device: Device = HOME
    cycle: Sequence[str | None] | None = None

    def station(self) -> Station:
        count = max([len(values) for values in self.values.values()], default=max(self.problems, default=0) + 1)
        step = round(self.interval_s * 1000)
        at = [START + place * step for place in range(count)]
        read = readings(at, **self.values)
        said = [problems_to_json(self._problems(place)) for place in range(count)]
        polled = polls(at, self.interval_s, problems=said, cycle=self.cycle)
        slots = expected_slots(
            at[0], at[-1] + 1, polls=polled, readings=read, opening_interval_ms=step, expected_from=-(10**15)
        )
        return station_of(self.device, read, polled, slots)

    def _problems(self, place: int) -> tuple[Problem, ...]:
        came = self.problems.get(place, {})
        return tuple(
            Problem(series, text, Flag.MISSING if text in {"", "nan"} else Flag.BAD, "")
            for series, text in came.items()
        )


def gases(*ratios: float) -> dict[str, list[float]]:
    """What the firmware prints for resistance ratios."""
    return {
        name: [round(a * ratio**b + offset, 2) + 0.0 for ratio in ratios] for name, (a, b, offset) in GAS_CURVES.items()
    }


def changed(values: Mapping[str, Sequence[float]], series: str, place: int, value: float) -> dict[str, list[float]]:
    found = {name: list(row) for name, row in values.items()}
    found[series][place] = value
    return found


HALF_AN_HOUR = 181
EMPTY = {parameter.series: "" for parameter in STATION if parameter.sensor != "ds18b20"}
OFF = gases(*[1e9] * 3)
STILL = {parameter.series: [20.0] * 61 for parameter in STATION if parameter.sensor != "mq135"} | gases(*[3.7] * 61)
STILL |= {"bmp180_pressure": [1000.0] * 61, "bmp180_sea_level_pressure": [1017.97] * 61}
DHT22 = {"dht22_temperature": [21.4] * HALF_AN_HOUR, "dht22_humidity": [47.3] * HALF_AN_HOUR}
RESTLESS = {"bmp180_pressure": [1000.0 + place % 3 / 100 for place in range(HALF_AN_HOUR)]}
COLD = {"bmp180_temperature": [20.0, -13.2]}
WARMED_UP = replace(HOME, warm_up=timedelta(seconds=15))
BOOTED = {name: [NAN, NAN, *values] for name, values in gases(3.6, 3.61, 3.62).items()}
BOOTED |= {"ds18b20_temperature": [27.0, 0.0, 27.0, 27.0, 27.0]}
IN_THE_FRIDGE = replace(
    HOME, marks=(Mark("home", "dht22_temperature", START + 10_000, START + 20_000, "bad", "in the fridge"),)
)

LASERS = replace(
    HOME,
    kind="purpleair",
    parameters=tuple(Parameter(f"pms5003-{channel}", "pm25", "µg/m³", "pm25") for channel in "ab"),
)
AN_HOUR = 31
"""Slots of two minutes, both ends included."""


def lasers(a: float, b: float) -> dict[str, list[float]]:
    return {"pms5003-a_pm25": [a] * AN_HOUR, "pms5003-b_pm25": [b] * AN_HOUR}


EXAMPLES: dict[str, tuple[Example, Example]] = {
    "unusable_value": (
        Example("dht22_humidity", 1, 1.0, problems={1: {"dht22_humidity": "inf"}}),
        Example("dht22_humidity", 1, NAN, problems={1: {"dht22_humidity": "nan"}}),
    ),
    "sensor_range": (
        Example("dht22_temperature", 1, 80.1, {"dht22_temperature": [20.0, 80.1]}),
        Example("dht22_temperature", 1, 80.0, {"dht22_temperature": [20.0, 80.0]}),
    ),
    "expected_range": (
        Example(
            "dht22_temperature",
            1,
            40.1,
            {"dht22_temperature": [20.0, 40.1]},
            device=replace(HOME, expected_range={"dht22_temperature": (5.0, 40.0)}),
        ),
        Example(
            "dht22_temperature",
            1,
            40.0,
            {"dht22_temperature": [20.0, 40.0]},
            device=replace(HOME, expected_range={"dht22_temperature": (5.0, 40.0)}),
        ),
    ),
    "failure_value": (
        Example("ds18b20_temperature", 1, 0.0, {"ds18b20_temperature": [27.0, 85.0, 27.0]}),
        Example("ds18b20_temperature", 1, 0.06, {"ds18b20_temperature": [27.0, 84.94, 27.0]}),
    ),
    "before_first_measurement": (
        Example("ds18b20_temperature", 1, 0.0, {"ds18b20_temperature": [27.0, 0.0, 27.0]}, {1: EMPTY}),
        Example("ds18b20_temperature", 1, NAN, {"ds18b20_temperature": [0.1, 0.0, 0.1]}, {1: {"mq135_co2": ""}}),
    ),
    "gases_off": (
        Example("mq135_co2", 1, 0.0, OFF),
        Example("mq135_co2", 1, 0.01, changed(OFF, "mq135_co2", 1, 400.01)),
    ),
    "bmp180_garbage": (
        Example(
            "bmp180_temperature", 1, -306.27, {"bmp180_temperature": [20, -13.2], "bmp180_pressure": [1000, -306.27]}
        ),
        Example("bmp180_temperature", 1, 300.0, {"bmp180_temperature": [20, -13.2], "bmp180_pressure": [1000, 300.0]}),
    ),
    "spike": (
        Example("dht22_temperature", 1, 3.5, {"dht22_temperature": [20.0, 24.0, 20.5]}),
        Example("dht22_temperature", 1, 0.0, {"dht22_temperature": [20.0, 24.0, 24.5]}),
    ),
    "probe_step": (
        Example("ds18b20_temperature", 1, 0.0, {"ds18b20_temperature": [27.0, 7.75]}),
        Example("ds18b20_temperature", 1, 1.5, {"ds18b20_temperature": [27.0, 17.0]}),
    ),
    "rate": (
        Example("dht22_temperature", 1, 0.51, {"dht22_temperature": [20.0, 25.1, 25.1]}),
        Example("dht22_temperature", 1, 0.5, {"dht22_temperature": [20.0, 25.0, 25.0]}),
    ),
    "flat_line": (
        Example("dht22_humidity", 180, 0.0, {"dht22_humidity": [47.3] * HALF_AN_HOUR}),
        Example("dht22_humidity", 180, 0.1, {"dht22_humidity": [47.2, *[47.3] * 180]}),
    ),
    "dht22_frozen": (
        Example("dht22_temperature", 180, 0.0, DHT22 | RESTLESS),
        Example("dht22_temperature", 180, NAN, DHT22 | {"bmp180_pressure": [1000.0] * HALF_AN_HOUR}),
    ),
    "same_document": (
        Example("dht22_temperature", 60, 0.0, STILL),
        Example("dht22_temperature", 60, 1.0, changed(STILL, "bmp180_pressure", 60, 1000.01)),
    ),
    "same_cycle": (
        Example("dht22_humidity", 3, 0.0, {"dht22_humidity": [47.3] * 4}, cycle=["a", "b", None, "b"]),
        Example("dht22_humidity", 3, 1.0, {"dht22_humidity": [47.3] * 4}, cycle=["a", "a", None, "b"]),
    ),
    "thermometers_apart": (
        Example(
            "bmp180_temperature",
            0,
            5.1,
            {"dht22_temperature": [20.0], "bmp180_temperature": [25.6], "ds18b20_temperature": [20.5]},
        ),
        Example(
            "bmp180_temperature",
            0,
            5.0,
            {"dht22_temperature": [20.0], "bmp180_temperature": [25.5], "ds18b20_temperature": [20.5]},
        ),
    ),
    "pressure_ratio": (
        Example("bmp180_pressure", 0, 0.00053, {"bmp180_pressure": [1000], "bmp180_sea_level_pressure": [1018.5]}),
        Example("bmp180_pressure", 0, 0.00047, {"bmp180_pressure": [1000], "bmp180_sea_level_pressure": [1017.5]}),
    ),
    "gas_ratio": (
        Example("mq135_nh4", 1, 0.0206, changed(gases(3.6, 3.6), "mq135_nh4", 1, 4.53)),
        Example("mq135_nh4", 1, 0.0, gases(3.6, 3.6)),
    ),
    "warming_up": (
        Example("mq135_co2", 3, 10 / 3600, BOOTED, {1: EMPTY}),
        Example("mq135_co2", 4, 20 / 3600, BOOTED, {1: EMPTY}, device=WARMED_UP),
    ),
    "channels_apart": (
        Example("pms5003-b_pm25", 30, 5.1, lasers(4.0, 9.1), interval_s=120.0, device=LASERS),
        Example("pms5003-b_pm25", 30, 5.0, lasers(4.0, 9.0), interval_s=120.0, device=LASERS),
    ),
    "marked": (
        Example("dht22_temperature", 1, 1.0, {"dht22_temperature": [20.0, 20.1, 20.2]}, device=IN_THE_FRIDGE),
        Example("dht22_temperature", 2, NAN, {"dht22_temperature": [20.0, 20.1, 20.2]}, device=IN_THE_FRIDGE),
    ),
}

"""How well each rule finds what is wrong: fortnights of three simulated devices with faults of every kind, by a script.

An episode counts as found where its rule spoke within its limit and three slots; it counts at all where the slots at
its beginning and at the limit were answered. A slot in which a rule spoke counts as right where it lies in an episode
of any fault that reaches the series, or so shortly after one as the rule holds over: three slots for the way back,
`warm_up` for gases after a restart. As a table, for the documentation:

    python -m air_pipeline_tests.processing.test_fortnight
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import numpy as np
import pandas as pd
import pytest

from air_pipeline.catalogue import ABSENT_PROBE, PROBES, RESET_PROBE, STATION
from air_pipeline.devices.polls import Flag, Problem, problems_to_json
from air_pipeline.devices.simulator.arrays import values_at
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.flags import flag_station
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.processing.slots import expected_slots
from air_pipeline.settings import Device
from air_pipeline_tests.processing.frames import index
from air_pipeline_tests.processing.rule_examples import EMPTY, START
from air_pipeline_tests.processing.test_channels import score as score_of_channels
from air_pipeline_tests.processing.test_cycles import score as score_of_cycles

SEEDS = (11, 12, 13)
DEVICES = ("attic", "hall", "living-room")
STEP_MS, DAYS = 10_000, 14
SLOTS = DAYS * 86_400_000 // STEP_MS
MINUTE = 6  # slots
BACK = 3
"""Slots after an episode in which what went wrong may still show: the way back."""

GASES = tuple(one.series for one in STATION if one.sensor == "mq135")
DHT22 = ("dht22_temperature", "dht22_humidity")
BMP180 = tuple(one.series for one in STATION if one.sensor == "bmp180")
PROBE = ("ds18b20_temperature",)
EVERY = tuple(one.series for one in STATION)
WARM_UP = timedelta(hours=1)
HOME = Device("home", "http://home/", "UTC", warm_up=WARM_UP, expected_range={"bmp180_temperature": (5.0, 35.0)})

FINDING = tuple(rule for rule in RULE_BITS if rule != "marked")
"""The rules that find faults: what somebody marks is not found.

`channels_apart` is scored on devices that have two lasers, `same_cycle` on such as say which cycle they measured in."""

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Kind:
    """One kind of fault: which rule finds it in which series, after how many slots at the latest, and what happens."""

    rule: str
    of: str
    lasts: int
    reaches: tuple[str, ...]
    happens: Callable[[Values, slice, Random], None]
    limit: int = 0
    problem: str = ""


def stays(*names: str) -> Callable[[Values, slice, Random], None]:
    def happens(values: Values, where: slice, _: Random) -> None:
        for name in names:
            values[name][where] = values[name][where.start - 1]

    return happens


def becomes(**given: float) -> Callable[[Values, slice, Random], None]:
    def happens(values: Values, where: slice, _: Random) -> None:
        for name, value in given.items():
            values[name][where] = value

    return happens


def moves(name: str, least: float, most: float) -> Callable[[Values, slice, Random], None]:
    def happens(values: Values, where: slice, random: Random) -> None:
        values[name][where] += round(random.choice([-1, 1]) * random.uniform(least, most), 1)

    return happens


def probes_drop(values: Values, where: slice, random: Random) -> None:
    # Five absent ones and more put the mean outside of what the sensor can measure, which is another rule's.
    dropped, instead = random.choice(
        [(random.randrange(1, 5), ABSENT_PROBE), (random.randrange(1, PROBES), RESET_PROBE)]
    )
    true = values["ds18b20_temperature"][where]
    values["ds18b20_temperature"][where] = np.round((true * (PROBES - dropped) + instead * dropped) / PROBES, 2)


def of_other_air(values: Values, where: slice, _: Random) -> None:
    values["mq135_nh4"][where] = np.round(values["mq135_nh4"][where] * 1.2, 2)


def said(names: tuple[str, ...], text: str, flag: Flag) -> str:
    return problems_to_json(tuple(Problem(name, text, flag, "") for name in names))


OFF = {name: 400.0 if name == "mq135_co2" else 0.0 for name in GASES}
GARBAGE = {"bmp180_temperature": -13.2, "bmp180_pressure": -306.27, "bmp180_sea_level_pressure": -311.77}
BOOT = tuple(EMPTY)
PRESSURES = ("bmp180_pressure", "bmp180_sea_level_pressure", "bmp180_altitude")
HALF_AN_HOUR = 30 * MINUTE

KINDS = (
    Kind(
        "unusable_value",
        "dht22_humidity",
        3,
        DHT22,
        becomes(dht22_humidity=np.nan),
        problem=said(("dht22_humidity",), "inf", Flag.BAD),
    ),
    Kind("sensor_range", "dht22_temperature", 3, DHT22, becomes(dht22_temperature=-50.0)),
    Kind("expected_range", "bmp180_temperature", 5, BMP180, becomes(bmp180_temperature=39.0)),
    Kind("failure_value", "ds18b20_temperature", 3, PROBE, becomes(ds18b20_temperature=85.0)),
    Kind("gases_off", "mq135_co", 5, GASES, becomes(**OFF)),
    Kind("bmp180_garbage", "bmp180_temperature", 5, BMP180, becomes(**GARBAGE)),
    Kind("spike", "dht22_temperature", 1, DHT22, moves("dht22_temperature", 4.0, 12.0)),
    Kind("probe_step", "ds18b20_temperature", 20, PROBE, probes_drop),
    Kind("rate", "bmp180_temperature", 20, BMP180, moves("bmp180_temperature", 6.0, 12.0)),
    Kind("flat_line", "bmp180_pressure", 40 * MINUTE, PRESSURES, stays(*PRESSURES), HALF_AN_HOUR),
    Kind("flat_line", "mq135_alcohol", 40 * MINUTE, GASES, stays(*GASES), HALF_AN_HOUR),
    Kind("dht22_frozen", "dht22_temperature", 40 * MINUTE, DHT22, stays(*DHT22), HALF_AN_HOUR),
    Kind("same_document", "mq135_co2", 15 * MINUTE, EVERY, stays(*EVERY), 10 * MINUTE),
    Kind(
        "thermometers_apart", "ds18b20_temperature", 20, ("ds18b20_temperature",), moves("ds18b20_temperature", 7, 14)
    ),
    Kind("pressure_ratio", "bmp180_pressure", 5, BMP180, moves("bmp180_sea_level_pressure", 1.0, 1.8)),
    Kind("gas_ratio", "mq135_nh4", 5, GASES, of_other_air),
    Kind("before_first_measurement", "ds18b20_temperature", 1, EVERY, becomes(ds18b20_temperature=0.0)),
)
EACH = {"flat_line": 9}
"""How many episodes a device and kind; 18 where nothing else is said."""


@dataclass
class Score:
    episodes: int = 0
    found: int = 0
    spoken: int = 0
    right: int = 0


def fortnight(seed: int, name: str, *, faults: bool) -> tuple[pd.DataFrame, pd.DataFrame, list[tuple[Kind, slice]]]:
    """Readings and polls of a device, and what was wrong when."""
    random = Random(f"{seed}/{name}")
    at = START // 86_400_000 * 86_400_000 + np.arange(SLOTS, dtype=np.int64) * STEP_MS
    values = values_at(Profile(name, seed), at)
    problems = np.full(SLOTS, "", dtype=object)
    episodes = []
    if faults:
        kinds = [kind for kind in KINDS for _ in range(EACH.get(kind.rule, 18))]
        random.shuffle(kinds)
        room = (SLOTS - 2 * HALF_AN_HOUR) // len(kinds)
        begun = [HALF_AN_HOUR + place * room + random.randrange(room - 41 * MINUTE) for place in range(len(kinds))]
        episodes = [(kind, slice(first, first + kind.lasts)) for kind, first in zip(kinds, begun, strict=True)]
        for kind, where in episodes:  # a restart first: it changes what the gases say from then on
            if kind.rule == "before_first_measurement":
                after = values_at(Profile(name, seed, at[where.start] / 1000), at[where.stop :])
                for gas in GASES:
                    values[gas][where.stop :] = after[gas]
        for kind, where in episodes:
            kind.happens(values, where, random)
            problems[where] = kind.problem
            if kind.rule == "before_first_measurement":
                problems[where] = said(BOOT, "", Flag.MISSING)
                for series in BOOT:
                    values[series][where] = np.nan
    read = pd.DataFrame({series: values[series] for series in sorted(values)}, index=index(at))
    polled = pd.DataFrame(
        {"outcome": "ok", "duration_ms": 41.0, "http_status": 200.0, "interval_s": 10.0, "body": None}, index=index(at)
    ).assign(problems=problems)
    came = np.array([random.random() < 0.998 for _ in range(SLOTS)])  # now and then no answer comes
    return read[came], polled[came], episodes


def flagged(read: pd.DataFrame, polled: pd.DataFrame):
    start = START // 86_400_000 * 86_400_000
    end = start + SLOTS * STEP_MS
    slots = expected_slots(start, end, polls=polled, readings=read, opening_interval_ms=STEP_MS, expected_from=start)
    return flag_station(station_of(HOME, read, polled, slots))


def scores(seed: int) -> dict[str, Score]:
    found = {rule: Score() for rule in FINDING}
    for name in DEVICES:
        read, polled, episodes = fortnight(seed, name, faults=True)
        observed = flagged(read, polled)
        came = np.isin(observed.at, polled.index.asi8)
        bits = {series: observed.rules[series].to_numpy() for series in EVERY}
        allowed = {series: np.zeros(SLOTS, dtype=bool) for series in EVERY}
        warm = np.zeros(SLOTS, dtype=bool)
        for kind, where in episodes:
            for series in kind.reaches:
                allowed[series][where.start : where.stop + BACK] = True
            rules = [(kind.rule, kind.of, where.start + kind.limit, where.stop)]
            if kind.rule == "before_first_measurement":
                held = WARM_UP // timedelta(milliseconds=STEP_MS)
                warm[where.start : where.stop + held + BACK] = True
                rules.append(("warming_up", "mq135_co2", where.start + 1, where.stop + held))
            for rule, of, limit, until in rules:
                visible = came[where.start - 1 : where.start + 2].all() and came[limit]
                if not visible or until <= limit:
                    continue
                found[rule].episodes += 1
                found[rule].found += bool((bits[of][where.start : limit + 1 + BACK] & RULE_BITS[rule]).any())
        for rule in FINDING:
            for series in EVERY:
                spoke = (bits[series] & RULE_BITS[rule]) != 0
                found[rule].spoken += int(spoke.sum())
                found[rule].right += int((spoke & (warm if rule == "warming_up" else allowed[series])).sum())
    found["channels_apart"] = Score(*score_of_channels(seed, DEVICES))
    found["same_cycle"] = Score(*score_of_cycles(seed, DEVICES))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_every_rule_finds_what_it_is_for_and_little_else(seed):
    for rule, score in scores(seed).items():
        assert score.episodes >= 50, rule
        assert score.found / score.episodes >= 0.99, (rule, score)
        assert score.right / score.spoken >= 0.99, (rule, score)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_where_nothing_is_wrong_nothing_is_suspect_or_bad(seed):
    for name in DEVICES:
        read, polled, _ = fortnight(seed, name, faults=False)
        flags = flagged(read, polled).flags.to_numpy()
        assert not np.isin(flags, [Flag.SUSPECT, Flag.BAD]).any()


def table() -> str:
    rows = ["| rule | episodes | found | slots spoken of | rightly |", "|---|---|---|---|---|"]
    every = [scores(seed) for seed in SEEDS]
    for rule in FINDING:
        one = [score[rule] for score in every]
        episodes, found, spoken, right = (
            sum(getattr(s, part) for s in one) for part in ("episodes", "found", "spoken", "right")
        )
        rows.append(f"| {rule} | {episodes} | {found / episodes:.1%} | {spoken} | {right / max(spoken, 1):.1%} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())  # noqa: T201

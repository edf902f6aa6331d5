"""What holds for all rules, whatever the series: found by looking for a series for which it does not."""

from random import Random

import numpy as np
import pandas as pd
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from air_pipeline.catalogue import STATION
from air_pipeline.devices.polls import Flag, Problem, problems_to_json
from air_pipeline.devices.simulator.arrays import values_at
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.flags import flag_station
from air_pipeline.processing.local_time import span_ms
from air_pipeline.processing.restarts import restarts
from air_pipeline.processing.rules import READ_BEFORE, RULE_BITS
from air_pipeline.processing.slots import expected_slots
from air_pipeline.settings import Device
from air_pipeline_tests.processing.frames import index
from air_pipeline_tests.processing.rule_examples import START

HOUR = 3_600_000
SERIES = [parameter.series for parameter in STATION]
EMPTY = problems_to_json(tuple(Problem(name, "", Flag.MISSING, "no value") for name in SERIES if "ds18b20" not in name))
NO_GAS = problems_to_json(tuple(Problem(name, "", Flag.MISSING, "no value") for name in SERIES if "mq135" in name))
INF = problems_to_json((Problem("dht22_humidity", "inf", Flag.BAD, "not finite"),))

GROUPS = [
    SERIES,
    SERIES,
    [name for name in SERIES if "dht22" in name],
    ["bmp180_pressure"],
    ["dht22_humidity"],
    ["mq135_co2"],
]
KINDS = ["still", "still", "still", "higher", np.nan, 0.0, -127.0, 85.0, 7.75]
ORDER = tuple(range(len(STATION)))


def home(order=ORDER):
    return Device("home", "http://home/", "Europe/Warsaw", parameters=tuple(STATION[place] for place in order))


def healthy(at, seed=1):
    """Readings and polls of a device that has nothing, in ms UTC."""
    values = values_at(Profile("home", seed), np.array(at, dtype=np.int64))
    read = pd.DataFrame({name: values[name] for name in sorted(values)}, index=index(at))
    polled = pd.DataFrame(
        {"outcome": "ok", "duration_ms": 41.0, "http_status": 200.0, "interval_s": 10.0, "problems": "", "body": None},
        index=index(at),
    )
    return read, polled


def station(read, polled, start, end, opening_ms, device=None, earlier=()):
    slots = expected_slots(
        start, end, polls=polled, readings=read, opening_interval_ms=opening_ms, expected_from=-(10**15)
    )
    return station_of(device or home(), read, polled, slots, np.array(earlier, dtype=np.int64))


def cut(frame, start, end):
    return frame[(frame.index.asi8 >= start) & (frame.index.asi8 < end)]


def troubled(random):
    """Nine hours with intervals that change, gaps, slots off the grid, and whatever may be wrong with a series."""
    at, intervals, now = [], [], START
    interval = random.choice([10, 60, 360, 1800, 3600])
    while now < START + 9 * HOUR:
        if random.random() < 0.01:
            interval = random.choice([10, 60, 360, 1800, 3600])
            now = -(-now // (interval * 1000)) * interval * 1000
        if random.random() < 0.005:
            now += random.choice([2, 4, 30, 400]) * interval * 1000
        at.append(now)
        intervals.append(float(interval))
        now += interval * 1000
    read, polled = healthy(at, random.randrange(5))
    polled["interval_s"] = intervals
    for names in random.choices([*GROUPS, *([name] for name in SERIES)], k=random.randrange(16)):
        begin, lasts = random.randrange(START, now), random.choice([0, 0, 1, 12, 35, 100, 200, 260]) * 60_000
        first, last = np.searchsorted(read.index.asi8, [begin, begin + lasts + 1])
        columns, kind = [read.columns.get_loc(name) for name in names], random.choice(KINDS)
        still = read.iloc[min(first, len(at) - 1), columns].to_numpy()
        read.iloc[first:last, columns] = still if kind == "still" else still + 6 if kind == "higher" else kind
        if kind == "still" and random.random() < 0.5:  # with a spike in it
            read.iloc[min((first + last) // 2, len(at) - 1), columns] = still + 12
    for problem in random.choices([EMPTY, NO_GAS, INF], k=random.randrange(4)):
        place = random.randrange(len(at))
        polled.iloc[place, polled.columns.get_loc("problems")] = problem
        gone = [one for one in SERIES if f'"{one}"' in problem]
        read.iloc[place, [read.columns.get_loc(one) for one in gone]] = np.nan
        if problem == EMPTY:
            read.iloc[place, read.columns.get_loc("ds18b20_temperature")] = 0.0
        if problem == NO_GAS and place + 1 < len(at):
            clean = {"co": 3.91, "co2": 402.83}
            for gas, value in clean.items():
                read.iloc[place + 1, read.columns.get_loc(f"mq135_{gas}")] = value
    some = np.array([random.random() < 0.97 for _ in at])
    return read[some], polled


def assert_same(alone, inside):
    pd.testing.assert_frame_equal(alone.values, inside.values, check_exact=True)
    pd.testing.assert_frame_equal(alone.flags, inside.flags)
    pd.testing.assert_frame_equal(alone.rules, inside.rules)


@given(st.integers(0, 10**9), st.integers(0, 8 * 60), st.integers(1, 5 * 60), st.permutations(ORDER))
@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_a_stretch_flagged_alone_equals_that_stretch_inside_any_longer_one(seed, begins, lasts, order):
    read, polled = troubled(Random(seed))
    whole = station(read, polled, START, START + 9 * HOUR, 10_000)
    inside = flag_station(whole)
    spoken = inside.rules.to_numpy()
    at = inside.at
    begun = at[1:][(spoken[1:] != spoken[:-1]).any(axis=1)]  # where most depends on what was before
    start = Random(begins).choice([START + begins * 60_000, *begun[begun < START + 8 * HOUR].tolist()])
    end = min(start + lasts * 60_000, START + 9 * HOUR)
    before = start - span_ms(READ_BEFORE)
    after = [int(slot) + 1 for slot in polled.index.asi8 if end <= slot < end + HOUR]
    near = (before, after[0] if after else end)
    said = polled["interval_s"][polled.index.asi8 < before]
    opening = round(said.iloc[-1] * 1000) if len(said) else 10_000
    earlier = [slot for slot in restarts(whole) if slot < start]
    alone = station(cut(read, *near), cut(polled, *near), *near, opening, home(order), earlier)
    window = pd.Timestamp(start, unit="ms", tz="UTC"), pd.Timestamp(end, unit="ms", tz="UTC")
    assert_same(flag_station(alone).between(*window), inside.between(*window))


@given(st.integers(0, 10**9), st.sampled_from([1, 10, 60, 360, 1800]))
@settings(max_examples=40, deadline=None)
def test_values_that_are_missing_make_no_rule_speak(seed, interval_s):
    """Not here and there, not for long, not all but one, and not by a document that came without them."""
    random = Random(seed)
    at = list(range(START, START + min(9 * HOUR, 4000 * interval_s * 1000), interval_s * 1000))
    read, polled = healthy(at, random.randrange(20))
    polled["interval_s"] = float(interval_s)
    mode = random.choice(["values", "slots", "stretches", "single"])
    keep = np.array([random.random() < 0.5 for _ in at])
    if mode == "values":
        for name in SERIES:
            chance = random.choice([0.1, 0.6, 0.99])
            read.loc[[random.random() < chance for _ in at], name] = np.nan
    elif mode == "stretches":
        for _ in range(5):
            first = random.randrange(len(at))
            keep[first : first + random.choice([1, 3, 4, 50])] = False
    elif mode == "single":
        keep = np.arange(len(at)) % 5 == random.randrange(5)
    if mode != "values":
        read = read[keep]
    found = flag_station(station(read, polled, START, at[-1] + 1, interval_s * 1000))
    spoken = {name for name, bit in RULE_BITS.items() if (found.rules.to_numpy() & bit).any()}
    assert spoken == set()


PIECES = st.lists(
    st.tuples(st.integers(1, 57), st.integers(4, 80), st.integers(-20, 60), st.integers(1, 90), st.integers(900, 1050)),
    min_size=2,
    max_size=12,
)


@given(PIECES, st.booleans())
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_what_gaps_divide_is_neither_a_step_nor_a_spike_nor_still(pieces, empty):
    """Levels jump, and stand still for less than the ten minutes of `same_document`: nothing is seen across a gap."""
    at, rows, now = [], [], START
    for lasts, gap, temperature, humidity, pressure in pieces:
        for place in range(lasts + (gap if empty else 0)):
            at.append(now + place * 10_000)
            rows.append([temperature, humidity, pressure] if place < lasts else [np.nan] * 3)
        now += (lasts + gap) * 10_000
    names = ["ds18b20_temperature", "dht22_humidity", "bmp180_pressure"]
    read = pd.DataFrame(rows, columns=names, index=index(at), dtype=float)
    read["dht22_temperature"] = read["ds18b20_temperature"]
    polled = healthy(at)[1]
    found = flag_station(station(read, polled, START, now, 10_000))
    assert not found.rules.to_numpy().any()

"""Two lasers of one device are compared over an hour, by amount and by share.

How well that finds what is wrong, as a row of the table in the documentation (see `test_fortnight`): fortnights of
three devices with two lasers each, one of which says too much for an hour and a half now and then.
"""

from dataclasses import replace
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from air_pipeline.catalogue import LIMITS, Parameter
from air_pipeline.devices.assemble import make_poll
from air_pipeline.devices.kinds.purpleair import PURPLEAIR
from air_pipeline.devices.polls import Flag
from air_pipeline.devices.simulator import Simulator
from air_pipeline.devices.simulator.speaking import air_at
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.flags import flag_means, flag_series, flag_station, measure
from air_pipeline.processing.local_time import span_ms
from air_pipeline.processing.rules import READ_BEFORE, RULE_BITS
from air_pipeline.processing.slots import expected_slots
from air_pipeline.settings import Device
from air_pipeline_tests.devices.getting import get
from air_pipeline_tests.processing.frames import index
from air_pipeline_tests.processing.rule_examples import LASERS, NAN, START, Example, lasers
from air_pipeline_tests.processing.rule_names import rule_names
from air_pipeline_tests.processing.test_rule_properties import assert_same, cut
from air_pipeline_tests.processing.test_rule_properties import station as made

A, B = "pms5003-a_pm25", "pms5003-b_pm25"
STEP_MS = 120_000
HOUR = 30  # slots
SLOTS = 14 * 24 * HOUR
LASTS = HOUR + HOUR // 2
EPISODES = 18
PURPLE = Device(
    "purple", "http://purple/json", "UTC", interval_ms=STEP_MS, kind="purpleair", parameters=PURPLEAIR.usual
)


def amounts(example):
    """Series to what the rule measured in the slot that is looked at."""
    found = measure(example.station())
    return {series: m.amount[example.at] for rule, series, m in found if rule.name == "channels_apart"}


def example(values, of=B, at=30, **changes):
    return Example(of, at, 0.0, values, interval_s=120.0, device=replace(LASERS, **changes))


def test_both_of_two_lasers_that_disagree_are_suspect_and_their_mean_has_no_value():
    station = example(lasers(4.0, 10.0)).station()
    flagged = flag_series(station)
    assert [(one.flags[30], rule_names(one.bits[30])) for one in flagged.values()] == [(3, ("channels_apart",))] * 2
    mean = flag_means(station, flagged)["pm25"]
    assert np.isnan(mean[0][30])
    assert (mean.flags[30], rule_names(mean.bits[30])) == (3, ("channels_apart",))


@pytest.mark.parametrize(
    ("a", "b", "amount"),
    [
        (4.0, 9.1, 5.1),  # beyond both
        (7.0, 12.5, 0.0),  # 5.5 µg/m³, 56 % of the mean
        (0.1, 4.0, 3.9),  # 190 %, and 3.9 µg/m³
        (13.0, 27.0, 0.0),  # just 70 %
        (13.0, 27.1, 14.1),
        (0.0, 0.0, 0.0),
        (-3.0, 3.0, 6.0),  # a mean of 0
    ],
)
def test_they_disagree_where_amount_and_share_are_both_exceeded(a, b, amount):
    assert amounts(example(lasers(a, b))) == {A: pytest.approx(amount), B: pytest.approx(amount)}


def test_it_is_silent_until_an_hour_is_full_and_after_a_gap():
    assert all(np.isnan(amount) for amount in amounts(example(lasers(4.0, 10.0), at=26)).values())
    gap = lasers(4.0, 10.0)
    gap[B][10:14] = [NAN] * 4
    assert all(np.isnan(amount) for amount in amounts(example(gap)).values())


def test_of_three_the_one_is_suspect_that_is_far_from_their_median():
    third = Parameter("pms5003-c", "pm25", "µg/m³", "pm25")
    limits = {"max_channels_apart": 5.0, "max_channels_share": 0.7}
    three = example(
        lasers(4.0, 10.5) | {third.series: [4.4] * 31},
        parameters=(*LASERS.parameters, third),
        rules={third.series: limits},
    )
    assert amounts(three) == {A: 0.0, B: pytest.approx(6.1), third.series: 0.0}


def test_any_sensors_of_one_parameter_are_compared_where_they_are_given_limits():
    dust = tuple(Parameter(f"sds011-{number}", "pm10", "µg/m³", "pm10") for number in (1, 2))
    values = {"sds011-1_pm10": [20.0] * 31, "sds011-2_pm10": [26.0] * 31}
    assert amounts(example(values, parameters=dust)) == {}
    given = {series: {"max_channels_apart": 5.0} for series in values}
    assert amounts(example(values, parameters=dust, rules=given)) == dict.fromkeys(values, pytest.approx(6.0))


def test_a_mean_over_an_hour_does_not_depend_on_what_was_before_it():
    before = [1e300, -1e300, 1e15, 0.1, 12345.678] * 20
    long = Example(B, 130, 0.0, {name: before + row for name, row in lasers(4.0, 9.0).items()}, interval_s=120.0)
    station = replace(long, device=LASERS).station()
    for name, value in ((A, 4.0), (B, 9.0)):
        assert station.series[name].mean_within(pd.Timedelta(hours=1).to_pytimedelta())[130] == value


def test_the_limits_are_those_of_pm25_of_both_channels_alone():
    assert [series for series, limits in LIMITS.items() if "max_channels_apart" in limits] == [
        f"pms5003-{channel}_{name}" for channel in "ab" for name in ("pm25", "pm25_standard")
    ]
    assert [series for series, limits in PURPLE.limits.items() if limits] == [A, B]


def fortnight(seed, name, *, faults):
    """Readings and polls of a device with two lasers, and when one of them said too much."""
    random = Random(f"{seed}/{name}")
    at = START // 86_400_000 * 86_400_000 + np.arange(SLOTS, dtype=np.int64) * STEP_MS
    profile = Profile(name, seed, kind="purpleair")
    dust = np.array([air_at(profile, time / 1000).pm25 for time in at])
    noise = np.random.default_rng(seed).normal(0, 0.05, (2, SLOTS))
    values = {A: dust * (1 + noise[0]), B: dust * (1 + noise[1]) + 0.2}
    episodes = []
    for number in range(EPISODES if faults else 0):
        first = 2 * HOUR + number * (SLOTS - 4 * HOUR) // EPISODES + random.randrange(4 * HOUR)
        episodes.append(slice(first, first + LASTS))
        values[random.choice([A, B])][episodes[-1]] *= random.uniform(3.0, 6.0)
    read = pd.DataFrame({series: np.round(row, 2) for series, row in values.items()}, index=index(at))
    polled = pd.DataFrame({"outcome": "ok", "interval_s": STEP_MS / 1000, "problems": ""}, index=index(at))
    came = np.array([random.random() < 0.998 for _ in at])
    return read[came], polled[came], episodes


def spoken(seed, name, *, faults):
    """Where the rule spoke of both lasers, and the episodes."""
    read, polled, episodes = fortnight(seed, name, faults=faults)
    start = START // 86_400_000 * 86_400_000
    end = start + SLOTS * STEP_MS
    slots = expected_slots(start, end, polls=polled, readings=read, opening_interval_ms=STEP_MS, expected_from=start)
    seen = flag_station(station_of(PURPLE, read, polled, slots))
    bits = seen.rules[[A, B]].to_numpy() & RULE_BITS["channels_apart"] != 0
    assert not (seen.flags[[A, B]].to_numpy() == Flag.BAD).any()
    return bits, episodes, seen


def score(seed, devices):
    """Episodes, those found within an hour and three slots, series and slots spoken of, and how many of these rightly:
    in an episode, or in the hour after it in which the mean still has some of it."""
    found = [0, 0, 0, 0]
    for name in devices:
        bits, episodes, _ = spoken(seed, name, faults=True)
        allowed = np.zeros(SLOTS, dtype=bool)
        for where in episodes:
            allowed[where.start : where.stop + HOUR] = True
            found[1] += bool(bits[where.start : where.start + HOUR + 3].all(axis=1).any())
        found[0] += len(episodes)
        found[2] += int(bits.sum())
        found[3] += int((bits & allowed[:, np.newaxis]).sum())
    return found


@given(st.integers(0, 10**9), st.integers(0, 5 * 60), st.integers(1, 3 * 60))
@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_a_stretch_flagged_alone_equals_that_stretch_inside_any_longer_one(seed, begins, lasts):
    random, at, intervals = Random(seed), [], []
    interval = random.choice([10, 60, 120, 600, 900])
    while len(at) < 2000 and (not at or at[-1] < START + 9 * 3_600_000):
        if random.random() < 0.01:
            interval = random.choice([10, 60, 120, 600, 900])
        gap = random.choice([1, 1, 1, 2, 5]) if random.random() < 0.02 else 1
        at.append((at[-1] if at else START) // (interval * 1000) * interval * 1000 + gap * interval * 1000)
        intervals.append(float(interval))
    walk = np.random.default_rng(seed).normal(0, 0.6, (2, len(at))).cumsum(axis=1)
    values = pd.DataFrame({name: np.round(abs(row), 2) for name, row in zip((A, B), walk, strict=True)}, index(at))
    read = values.mask(np.random.default_rng(seed).random(values.shape) < 0.01)
    polled = pd.DataFrame({"outcome": "ok", "interval_s": intervals, "problems": ""}, index=index(at))
    end = at[-1] + 1
    inside = flag_station(made(read, polled, START, end, 10_000, LASERS))
    start = min(START + begins * 60_000, end - 1)
    stop = min(start + lasts * 60_000, end)
    before = start - span_ms(READ_BEFORE)
    said = polled["interval_s"][polled.index.asi8 < before]
    opening = round(said.iloc[-1] * 1000) if len(said) else 10_000
    after = next((slot + 1 for slot in at if slot >= stop), stop)
    alone = flag_station(made(cut(read, before, after), cut(polled, before, after), before, after, opening, LASERS))
    window = pd.Timestamp(start, unit="ms", tz="UTC"), pd.Timestamp(stop, unit="ms", tz="UTC")
    assert_same(alone.between(*window), inside.between(*window))


def test_a_simulated_device_whose_second_laser_says_too_much_is_found_out_within_an_hour():
    now = [0.0]
    with Simulator([Profile("purple", 7, kind="purpleair")], clock=lambda: now[0]) as simulator:
        device = replace(PURPLE, url=simulator.url("purple"))
        simulator.set_fault("purple", "lasers_apart")
        polls = []
        for place in range(HOUR + 1):
            now[0] = (START + place * STEP_MS) / 1000
            polls.append(make_poll(device, START + place * STEP_MS, get(device.url, 30.0), 1.0)[0])
    at = [poll.observed_at for poll in polls]
    read = pd.DataFrame([poll.values for poll in polls], index=index(at))  # noqa: PD011 - of polls
    polled = pd.DataFrame({"outcome": "ok", "interval_s": STEP_MS / 1000, "problems": ""}, index=index(at))
    seen = flag_station(made(read, polled, START, at[-1] + 1, STEP_MS, device))
    last = seen.rules.iloc[-1]
    assert {series for series in last.index if last[series]} == {A, B, "pm25"}
    assert {rule_names(int(last[series])) for series in (A, B)} == {("channels_apart",)}


def test_two_lasers_that_agree_are_not_suspect():
    _, _, seen = spoken(11, "attic", faults=False)
    assert not np.isin(seen.flags.to_numpy(), [Flag.SUSPECT, Flag.BAD]).any()

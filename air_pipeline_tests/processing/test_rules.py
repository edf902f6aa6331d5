"""Each rule measures what it says, speaks where it should and is silent where it should not."""

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from air_pipeline.catalogue import STATION, Parameter
from air_pipeline.devices.polls import Flag
from air_pipeline.processing.aggregates import LONGEST_INTERVAL_MS
from air_pipeline.processing.flags import flag_series, measure
from air_pipeline.processing.local_time import span_ms
from air_pipeline.processing.restarts import starting
from air_pipeline.processing.rules import READ_BEFORE, RULE_BITS, influence, reach
from air_pipeline.processing.rules.measuring import STAGES
from air_pipeline.processing.rules.measuring import rule as made_rule
from air_pipeline.processing.rules.registry import RULES
from air_pipeline.settings.limits import limits_to_json, with_limits_of
from air_pipeline_tests.processing.rule_examples import (
    DHT22,
    EXAMPLES,
    HALF_AN_HOUR,
    HOME,
    NAN,
    RESTLESS,
    STILL,
    Example,
    changed,
    gases,
)
from air_pipeline_tests.processing.rule_names import rule_names

BY_NAME = {rule.name: rule for rule in RULES}


def measured(rule, example):
    """What the rule first measures of the series that is looked at."""
    of = (m for said, series, m in measure(example.station()) if said is BY_NAME[rule] and series == example.of)
    return next(of, None)


def flagged(example):
    found = flag_series(example.station())[example.of]
    return found.flags[example.at], rule_names(found.bits[example.at])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_speaks_where_it_should_with_what_it_measured(rule):
    trips, _ = EXAMPLES[rule.name]
    found = measured(rule.name, trips)
    assert found.amount[trips.at] == pytest.approx(trips.amount, abs=1e-4)
    flag, spoke = flagged(trips)
    assert rule.name in spoke
    assert flag >= found.verdict


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_silent_where_it_should_be_with_what_it_measured(rule):
    _, quiet = EXAMPLES[rule.name]
    found = measured(rule.name, quiet)
    amount = NAN if found is None else found.amount[quiet.at]
    assert amount == pytest.approx(quiet.amount, abs=1e-4, nan_ok=True)
    assert rule.name not in flagged(quiet)[1]


def test_every_rule_has_its_bit_for_ever_a_meaning_and_a_sentence():
    assert [rule.name for rule in RULES] == list(RULE_BITS)
    assert list(RULE_BITS.values()) == [2**place for place in range(len(RULES))]
    assert list(RULE_BITS)[:3] == ["unusable_value", "sensor_range", "expected_range"]
    for rule in RULES:
        assert re.fullmatch(r"[A-Z].*: (bad|suspect)\b.*\.", rule.meaning), rule.name
        assert rule.says


def test_the_reach_is_that_of_all_stages_together():
    stages = [[rule for rule in RULES if rule.stage == stage] for stage in STAGES]
    assert sum((max(rule.before for rule in rules) for rules in stages), timedelta()) == READ_BEFORE
    assert max(rule.slots_after for rule in RULES) == 1  # a slot and not a time: the next one is soon there
    assert reach() == (READ_BEFORE, timedelta())
    assert all(far >= near for far, near in zip(influence(), reach(), strict=True))
    assert span_ms(influence()[1]) == LONGEST_INTERVAL_MS  # of which the slot after a day may be


def test_a_rule_is_made_of_a_function_that_measures_and_of_its_docstring():
    def bold(station):
        """The value is
        bold: bad.

        More of it.
        """
        yield from ()

    plain = made_rule("values", says="is bold")(bold)
    assert (plain.name, plain.measure, plain.stage, plain.says) == ("bold", bold, "values", "is bold")
    assert plain.meaning == "The value is bold: bad."
    usual = (plain.before, plain.slots_after, plain.leaves_out, plain.of_means, plain.of_nothing)
    assert usual == (timedelta(), 0, False, False, False)
    span = timedelta(hours=1)
    more = {"before": span, "slots_after": 2, "leaves_out": True, "of_means": True, "of_nothing": True}
    other = made_rule("course", says="", **more)(bold)
    assert (other.stage, other.before, other.slots_after) == ("course", span, 2)
    assert other.leaves_out
    assert other.of_means
    assert other.of_nothing
    undocumented = made_rule("values", says="")(lambda station: iter(()))
    assert undocumented.meaning == ""


HOUR = 360  # slots of 10 s


def humidity(values, **more):
    return flag_series(Example("dht22_humidity", 0, 0.0, {"dht22_humidity": values}, **more).station())[
        "dht22_humidity"
    ]


def test_a_flat_line_is_suspect_from_half_an_hour_on_and_bad_from_three_hours_on_not_backwards():
    found = humidity([50.0, *[47.3] * (4 * HOUR)])
    first = {flag: int(np.argmax(found.flags == flag)) for flag in (Flag.SUSPECT, Flag.BAD)}
    assert first == {Flag.SUSPECT: 1 + HOUR // 2, Flag.BAD: 1 + 3 * HOUR}


def test_a_flat_line_does_not_reach_across_a_gap_and_does_across_two_missed_slots():
    still = [47.3] * (HOUR // 2 + 1)
    assert Flag.SUSPECT in humidity([*still[:90], NAN, NAN, *still[92:]]).flags
    assert Flag.SUSPECT not in humidity([*still[:90], NAN, NAN, NAN, *still[93:]]).flags


@pytest.mark.parametrize(("interval_s", "speaks"), [(360, True), (361, False), (1800, False)])
def test_a_span_with_fewer_than_five_measuring_cycles_says_nothing(interval_s, speaks):
    assert (Flag.SUSPECT in humidity([47.3] * 8, interval_s=float(interval_s)).flags) is speaks


def test_a_still_gas_makes_all_six_suspect_as_they_are_one_number():
    still = Example("mq135_nh4", 180, 0.0, gases(*[3.7] * 181))
    found = flag_series(still.station())
    assert {name for name in found if found[name].bits[180] & RULE_BITS["flat_line"]} == set(gases(1.0))


STEP = next(parameter.resolution for parameter in STATION if parameter.series == "bmp180_altitude")


@pytest.mark.parametrize(("moved", "speaks"), [(STEP / 2, False), (STEP, True)])
def test_a_dht22_is_frozen_only_while_a_series_of_another_sensor_moves_by_more_than_half_a_step(moved, speaks):
    other = {"bmp180_altitude": [0.0, *[moved] * (HOUR // 2)]}
    assert ("dht22_frozen" in flagged(Example("dht22_temperature", 180, 0.0, DHT22 | other))[1]) is speaks


@pytest.mark.parametrize(
    ("moved", "beside", "amount", "speaks"),
    [
        (0.4, RESTLESS, 0.4, True),
        (0.5, RESTLESS, 0.5, False),
        (0.6, RESTLESS, 0.6, False),
        (0.4, {}, NAN, False),
        (0.5, {}, 0.5, False),
        (0.6, {}, 0.6, False),
    ],
)
def test_a_dht22_that_moves_by_less_than_half_a_step_is_frozen_if_something_else_moves(moved, beside, amount, speaks):
    home = replace(HOME, rules={name: {"frozen": 1.0} for name in DHT22})
    values = {"dht22_temperature": [21.0 + moved, *[21.0] * 180], "dht22_humidity": [47.0] * HALF_AN_HOUR}
    example = Example("dht22_temperature", 180, 0.0, values | beside, device=home)
    assert measured("dht22_frozen", example).amount[180] == pytest.approx(amount, nan_ok=True)
    assert ("dht22_frozen" in flagged(example)[1]) is speaks


def test_a_document_of_two_sensors_is_the_same_once_it_has_been_for_ten_minutes_whatever_was_before():
    both = tuple(parameter for parameter in STATION if parameter.sensor in {"dht22", "bmp180"})
    values = {name: [row[0] + 1, *row] for name, row in STILL.items() if "mq135" not in name and "ds18b20" not in name}
    example = Example("dht22_humidity", 61, 0.0, values, device=replace(HOME, parameters=both))
    assert measured("same_document", example).amount[61] == 0
    assert "same_document" in flagged(example)[1]


def test_a_value_that_is_gone_or_comes_back_makes_another_document():
    for place in (60, 59):
        found = measured(
            "same_document", Example("bmp180_pressure", 60, 0.0, changed(STILL, "dht22_humidity", place, NAN))
        )
        assert found.amount[60] == 61 - place


def of_sensors(*names):
    """A device that has some of the sensors."""
    return replace(HOME, parameters=tuple(parameter for parameter in STATION if parameter.sensor in names))


def test_what_stays_away_is_the_same_document():
    values = {name: [row[0]] * 121 for name, row in STILL.items()} | {"dht22_humidity": [50.0, *[NAN] * 120]}
    assert measured("same_document", Example("bmp180_pressure", 0, 0.0, values)).amount[-1] == 0


@pytest.mark.parametrize("sensor", ["dht22", "bmp180"])
def test_a_document_of_one_sensor_is_compared_with_nothing(sensor):
    device = of_sensors(sensor)
    values = {one.series: [20.0] * 121 for one in device.parameters}
    assert measured("same_document", Example(device.parameters[0].series, 120, 0.0, values, device=device)) is None


@pytest.mark.parametrize(("pressure", "verdict"), [(1200.0, Flag.BAD), (1000.0, Flag.GOOD), (200.0, Flag.BAD)])
def test_what_a_bmp180_says_beside_a_pressure_of_no_air_is_garbage(pressure, verdict):
    values = {"bmp180_pressure": [pressure], "bmp180_temperature": [20.0]}
    assert flagged(Example("bmp180_temperature", 0, 0.0, values))[0] == verdict


def test_a_device_with_two_thermometers_has_them_compared():
    values = {"dht22_temperature": [20.0], "bmp180_temperature": [30.0]}
    device = replace(of_sensors("dht22", "bmp180"), rules={name: {"max_apart": 5.0} for name in values})
    for name in values:
        example = Example(name, 0, 0.0, values, device=device)
        assert measured("thermometers_apart", example).amount[0] == 10.0
        assert flagged(example)[0] == Flag.SUSPECT


def test_a_sea_level_pressure_of_another_altitude_than_the_firmware_s_is_compared_where_its_ratio_is_known():
    sea = "bmp180_sea_level_pressure"
    alone = replace(HOME, parameters=tuple(one for one in STATION if one.series == sea))
    assert measured("pressure_ratio", Example(sea, 0, 0.0, {sea: [1013.0]}, device=alone)) is None


@pytest.mark.parametrize(
    ("sensors", "probes", "filled", "starts"),
    [
        (("ds18b20", "dht22"), 0.0, (), True),
        (("ds18b20", "dht22"), 21.0, (), False),
        (("ds18b20", "dht22"), 0.0, ("dht22_humidity",), False),
        (("ds18b20",), 0.0, (), False),
        (("dht22",), 0.0, (), False),
    ],
)
def test_a_device_starts_where_all_texts_are_empty_but_that_of_its_probes_which_is_nothing(
    sensors, probes, filled, starts
):
    device = of_sensors(*sensors)
    others = [one.series for one in device.parameters if one.sensor != "ds18b20"]
    values = {one.series: [probes] for one in device.parameters if one.sensor == "ds18b20"}
    values |= {name: [50.0] for name in filled}
    empty = {0: {name: "" for name in others if name not in filled}}
    station = Example("dht22_humidity", 0, 0.0, values or {"dht22_humidity": [NAN]}, empty, device=device).station()
    assert starting(station).tolist() == [starts]


def test_a_thermometer_by_itself_is_not_compared():
    alone = Example("dht22_temperature", 0, 0.0, {"dht22_temperature": [20.0]})
    assert np.isnan(measured("thermometers_apart", alone).amount[0])


def test_a_pressure_of_nothing_is_no_error_where_a_sensor_may_measure_it():
    zero = tuple(
        replace(parameter, sensor_range=(0.0, 1100.0)) if "pressure" in parameter.name else parameter
        for parameter in STATION
    )
    values = {"bmp180_pressure": [0.0, 0.0], "bmp180_sea_level_pressure": [0.0, 1000.0]}
    found = flag_series(Example("x", 0, 0.0, values, device=replace(HOME, parameters=zero)).station())
    spoke = [bool(bits & RULE_BITS["pressure_ratio"]) for bits in found["bmp180_pressure"].bits]
    assert spoke == [False, True]


def test_a_dht22_does_not_move_itself_and_a_sensor_of_unknown_steps_moves_nothing():
    dust = Parameter("sds011", "dust", "µg/m³", "dust")
    wide = {name: {"frozen": 1.0} for name in DHT22}
    home = replace(HOME, parameters=(*STATION, dust), rules=wide)
    values = {name: [value, *row[1:]] for value, (name, row) in zip((21.7, 47.6), DHT22.items(), strict=True)}
    quiet = values | {"sds011_dust": [float(place) for place in range(HALF_AN_HOUR)]}
    assert "dht22_frozen" not in flagged(Example("dht22_temperature", 180, 0.0, quiet, device=home))[1]
    assert "dht22_frozen" in flagged(Example("dht22_temperature", 180, 0.0, quiet | RESTLESS, device=home))[1]


def test_a_spike_is_told_once_and_the_good_value_after_it_is_no_step():
    found = flag_series(Example("dht22_temperature", 0, 0.0, {"dht22_temperature": [20.0, 60.0, 20.0, 20.1]}).station())
    assert [rule_names(bits) for bits in found["dht22_temperature"].bits] == [(), ("spike",), (), ()]


def test_a_bad_value_makes_its_neighbour_no_step_and_no_spike():
    values = {"ds18b20_temperature": [27.0, -127.0, 27.0, 27.1]}
    found = flag_series(Example("ds18b20_temperature", 0, 0.0, values).station())["ds18b20_temperature"]
    assert found.flags.tolist() == [Flag.GOOD, Flag.BAD, Flag.GOOD, Flag.GOOD]


def test_a_bad_thermometer_does_not_make_another_one_suspect():
    values = {"dht22_temperature": [20.0], "ds18b20_temperature": [-127.0], "bmp180_temperature": [20.5]}
    found = flag_series(Example("dht22_temperature", 0, 0.0, values).station())
    assert found["dht22_temperature"].flags[0] == found["bmp180_temperature"].flags[0] == Flag.GOOD


def test_of_two_thermometers_that_are_apart_both_are_suspect():
    values = {"dht22_temperature": [20.0], "ds18b20_temperature": [25.5]}
    found = flag_series(Example("dht22_temperature", 0, 0.0, values).station())
    for name in values:
        assert measured("thermometers_apart", Example(name, 0, 0.0, values)).amount[0] == 5.5
    assert {found[name].flags[0] for name in values} == {Flag.SUSPECT}


@pytest.mark.parametrize(
    ("after", "spoke"),
    [
        ([20.0, 25.1], True),
        ([20.0, NAN, NAN, 35.4], True),
        ([20.0, NAN, NAN, 34.6], False),
        ([20.0, NAN, NAN, NAN, 50.0], False),
    ],
)
def test_a_step_is_a_rate_over_the_time_that_it_took_and_a_gap_is_none(after, spoke):
    found = flag_series(Example("dht22_temperature", 0, 0.0, {"dht22_temperature": after}).station())
    assert bool(found["dht22_temperature"].bits[-1] & RULE_BITS["rate"]) is spoke


def test_probes_that_drop_out_one_after_another_are_each_seen_and_so_is_their_return():
    dropped = [27.0, 27.0, 7.75, -11.5, -11.5, 27.0]
    found = flag_series(Example("ds18b20_temperature", 0, 0.0, {"ds18b20_temperature": dropped}).station())
    spoke = [bool(bits & RULE_BITS["probe_step"]) for bits in found["ds18b20_temperature"].bits]
    assert spoke == [False, False, True, True, False, True]


@pytest.mark.parametrize(
    ("values", "amount"),
    [
        ([27.0, 7.75], 0.0),  # one absent
        ([27.0, 77.75], 0.0),  # seven reset, which are all but one
        ([69.0, 71.0], 0.0),  # one reset, in the smallest step that counts
        ([27.0, 24.5], 5.0625),  # the other way, a reset one would have made 7.5625
        ([34.25, 41.5], 0.90625),  # a second one reset: how many are reset already is not known
        ([27.0, 92.25], 2.6071),  # nine reset are none: absent ones may have come back
        ([27.0, 28.9], NAN),
    ],
)
def test_a_step_of_probes_is_measured_from_the_nearest_that_eight_probes_can_make(values, amount):
    found = measured("probe_step", Example("ds18b20_temperature", 1, 0.0, {"ds18b20_temperature": values}))
    assert found.amount[1] == pytest.approx(amount, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "amount"),
    [([20.0, 20.4, 20.8], 0.0), ([20.0, 20.4, 20.4], 0.0), ([20.0, 20.4, 20.3], 0.1), ([20.0, 20.4, 19.0], 0.4)],
)
def test_a_spike_is_as_large_as_its_smaller_side_and_on_the_way_up_or_down_nothing(values, amount):
    found = measured("spike", Example("dht22_temperature", 1, 0.0, {"dht22_temperature": values}))
    assert found.amount[1] == pytest.approx(amount)


def test_less_than_half_a_step_is_no_movement():
    assert humidity([47.3, *[47.34] * (HOUR // 2)]).flags[-1] == Flag.SUSPECT
    assert humidity([47.3, *[47.36] * (HOUR // 2)]).flags[-1] == Flag.GOOD


def test_what_is_measured_over_a_time_says_over_which():
    spans = {}
    for trips, _ in EXAMPLES.values():
        for rule, _, found in measure(trips.station()):
            spans.setdefault(rule.name, set()).add(found.span)
    half_an_hour, three_hours, ten_minutes = timedelta(minutes=30), timedelta(hours=3), timedelta(minutes=10)
    over = {name: found for name, found in spans.items() if found != {timedelta()}}
    assert over == {
        "flat_line": {half_an_hour, three_hours},
        "dht22_frozen": {half_an_hour, three_hours},
        "same_document": {ten_minutes},
        "channels_apart": {timedelta(hours=1)},
    }


def test_a_restart_is_seen_without_the_first_answer_by_gases_of_clean_air_after_empty_ones():
    empty = dict.fromkeys(gases(1.0), "")
    values = {name: [*row[:1], NAN, *row[1:]] for name, row in gases(4.4, 3.6, 3.65).items()}
    assert flagged(Example("mq135_co", 2, 0.0, values, {1: empty})) == (Flag.SUSPECT, ("warming_up",))
    other = {name: [*row[:1], NAN, *row[1:]] for name, row in gases(4.4, 4.3, 4.2).items()}
    assert flagged(Example("mq135_co", 2, 0.0, other, {1: empty})) == (Flag.GOOD, ())


@pytest.mark.parametrize(("missing", "is_restart"), [(0, True), (2, True), (3, False)])
def test_a_restart_is_seen_by_a_value_at_most_three_intervals_after_an_empty_one(missing, is_restart):
    values = {name: [row[0], *[NAN] * (1 + missing), row[1]] for name, row in gases(4.4, 3.6).items()}
    example = Example("mq135_co", 2 + missing, 0.0, values, {1: dict.fromkeys(gases(1.0), "")})
    assert ("warming_up" in flagged(example)[1]) is is_restart


def test_the_warm_up_ends_48_hours_after_the_restart_was_seen():
    hours = 50
    values = {name: [NAN, *row] for name, row in gases(*[5 + place / 100 for place in range(hours)]).items()}
    values["ds18b20_temperature"] = [0.0, *[27.0] * hours]
    booted = {series: "" for series in HOME.units if series not in {"temperature", "ds18b20_temperature"}}
    found = flag_series(Example("mq135_co", 0, 0.0, values, {0: booted}, interval_s=3600.0).station())["mq135_co"]
    warm = [bool(bits & RULE_BITS["warming_up"]) for bits in found.bits[1:]]
    assert warm == [place < 48 for place in range(1, hours + 1)]


@pytest.mark.parametrize(
    "rule",
    [
        name
        for name in EXAMPLES
        if name
        not in {
            "unusable_value",
            "sensor_range",
            "expected_range",
            "before_first_measurement",
            "bmp180_garbage",
            "warming_up",
            "marked",
            "same_cycle",
        }
    ],
)
def test_a_limit_that_is_off_takes_its_rule_away(rule):
    trips, _ = EXAMPLES[rule]
    off = {series: dict.fromkeys(limits) for series, limits in trips.device.limits.items()}
    assert rule not in flagged(replace(trips, device=replace(trips.device, rules=off)))[1]


def test_a_limit_of_the_settings_counts_instead_of_the_catalogue_s():
    trips, quiet = EXAMPLES["rate"]
    strict = replace(HOME, rules={"dht22_temperature": {"max_rate": 0.4}})
    wide = replace(HOME, rules={"dht22_temperature": {"max_rate": 0.6}})
    assert "rate" in flagged(replace(quiet, device=strict))[1]
    assert "rate" not in flagged(replace(trips, device=wide))[1]


def test_the_limits_that_a_day_was_flagged_by_come_back_from_its_file():
    off = {series: dict.fromkeys(limits) for series, limits in HOME.limits.items()}
    other = replace(HOME, id="other", rules={"dht22_humidity": {"max_rate": 7.0}}, expected_range={"mq135_co2": (0, 9)})
    text = limits_to_json([HOME, replace(HOME, id="twin"), other, replace(HOME, id="off", rules=off)])
    assert text == limits_to_json([other, replace(HOME, id="off", rules=off), replace(HOME, id="twin"), HOME])
    changed_since = replace(HOME, rules={"dht22_humidity": {"max_rate": 1.0, "still": None}}, warm_up=timedelta(0))
    for device in (HOME, other):
        then = with_limits_of(replace(changed_since, id=device.id), text)
        assert (then.limits, then.warm_up, then.digest) == (device.limits, device.warm_up, device.digest)
    assert not any(with_limits_of(replace(HOME, id="off"), text).limits.values())
    assert with_limits_of(replace(HOME, id="stranger"), text) == replace(HOME, id="stranger")


def test_each_gas_that_disagrees_with_the_others_is_seen_and_rounding_is_not():
    for ratio in (2.0, 3.6, 6.0, 12.0):
        printed = gases(ratio)
        assert flagged(Example("mq135_co", 0, 0.0, printed)) == (Flag.GOOD, ())
        assert "gas_ratio" in flagged(Example("mq135_co", 0, 0.0, changed(printed, "mq135_co2", 0, 430.0)))[1]


@pytest.mark.parametrize(("interval_s", "speaks"), [(600.0, True), (601.0, False)])
def test_what_takes_longer_than_ten_minutes_is_no_spike_and_no_step_of_probes(interval_s, speaks):
    for rule in ("spike", "probe_step"):
        trips, _ = EXAMPLES[rule]
        found = flag_series(replace(trips, interval_s=interval_s).station())[trips.of]
        assert bool((found.bits & RULE_BITS[rule]).any()) is speaks

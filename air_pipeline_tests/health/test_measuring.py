"""From how often rules spoke of a device's series to what is not well with it: each limit, what belongs together."""

from dataclasses import replace

import pytest

from air_pipeline.catalogue import STATION
from air_pipeline.health.hints import HINTS
from air_pipeline.health.intervals import interval_for
from air_pipeline.health.measuring import faults
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.processing.tally import Apart, SeriesTally, Spoke

BY_HAND = 1 << 30
"""A bit of no rule."""
SLOTS = 2400
"""Of a day, so that an hour is 100 of them."""
GASES = tuple(one.series for one in STATION if one.sensor == "mq135")
DHT22 = ("dht22_temperature", "dht22_humidity")
PROBE = "ds18b20_temperature"
THERMOMETERS = ("bmp180_temperature", "dht22_temperature", PROBE)


def series(*, missing=0, complete=None, apart=None, others=None, **spoke):
    """A series of which rules spoke so often, each of other observations."""
    flagged = sum(spoke.values())
    coverage = (SLOTS - missing - flagged) / SLOTS
    said = [Spoke(RULE_BITS[rule], count, 7_000) for rule, count in spoke.items()]
    away = None if apart is None else Apart(apart, others)
    is_complete = coverage >= 0.75 if complete is None else complete
    hours = round(24 * coverage) if is_complete else 17
    return SeriesTally(SLOTS, SLOTS - missing, flagged, coverage, is_complete, hours, 24, said, away)


def found(**changed):
    """What is found where a device's other series are well: check to what it says."""
    tally = {one.series: series() for one in STATION} | {"temperature": series()} | changed
    return {fault.check: fault.text for fault in faults("hall", tally)}


def test_of_a_device_that_is_well_nothing_is_found():
    assert found() == {}


@pytest.mark.parametrize(
    ("check", "below", "reached"),
    [
        ("ds18b20_measuring", {PROBE: series(failure_value=99)}, {PROBE: series(failure_value=100)}),
        ("ds18b20_measuring", {PROBE: series(sensor_range=99)}, {PROBE: series(sensor_range=60, unusable_value=40)}),
        ("ds18b20_measuring", {PROBE: series(missing=99)}, {PROBE: series(missing=100)}),
        ("ds18b20_measuring", {PROBE: series(probe_step=1)}, {PROBE: series(probe_step=2)}),
        (
            "ds18b20_measuring",
            {PROBE: series(thermometers_apart=99, apart=-18.6, others=22.0)},
            {PROBE: series(thermometers_apart=100, apart=-18.6, others=22.0)},
        ),
        ("dht22_moving", {DHT22[0]: series(dht22_frozen=99)}, {DHT22[0]: series(dht22_frozen=100)}),
        (
            "thermometers_agreeing",
            {THERMOMETERS[0]: series(thermometers_apart=599, complete=True, apart=6.0, others=22.0)},
            {THERMOMETERS[0]: series(thermometers_apart=600, complete=True, apart=6.0, others=22.0)},
        ),
        ("mq135_zero_kept", {}, {GASES[1]: series(warming_up=1)}),
        ("values_believed", {"bmp180_pressure": series(flat_line=120)}, {"bmp180_pressure": series(flat_line=121)}),
        ("complete", {DHT22[0]: series(missing=600)}, {DHT22[0]: series(missing=601)}),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_each_speaks_from_its_limit_on(check, below, reached):
    assert check not in found(**below)
    assert check in found(**reached)


def test_a_device_gave_too_few_readings_where_no_series_has_a_value_in_more_than_a_quarter_of_its_slots():
    def silent(slots):
        return {one.series: series(missing=slots) for one in STATION} | {"temperature": series(missing=slots)}

    assert "devices_covered" not in found(**silent(600))
    assert found(**silent(601)) == {"devices_covered": "it gave readings in 75% of its slots"}
    assert found(**silent(1800)) == {"devices_covered": "it gave readings in 25% of its slots"}


def test_a_sensor_that_is_silent_beyond_its_device_is_a_matter_of_its_own():
    tally = {one.series: series(missing=900) for one in STATION}
    tally |= {name: series(missing=1500) for name in DHT22} | {"temperature": series(missing=900)}
    assert list(found(**tally)) == ["devices_covered", "complete"]
    assert found(**tally)["complete"].startswith("dht22_temperature (coverage 38%)")


@pytest.mark.parametrize(
    ("apart", "gone"),
    [(-18.6, "about 1 of 8"), (-14.5, "about 1 of 8"), (-13.0, ""), (-37.25, "about 2 of 8"), (-27.9, ""), (18.6, "")],
)
def test_probes_are_counted_by_how_far_their_mean_is_below_the_others(apart, gone):
    said = found(**{PROBE: series(thermometers_apart=2000, apart=apart, others=22.0)})
    assert list(said) == ["ds18b20_measuring" if gone else "thermometers_agreeing"]
    assert gone in next(iter(said.values()))


def test_of_two_thermometers_the_one_beside_a_string_of_which_probes_are_gone_is_not_accused():
    one = {
        PROBE: series(thermometers_apart=2000, apart=-18.6, others=22.0),
        "dht22_temperature": series(thermometers_apart=2000, apart=18.6, others=3.4),
    }
    assert list(found(**one)) == ["ds18b20_measuring"]


def test_what_a_broken_member_makes_of_a_mean_is_no_fault_of_its_own():
    assert list(found(**{PROBE: series(failure_value=2400)}, temperature=series(failure_value=2400))) == [
        "ds18b20_measuring"
    ]


def test_a_gas_sensor_that_warms_up_is_said_instead_of_six_series():
    said = found(**{name: series(warming_up=2400) for name in GASES})
    assert said == {"mq135_zero_kept": "it restarted, and 100% of its gas values are of the warm-up"}


def test_series_that_are_doubted_alike_are_named_together_with_the_rule_and_how_to_ask_why():
    tally = {one.series: series() for one in STATION} | {name: series(gases_off=240) for name in GASES}
    [fault] = faults("hall", tally)
    assert fault.text == "mq135_co, mq135_co2, mq135_alcohol and 3 more: 10% suspect or bad, most by gases_off"
    why = "why: air-pipeline explain --device hall --series mq135_co --at 1970-01-01T00:00:07Z"
    assert fault.remedy == f"{HINTS['gases_off']}; {why}"
    assert fault.observations == 6 * 240


def test_a_series_that_is_not_complete_is_always_said_by_somebody():
    """Some missing and some suspect: neither is much, both together are."""
    assert list(found(bmp180_pressure=series(missing=360, rate=80, complete=False))) == ["complete"]
    assert list(found(bmp180_pressure=series(missing=90, rate=100, complete=False))) == ["values_believed"]


def test_a_series_with_most_of_what_was_expected_is_not_complete_by_its_hours():
    """Missing in parts of many hours, or expected in few of them: its coverage would not say why."""
    assert found(bmp180_pressure=series(missing=500, complete=False)) == {
        "complete": "bmp180_pressure (17 of 24 hours complete)"
    }


def test_of_a_series_that_was_not_expected_that_day_nothing_is_said():
    """As of a sensor that the device did not have then."""
    not_there = SeriesTally(0, 0, 0, None, False, 0, 24)
    assert found(**dict.fromkeys((PROBE, *DHT22), not_there)) == {}
    assert faults("hall", dict.fromkeys((PROBE, *DHT22), not_there)) == []


def test_what_somebody_said_by_hand_is_not_told_to_them(monkeypatch):
    monkeypatch.setattr("air_pipeline.health.by_hand._BY_HAND", BY_HAND)
    said = [Spoke(BY_HAND, 1500, 7_000), Spoke(BY_HAND | RULE_BITS["rate"], 100, 7_000)]
    marked = SeriesTally(SLOTS, SLOTS, 1600, 800 / SLOTS, False, 8, 24, said)
    assert found(bmp180_pressure=marked) == {}
    # What else is not well with it is told all the same.
    more = replace(marked, flagged=2400, coverage=0.0, spoke=[*said, Spoke(RULE_BITS["rate"], 800, 7_000)])
    assert list(found(bmp180_pressure=more)) == ["values_believed"]
    missing = replace(marked, observed=0, flagged=0, spoke=[])
    assert list(found(bmp180_pressure=missing)) == ["complete"]


def test_there_is_a_hint_for_every_rule_that_looks_at_values():
    assert HINTS.keys() == RULE_BITS.keys() - {"marked"}


def asked_too_often(cycle_s, **spoke):
    return replace(series(**spoke), cycle_s=cycle_s)


def test_who_is_asked_oftener_than_it_measures_is_told_the_interval_to_write():
    tally = {one.series: asked_too_often(290.0, same_cycle=1400) for one in STATION}
    [fault] = faults("hall", tally)
    assert (fault.check, fault.observations) == ("interval_fits", 13 * 1400)
    assert fault.text == "58% of its values are of the measuring cycle of the one before: a cycle takes 290 s"
    assert fault.remedy == "write interval: 5m for hall in devices.yaml"


def test_a_few_repeats_are_no_fault_and_a_device_that_hung_is_another():
    few, many = asked_too_often(290.0, same_cycle=120), asked_too_often(290.0, same_cycle=121)
    assert found(bmp180_pressure=few) == {}
    assert list(found(bmp180_pressure=many)) == ["interval_fits"]
    assert list(found(bmp180_pressure=series(same_cycle=600))) == ["values_believed"]


@pytest.mark.parametrize(
    ("cycle_s", "interval"),
    [
        (0.4, "1s"),
        (12.0, "12s"),
        (31.0, "1m"),
        (59.9, "1m"),
        (61.0, "90s"),
        (145.0, "150s"),
        (151.4, "150s"),
        (152.0, "3m"),
        (299.0, "5m"),
        (301.0, "5m"),
        (1801.0, "30m"),
        (3000.0, "1h"),
        (9000.0, "1h"),
    ],
)
def test_the_interval_to_write_is_the_next_round_one(cycle_s, interval):
    assert interval_for(cycle_s) == interval

"""What an AirGradient says, and each thing that it does otherwise than one would think."""

import json

import pytest

from air_pipeline.devices.polls import Outcome
from air_pipeline_tests.devices.kinds import documents as d
from air_pipeline_tests.devices.kinds.reading import changed, device_of, problems, read


def without(text, *names):
    return json.dumps({name: value for name, value in json.loads(text).items() if name not in names})


def test_an_airgradient_one_is_read_whole():
    document = read("airgradient", d.AIRGRADIENT_ONE)
    assert document.values == {
        "pms5003_pm1": 8.5,
        "pms5003_pm25": 12.4,
        "pms5003_pm10": 13.17,
        "pms5003_pm25_compensated": 8.08,
        "sht40_temperature": 22.41,
        "sht40_humidity": 48.3,
        "s8_co2": 612.67,
        "sgp41_tvoc_index": 97.0,
        "sgp41_nox_index": 1.0,
    }
    assert (document.outcome, document.notes, document.identity) == (Outcome.OK, (), "ecda3b1d09d8")


def test_counts_and_standard_dust_of_an_airgradient_are_there_for_whoever_names_them():
    more = "sensors: {pms5003: [pm25_standard, count_0_3, count_2_5, count_10], sgp41: [tvoc_raw, nox_raw]}"
    document = read("airgradient", changed(d.AIRGRADIENT_ONE, pm02Standard=12.9), more)
    assert document.values == {
        "pms5003_pm25_standard": 12.9,
        "pms5003_count_0_3": 1461.33,
        "pms5003_count_2_5": 4.83,
        "pms5003_count_10": 0.0,
        "sgp41_tvoc_raw": 31245.5,
        "sgp41_nox_raw": 16310.25,
    }
    assert device_of("airgradient", more).units["pms5003_count_0_3"] == "1/dL"


def test_two_lasers_are_two_sensors_and_their_mean_is_ours():
    more = (
        "sensors: {pms5003-a: [pm25, temperature, humidity_compensated],"
        " pms5003-b: [pm25, temperature, humidity_compensated]}"
    )
    document = read("airgradient", d.AIRGRADIENT_OPEN_AIR, more)
    assert document.values == {
        "pms5003-a_pm25": 10.0,
        "pms5003-a_temperature": 15.0,
        "pms5003-a_humidity_compensated": 70.29,
        "pms5003-b_pm25": 12.0,
        "pms5003-b_temperature": 15.4,
        "pms5003-b_humidity_compensated": 72.81,
    }
    assert device_of("airgradient", more).units["pm25"] == "µg/m³"
    assert not [note for note in document.notes if "pms5003." in note]  # what the device takes for the mean of both


@pytest.mark.parametrize("model", ["O-1PST", "0-1PS"])
def test_an_outdoor_unit_measures_its_climate_in_the_laser(model):
    document = read("airgradient", changed(d.AIRGRADIENT_ONE, model=model), "sensors: {pms5003: [temperature]}")
    assert document.values == {"pms5003_temperature": 22.41}


def test_after_a_start_an_airgradient_says_who_it_is_and_nothing_else():
    document = read("airgradient", d.AIRGRADIENT_AFTER_BOOT)
    assert document.rejection == "not one value of the device's sensors can be used"
    assert document.identity == "84fce612f5b8"


def test_a_sensor_of_an_airgradient_that_fails_is_missing_and_costs_no_other():
    document = read("airgradient", without(d.AIRGRADIENT_ONE, "rco2"))
    assert problems(document) == {"s8_co2": (None, 9)}
    assert document.outcome is Outcome.PARTIAL
    assert len(document.values) == 8


def test_an_airgradient_of_before_3_1_lacks_what_came_later():
    old = without(d.AIRGRADIENT_ONE, "boot", "pm01Standard", "pm02Standard", "pm10Standard", "pm02Compensated")
    assert problems(read("airgradient", old)) == {"pms5003_pm25_compensated": (None, 9)}


def test_satellites_and_what_is_new_in_an_airgradient_do_no_harm():
    document = read("airgradient", changed(d.AIRGRADIENT_ONE, satellites={"a1": {"atmp": 3}}, ozone=4))
    assert document.outcome is Outcome.OK
    (note,) = document.notes
    assert note.startswith("sends airgradient.ozone, which is not stored; to store it")

"""What a Shelly says, and each thing that it does otherwise than one would think."""

from air_pipeline.devices.polls import Outcome
from air_pipeline_tests.devices.kinds import documents as d
from air_pipeline_tests.devices.kinds.reading import changed, problems, read


def test_a_shelly_of_the_second_generation_is_read_whole():
    more = "sensors: {shelly: [temperature, humidity, illuminance], shelly-100: [temperature]}"
    document = read("shelly", d.SHELLY_SECOND, more)
    assert document.values == {"shelly_temperature": 21.3, "shelly_humidity": 43.8, "shelly_illuminance": 30.0}
    assert problems(document) == {"shelly-100_temperature": ("null", 9)}
    assert document.identity == "AABBCCDDEEFF"


def test_a_shelly_of_the_first_generation_is_read_whole():
    more = "sensors: {shelly: [temperature, humidity, illuminance], shelly-ext-0: [temperature]}"
    document = read("shelly", d.SHELLY_FIRST, more)
    assert document.values == {
        "shelly_temperature": 22.5,
        "shelly_humidity": 50.5,
        "shelly_illuminance": 12.987013,
        "shelly-ext-0_temperature": 22.88,
    }
    assert (document.outcome, document.identity) == (Outcome.OK, "E8DB84ABE866")


def test_what_a_shelly_calls_invalid_is_no_value_whatever_number_stands_beside_it():
    body = changed(d.SHELLY_FIRST, hum={"value": 999, "is_valid": False}, concentration={"ppm": 0, "is_valid": False})
    document = read("shelly", body, "sensors: {shelly: [temperature, humidity, gas]}")
    assert document.values == {"shelly_temperature": 22.5}
    assert {name: flag for name, (_, flag) in problems(document).items()} == {"shelly_humidity": 9, "shelly_gas": 9}

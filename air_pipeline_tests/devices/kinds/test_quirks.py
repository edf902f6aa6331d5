"""Smaller things that firmwares do otherwise than one would think, each with the value that it comes out with."""

import json
from datetime import UTC, datetime

import pytest

from air_pipeline.collection.asking import ask_device
from air_pipeline.devices.polls import Outcome
from air_pipeline.health.devices import finding_of
from air_pipeline_tests.devices.kinds import documents as d
from air_pipeline_tests.devices.kinds.reading import changed, device_of, problems, read
from air_pipeline_tests.devices.raw_server import answering, http


def test_the_order_of_keys_is_nothing_that_an_airgradient_keeps():
    turned = json.dumps(dict(reversed(json.loads(d.AIRGRADIENT_ONE).items())))
    assert read("airgradient", turned) == read("airgradient", d.AIRGRADIENT_ONE)


def test_a_laser_that_counts_no_coarse_particles_leaves_them_out():
    """A PMS5003T, as outdoor units have: of 5 and 10 µm there is nothing, not 0."""
    fine = {key: value for key, value in json.loads(d.AIRGRADIENT_ONE).items() if key not in {"pm50Count", "pm10Count"}}
    document = read("airgradient", json.dumps(fine), "sensors: {pms5003: [count_2_5, count_5, count_10]}")
    assert document.values == {"pms5003_count_2_5": 4.83}
    assert problems(document) == {"pms5003_count_5": (None, 9), "pms5003_count_10": (None, 9)}


@pytest.mark.parametrize(
    ("value_type", "value", "sensor", "name", "number"),
    [
        ("IPS_P0", "2.00", "ips", "pm1", 2.0),
        ("PMS_P1", "9.00", "pms", "pm10", 9.0),
        ("PMS_P2", "7.00", "pms", "pm25", 7.0),
        ("SPS30_N10", "13.00", "sps30", "count_up_to_10", 1300.0),  # per cm³
        ("SHT3X_humidity", "51.00", "sht3x", "humidity", 51.0),
        ("SCD30_temperature", "21.00", "scd30", "temperature", 21.0),
        ("BMP280_pressure", "98812.00", "bmp280", "pressure", 988.12),
        ("DNMS_noise_LA_min", "36.10", "dnms", "noise_min", 36.1),
    ],
)
def test_more_parts_of_an_airrohr(value_type, value, sensor, name, number):
    body = json.dumps({"age": "3", "sensordatavalues": [{"value_type": value_type, "value": value}]})
    assert read("airrohr", body, f"sensors: {{{sensor}: [{name}]}}").values == {f"{sensor}_{name}": number}


def test_the_clock_of_a_purpleair_is_no_time_of_measuring():
    other = changed(d.PURPLEAIR, DateTime="1970/01/01T00:00:07z", uptime=7)
    assert read("purpleair", other) == read("purpleair", d.PURPLEAIR)


def test_a_purpleair_calls_its_json_a_web_page():
    with answering(http(d.PURPLEAIR.encode(), "Content-Type: text/html")) as server:
        asked = ask_device(device_of("purpleair", url=server.url.replace("/circumstances", "/json")))
    assert (asked.poll.outcome, asked.poll.values["pms5003-a_pm25"]) == (Outcome.OK, 8.41)


def test_a_sensor_of_a_sub_device_of_an_esphome_has_the_name_of_both():
    body = '{"id":"sensor/Shed/Temperature","value":3.5,"state":"3.5 °C"}'
    document = read("esphome", body, "sensors: {shed: {temperature: {key: Shed/Temperature}}}")
    assert document.values == {"shed_temperature": 3.5}


def test_an_object_id_that_an_esphome_no_longer_knows_is_said_as_a_wrong_path():
    """From 2026.7 on: 404 with nothing in it."""
    with answering(http(b"", status="404 Not Found")) as server:
        url = server.url.replace("/circumstances", "/sensor/outside_temperature")
        asked = ask_device(device_of("esphome", "sensors: {a: {temperature: {key: a}}}", url=url))
    assert asked.poll.outcome is Outcome.HTTP_ERROR
    assert finding_of(asked, datetime.now(UTC)).remedy.startswith("correct the path of its url")


def test_parts_of_a_tasmota_may_be_told_apart_by_their_address():
    body = '{"StatusSNS":{"SHT3X-0x44":{"Temperature":1.5},"SHT3X-0x45":{"Temperature":2.5},"TempUnit":"C"}}'
    document = read("tasmota", body, "sensors: {sht3x-0x44: [temperature], sht3x-0x45: [temperature]}")
    assert document.values == {"sht3x-0x44_temperature": 1.5, "sht3x-0x45_temperature": 2.5}


def test_a_part_of_a_tasmota_that_fails_is_not_there_and_costs_no_other():
    body = '{"StatusSNS":{"DS18B20":{"Temperature":13.3},"TempUnit":"C"}}'
    document = read("tasmota", body, "sensors: {ds18b20: [temperature], bme280: [pressure]}")
    assert document.values == {"ds18b20_temperature": 13.3}
    assert problems(document) == {"bme280_pressure": (None, 9)}


def test_no_gas_is_a_value_where_a_shelly_calls_it_valid():
    body = changed(d.SHELLY_FIRST, concentration={"ppm": 0, "is_valid": True})
    assert read("shelly", body, "sensors: {shelly: [gas]}").values == {"shelly_gas": 0.0}

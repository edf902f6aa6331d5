"""What a Tasmota says, and each thing that it does otherwise than one would think."""

import pytest

from air_pipeline_tests.devices.kinds import documents as d
from air_pipeline_tests.devices.kinds.reading import changed, device_of, problems, read


def test_a_conversion_leaves_no_digits_of_its_own():
    """71.24 °F are 21.8 °C; computed, they are 21.799999999999997."""
    said = '{"StatusSNS":{"BME280":{"Temperature":71.24},"TempUnit":"F"}}'
    assert read("tasmota", said, "sensors: {bme280: [temperature]}").values == {"bme280_temperature": 21.8}


def test_a_tasmota_is_read_whole():
    document = read("tasmota", d.TASMOTA, d.TASMOTA_SENSORS)
    assert document.values == {
        "ds18b20-1_temperature": 13.3,
        "bme280_temperature": 21.7,
        "bme280_humidity": 44.6,
        "bme280_pressure": 988.6,
        "scd40_co2": 1204.0,
        "pms5003_pm1": 5.0,
        "pms5003_pm1_standard": 6.0,  # CF1
        "pms5003_pm25": 8.0,
        "pms5003_pm25_standard": 9.0,
        "pms5003_pm10": 11.0,
        "pms5003_pm10_standard": 10.0,
        "pms5003_count_0_3": 1188.0,
        "sds011_pm25": 8.4,
        "sds011_pm10": 11.9,
    }


@pytest.mark.parametrize(
    ("units", "temperature", "pressure"),
    [
        ('"PressureUnit":"hPa","TempUnit":"C"', 50.0, 29.19),
        ('"PressureUnit":"inHg","TempUnit":"F"', 10.0, 988.487),
        ('"PressureUnit":"mmHg","TempUnit":"F"', 10.0, 38.9167),
    ],
)
def test_the_units_of_a_tasmota_are_those_that_its_document_says(units, temperature, pressure):
    body = f'{{"StatusSNS":{{"BME280":{{"Temperature":50.0,"Pressure":29.19}},{units}}}}}'
    document = read("tasmota", body, "sensors: {bme280: [temperature, pressure]}")
    assert document.values == {
        "bme280_temperature": temperature,
        "bme280_pressure": pytest.approx(pressure, abs=1e-3),
    }


def test_several_of_one_part_are_several_sensors():
    body = '{"StatusSNS":{"DS18B20-1":{"Temperature":1},"DS18B20-2":{"Temperature":2},"BME280-76":{"Pressure":988}}}'
    more = "sensors: {ds18b20-1: [temperature], ds18b20-2: [temperature], bme280-76: [pressure]}"
    assert read("tasmota", body, more).values == {
        "ds18b20-1_temperature": 1.0,
        "ds18b20-2_temperature": 2.0,
        "bme280-76_pressure": 988.0,
    }
    assert device_of("tasmota", more).parameters[1].sensor_range == (-55.0, 125.0)


def test_null_of_a_tasmota_is_no_value():
    body = '{"StatusSNS":{"BME280":{"Temperature":null,"Humidity":44.6},"TempUnit":"F"}}'
    document = read("tasmota", body, "sensors: {bme280: [temperature, humidity]}")
    assert problems(document) == {"bme280_temperature": ("null", 9)}


def test_a_wrong_login_of_a_tasmota_is_called_that():
    document = read("tasmota", '{"WARNING":"Need user=<username>&password=<password>"}', d.TASMOTA_SENSORS)
    assert document.rejection.startswith("it wants another login")


def test_the_time_of_a_tasmota_is_no_time_of_measuring():
    """A device that keeps another clock says the same: its values are of our slot."""
    other = d.TASMOTA.replace("2026-11-21T10:31:07", "1970-01-01T00:00:07")
    assert read("tasmota", other, d.TASMOTA_SENSORS) == read("tasmota", d.TASMOTA, d.TASMOTA_SENSORS)


def test_a_tasmota_that_says_everything_says_who_it_is():
    body = changed(d.TASMOTA, StatusNET={"Hostname": "tasmota", "Mac": "A4:CF:12:00:11:22"})
    assert read("tasmota", body, d.TASMOTA_SENSORS).identity == "A4:CF:12:00:11:22"
    assert read("tasmota", d.TASMOTA, d.TASMOTA_SENSORS).identity == ""

"""What an airRohr says, and each thing that it does otherwise than one would think."""

import json

import pytest

from air_pipeline.devices.polls import Outcome
from air_pipeline_tests.devices.kinds import documents as d
from air_pipeline_tests.devices.kinds.reading import problems, read


def test_an_airrohr_is_read_whole_with_pascals_as_hectopascals():
    more = (
        "sensors: {sds011: [pm25, pm10], dht22: [temperature, humidity], bmp180: [pressure, temperature],"
        " airrohr: [signal]}"
    )
    document = read("airrohr", d.AIRROHR, more)
    assert document.values == {
        "sds011_pm25": 23.2,  # P2
        "sds011_pm10": 25.05,  # P1
        "dht22_temperature": 7.3,
        "dht22_humidity": 88.6,
        "bmp180_pressure": 988.12,
        "bmp180_temperature": 8.1,
        "airrohr_signal": -77.0,
    }
    assert (document.outcome, document.notes, document.identity) == (Outcome.OK, (), "")


def airrohr(*pairs):
    return json.dumps({"age": "3", "sensordatavalues": [{"value_type": t, "value": v} for t, v in pairs]})


@pytest.mark.parametrize(
    ("value_type", "value", "sensor", "name", "number"),
    [
        ("PMS_P0", "3.00", "pms", "pm1", 3.0),
        ("HPM_P1", "9.00", "hpm", "pm10", 9.0),
        ("NPM_P2", "4.00", "npm", "pm25", 4.0),
        ("SPS30_P4", "4.50", "sps30", "pm4", 4.5),
        ("SPS30_N05", "12.50", "sps30", "count_up_to_0_5", 1250.0),  # per cm³
        ("SPS30_TS", "0.58", "sps30", "typical_size", 0.58),
        ("BME280_pressure", "101325.00", "bme280", "pressure", 1013.25),
        ("BMP280_temperature", "8.10", "bmp280", "temperature", 8.1),
        ("HTU21D_humidity", "50.00", "htu21d", "humidity", 50.0),
        ("SHT3X_temperature", "20.00", "sht3x", "temperature", 20.0),
        ("SCD30_co2_ppm", "612.00", "scd30", "co2", 612.0),
        ("DS18B20_temperature", "13.31", "ds18b20", "temperature", 13.31),
        ("DNMS_noise_LAeq", "41.20", "dnms", "noise", 41.2),
        ("DNMS_noise_LA_max", "52.00", "dnms", "noise_max", 52.0),
    ],
)
def test_each_part_of_an_airrohr_has_its_name_and_unit(value_type, value, sensor, name, number):
    document = read("airrohr", airrohr((value_type, value)), f"sensors: {{{sensor}: [{name}]}}")
    assert document.values == {f"{sensor}_{name}": number}


def test_a_part_of_an_airrohr_that_failed_is_missing_and_nan_is_no_value():
    document = read("airrohr", airrohr(("SDS_P2", "4.10"), ("SPS30_P1", "nan")), "sensors: {sds011: [pm25, pm10],"
                    " sps30: [pm10]}")  # fmt: skip
    assert problems(document) == {"sds011_pm10": (None, 9), "sps30_pm10": ("nan", 9)}


def test_a_pressure_that_cannot_be_used_is_shown_as_it_was_sent():
    document = read("airrohr", airrohr(("SDS_P2", "4.10"), ("BME280_pressure", "inf")), "sensors: {sds011: [pm25],"
                    " bme280: [pressure]}")  # fmt: skip
    assert problems(document) == {"bme280_pressure": ("inf", 4)}


def test_before_its_first_cycle_an_airrohr_has_nothing():
    assert read("airrohr", d.AIRROHR_BEFORE_FIRST_CYCLE).outcome is Outcome.REJECTED


def test_what_stands_twice_in_an_airrohr_is_read_once_and_noted():
    document = read("airrohr", airrohr(("SDS_P2", "4.10"), ("SDS_P2", "9.90")), "sensors: {sds011: [pm25]}")
    assert document.values == {"sds011_pm25": 4.1}
    assert document.notes == ("sends SDS_P2 twice; the first is read",)


def test_the_mark_of_an_airrohr_s_cycle_is_new_with_each_cycle_and_with_nothing_else():
    again = d.AIRROHR.replace('"age":"137"', '"age":"142"').replace('"-77"', '"-80"')
    assert read("airrohr", d.AIRROHR).cycle == "5315812 26 20017" == read("airrohr", again).cycle
    assert read("airrohr", d.AIRROHR.replace("5315812", "5315990")).cycle != "5315812 26 20017"
    assert read("airrohr", airrohr(("SDS_P2", "4.10"))).cycle == ""


def test_the_age_of_an_airrohr_is_no_mark_of_its_cycle():
    """One that hangs says 0 once it is older than the interval: the mark alone tells that nothing was measured."""
    hung = d.AIRROHR.replace('"age":"137"', '"age":"0"').replace('"age": "137"', '"age": "0"')
    assert hung != d.AIRROHR
    assert read("airrohr", hung).cycle == read("airrohr", d.AIRROHR).cycle != ""

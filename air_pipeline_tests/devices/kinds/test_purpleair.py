"""What a PurpleAir says, and each thing that it does otherwise than one would think."""

import json

import pytest

from air_pipeline.devices.polls import Outcome
from air_pipeline_tests.devices.kinds import documents as d
from air_pipeline_tests.devices.kinds.reading import changed, problems, read


def test_a_purpleair_is_read_whole_with_fahrenheit_as_celsius():
    document = read("purpleair", d.PURPLEAIR)
    assert document.values == {
        "pms5003-a_pm1": 5.2,
        "pms5003-a_pm25": 8.41,
        "pms5003-a_pm10": 9.02,
        "pms5003-b_pm1": 4.87,
        "pms5003-b_pm25": 7.93,
        "pms5003-b_pm10": 8.6,
        "bme280_temperature": pytest.approx(11.1111, abs=1e-4),
        "bme280_humidity": 61.0,
        "bme280_pressure": 989.6,
    }
    assert (document.outcome, document.notes, document.identity) == (Outcome.OK, (), "84:f3:eb:1:2:3")


def test_air_and_standard_dust_of_a_purpleair_are_told_apart():
    smoke = changed(d.PURPLEAIR, pm2_5_atm=40.1, pm2_5_cf_1=59.7)
    document = read("purpleair", smoke, "sensors: {pms5003-a: [pm25, pm25_standard, count_2_5]}")
    assert document.values == {
        "pms5003-a_pm25": 40.1,
        "pms5003-a_pm25_standard": 59.7,
        "pms5003-a_count_2_5": 3.6,
    }


def test_a_purpleair_with_one_laser_is_told_by_what_it_sends():
    one = json.dumps({name: value for name, value in json.loads(d.PURPLEAIR).items() if not name.endswith("_b")})
    assert set(problems(read("purpleair", one))) == {"pms5003-b_pm1", "pms5003-b_pm25", "pms5003-b_pm10"}
    assert read("purpleair", one, "sensors: {pms5003-a: [pm25]}").outcome is Outcome.OK


@pytest.mark.parametrize("key", ["pm2.5_aqi", "pm2_5_aqi"])
def test_the_index_of_a_purpleair_is_of_an_old_table_and_not_dust(key):
    document = read("purpleair", changed(d.PURPLEAIR, **{key: 180}))
    assert document.values["pms5003-a_pm25"] == 8.41
    assert document.notes == ()


def test_where_a_purpleair_is_and_its_network_are_in_no_note():
    document = read("purpleair", changed(d.PURPLEAIR, gas_680=51.2), "sensors: {bme280: [pressure]}")
    assert not {"lat", "lon", "ssid", "48.2"} & set(" ".join(document.notes).replace(".", " ").split())
    assert any("gas_680" in note for note in document.notes)


def test_what_only_some_purpleairs_send_does_no_harm():
    """A gas resistance that is nan, without quotes; what a Data Processor answered to an upload, which is not ours."""
    more = ',"gas_680":nan,"current_temp_f_680":55,"response":-11,"response_date":1795257065,"status_6":3}'
    document = read(
        "purpleair", d.PURPLEAIR[:-1] + more, "sensors: {pms5003-a: [pm25], purpleair: {gas: {key: gas_680}}}"
    )
    assert document.values == {"pms5003-a_pm25": 8.41}
    assert problems(document) == {"purpleair_gas": ("nan", 9)}
    assert not any(name in " ".join(document.notes) for name in ("response", "status_6", "pa_latency"))


def test_the_other_thermometer_of_a_purpleair_is_a_sensor_of_its_own():
    body = changed(d.PURPLEAIR, current_temp_f_680=50, pressure_680=990.1)
    document = read("purpleair", body, "sensors: {bme680: [temperature, pressure]}")
    assert document.values == {"bme680_temperature": 10.0, "bme680_pressure": 990.1}

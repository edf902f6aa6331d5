"""Each kind's own document, and each thing that it does otherwise than one would think."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.polls import Outcome
from air_pipeline.settings import SettingsError
from air_pipeline.settings.former import Former
from air_pipeline_tests.devices.kinds import documents as d
from air_pipeline_tests.devices.kinds.reading import changed, device_of, problems, read

NAMED = dict.fromkeys(["tasmota", "esphome", "json", "prometheus"], "sensors: {a: [co2]}")


def without(text, *names):
    return json.dumps({name: value for name, value in json.loads(text).items() if name not in names})


# What is true of all of them.


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_one_parameter_has_one_unit_whatever_the_kind(kind):
    units = {one.name: one.unit for other in KINDS.values() for one in other.usual}
    assert {one.name: one.unit for one in kind.usual}.items() <= units.items()
    for one in kind.usual:
        assert "_" not in one.sensor
        assert one == kind.known(one.sensor, one.name)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("nodemcu", "/circumstances"),
        ("airgradient", "/measures/current"),
        ("airrohr", "/data.json"),
        ("purpleair", "/json"),
        ("shelly", "/rpc/Shelly.GetStatus"),
    ],
)
def test_an_address_is_enough_where_the_kind_is_said(kind, path):
    assert device_of(kind).url == f"http://192.168.1.40{path}"
    assert device_of(kind, url="http://192.168.1.40:8080/").url == f"http://192.168.1.40:8080{path}"
    assert device_of(kind, url="http://192.168.1.40/elsewhere").url == "http://192.168.1.40/elsewhere"
    assert device_of(kind, url="'http://192.168.1.40/?user=a'").url == "http://192.168.1.40/?user=a"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b'{"a":[1,{"b":null}]}',
        b"\xff",
        b'{"sys":1,"mac":[],"StatusSNS":[]}',
        b"x{ 1",
        b'{"sensordatavalues":[1,{"value_type":3},{"value_type":"SDS_P1"}],"serialno":{},"SensorId":{},"wifi":[]}',
    ],
)
def test_whatever_comes_is_a_document_or_a_reason(kind, body):
    document = read(kind, body, NAMED.get(kind, ""))
    assert document.rejection
    assert isinstance(document.cycle, str)
    assert isinstance(document.identity, str)


_WORDS = sorted(set(re.findall(r'"([\w.: -]{1,24})"', "".join(v for v in vars(d).values() if isinstance(v, str)))))
_VALUES = st.none() | st.booleans() | st.integers() | st.sampled_from(["", "nan", "F", "inHg", "1.5", "x"])
_JSON = st.recursive(
    _VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=4)
)


@given(st.dictionaries(st.sampled_from(_WORDS), _JSON, max_size=6), st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_no_document_makes_any_kind_raise(root, cut):
    body = json.dumps(root)
    for kind in KINDS:
        for said in (body, body[:cut], json.dumps({"serialno": "a", "wifi": 1, "SensorId": "b"} | root)):
            document = read(kind, said, NAMED.get(kind, ""))
            assert document.values or document.rejection


@given(st.text(max_size=30), st.text(max_size=10))
@settings(max_examples=100, deadline=None)
def test_no_line_makes_a_page_of_metrics_raise(line, value):
    for kind in ("prometheus", "esphome"):
        read(kind, f'{line}\nco2{{a="{line}"}} {value}\nesphome_sensor_value{{id="{line}"}} {value}', NAMED[kind])


@pytest.mark.parametrize("kind", ["tasmota", "esphome", "json", "prometheus"])
def test_a_kind_of_which_no_two_are_alike_has_its_sensors_named(kind):
    with pytest.raises(SettingsError, match=rf"sensors: are not named, and devices of kind {kind} differ"):
        device_of(kind)


def test_a_kind_that_there_is_not_is_said():
    with pytest.raises(SettingsError, match=r"kind: 'airgradent' is none of .*; did you mean airgradient"):
        device_of("airgradent")


# AirGradient


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


# airRohr


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


# PurpleAir


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


def test_the_other_thermometer_of_a_purpleair_is_a_sensor_of_its_own():
    body = changed(d.PURPLEAIR, current_temp_f_680=50, pressure_680=990.1)
    document = read("purpleair", body, "sensors: {bme680: [temperature, pressure]}")
    assert document.values == {"bme680_temperature": 10.0, "bme680_pressure": 990.1}


# Tasmota


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


def test_a_tasmota_that_says_everything_says_who_it_is():
    body = changed(d.TASMOTA, StatusNET={"Hostname": "tasmota", "Mac": "A4:CF:12:00:11:22"})
    assert read("tasmota", body, d.TASMOTA_SENSORS).identity == "A4:CF:12:00:11:22"
    assert read("tasmota", d.TASMOTA, d.TASMOTA_SENSORS).identity == ""


# Shelly


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


# What else depends on the kind.


def test_limits_that_come_from_the_station_s_firmware_are_not_those_of_other_kinds():
    more = "sensors: {ds18b20: [temperature], dht22: [temperature, humidity]}"
    station, other = device_of("nodemcu", more).limits, device_of("airrohr", more).limits
    assert {"probe_within", "fixed_within"} <= station["ds18b20_temperature"].keys()
    assert "probe_within" not in other["ds18b20_temperature"]
    assert "fixed_within" in other["ds18b20_temperature"]
    assert station["dht22_humidity"].keys() - other["dht22_humidity"].keys() == {"still", "frozen"}


def test_a_device_that_was_is_of_the_kind_that_it_was():
    device = device_of("airrohr", "sensors: {bme280: [pressure]}")
    (kept,) = Former.from_json(Former((device,)).to_json()).devices
    assert (kept.kind, kept.parameters) == ("airrohr", device.parameters)
    assert '"kind"' not in Former((device_of("nodemcu"),)).to_json()  # kept as it was before there were kinds


def test_another_device_at_the_address_is_rejected_with_what_to_write():
    assert read("airgradient", d.AIRGRADIENT_ONE, "identity: ECDA3B1D09D8").outcome is Outcome.OK
    document = read("airgradient", d.AIRGRADIENT_ONE, "identity: 84fce612f5b8")
    assert (document.outcome, document.values) == (Outcome.REJECTED, {})
    assert document.rejection == (
        "another device answers at this address: it says that it is ecda3b1d09d8, and 84fce612f5b8 is expected;"
        " write the address that one has now, or, if this one takes its place: air-pipeline accept one"
    )


@pytest.mark.parametrize(("kind", "body"), [("purpleair", d.PURPLEAIR), ("shelly", d.SHELLY_FIRST)])
def test_every_kind_that_says_who_it_is_is_bound_by_it(kind, body):
    assert read(kind, body, f"identity: '{read(kind, body).identity}'").outcome is not Outcome.REJECTED
    assert read(kind, body, "identity: somebody").outcome is Outcome.REJECTED


def test_who_never_says_who_it_is_cannot_be_bound():
    with pytest.raises(SettingsError, match="identity: documents of kind airrohr do not say which device it is"):
        device_of("airrohr", "identity: esp8266-1")


def test_a_device_is_not_asked_oftener_than_it_measures():
    assert device_of("airrohr", "interval: 145s").interval_ms == 145_000
    with pytest.raises(SettingsError, match=r"interval: 144s is shorter than the 145 s .* write interval: 150s"):
        device_of("airrohr", "interval: 144s")

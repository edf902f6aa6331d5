"""What is true of every kind of device, and what else depends on the kind."""

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
from air_pipeline_tests.devices.kinds.reading import device_of, read

NAMED = dict.fromkeys(["tasmota", "esphome", "json", "prometheus"], "sensors: {a: [co2]}")


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

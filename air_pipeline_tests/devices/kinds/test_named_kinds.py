"""The kinds whose settings say where each parameter stands: ESPHome, any JSON, any page of metrics."""

import pytest

from air_pipeline.devices.kinds.json_paths import paths_of_numbers
from air_pipeline.devices.kinds.json_text import parse_document
from air_pipeline.settings import SettingsError
from air_pipeline_tests.devices.kinds import documents as d
from air_pipeline_tests.devices.kinds.reading import changed, device_of, problems, read

# ESPHome


def test_all_sensors_of_an_esphome_come_in_one_page_of_metrics():
    more = """\
sensors:
  outside: {temperature: {key: outside_temperature}, pressure: {key: Pressure}}
  attic: {temperature: {key: attic}}
  sds011: {pm25: {key: dust}}"""
    document = read("esphome", d.ESPHOME, more)
    assert document.values == {"outside_temperature": 17.9, "outside_pressure": 988.125, "attic_temperature": 20.0}
    assert problems(document) == {"sds011_pm25": (None, 9)}  # it failed: no value
    assert document.notes == ()


def test_what_an_esphome_sends_beside_is_noted_with_the_line_to_write():
    (note,) = read("esphome", d.ESPHOME, "sensors: {esphome: {temperature: {key: attic}}}").notes
    assert note == (
        "sends outside_temperature, pressure, not stored; to store the first add under sensors:"
        " {esphome: {its_name: {key: outside_temperature, unit: °C}}}"
    )


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('{"id":"sensor-outside_temperature","value":17.87281,"state":"17.9 °C"}', "outside_temperature"),
        (
            '{"name_id":"sensor/Outside Temperature","id":"sensor-outside_temperature","value":17.87281,"state":"18"}',
            "Outside Temperature",
        ),
        (
            '{"name_id":"sensor/Outside Temperature","id":"sensor-outside_temperature","value":17.87281,"state":"18"}',
            "outside_temperature",
        ),
        ('{"id":"sensor/Outside Temperature","value":17.87281,"state":"17.9 °C"}', "Outside Temperature"),
    ],
)
def test_one_sensor_of_an_esphome_is_found_by_its_name_or_its_id_whatever_the_firmware(body, key):
    document = read("esphome", body, f"sensors: {{esphome: {{temperature: {{key: {key}}}}}}}")
    assert document.values == {"esphome_temperature": 17.87281}


def test_a_sensor_of_an_esphome_without_a_reading_is_missing():
    body = '{"id":"sensor-attic","value":null,"state":"NA"}'
    document = read("esphome", body, "sensors: {esphome: {temperature: {key: attic}}}")
    assert problems(document) == {"esphome_temperature": ("null", 9)}


# Any JSON


ANY = '{"uptime":"12","sensors":[{"name":"in","t":"70.7"},{"name":"out","t":50}],"odd-name":{"p":29.19},"ok":true}'


def test_each_parameter_of_any_json_has_its_path():
    more = """\
sensors:
  inside: {temperature: {path: "sensors[0].t", sent_in: °F}}
  outside: {temperature: {path: "sensors[?name=='out'].t | [0]", sent_in: °F}}
  barometer: {pressure: {path: '"odd-name".p', sent_in: inHg}}
  box: {uptime: {path: uptime, unit: s}}"""
    assert read("json", ANY, more).values == {
        "inside_temperature": pytest.approx(21.5),
        "outside_temperature": 10.0,
        "barometer_pressure": pytest.approx(988.487, abs=1e-3),
        "box_uptime": 12.0,
    }


def test_what_a_path_leads_to_is_judged_as_any_value_is():
    more = (
        "sensors: {x: {co2: {path: ok}, gas: {path: nothing.there}, tvoc: {path: 'sum(sensors[].t)'}, pm25: {path: n}}}"
    )
    document = read("json", changed(ANY, n=3.25), more)
    assert document.values == {"x_pm25": 3.25}
    flags = {name: flag for name, (_, flag) in problems(document).items()}
    assert flags == {"x_co2": 4, "x_gas": 9, "x_tvoc": 4}


def test_a_list_is_json_too():
    assert read("json", "[4, 612.5]", "sensors: {x: {co2: {path: 'list[1]'}}}").values == {"x_co2": 612.5}


def test_a_number_that_no_double_holds_is_as_unusable_by_a_path():
    document = read("json", '{"a":1e999,"b":2}', "sensors: {x: {co2: {path: a}, gas: {path: b}}}")
    assert problems(document) == {"x_co2": ("1e999", 4)}


def test_the_paths_that_hold_numbers_are_found():
    assert paths_of_numbers(parse_document(ANY.encode())) == [
        "uptime",
        "sensors[0].t",
        "sensors[1].t",
        '"odd-name".p',
    ]


@pytest.mark.parametrize(
    ("kind", "entry", "says"),
    [
        ("json", "{path: 'a['}", "path: 'a[' is no path as jmespath.org describes them"),
        (
            "json",
            "{path: foo(a)}",
            "path: 'foo(a)' is no path as jmespath.org describes them (Unknown function: foo())",
        ),
        ("json", "{key: a}", "key is not of kind json; write path: 'a'"),
        ("airgradient", "{path: a}", "path is not of kind airgradient; write key: 'a'"),
        ("prometheus", "{key: 'a b'}", "key: 'a b' is no metric; write it as"),
        ("json", "{path: a, sent_in: Pa}", "sent_in: Pa becomes hPa, not ppm; write unit: hPa"),
        ("json", "{path: a, sent_in: furlong}", "sent_in: 'furlong' is none of"),
    ],
)
def test_a_place_that_cannot_be_is_said_with_what_would_be_right(kind, entry, says):
    with pytest.raises(SettingsError) as error:
        device_of(kind, f"sensors: {{x: {{co2: {entry}}}}}")
    assert says in str(error.value)


# Any page of metrics


METRICS = """\
# HELP room_temperature Its temperature
# TYPE room_temperature gauge
room_temperature{place="attic",note="a \\"b\\", c"} 31.5 1779457272000
room_temperature{place="cellar"} 12.25
this is no line {{{
co2_ppm 612
broken{a="b
nothing NaN
"""


def test_each_metric_is_found_by_its_name_and_as_many_labels_as_it_needs():
    more = """\
sensors:
  attic: {temperature: {key: 'room_temperature{place="attic"}'}}
  cellar: {temperature: {key: 'room_temperature{ place = "cellar" }'}}
  scd30: {co2: {key: co2_ppm}}
  x: {gas: {key: nothing}, tvoc: {key: absent}}"""
    document = read("prometheus", METRICS, more)
    assert document.values == {"attic_temperature": 31.5, "cellar_temperature": 12.25, "scd30_co2": 612.0}
    assert problems(document) == {"x_gas": ("NaN", 9), "x_tvoc": (None, 9)}


def test_a_metric_that_several_lines_fit_is_no_value_and_says_what_to_add():
    document = read("prometheus", METRICS, "sensors: {x: {temperature: {key: room_temperature}, co2: {key: co2_ppm}}}")
    assert problems(document) == {"x_temperature": ("[31.5,12.25]", 4)}
    assert document.notes == ("sends 2 metrics that fit room_temperature; add a label that only one has",)

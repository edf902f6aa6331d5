"""The unit that a document says of a value counts: no number is stored in another one without a word."""

import json

import pytest

from air_pipeline_tests.devices.kinds.reading import problems, read

TEMPERATURE = "sensors: {room: {temperature: {key: t}}}"


def metric(value: str, unit: str) -> str:
    return f'esphome_sensor_value{{id="t",name="T",unit="{unit}"}} {value}\n'


def tasmota(sensors: object, **units: object) -> str:
    return json.dumps({"StatusSNS": {**sensors, **units}})


@pytest.mark.parametrize("unit", ["°F", "F", "degF", " °F", "ºF", "℉", "fahrenheit"])
def test_fahrenheit_is_fahrenheit_however_an_esphome_spells_it(unit):
    assert read("esphome", metric("71.6", unit), TEMPERATURE).values == {"room_temperature": 22.0}


@pytest.mark.parametrize(
    ("name", "unit", "sent", "value"),
    [
        ("gas", "ppb", "512", 0.512),
        ("tvoc", "ppm", "0.512", 512.0),
        ("pm25", "mg/m3", "0.0125", 12.5),
        ("pm25", "μg/m^3", "12.5", 12.5),
        ("pressure", "inHg", "29.92", 1013.207469120),
        ("pressure", "mmhg", "760", 1013.25024),
        ("count_0_3", "#/cm³", "3.5", 350.0),
        ("noise", "dBA", "41.5", 41.5),
    ],
)
def test_a_parameter_is_stored_in_its_own_unit_whichever_an_esphome_sends(name, unit, sent, value):
    document = read("esphome", metric(sent, unit), f"sensors: {{room: {{{name}: {{key: t}}}}}}")
    assert (document.values, document.notes) == ({f"room_{name}": pytest.approx(value, abs=1e-9)}, ())


def test_the_state_of_an_esphome_tells_the_unit_where_nothing_else_does():
    """`/sensor/…` has `uom` with `?detail=all` alone, and so has an event of what changed."""
    one = '{"id":"sensor-t","value":71.6,"state":"71.6 °F"}'
    assert read("esphome", one, TEMPERATURE).values == {"room_temperature": 22.0}
    all_said = '{"id":"sensor-t","value":70,"state":"70.0 °F","uom":"°F"}'
    events = f"event: state\ndata: {all_said}\n\nevent: state\ndata: {one}\n\n"
    assert read("esphome", events, TEMPERATURE).values == {"room_temperature": 22.0}


def test_a_unit_that_is_another_from_one_document_to_the_next_is_the_one_of_each():
    for more in (TEMPERATURE, "sensors: {room: {temperature: {key: t, sent_in: °F}}}"):
        for sent, unit in (("71.6", "°F"), ("22", "°C"), ("295.15", "K")):
            assert read("esphome", metric(sent, unit), more).values == {"room_temperature": 22.0}
    unsaid = read("esphome", metric("71.6", ""), "sensors: {room: {temperature: {key: t, sent_in: °F}}}")
    assert unsaid.values == {"room_temperature": 22.0}


@pytest.mark.parametrize("unit", ["%", "ppb", "grad"])
def test_what_is_in_a_unit_that_cannot_be_converted_is_no_value(unit):
    document = read("esphome", metric("71.6", unit) + metric("50", "%").replace("t", "h", 1), TEMPERATURE)
    assert (document.values, problems(document)) == ({}, {"room_temperature": (f"71.6 {unit}", 4)})
    assert document.problems[0].reason.startswith(f"is in {unit}, not in °C; ")
    better = "sensors: {room: {temperature: {key: t, sent_in: °C}}}"
    assert read("esphome", metric("71.6", unit), better).values == {"room_temperature": 71.6}


def test_of_two_units_that_nobody_knows_one_may_be_a_spelling_of_the_other_which_is_said():
    document = read("esphome", metric("40", "Bq/m3"), "sensors: {room: {radon: {key: t, unit: Bq/m³}}}")
    assert document.values == {"room_radon": 40.0}
    assert document.notes == ("sends room_radon in Bq/m3, stored as Bq/m³; if they differ, write unit: Bq/m3",)
    other = read("esphome", metric("22", "°C"), "sensors: {room: {warmth: {key: t, unit: °F}}}")
    assert (other.values, problems(other)) == ({}, {"room_warmth": ("22 °C", 4)})


def test_every_temperature_of_a_tasmota_is_in_the_unit_of_its_document():
    """Also one that only `devices.yaml` knows, and whatever that says of it."""
    more = (
        "sensors: {analog: {warmth: {key: Temperature1, unit: °C}}, bme280: {temperature: {sent_in: °F}, pressure: }}"
    )
    for unit, sent in (("F", 71.6), ("C", 22)):
        sensors = {"ANALOG": {"Temperature1": sent}, "BME280": {"Temperature": sent, "Pressure": 760}}
        document = read("tasmota", tasmota(sensors, TempUnit=unit, PressureUnit="mmHg"), more)
        assert document.values == {
            "analog_warmth": 22.0,
            "bme280_temperature": 22.0,
            "bme280_pressure": pytest.approx(1013.25024),
        }


@pytest.mark.parametrize("unit", ["X", True, ["C"], 7])
def test_a_unit_of_a_tasmota_that_is_none_makes_no_values(unit):
    sensors = {"BME280": {"Temperature": 71.6, "Humidity": 44.6, "Pressure": 760}}
    document = read(
        "tasmota",
        tasmota(sensors, TempUnit=unit, PressureUnit=unit),
        "sensors: {bme280: [temperature, humidity, pressure]}",
    )
    assert document.values == {"bme280_humidity": 44.6}
    assert {flag for _, flag in problems(document).values()} == {4}


@pytest.mark.parametrize(
    ("metric", "name", "unit", "sent", "value"),
    [
        ("room_temperature_fahrenheit", "temperature", "°F", 71.6, 22.0),
        ("room_humidity_ratio", "humidity", "ratio", 0.473, 47.3),
        ("air_pressure_pascals", "pressure", "Pa", 98_812, 988.12),
        ("gas_ppb", "gas", "ppb", 512, 0.512),
    ],
)
def test_a_metric_whose_name_says_another_unit_is_named_with_what_to_write(metric, name, unit, sent, value):
    line, place = f"{metric} {sent}\n", f"sensors: {{room: {{{name}: {{key: {metric}"
    document = read("prometheus", line, f"{place}}}}}}}")
    assert document.values == {f"room_{name}": sent}
    (note,) = document.notes
    assert note.startswith(f"sends {metric}, stored as ")
    assert f"write sent_in: {unit}, else " in note
    right = read("prometheus", line, f"{place}, sent_in: {unit}}}}}}}")
    assert (right.values, right.notes) == ({f"room_{name}": value}, ())
    assert read("prometheus", "x_ratio 3\n", "sensors: {room: {duty: {key: x_ratio, unit: '1'}}}").notes == ()
    ours = note.rpartition(", else ")[2]
    assert read("prometheus", line, f'{place}, sent_in: "{ours}"}}}}}}').notes == ()


def test_what_is_too_large_for_a_number_in_our_unit_is_no_value():
    document = read("esphome", metric("1e306", "mg/m³"), "sensors: {room: {pm25: {key: t}}}")
    assert (document.values, problems(document)) == ({}, {"room_pm25": ("1e306", 4)})

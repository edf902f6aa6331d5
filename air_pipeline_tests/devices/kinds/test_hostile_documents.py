"""Documents that no device sends: each costs its own poll, not the collector, and mixes up no two things."""

import pytest

from air_pipeline_tests.devices.kinds import documents
from air_pipeline_tests.devices.kinds.reading import problems, read
from air_pipeline_tests.waiting import WITHIN_S

METRICS = "sensors: {room: {temperature: {key: t}}}"


@pytest.mark.timeout(WITHIN_S)
@pytest.mark.parametrize(
    "line",
    [
        "x{" + 'a="b"   ' * 40 + "!",
        "x{" + 'a="b" , ' * 40 + "!",
        'x{a="b"' + " " * 60_000 + "!",
        'x{a="' + '\\"' * 30_000,
        "x{" + "a" * 60_000,
        "x" * 60_000 + "{",
    ],
    ids=["labels", "commas", "blanks", "escapes", "name of a label", "name"],
)
@pytest.mark.parametrize("kind", ["prometheus", "esphome"])
def test_a_line_of_metrics_that_is_none_is_left_out_at_once(kind, line):
    good = 't 21.5\nesphome_sensor_value{id="t"} 21.5\n'
    assert read(kind, f"{line}\n{good}", METRICS).values == {"room_temperature": 21.5}


def test_labels_hold_whatever_characters_they_like():
    line = 't{place="a\x0b\x0c\x85\u2028b",of="\\"{} # "} 21.5 1780000000000 # {trace="1"} 3\n'
    more = 'sensors: {room: {temperature: {key: \'t{of="\\\\"{} # "}\'}}}'.replace("\\\\", "\\")
    assert read("prometheus", line + line.replace("# ", "") + "t 3\n", more).values == {"room_temperature": 21.5}


def test_a_name_that_two_sensors_of_an_esphome_have_is_neither_s():
    """Sub-devices have names of their own: which of them is meant, nobody knows."""
    two = 'esphome_sensor_value{id="t",name="T",unit="°C"} 21.5\nesphome_sensor_value{id="u",name="t",unit="°C"} 99\n'
    document = read("esphome", two, "sensors: {room: {temperature: {key: t}}, attic: {temperature: {key: u}}}")
    assert (document.values, problems(document)) == (
        {"attic_temperature": 99.0},
        {"room_temperature": ("[21.5,99]", 4)},
    )
    assert document.notes == ("sends 2 sensors that are called t; give each its own name",)


@pytest.mark.parametrize("path", ["l[::0]", "contains(s, `1`)", "contains(`7`, `1`)", "join(`1`, s)"])
def test_a_path_that_meets_what_it_is_not_for_costs_its_own_value_alone(path):
    more = f'sensors: {{room: {{temperature: {{path: "{path}"}}, humidity: {{path: h}}}}}}'
    document = read("json", '{"s": "x", "l": [1], "h": 51}', more)
    assert (document.values, list(problems(document))) == ({"room_humidity": 51.0}, ["room_temperature"])


def test_an_identity_that_is_a_number_binds_as_any_other():
    said = documents.AIRGRADIENT_ONE.replace('"ecda3b1d09d8"', "4711")
    assert read("airgradient", said).identity == "4711"
    document = read("airgradient", said, "identity: ecda3b1d09d8")
    assert document.rejection.startswith("another device answers at this address: it says that it is 4711, and ")


def test_two_thermometers_of_a_shelly_are_never_one():
    """Its ids are numbers without leading zeros, in digits of ASCII."""
    said = '{"temperature:0":{"tC":21.5},"temperature:00":{"tC":99},"temperature:\u0660":{"tC":98},"sys":{"mac":"A"}}'
    assert read("shelly", said).values == {"shelly_temperature": 21.5}

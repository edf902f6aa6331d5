"""What `air-pipeline init` writes is settings, whatever devices say, and stores what they send."""

import contextlib
import json
import re
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from air_pipeline.catalogue import KNOWN, STATION, Parameter
from air_pipeline.devices.document import MAX_NOTES, read_document
from air_pipeline.devices.introduction import introduce
from air_pipeline.devices.kinds.json_text import DocumentUnusable
from air_pipeline.settings import Device
from air_pipeline.settings.file import parse_settings
from air_pipeline.settings.template import Entry, new_configuration
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.devices.raw_server import answering, http

ZONE = ("--timezone", "Europe/Warsaw")


def written(document: object, units: dict[tuple[str, str], str] | None = None) -> str:
    lines = introduce(json.dumps(document).encode()).lines(units)
    return new_configuration("Europe/Warsaw", date(2026, 11, 22), [Entry("one", "http://one/", tuple(lines))])


def test_what_nobody_knows_the_unit_of_is_a_comment_that_only_lacks_it() -> None:
    document = {"nodemcu": {"dht22": {"temperature": "1", "humidity": "2", "dewPoint": "3"}}}
    text = written(document)
    [device] = parse_settings(text).devices
    assert device.payload_key is None
    assert [p.series for p in device.parameters] == ["dht22_temperature", "dht22_humidity"]
    again = parse_settings(filled_in(text))
    [dew_point] = [p for p in again.devices[0].parameters if p.series == "dht22_dew_point"]
    assert (dew_point.key, dew_point.unit) == ("dewPoint", "x")


def test_several_objects_name_the_one_with_sensors() -> None:
    document = {"wifi": {"signal": "-60"}, "sensebox": {"dht22": {"temperature": "1", "humidity": "2"}}}
    [device] = parse_settings(written(document)).devices
    assert device.payload_key == "sensebox"


UNITS = {parameter.name: parameter.unit for parameter in STATION}
_LACKS_UNIT = re.compile(r'("?)([a-z][a-z0-9_]*)\1: \{key: ("(?:[^"\\]|\\.)*"|[^",}]*), unit: "…"\}')


def filled_in(text: str) -> str:
    """What a user makes of a file: a unit for the dots, and the comment's mark away, of each line that wants it."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if 'unit: "…"' in line or line.startswith("    # sensors:  #"):
            lines[number] = with_units(line.replace("# ", "", 1))
    return "\n".join(lines)


def with_units(line: str) -> str:
    return _LACKS_UNIT.sub(lambda of: of[0].removesuffix('"…"}') + f'"{UNITS.get(of[2], "x")}"}}', line)


PUBLIC = {
    "tasmota": {"StatusSNS": {"Time": "2026-11-27T00:00:00", "DHT22": {"Temperature": 21.5, "Humidity": 40.1},
                              "DS18B20-1": {"Id": "A1", "Temperature": 20.1}, "TempUnit": "C"}},
    "rich": {"nodemcu": {"dht22": {"temperature": "21.5", "humidity": "40.1", "heatIndex": "21"}}},
    "spelt": {"nodemcu": {"bme680_0x76": {"gas": 1}, "dht22_1": {"temperature": 2}, "sensor #2": {"x": 3},
                          "Датчик 1": {"температура": 4}, "": {"": 5}, "_": {"y": 6}}},
    "same": {"nodemcu": {"sds011": {"PM2.5": 1, "PM25": 2, "pm25": 3}, "a_b": {"x": 1}, "a b": {"x": 2},
                         "A-B": {"x": 3}}},
    "series": {"x": {"a": {"b": 1, "c_t": 2}, "c": {"t": 3, "b": 4}, "d": {"a_b": 5, "c_t": 6}}},
    "key": {"x": {"a": {"key": 1, "unit": 2, "null": 3, "no": 4, "1e3": 5}}},
}  # fmt: skip
"""Public devices, and what each of them stands for."""


def stores_all(document: dict[str, dict[str, dict[str, object]]]) -> None:
    """Both what init writes and what notes advise, filled in, is settings that store every value."""
    body = json.dumps(document).encode()
    introduction = introduce(body)
    payload = document[introduction.payload_key or next(iter(document))]
    sent = {(sensor, key): value for sensor, keys in payload.items() if isinstance(keys, dict)
            for key, value in keys.items()}  # fmt: skip
    [device] = parse_settings(filled_in(written(document))).devices
    assert {(one.sensor_key, one.key) for one in device.parameters} == set(sent)
    read = read_document(body, device)
    assert sorted(read.values.values()) == sorted(float(n) for n in sent.values() if str(n).replace(".", "").isdigit())
    assert not [note for note in read.notes if "to store" in note]
    advised = Device("one", "http://one/", "UTC", payload_key=introduction.payload_key, parameters=(OTHER,))
    for note in read_document(body, advised).notes:
        if " under sensors: " in note and not note.endswith(" …"):
            line = with_units(note.split(" under sensors: ")[1])
            [device] = parse_settings(f"{HEAD}    sensors:\n      {line}\n").devices
            [spelt] = {one.sensor_key for one in device.parameters}
            had = {OTHER.key} if spelt == OTHER.sensor else set()
            assert {one.key for one in device.parameters} == {*list(payload[spelt])[:MAX_NOTES], *had}


OTHER = Parameter("other", "one", "1", "one")
HEAD = "timezone: UTC\nstart: 2026-11-22\ndevices:\n  - id: one\n    url: http://one/\n"


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_to_be_written_for_public_devices_stores_what_they_send(name: str) -> None:
    stores_all(PUBLIC[name])


def test_what_a_station_sends_besides_is_stored_by_what_its_note_says() -> None:
    """As devices.yaml need not name the station's own sensors, the first note does."""
    station = {sensor: {one.key: 1 for one in known.values()} for sensor, known in KNOWN.items()}
    more = {**station, "dht22": {**station["dht22"], "heatIndex": 3}, "sds011": {"PM2.5": 4}}
    body = json.dumps({"nodemcu": more}).encode()
    first, second = read_document(body, Device("one", "http://one/", "UTC")).notes
    text = with_units(f"{HEAD}    {first.split(' write ')[1]}\n")
    [device] = parse_settings(text).devices
    assert {one.series for one in device.parameters} == {one.series for one in STATION} | {"dht22_heat_index"}
    assert second.endswith(' add under sensors: sds011: {pm25: {key: PM2.5, unit: "…"}}')
    (third,) = read_document(body, device).notes
    assert third == second


NAMES = st.one_of(
    st.sampled_from(
        ["nodemcu", "dht22", "bmp180", "temperature", "humidity", "PM2.5", "null", "1e3", "no", "a b", "µ"]
    ),
    st.text(max_size=60),
)
DOCUMENTS = st.dictionaries(NAMES, st.dictionaries(NAMES, st.dictionaries(NAMES, st.just("1"), max_size=4), max_size=4))


@given(DOCUMENTS, st.dictionaries(st.tuples(NAMES, NAMES), NAMES, max_size=3), NAMES)
def test_whatever_a_device_says_the_file_is_valid(
    document: dict[str, object], units: dict[tuple[str, str], str], unit: str
) -> None:
    try:
        introduction = introduce(json.dumps(document).encode())
    except DocumentUnusable:
        return
    for known in (units, dict.fromkeys(introduction.unknown, unit)):
        text = new_configuration(
            "Europe/Warsaw", date(2026, 11, 22), [Entry("one", "http://one/", tuple(introduction.lines(known)))]
        )
        assert [device.id for device in parse_settings(text).devices] == ["one"]


SENT = st.dictionaries(NAMES, st.dictionaries(NAMES, st.just(1), min_size=1, max_size=4), min_size=1, max_size=4)


@given(SENT)
@example({"nodemcu": {"…": 1}})
@example({"other": {"nodemcu": 1}})
def test_whatever_a_device_sends_what_is_to_be_written_for_it_stores_it(payload: dict[str, dict[str, object]]) -> None:
    stores_all({"nodemcu": payload})


def test_init_that_would_store_nothing_says_so_and_fails(shell: Shell) -> None:
    with answering(http(json.dumps(PUBLIC["key"]).encode())) as server:
        ran = shell("init", server.url, "--id", "one", *ZONE)
        assert ran.status == 1
        assert "one: nothing of it would be stored" in ran.err
        assert not shell.config.exists()
        assert shell("init", server.url, "--id", "one", *ZONE, "--force").status == 0
        text = shell.config.read_text(encoding="utf-8")
        shell.config.write_text(filled_in(text), encoding="utf-8")
        assert shell("poll").status == 0


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_document_or_none(body: bytes) -> None:
    with contextlib.suppress(DocumentUnusable):
        assert introduce(body).sensors


@pytest.mark.parametrize("name", ["123", "null", "1e3", "no", "a-b"])
def test_an_id_that_yaml_would_take_for_something_else_is_a_text(name: str) -> None:
    text = new_configuration("Europe/Warsaw", date(2026, 11, 22), [Entry(name, "http://one/")])
    assert [device.id for device in parse_settings(text).devices] == [name]

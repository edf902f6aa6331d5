"""Every row of the tables of documents and values; no input makes the reader raise."""

import json
import math
import os
from contextlib import suppress
from itertools import islice, product
from string import ascii_letters
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.catalogue import STATION, Parameter
from air_pipeline.devices.document import MAX_NOTES, MAX_NOTES_BYTES, read_document
from air_pipeline.devices.introduction import introduce
from air_pipeline.devices.kinds.json_text import MAX_SHOWN, DocumentUnusable
from air_pipeline.devices.notes import SAY_EVERY_S, Said
from air_pipeline.devices.polls import Flag, Outcome
from air_pipeline.devices.response import MAX_BODY_BYTES
from air_pipeline.settings import Device
from air_pipeline.showing import plain

SAMPLE = (
    b'{"nodemcu":{"mq135":{"co":"2.56","co2":"402.08","alcohol":"0.94","nh4":"3.30","aceton":"0.32","toulen":"0.38"},\n'
    b'"bmp180":{"temperature":"28.60","pressure":"1006.13","seaLevelPressure":"1024.18","altitude":"149.75"},\n'
    b'"ds18b20":{"temperature":"27.00"},"dht22":{"temperature":"27.90","humidity":"47.30"}}}'
)
STATION_DEVICE = Device("living-room", "http://192.168.1.32/circumstances", "Europe/Warsaw")
PROBE = Parameter("ds18b20", "temperature", "°C", "temperature")
PROBE_DEVICE = Device("probe", "http://192.168.1.33/", "UTC", parameters=(PROBE,))


def read_value(literal: str):
    """What becomes of one value, written as JSON."""
    return read_document(b'{"nodemcu":{"ds18b20":{"temperature":%s}}}' % literal.encode(), PROBE_DEVICE)


def test_the_sample_is_read_whole():
    document = read_document(SAMPLE, STATION_DEVICE)
    assert document.outcome is Outcome.OK
    assert (document.problems, document.rejection, document.notes) == ((), "", ())
    assert set(document.values) == {parameter.series for parameter in STATION}
    assert document.values["mq135_acetone"] == 0.32
    assert document.values["mq135_toluene"] == 0.38
    assert document.values["bmp180_sea_level_pressure"] == 1024.18


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('"27.90"', 27.9),
        ('" 27.9 "', 27.9),
        ('"\\t27.9\\r\\n"', 27.9),
        ('"1e1"', 10.0),
        ('"1E+1"', 10.0),
        ('"25e-1"', 2.5),
        ('"+3.5"', 3.5),
        ('"-127.00"', -127.0),
        ('"007"', 7.0),
        ("27.9", 27.9),
        ("27", 27.0),
        ("-1e1", -10.0),
        ('"-0.00"', 0.0),
        ("-0.0", 0.0),
        ('"1e-400"', 0.0),
        ('"%s"' % ("9" * 39), float("9" * 39)),
        ('"27."', 27.0),
        ('".56"', 0.56),
        ('"-.5e1"', -5.0),
        ("27.", 27.0),
        (".56", 0.56),
        ("-27.", -27.0),
        ("+27.0", 27.0),
        ("027.0", 27.0),
        ("1.e1", 10.0),
    ],
)
def test_a_number_is_taken(literal, value):
    document = read_value(literal)
    assert document.values == {"ds18b20_temperature": value}
    assert math.copysign(1, document.values["ds18b20_temperature"]) == math.copysign(1, value)
    assert isinstance(document.values["ds18b20_temperature"], float)
    assert document.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("literal", "shown"),
    [
        ("null", "null"),
        ('""', ""),
        ('"  "', "  "),
        ('"nan"', "nan"),
        ('"NaN"', "NaN"),
        ('"-nan"', "-nan"),
        ("NaN", "NaN"),
        ("nan", "nan"),
        ("-nan", "-nan"),
        ("+NAN", "+NAN"),
        ("nan(0x7fc00000)", "nan(0x7fc00000)"),
        ("", ""),
        ("  ", ""),
        ('"no data"', "no data"),
    ],
)
def test_nothing_is_missing(literal, shown):
    (problem,) = read_value(literal).problems
    assert (problem.flag, problem.value) == (Flag.MISSING, shown)


@pytest.mark.parametrize(
    ("literal", "shown"),
    [
        ('"inf"', "inf"),
        ('"-inf"', "-inf"),
        ('"ovf"', "ovf"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("1e999", "1e999"),
        ('"1e999"', "1e999"),
        ('"27,00"', "27,00"),
        ('"27.00 C"', "27.00 C"),
        ('"0x1A"', "0x1A"),
        ('"1_000"', "1_000"),
        ('"٢٧"', "٢٧"),
        ('"²"', "²"),
        ('"."', "."),
        ('"-."', "-."),
        ('"1.e"', "1.e"),
        ("1.2.3", "1.2.3"),
        ("0x1A", "0x1A"),
        ("inf", "inf"),
        ("-inf", "-inf"),
        ("+INF", "+INF"),
        ("-infinity", "-infinity"),
        ("1.#INF", "1.#INF"),
        ("undefined", "undefined"),
        ("None", "None"),
        ("ovf", "ovf"),
        ('"1e"', "1e"),
        ('"--1"', "--1"),
        ('"1 2"', "1 2"),
        ('"\\u00a027.9"', "\u00a027.9"),
        ('"27.9\\u0000"', r"27.9\x00"),
        ('"\\ud800"', r"\ud800"),
        ('"\\u001b]0;owned\\u0007"', r"\x1b]0;owned\x07"),
        ('"\\u202e9.72"', r"\u202e9.72"),
        ("true", "true"),
        ("false", "false"),
        ("[]", "[]"),
        ("[27.90]", "[27.90]"),
        ('{"value": "27.9"}', '{"value":"27.9"}'),
        ('"%s"' % ("9" * 40), "9" * 40),
        ("9" * 5000, "9" * MAX_SHOWN),
    ],
)
def test_anything_else_is_bad(literal, shown):
    (problem,) = read_value(literal).problems
    assert (problem.flag, problem.value) == (Flag.BAD, shown)
    assert problem.reason


def test_one_bad_value_does_not_cost_its_neighbours():
    document = read_document(SAMPLE.replace(b'"47.30"', b'"inf"'), STATION_DEVICE)
    assert document.outcome is Outcome.PARTIAL
    assert len(document.values) == len(STATION) - 1
    (problem,) = document.problems
    assert (problem.series, problem.value, problem.flag) == ("dht22_humidity", "inf", Flag.BAD)
    assert problem.reason == "not finite"


@pytest.mark.parametrize(
    ("bare", "flag"),
    [("nan", Flag.MISSING), ("-nan", Flag.MISSING), ("inf", Flag.BAD), ("undefined", Flag.BAD), ("", Flag.MISSING)],
)
def test_what_c_prints_without_quotes_costs_its_neighbours_nothing(bare, flag):
    """A sensor that fails; what looks like it in a text or in a list that nobody reads is left alone."""
    damaged = SAMPLE.replace(b'"27.90"', bare.encode()).replace(b'"47.30"', bare.encode())
    document = read_document(damaged[:-1] + b',"log":["a: nan, b",nan,-inf],"why":": nan"}', STATION_DEVICE)
    assert document.outcome is Outcome.PARTIAL
    assert [(one.series, one.flag, one.value) for one in document.problems] == [
        ("dht22_temperature", flag, bare),
        ("dht22_humidity", flag, bare),
    ]
    assert len(document.values) == len(STATION) - 2


@pytest.mark.parametrize("label", [b"\xb0C", b"\xb5g/m\xb3", b"\xff", b"K\xfcche \xc3"])
def test_bytes_that_are_latin_1_cost_nothing_and_are_noted(label):
    labelled = SAMPLE.replace(b'"temperature":"27.00"', b'"temperature":"27.00","unit":"' + label + b'"')
    document = read_document(labelled, STATION_DEVICE)
    assert document.outcome is Outcome.OK
    assert len(document.values) == len(STATION)
    assert "not UTF-8" in document.notes[0]


@pytest.mark.parametrize("more", [b"\0", b"\0\0\0", b" \r\n\0", b"\n\n", b"\v\f "])
def test_nuls_and_white_space_around_a_document_are_nothing(more):
    assert read_document(SAMPLE + more, STATION_DEVICE).outcome is Outcome.OK
    assert read_document(more + SAMPLE, STATION_DEVICE).outcome is Outcome.OK


def test_an_absent_sensor_is_a_problem_for_each_of_its_series():
    document = read_document(SAMPLE.replace(b'"dht22"', b'"dht21"'), STATION_DEVICE)
    assert [(p.series, p.value, p.flag) for p in document.problems] == [
        ("dht22_temperature", None, Flag.MISSING),
        ("dht22_humidity", None, Flag.MISSING),
    ]
    assert document.outcome is Outcome.PARTIAL


def test_an_absent_parameter_and_a_sensor_that_is_no_object_are_missing():
    document = read_document(b'{"nodemcu":{"dht22":{"temperature":"1"},"ds18b20":"error"}}', STATION_DEVICE)
    problems = {problem.series: problem for problem in document.problems}
    assert (problems["dht22_humidity"].value, problems["dht22_humidity"].flag) == (None, Flag.MISSING)
    assert (problems["ds18b20_temperature"].value, problems["ds18b20_temperature"].flag) == ("error", Flag.MISSING)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"  <html>", "web page"),
        (SAMPLE[:-1], "no complete JSON"),
        (SAMPLE[:100], "no complete JSON"),
        (SAMPLE + SAMPLE, "follows the document"),
        (SAMPLE + b"x", "follows the document"),
        (SAMPLE[:-1].replace(b"dht22", b"dht\xff"), "not UTF-8"),
        (SAMPLE.replace(b'"27.00"', b"no data"), "no JSON"),
        (SAMPLE.replace(b'"27.00"', b"27.00 C"), "no JSON"),
        (SAMPLE.replace(b'"temperature"', b"temperature"), "no JSON"),
        (SAMPLE.decode().encode("utf-16"), "not UTF-8"),
        (b"[]", "no JSON object"),
        (b"27.9", "no JSON object"),
        (b"null", "no JSON object"),
        (b'"nodemcu"', "no JSON object"),
        (b"{}", "no object with sensors"),
        (b'{"nodemcu":27}', "no object with sensors"),
        (SAMPLE.replace(b'"co2"', b'"co"'), "'co' stands twice"),
        (SAMPLE.replace(b'"co2"', b'"c\\u006f"'), "'co' stands twice"),
        (SAMPLE[:-1] + b',"nodemcu":{}}', "'nodemcu' stands twice"),
        (SAMPLE[:-1] + b',"other":[{"a":1,"a":2}]}', "'a' stands twice"),
        (b'{"a":' * 9 + b"1" + b"}" * 9, "deeper than 8"),
        (SAMPLE[:-1] + b',"other":' + b"[" * 8 + b"]" * 8 + b"}", "deeper than 8"),
        (b"[" * 60_000, "deeper than 8"),
        (b'{"a":' * 12_000, "deeper than 8"),
        (b'{"nodemcu":{}}', "not one value"),
        (b'{"nodemcu":{"dht22":{"temperature":"","humidity":"nan"}}}', "not one value"),
        (b'{"dht22":{"temperature":"1"}}', "top level"),
    ],
)
def test_an_unusable_document_is_rejected(body, words):
    document = read_document(body, STATION_DEVICE)
    assert document.outcome is Outcome.REJECTED
    assert document.values == {}
    assert words in document.rejection


def test_eight_levels_are_read():
    body = SAMPLE[:-1] + b',"other":' + b"[" * 7 + b"]" * 7 + b"}"
    assert read_document(body, STATION_DEVICE).outcome is Outcome.OK


def test_a_rejected_document_still_tells_each_value():
    document = read_document(b'{"nodemcu":{"dht22":{"temperature":"ovf","humidity":""}}}', STATION_DEVICE)
    flags = {problem.series: problem.flag for problem in document.problems}
    assert len(flags) == len(STATION)
    assert flags["dht22_temperature"] is Flag.BAD
    assert flags["dht22_humidity"] is Flag.MISSING


def test_a_byte_order_mark_is_accepted():
    assert read_document(b"\xef\xbb\xbf" + SAMPLE, STATION_DEVICE).outcome is Outcome.OK


def test_another_top_level_name_is_accepted_and_noted():
    document = read_document(SAMPLE.replace(b"nodemcu", b"esp32"), STATION_DEVICE)
    assert document.outcome is Outcome.OK
    assert document.notes == ("calls itself 'esp32', not 'nodemcu'; if that is right, write payload_key: esp32",)


def with_key(key):
    return Device("a", "http://192.168.1.32/", "UTC", payload_key=key, parameters=(PROBE,))


TWO = b'{"left":{"ds18b20":{"temperature":"1"}},"right":{"ds18b20":{"temperature":"2"}}}'


def test_the_configured_name_is_not_noted_and_another_is():
    one = b'{"left":{"ds18b20":{"temperature":"1"}}}'
    assert read_document(one, with_key("left")).notes == ()
    other = read_document(one, with_key("right"))
    assert other.outcome is Outcome.OK
    assert "calls itself 'left', not 'right'" in other.notes[0]


def test_of_several_objects_the_configured_one_is_read():
    document = read_document(TWO, with_key("right"))
    assert document.values == {"ds18b20_temperature": 2.0}
    assert any("'left'" in note for note in document.notes)


@pytest.mark.parametrize("key", [None, "middle"])
def test_several_objects_with_sensors_are_rejected_unless_one_is_configured(key):
    document = read_document(TWO, with_key(key))
    assert document.outcome is Outcome.REJECTED
    assert "payload_key: left" in document.rejection


def test_an_object_without_sensors_does_not_compete():
    body = b'{"wifi":{"rssi":{"dbm":"-60"}},"nodemcu":{"ds18b20":{"temperature":"2"}},"version":"3"}'
    document = read_document(body, PROBE_DEVICE)
    assert document.values == {"ds18b20_temperature": 2.0}
    assert document.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            '"sds011":{"PM2.5":"3.1"}',
            (
                "sends sds011.PM2.5, which is not stored; to store it add under sensors: "
                'sds011: {pm25: {key: PM2.5, unit: "…"}}'
            ),
        ),
        (
            '"mq135":{"co":"2","aceton":"3"}',
            "sends mq135.co, mq135.aceton, which are not stored; to store them add under sensors: mq135: [co, acetone]",
        ),
        (
            '"box":{"dewPoint":1,"a: b":2}',
            (
                "sends box.dewPoint, box.a: b, which are not stored; to store them add under sensors: "
                'box: {dew_point: {key: dewPoint, unit: "…"}, a_b: {key: "a: b", unit: "…"}}'
            ),
        ),
        ('"uptime":"17"', "sends 'uptime' outside of any sensor, which is not stored"),
    ],
)
def test_what_nobody_asked_for_is_noted_with_the_line_that_would_store_it(more, line):
    body = b'{"nodemcu":{"ds18b20":{"temperature":"2"},%s}}' % more.encode()
    document = read_document(body, PROBE_DEVICE)
    assert document.notes == (line,)
    assert document.outcome is Outcome.OK


def test_an_unknown_parameter_of_a_known_sensor_is_noted():
    body = b'{"nodemcu":{"ds18b20":{"temperature":"2","probes":"8"}}}'
    (note,) = read_document(body, PROBE_DEVICE).notes
    assert note.endswith('write under sensors: ds18b20: {temperature: {}, probes: {key: probes, unit: "…"}}')


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(NUMBERS)
def test_every_double_comes_back_whatever_way_it_was_written(number):
    for literal in (repr(number), f'"{number!r}"', f'" {number!r}\\n"'):
        assert read_value(literal).values == {"ds18b20_temperature": number}


@given(st.decimals(-999, 9999, places=2))
def test_two_decimals_are_read_as_python_reads_them(number):
    assert read_value(f'"{number:.2f}"').values == {"ds18b20_temperature": float(f"{number:.2f}")}


@given(st.text())
def test_a_text_is_a_number_or_a_problem(text):
    document = read_value(json.dumps(text))
    assert len(document.values) + len(document.problems) == 1
    for problem in document.problems:
        assert problem.value is not None
        assert len(problem.value) <= MAX_SHOWN
        problem.value.encode()


def holds_its_promises(body):
    document = read_document(body, STATION_DEVICE)
    series = {parameter.series for parameter in STATION}
    assert set(document.values) <= series
    assert {problem.series for problem in document.problems} == (
        series - set(document.values) if document.values else set()
    ) or (document.rejection)
    assert bool(document.rejection) == (not document.values)
    assert all(math.isfinite(value) for value in document.values.values())
    said = [problem.value or "" for problem in document.problems]
    for text in (document.rejection, *document.notes, *said):
        assert text == plain(text)
    assert len(document.notes) <= MAX_NOTES
    assert sum(len(note.encode()) + 1 for note in document.notes) <= MAX_NOTES_BYTES
    with suppress(DocumentUnusable):
        lines = introduce(body).lines()
        assert lines == [plain(line) for line in lines]


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(body):
    holds_its_promises(body)


SENT = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["27.90", "", "nan", "inf", "no data", "-0.00", "1e999"]),
)
NAMES = st.one_of(
    st.sampled_from(["nodemcu", *(p.sensor for p in STATION), *(p.key for p in STATION)]),
    st.text(max_size=10),
)
JSON = st.recursive(
    SENT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=25
)


@given(st.dictionaries(NAMES, JSON, max_size=3))
def test_no_json_makes_it_raise(root):
    holds_its_promises(json.dumps(root).encode())
    holds_its_promises(json.dumps({"nodemcu": root}, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@given(st.integers(0, len(SAMPLE)), st.binary(max_size=4), st.integers(0, 4))
def test_a_damaged_sample_is_still_read_or_rejected(place, damage, cut):
    holds_its_promises(SAMPLE[:place] + damage + SAMPLE[place + cut :])


def spliced(documents):
    """Two documents cut and put together anywhere, then a few of their bytes made others."""
    return st.builds(
        lambda one, other, cut, places, damage: _damaged(one[:cut] + other[cut:], places, damage),
        st.sampled_from(documents),
        st.sampled_from(documents),
        st.integers(0, len(SAMPLE)),
        st.lists(st.integers(0, len(SAMPLE)), max_size=4),
        st.lists(
            st.sampled_from([b'"', b"{", b"}", b"[", b"\\", b"\x00", b"\xff", b"\\ud800", b",", b"e9"]), min_size=4
        ),
    )


def _damaged(body, places, damage):
    for place, bytes_ in zip(places, damage, strict=False):
        body = body[:place] + bytes_ + body[place + 1 :]
    return body


REAL = [
    SAMPLE,
    SAMPLE.replace(b"nodemcu", b"esp32").replace(b"27.90", b"nan"),
    SAMPLE[:-1] + b',"other":{"bme280":{"temperature":21.5,"note":"ok"}}}',
    SAMPLE.decode().encode("utf-16"),
    b"\xef\xbb\xbf" + SAMPLE,
    b'{"nodemcu":' * 30 + b"1" + b"}" * 30,
]


@settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", "300")))
@given(st.one_of(st.binary(max_size=2000), spliced(REAL)))
def test_no_document_that_a_real_one_is_damaged_into_makes_it_raise(body):
    holds_its_promises(body)


def with_as_many_keys_as_fit():
    names = ("".join(letters) for length in (1, 2, 3) for letters in product(ascii_letters, repeat=length))
    return [f'"{name}":1' for name in islice(names, (MAX_BODY_BYTES - 100) // len('"aaa":1,'))]


def test_a_key_that_stands_twice_among_thousands_costs_about_what_none_does():
    keys = with_as_many_keys_as_fit()
    plain_one = f"{{{','.join(keys)}}}".encode()
    twice = f"{{{','.join([*keys[:-1], keys[-2]])}}}".encode()
    assert len(keys) > 7000
    assert len(twice) <= MAX_BODY_BYTES
    assert "stands twice" in read_document(twice, STATION_DEVICE).rejection
    # To look for each name among all took two hundred times as long.
    assert cost(twice) < 30 * cost(plain_one)


def test_thousands_of_unknown_sensors_cost_about_what_one_does():
    keys = with_as_many_keys_as_fit()
    sensors = ",".join(f'{name[:-2]}:{{"a":1}}' for name in keys[: len(keys) // 2])
    one = f'{{"nodemcu":{{"dht22":{{"temperature":1}},"x":{{{",".join(keys)}}}}}}}'.encode()
    many = f'{{"nodemcu":{{"dht22":{{"temperature":1}},{sensors}}}}}'.encode()
    assert len(read_document(many, STATION_DEVICE).notes) == MAX_NOTES
    assert cost(many) < 30 * cost(one)


@pytest.mark.parametrize("end", [b"", b"\\"])
def test_a_text_without_an_end_costs_about_what_one_with_an_end_does(end):
    text = b'{"' + b'\\"' * 5_000
    assert "no complete JSON" in read_document(text + end, STATION_DEVICE).rejection
    # To look for its end from each of the quotes in it took thousands of times as long.
    assert cost(text + end) < 100 * cost(text + b'":1}')


def cost(body):
    """CPU of reading a document, in seconds: the least of five times, as a busy machine takes longer."""
    times = []
    for _ in range(5):
        begun = thread_time()
        read_document(body, STATION_DEVICE)
        times.append(thread_time() - begun)
    return min(times)


def test_notes_are_few_and_short_whatever_a_device_calls_its_sensors():
    names = [f"{letter * 98}é{number:02}" for number, letter in enumerate(ascii_letters[:20])]
    sensors = {name: dict.fromkeys([f"{name[:90]}{number}" for number in range(20)], 1) for name in names}
    body = json.dumps({"nodemcu": {"dht22": {"temperature": "1"}, **sensors}}, ensure_ascii=False).encode()
    notes = read_document(body, STATION_DEVICE).notes
    assert notes
    assert notes[0].startswith(f"sends {names[0][:50]}")
    assert sum(len(note.encode()) + 1 for note in notes) <= MAX_NOTES_BYTES


def test_other_names_every_second_are_said_once_an_hour_and_the_same_ones_once():
    said = Said()
    heard = [second for second in range(3 * 3600) if said.is_due("hall", f"sends n{second}", float(second))]
    assert heard == [0, round(SAY_EVERY_S), round(2 * SAY_EVERY_S)]
    assert said.is_due("attic", "sends x", 5.0)
    assert not any(said.is_due("attic", "sends x", float(hour * 3600)) for hour in range(1, 48))
    assert said.is_due("attic", "", 48 * 3600.0)


def test_who_never_sent_anything_unknown_is_not_spoken_of():
    assert not Said().is_due("hall", "", 0.0)

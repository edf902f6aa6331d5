"""`/events` of an ESPHome: a stream without an end, read until it has all that is wanted, or most of its time is."""

import json
import time
from itertools import pairwise

import pytest

from air_pipeline.boottime import boottime
from air_pipeline.collection.asking import ask_device
from air_pipeline.devices.client import Exchange, exchange_with, within
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline.settings.file import parse_settings
from air_pipeline_tests.devices.kinds.reading import problems, read
from air_pipeline_tests.devices.raw_server import answering
from air_pipeline_tests.waiting import WITHIN_S

SENSORS = "sensors: {room: {temperature: {key: Room Temperature}, pressure: {key: room_pressure}}}"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: keep-alive\r\n\r\n"
PING = 'retry: 30000\r\nid: 7\r\nevent: ping\r\ndata: {"title":"room","log":true}\r\n\r\n'
LOG = 'event: log\r\ndata: \x1b[0;36m[D][sensor:093]: {"id":"sensor-room_pressure","value":1}\r\n\r\n'
TEMPERATURE = {"name_id": "sensor/Room Temperature", "id": "sensor-room_temperature", "value": 68, "uom": "°F"}
PRESSURE = {"id": "sensor-room_pressure", "value": 98812.5, "state": "98812.5 Pa", "uom": "Pa"}


def state(said: object, end: str = "\r\n") -> str:
    return f"event: state{end}data: {json.dumps(said, ensure_ascii=False)}{end}{end}"


def device(url: str, timeout=f"{WITHIN_S:.0f}s", sensors: str = SENSORS):
    head = "timezone: UTC\nstart: 2026-11-01\ninterval: 1h\ndevices:\n"
    entry = f"  - {{id: room, url: '{url}', kind: esphome, timeout: {timeout}, {sensors}}}\n"
    return parse_settings(head + entry).devices[0]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_each_sensor_is_found_by_its_name_or_its_id_whatever_the_firmware(end):
    new = {"id": "sensor/Room Temperature", "value": 20.5, "state": "20.5 °C", "uom": "°C"}
    for said, value in ((TEMPERATURE, 20.0), (new, 20.5), ({**new, "value": 20.25}, 20.25)):
        body = PING.replace("\r\n", end) + state(said, end) + state(PRESSURE, end)
        document = read("esphome", body, SENSORS)
        assert document.values == {"room_temperature": value, "room_pressure": 988.125}
        assert (document.outcome, document.notes) == (Outcome.OK, ())


@pytest.mark.parametrize("value", [None, "NaN"])
def test_a_sensor_without_a_reading_is_missing_and_its_neighbours_are_there(value):
    body = PING + state({**TEMPERATURE, "value": value, "state": "NA"}) + state(PRESSURE)
    document = read("esphome", body, SENSORS)
    assert document.values == {"room_pressure": 988.125}
    assert problems(document) == {"room_temperature": ("null" if value is None else "NaN", 9)}


def test_of_a_sensor_that_is_told_twice_the_last_counts_and_what_has_not_come_whole_does_not():
    newer = {**TEMPERATURE, "value": 50}
    half = state({**TEMPERATURE, "value": 32})[:-2]
    document = read("esphome", PING + state(TEMPERATURE) + state(PRESSURE) + state(newer) + half, SENSORS)
    assert document.values["room_temperature"] == 10.0


def test_what_is_no_sensor_or_no_document_costs_no_other():
    """A switch, a line of the log that looks like one, an event that is no JSON; and those that are not wanted."""
    others = state({"id": "switch/Room Temperature", "value": True}) + LOG + "event: state\r\ndata: {\r\n\r\n"
    document = read("esphome", PING + others + state(TEMPERATURE) + state(PRESSURE), SENSORS)
    assert (document.outcome, document.notes) == (Outcome.OK, ())
    (note,) = read("esphome", PING + state(PRESSURE), "sensors: {room: {temperature: {key: attic}}}").notes
    assert note.startswith("sends room_pressure, not stored")
    empty = read("esphome", PING + others, SENSORS)
    assert empty.rejection.startswith("no event of a sensor has come")


def test_it_is_over_as_soon_as_all_that_is_wanted_has_come():
    """In one connection, which is closed then: the device goes on telling, and has all the time of the world."""
    with Simulator([Profile("room", 7, kind="esphome")]) as simulator:
        url = simulator.url("room").replace("/metrics", "/events")
        asked = ask_device(device(url, sensors=SENSORS.replace("room_pressure", "Room Pressure")))
        assert asked.poll.outcome is Outcome.OK
        assert asked.poll.values.keys() == {"room_temperature", "room_pressure"}
        assert len(simulator.requests("room").times_ms) == 1
    with answering(HEAD + PING.encode(), then=(LOG + state(TEMPERATURE) + state(PRESSURE)).encode()) as server:
        exchange = exchange_with(device(server.url.replace("/circumstances", "/events")))
        assert within(exchange, WITHIN_S).outcome is None
        assert len(server.requests) == 1


def test_it_is_over_too_where_it_comes_in_pieces():
    text = (PING + state(TEMPERATURE) + state(PRESSURE)).encode()
    head = HEAD.replace(b"Connection", b"Transfer-Encoding: chunked\r\nConnection")
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (text[:50], text[50:]))
    with answering(head + pieces, then=b"3\r\n:\r\n\r\n") as server:
        exchange = exchange_with(device(server.url.replace("/circumstances", "/events")))
        answer = within(exchange, WITHIN_S)
        assert answer.body.startswith(text)


def test_what_has_not_come_when_most_of_the_time_is_over_is_missing():
    with answering(HEAD + (PING + state(TEMPERATURE)).encode(), then=LOG.encode()) as server:
        for timeout in ("500ms", "5s", "60s"):  # as slow as the machine is
            asked = ask_device(device(server.url.replace("/circumstances", "/events"), timeout))
            if asked.poll.outcome is not Outcome.TIMEOUT:
                break
    assert (asked.poll.outcome, set(asked.poll.values)) == (Outcome.PARTIAL, {"room_temperature"})
    assert [problem.series for problem in asked.poll.problems] == ["room_pressure"]


def test_a_stream_that_says_nothing_is_a_timeout_and_one_without_measure_too_large():
    with answering(HEAD, then=b"") as server:
        answer = within(exchange_with(device(server.url.replace("/circumstances", "/events"), "300ms")), WITHIN_S)
        assert answer.outcome is Outcome.TIMEOUT
    with answering(HEAD + LOG.encode() * 2000, then=LOG.encode()) as server:
        answer = within(exchange_with(device(server.url.replace("/circumstances", "/events"))), WITHIN_S)
        assert answer.outcome is Outcome.TOO_LARGE


def test_looking_at_a_stream_takes_a_part_of_the_time_however_small_its_pieces_are():
    """All other devices wait while one's is looked at."""
    spent, looks = [], []

    def has_all(body: bytes) -> bool:
        began = time.thread_time()
        while time.thread_time() < began + 0.01:
            pass
        spent.append(time.thread_time() - began)
        looks.append(boottime())
        return len(looks) == 5

    head = HEAD.replace(b"Connection", b"Transfer-Encoding: chunked\r\nConnection")
    with answering(head + b"1\r\n\n\r\n", then=b"1\r\n\n\r\n") as server:
        exchange = Exchange(server.url, WITHIN_S, has_all=has_all)
        assert within(exchange, WITHIN_S).outcome is None
    for (before, at), cost in zip(pairwise(looks), spent, strict=False):
        assert at - before >= 5 * cost


def test_pages_of_the_same_device_that_have_an_end_are_read_to_it():
    """A page of metrics that has all that is wanted at its beginning is not cut."""
    with Simulator([Profile("room", 7, kind="esphome")]) as simulator:
        assert exchange_with(device(simulator.url("room"))).run().body.endswith(b"\n")

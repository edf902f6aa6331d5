"""What is shown of the last polls is what was written, also while they are being written."""

import threading
import time
from typing import Any

import pytest

from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.latest import settled
from air_pipeline.storage.store import StoreError
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.storage.model import poll

NOW = 1_780_000_000_000
Point = dict[str, Any]


def point(at: int, **others: Any) -> Point:
    return {"time": at, "outcome": "ok", "duration_ms": 41.0, "interval_s": 10.0, **others}


def shown(*answers: dict[str, tuple[Point, Point]]) -> tuple[dict[str, tuple[Point, Point]], int]:
    """What is shown where a store answers so, the last again and again, and how often it was asked."""
    asked = 0

    def ask() -> dict[str, tuple[Point, Point]]:
        nonlocal asked
        asked += 1
        return answers[min(asked, len(answers)) - 1]

    return dict(settled(ask, NOW)), asked


HALF = {"time": NOW - 1_000, "outcome": "ok"}
WHOLE, READING = point(NOW - 1_000), {"time": NOW - 1_000, "a": 1.0, "b": 2.0}
OLD = point(NOW - 3_600_000), {"time": NOW - 3_600_000, "a": 1.0}


def test_what_came_long_ago_is_asked_for_once() -> None:
    assert shown({"attic": OLD}) == ({"attic": OLD}, 1)
    assert shown({}) == ({}, 1)


def test_what_came_just_now_is_shown_as_it_is_the_second_time() -> None:
    half = {"attic": (WHOLE, {"time": NOW - 1_000, "a": 1.0}), "hall": OLD}
    whole = {"attic": (WHOLE, READING), "hall": OLD}
    assert shown(half, whole) == (whole, 2)
    assert shown({"attic": (HALF, {}), "hall": OLD}, half, whole) == (whole, 3)
    ahead = point(NOW + 5_000)  # by the clock of who asks
    assert shown({"attic": (ahead, {})}, {"attic": (ahead, READING)}) == ({"attic": (ahead, READING)}, 3)


def test_of_a_device_that_has_a_newer_one_each_time_the_last_whole_one_is_shown() -> None:
    newer = [{"attic": (point(NOW + n), {"time": NOW + n, "a": 1.0})} for n in range(5)]
    assert shown(*newer, {"attic": ({"time": NOW + 5}, {})}) == (newer[-1], 6)


def test_what_is_never_whole_is_given_as_it_is() -> None:
    of_others = {"attic": ({"time": NOW - 3_600_000, "votes": 3}, {})}
    assert shown(of_others)[0] == of_others


@pytest.mark.influxdb
def test_while_polls_are_written_the_last_ones_are_whole(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    writer, reader = InfluxStore(connection), InfluxStore(connection)
    first = time.time_ns() // 1_000_000 - 200_000
    devices = [f"device-{number}" for number in range(30)]
    writer.write([poll(device, slot=first) for device in devices])
    over, shown_devices, errors = threading.Event(), list[int](), list[StoreError]()

    def read() -> None:
        while not over.is_set():
            try:
                shown_devices.append(len(reader.latest()))
            except StoreError as error:
                errors.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    for number in range(1, 200):
        writer.write([poll(device, slot=first + number * 1_000) for device in devices])
    over.set()
    reading.join()
    assert errors == []
    assert set(shown_devices) == {len(devices)}
    for store in (writer, reader):
        store.close()

"""Days that are read and flagged together are what each is alone, whatever changed between them."""

from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pandas as pd
import pytest

from air_pipeline.days import ahead
from air_pipeline.days.ahead import read_ahead
from air_pipeline.days.building import device_observations
from air_pipeline.days.inputs import day_inputs
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.simulator.faults import Fault
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.devices.simulator.script import Entry, Script
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.processing.observations import observations_table
from air_pipeline.settings import Device, Mark
from air_pipeline_tests.days.deployments import deployment

DAYS = [date(2026, 10, 22) + timedelta(days=n) for n in range(6)]
"""With a night of 25 hours in them."""
MINUTE, HOUR = 60_000, 3_600_000
PLAIN = ("plain", "away", "silent", "other", "fewer", "slow", "ended")
DEVICES = [
    *(Device(name, f"http://{name}/", "Europe/Warsaw", interval_ms=10 * MINUTE) for name in PLAIN),
    Device("tokyo", "http://tokyo/", "Asia/Tokyo", interval_ms=10 * MINUTE),
]


def at(day, hours=0.0):
    """An instant of a local day in Warsaw, ms."""
    return epoch_ms(day_window(day, DEVICES[0].zone)[0]) + round(hours * HOUR)


def polls(device):
    """What was polled of a device: with holes, restarts and frozen sensors, and what its name says."""
    booted, frozen = at(DAYS[1], 20) / 1000, at(DAYS[3], 22) / 1000
    script = Script(
        (
            Entry(device.id, Fault("boot"), booted, for_s=1500.0),
            Entry(device.id, Fault("dht22_frozen"), frozen, for_s=5 * 3600.0),
            Entry(device.id, Fault("hang"), at(DAYS[4], 23) / 1000, for_s=2 * 3600.0),
        )
    )
    chance, start, end = Random(device.id), at(DAYS[0], -9), at(DAYS[-1], 25)
    for poll in polls_between(device, Profile(device.id, 2, booted), start, end, script.fault_at):
        slot = poll.observed_at
        if chance.random() < 0.02 or (device.id == "silent" and at(DAYS[1], 7) <= slot < at(DAYS[4], 7)):
            continue
        if device.id == "away" and not at(DAYS[1], 9) <= slot < at(DAYS[4], 9):
            continue
        if device.id == "other" and at(DAYS[0], 9) <= slot < at(DAYS[1]):
            continue
        if device.id == "fewer" and slot >= at(DAYS[3], 6) and poll.outcome.has_reading:
            given = poll.values.items()  # noqa: PD011 -- not a frame
            kept = {name: value for name, value in given if not name.startswith("bmp180")}
            said = tuple(sorted(kept)) if slot < at(DAYS[3], 6.2) else None
            poll = replace(poll, values=kept, problems=(), series=said)  # noqa: PLW2901
        if device.id == "slow" and slot >= at(DAYS[2], 12):
            if slot % (30 * MINUTE):
                continue
            poll = replace(poll, interval_s=1800.0)  # noqa: PLW2901
        if device.id == "ended" and at(DAYS[2], 10) <= slot < at(DAYS[4], 3):
            if slot > at(DAYS[2], 10.2):
                continue
            poll = replace(poll, outcome=Outcome.ENDED, values={}, problems=(), http_status=None)  # noqa: PLW2901
        yield poll


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    marked = Mark("other", "*", at(DAYS[3], 5), at(DAYS[4], 2), "bad", "the window was open")
    made = deployment(tmp_path_factory.mktemp("ahead"), *DEVICES, start=DAYS[0])
    for device in DEVICES:
        made.store.write(list(polls(device)))
    named = [replace(one, since=DAYS[1]) if one.id == "other" else one for one in DEVICES]
    yield replace(made, settings=replace(made.settings, devices=tuple(named), marks=(marked,)))
    made.store.close()


def of_day(inputs, observations):
    """The rows of each device on a day that has some."""
    found = {one.device.id: observations(one) for one in inputs.devices}
    return {name: observations_table(one) for name, one in found.items() if len(one.at)}


@pytest.fixture(scope="module")
def alone(deployed):
    """Each day as it is alone: what it is built from, its rows, its polls."""
    found = {}
    for day in DAYS:
        inputs = day_inputs(deployed.store, deployed.settings, day)
        rows = of_day(inputs, lambda one: device_observations(deployed.store, one))
        found[day] = (
            inputs,
            rows,
            {one.device.id: deployed.store.polls(one.device.id, one.start, one.end) for one in inputs.devices},
        )
    return found


@pytest.mark.parametrize("days", [DAYS, [*DAYS[:2], *DAYS[3:]], DAYS[2:4]], ids=["all", "with a gap", "two"])
def test_a_day_among_others_is_what_it_is_alone(deployed, alone, days):
    together = read_ahead(deployed, days)
    assert list(together) == days
    for day, found in together.items():
        inputs, rows, polled = alone[day]
        assert found.inputs == inputs
        assert of_day(inputs, lambda one: found.read(one)[0]) == rows  # noqa: B023 - called at once
        for one in inputs.devices:
            pd.testing.assert_frame_equal(found.read(one)[1], polled[one.device.id])


def test_the_days_of_a_device_are_read_once_where_nothing_changes_between_them(deployed, monkeypatch):
    read = []
    real = ahead.station_and_polls
    monkeypatch.setattr(ahead, "station_and_polls", lambda store, one: read.append(one) or real(store, one))
    read_ahead(deployed, DAYS)
    stretches = {name: sum(one.device.id == name for one in read) for name in (*PLAIN, "tokyo")}
    assert stretches["plain"] == stretches["tokyo"] == stretches["slow"] == 2  # before the first day is nothing
    assert stretches["other"] > 2
    assert stretches["fewer"] > 2
    read.clear()
    read_ahead(deployed, [*DAYS[:2], *DAYS[3:]])
    assert sum(one.device.id == "plain" for one in read) == 3


def test_what_does_not_fit_into_memory_is_not_read_ahead(deployed, monkeypatch):
    monkeypatch.setattr(ahead, "MOST_SLOTS", 3 * 144 * len(DEVICES))
    assert list(read_ahead(deployed, DAYS)) == DAYS[:3]
    monkeypatch.setattr(ahead, "MOST_SLOTS", 100)
    assert read_ahead(deployed, DAYS) == {}

"""What is read of a store to flag a day is enough: each day comes out as it does inside all that there is."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from air_pipeline.days.building import device_observations
from air_pipeline.days.calendar import device_days
from air_pipeline.days.evidence import device_station
from air_pipeline.days.presence import present_alone
from air_pipeline.devices.simulator.faults import Fault
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.devices.simulator.script import Entry, Script
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.flags import flag_station
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.processing.slots import expected_slots
from air_pipeline.settings import ALWAYS, Device
from air_pipeline_tests.days.deployments import deployment

HOME = Device("home", "http://home/", "Europe/Warsaw", interval_ms=60_000)
DAYS = [date(2026, 11, 20) + timedelta(days=n) for n in range(4)]
MINUTE, HOUR = 60_000, 3_600_000
MIDNIGHT = epoch_ms(day_window(DAYS[2], HOME.zone)[0])
BOOTED = MIDNIGHT - 47 * HOUR


def changed(poll, **values):
    return replace(poll, values={**poll.values, **values})  # noqa: PD011 - not a frame


def history():
    """Four days with a restart on the first, and at the third midnight as much as can matter on both sides of it."""
    start, end = epoch_ms(day_window(DAYS[0], HOME.zone)[0]), epoch_ms(day_window(DAYS[-1], HOME.zone)[1])
    boot = Script((Entry("home", Fault("boot"), BOOTED / 1000, for_s=30.0),))
    made = {
        poll.observed_at: poll
        for poll in polls_between(HOME, Profile("home", 3, BOOTED / 1000), start, end, boot.fault_at)
    }
    for at in range(MIDNIGHT - 3 * HOUR, MIDNIGHT + HOUR, MINUTE):  # bad from the very midnight on
        made[at] = changed(made[at], dht22_humidity=47.3)
    spiked = MIDNIGHT - 3 * HOUR
    made[spiked] = changed(made[spiked], dht22_humidity=70.0)
    last = MIDNIGHT - MINUTE
    made[last] = changed(made[last], ds18b20_temperature=52.5)
    return list(made.values())


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    deployed = deployment(tmp_path_factory.mktemp("evidence"), HOME, start=DAYS[0])
    deployed.store.write(history())
    yield deployed
    deployed.store.close()


@pytest.fixture(scope="module")
def inside(deployed):
    start, end = epoch_ms(day_window(DAYS[0], HOME.zone)[0]), epoch_ms(day_window(DAYS[-1], HOME.zone)[1])
    read, polled = (of("home", start, end) for of in (deployed.store.readings, deployed.store.polls))
    slots = expected_slots(start, end, polls=polled, readings=read, opening_interval_ms=MINUTE, expected_from=ALWAYS)
    return flag_station(station_of(HOME, read, polled, slots))


def of_day(deployed, day):
    (one,) = device_days(deployed.settings, day)
    return present_alone(deployed.store, deployed.settings, one)


@pytest.mark.parametrize("day", DAYS)
def test_a_day_is_flagged_as_it_is_inside_all_that_there_is(deployed, inside, day):
    alone = device_observations(deployed.store, of_day(deployed, day))
    expected = inside.between(*day_window(day, HOME.zone))
    pd.testing.assert_frame_equal(alone.values, expected.values, check_exact=True)
    pd.testing.assert_frame_equal(alone.flags, expected.flags)
    pd.testing.assert_frame_equal(alone.rules, expected.rules)


def test_what_matters_at_midnight_does(deployed):
    """The days above differ from what they would be with less than is read of what is around them."""
    spoke = {
        (name, place): bool(observations.rules[series].to_numpy()[place] & RULE_BITS[name])
        for name, series, place, day in [
            ("spike", "ds18b20_temperature", -1, DAYS[1]),
            ("flat_line", "dht22_humidity", 0, DAYS[2]),
            ("warming_up", "mq135_co2", 60, DAYS[2]),
            ("warming_up", "mq135_co2", 61, DAYS[2]),
        ]
        for observations in [device_observations(deployed.store, of_day(deployed, day))]
    }
    assert spoke == {("spike", -1): True, ("flat_line", 0): True, ("warming_up", 60): True, ("warming_up", 61): False}


def test_a_restart_is_looked_up_and_not_read(deployed, monkeypatch):
    read = []
    readings = deployed.store.readings
    monkeypatch.setattr(deployed.store, "readings", lambda *span: read.append(span) or readings(*span))
    one = of_day(deployed, DAYS[2])
    assert device_station(deployed.store, one).restarts.tolist() == [BOOTED, BOOTED + MINUTE]
    assert sum(end - start for _, start, end, *_ in read) < (one.end - one.start) * 1.2
    assert np.all([start >= BOOTED for _, start, *_ in read])


def test_where_no_gas_is_measured_restarts_are_not_looked_up(deployed, monkeypatch):
    monkeypatch.setattr(deployed.store, "emptied", lambda *_: pytest.fail("restarts matter to gases alone"))
    for device in (replace(HOME, parameters=HOME.parameters[:7]), replace(HOME, warm_up=timedelta(0))):
        assert not len(device_station(deployed.store, replace(of_day(deployed, DAYS[2]), device=device)).restarts)

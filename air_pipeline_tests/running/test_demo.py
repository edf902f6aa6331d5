"""The demo's world: its past in the store and its devices of now are one."""

import socket
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.cli import main
from air_pipeline.deployment import Deployment
from air_pipeline.devices.assemble import make_poll
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.environment import Environment
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.running import demo
from air_pipeline.running.ports import PORTS_TRIED, next_free
from air_pipeline.settings.file import parse_settings
from air_pipeline.state import StateDirectory
from air_pipeline_tests.devices.getting import get
from air_pipeline_tests.waiting import WITHIN_S

START = date(2026, 3, 20)  # the clocks change within its two weeks
WORLD = demo.World(START)


@pytest.fixture
def deployment(tmp_path):
    environment = Environment(
        tmp_path / "devices.yaml", StateDirectory(tmp_path / "state"), tmp_path / "state" / "data"
    )
    return Deployment(environment, parse_settings(demo.settings_text(START, 8080)))


def test_the_settings_are_valid_and_of_the_devices_that_answer(deployment):
    assert tuple(device.id for device in deployment.settings.devices) == demo.DEVICES
    with WORLD.simulator(0) as simulator:
        for device in parse_settings(demo.settings_text(START, simulator.port)).devices:
            assert device.url == simulator.url(device.id)
            assert get(device.url, WITHIN_S).status in {200, 500, None}


def test_the_past_begins_two_weeks_ago_on_the_local_calendar():
    assert demo.first_day(datetime(2026, 11, 22, 23, 15, tzinfo=UTC)) == date(2026, 11, 9)
    assert demo.first_day(datetime(2026, 11, 22, 23, 14, tzinfo=UTC)) == date(2026, 11, 8)  # not over its grace


@given(st.integers(0, demo.PAST_DAYS * 8640), st.sampled_from(demo.DEVICES))
def test_what_a_device_said_in_the_past_it_says_again(slot, name):
    at = epoch_ms(datetime(2026, 3, 19, 23, tzinfo=UTC)) + slot * 10_000
    [device] = [one for one in parse_settings(demo.settings_text(START, 8080)).devices if one.id == name]
    at -= at % device.interval_ms
    (past,) = polls_between(device, demo.profile_of(name), at, at + 1, WORLD.fault_at)
    script = {"script": WORLD.script, "flaky": WORLD.flaky}
    if past.outcome is Outcome.TIMEOUT:
        return  # asking again would take as long
    with Simulator(map(demo.profile_of, demo.DEVICES), clock=lambda: at / 1000, **script) as simulator:
        live, _ = make_poll(device, at, get(simulator.url(name), WITHIN_S), 40.0)
    assert (past.outcome, past.values, past.problems) == (live.outcome, live.values, live.problems)


def test_the_past_is_whole_once_it_was_written_to_its_end(deployment):
    until = datetime(2026, 3, 20, 3, tzinfo=UTC)
    writing = demo.write_past(deployment, until)
    next(writing)
    writing.close()
    assert not demo.has_past(deployment)
    assert sum(demo.write_past(deployment, until)) == demo.past_polls(deployment.settings, until)
    assert demo.has_past(deployment)
    start, end = epoch_ms(datetime(2026, 3, 19, tzinfo=UTC)), epoch_ms(until)
    polls = {device: len(deployment.store.polls(device, start, end)) for device in demo.DEVICES}
    assert sum(polls.values()) == demo.past_polls(deployment.settings, until)
    hours = (until - datetime(2026, 3, 19, 15, tzinfo=UTC)).total_seconds() / 3600  # of Tokyo's day
    each = {demo.FLAKY: 360, demo.DYING: 360, demo.FAR: 60, demo.OUTSIDE: 24}
    assert polls == {name: hours * each[name] for name in demo.DEVICES}
    assert {one.kind for one in deployment.settings.devices} == {"nodemcu", "airgradient", "airrohr"}
    assert list(deployment.store.identities()) == [demo.FAR]
    deployment.store.close()


def test_one_device_fails_now_and_then_and_a_string_of_thermometers_dies():
    def faults(name, day):
        begin = datetime(2026, 3, 19, 23, tzinfo=UTC) + timedelta(days=day)
        times = [begin + timedelta(seconds=10 * slot) for slot in range(8640)]
        return [WORLD.fault_at(name, at.timestamp()) for at in times]

    assert 0.02 < sum(fault is not None for fault in faults(demo.FLAKY, 3)) / 8640 < 0.04
    assert set(faults(demo.DYING, 3)) == {None}
    assert faults(demo.DYING, 13)[-1].options == {"dropped": 8}
    assert set(faults(demo.FAR, 13)) == {None}


def test_real_devices_in_the_store_keep_the_demo_away(deployment):
    demo.check_no_others(deployment)
    [garage] = polls_between(deployment.settings.devices[0], Profile("garage"), 0, 1)
    deployment.store.write([replace(garage, device="garage")])
    with pytest.raises(
        demo.DemoError, match=r"holds readings of garage, which the demo has not; remove .*state to begin anew"
    ):
        demo.check_no_others(deployment)
    deployment.store.close()


def test_somebody_s_configuration_is_not_overwritten(tmp_path, capsys, monkeypatch):
    config = tmp_path / "devices.yaml"
    demo.check_is_demo(config)
    config.write_text(demo.settings_text(START, 8080))
    demo.check_is_demo(config)
    config.write_text("timezone: Europe/Warsaw\n")
    monkeypatch.setattr(sys, "argv", ["air-pipeline", "demo", "--directory", str(tmp_path)])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert f"{config} is not the demo's" in capsys.readouterr().err
    assert config.read_text() == "timezone: Europe/Warsaw\n"
    assert [path.name for path in tmp_path.iterdir()] == ["devices.yaml"]


def test_a_port_that_is_taken_is_passed_over():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port < next_free("127.0.0.1", port) < port + PORTS_TRIED

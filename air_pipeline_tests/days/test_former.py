"""What was set for series that the settings name no longer: every machine that builds days goes by the same."""

import json
from dataclasses import replace

import pytest

from air_pipeline.days.building import built_observations
from air_pipeline.days.former import settings_and_former, tell_former
from air_pipeline.days.terms import home_of
from air_pipeline.in_force import load_settings, read_former
from air_pipeline.settings import Device
from air_pipeline.settings.former import Former
from air_pipeline_tests.assets.small_deployments import (
    DAY,
    deployment_in,
    past_polls,
    real_instance,
    small_device,
    tick_of_build_days,
)

LIMITED = small_device("hall", expected_range={"dht22_humidity": [99, 100]})
"""Nearly all of its humidity is suspect."""
LATER = small_device("hall", sensors={"dht22": ["temperature"]})


@pytest.fixture
def machine(tmp_path):
    """A function that gives the deployment of a machine whose devices.yaml said one thing after the other."""

    def machine(name, *said):
        (tmp_path / name).mkdir(exist_ok=True)
        for one in said:
            made = deployment_in(tmp_path / name, one)
            made.environment.state.make()
            settings = load_settings(made.environment.config, made.environment.state).settings
        return replace(made, settings=settings, environment=replace(made.environment, data=tmp_path / "days"))

    return machine


def suspect_of(deployment, polls):
    deployment.store.write(polls)
    with built_observations(deployment, DAY) as built:
        return [one.suspect for one in built.counts], built.metadata


def test_a_machine_that_never_had_the_settings_of_before_builds_what_the_others_build(machine):
    polls = list(past_polls(machine("head", LIMITED), DAY))
    head, worker = machine("head", LATER), machine("worker", LATER)
    tell_former(head)
    suspect, metadata = suspect_of(head, polls)
    assert suspect[0] > 20
    assert suspect_of(worker, polls) == (suspect, metadata)


def test_a_head_on_another_machine_goes_by_what_the_days_brought_along_and_tells_it_on(machine, tmp_path):
    tell_former(machine("before", LIMITED))
    head = machine("head", LATER)
    with real_instance(tmp_path) as instance:
        tick_of_build_days(head, instance)
    [hall] = read_former(head.environment.state).devices
    assert hall.expected_range == {"dht22_humidity": (99, 100)}
    assert home_of(head.environment.state) in (head.environment.data / "days" / "former").read_text()


OTHERWISE = {
    "timezone": [None, 7, "../../etc/passwd", "/etc/passwd", "Europe"],
    "interval_ms": [0, -1, 1.5, "x", None],
    "expected_range": [[1], {"dht22_humidity": "xy"}, {"dht22_humidity": [1]}, {"dht22_humidity": [None, 2]}],
    "thresholds": [[1], {"dht22_humidity": "x"}],
    "rules": [[1], {"dht22_humidity": 7}, {"dht22_humidity": {"max_rate": "x"}}],
    "warm_up_s": [1e300, float("inf"), -1, "x"],
    "sleeps_s": [float("nan"), -1],
    "calibrations": [[1], {"dht22_humidity": [{"x": 1}]}, {"dht22_humidity": [[0, "x", 0, "why"]]}],
    "kind": [7],
    "ids": [None, ["hall", 7]],
    "parameters": [[7], [{"sensor": "x"}], [{"sensor": "x", "name": "y", "key": "y", "unit": 7}]],
}
"""What none of our versions writes."""


def told_otherwise():
    """Words of damaged files."""
    yield "cut", "{"
    yield "deep", "[" * 100_000
    yield "deep below", '{"home": "another", "former": ' + '{"a":' * 100_000
    said = json.loads(Former((LIMITED_ALONE,)).to_json())
    for key, values in OTHERWISE.items():
        for value in values:
            rows = [row | {key: value} for row in said["devices"]]
            yield f"{key} {value}", json.dumps({"home": "another", "former": said | {"devices": rows}})


LIMITED_ALONE = Device("hall", "", "Europe/Warsaw", expected_range={"dht22_humidity": (1.0, 2.0)})


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in told_otherwise()])
def test_a_word_of_it_that_cannot_be_read_is_none(machine, text):
    """Nor is it kept here; the head tells its own instead."""
    head = machine("head", LIMITED)
    state, before = head.environment.state, read_former(head.environment.state).devices
    path = head.environment.data / "days" / "former"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert settings_and_former(head).known["hall"].expected_range == {"dht22_humidity": (99, 100)}
    assert read_former(state).devices == before
    tell_former(head)
    assert json.loads(path.read_text())["home"] == home_of(state)
    state.former.write_text(json.dumps(json.loads(text)["former"]) if text.endswith("}}") else text)
    assert read_former(state) == Former()


def test_a_zone_that_only_this_machine_does_not_know_is_no_damage():
    """Else its days would be built by other limits than elsewhere; so they fail, and say why."""
    text = Former((replace(LIMITED_ALONE, timezone="Mars/Base"),)).to_json()
    assert Former.from_json(text).devices[0].timezone == "Mars/Base"


def test_what_a_later_version_says_besides_is_left_out():
    said = json.loads(Former((LIMITED_ALONE,)).to_json())
    later = said | {"devices": [row | {"later": [1]} for row in said["devices"]], "later": 1}
    assert Former.from_json(json.dumps(later)) == Former((LIMITED_ALONE,))

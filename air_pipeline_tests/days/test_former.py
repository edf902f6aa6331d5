"""What was set for series that the settings name no longer: every machine that builds days goes by the same."""

from dataclasses import replace

import pytest

from air_pipeline.days.building import built_observations
from air_pipeline.days.former import settings_and_former, tell_former
from air_pipeline.days.terms import home_of
from air_pipeline.in_force import load_settings, read_former
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


def test_a_word_of_it_that_cannot_be_read_is_none(machine):
    head = machine("head", LIMITED)
    (head.environment.data / "days").mkdir(parents=True)
    (head.environment.data / "days" / "former").write_text("{")
    assert settings_and_former(head).known["hall"].expected_range == {"dht22_humidity": (99, 100)}

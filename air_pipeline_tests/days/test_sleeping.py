"""A device on a battery, which sleeps and is awake for a moment now and then."""

from dataclasses import replace
from datetime import timedelta

import pytest

from air_pipeline.collection.asking import Asked
from air_pipeline.collection.report import look
from air_pipeline.devices.polls import Outcome
from air_pipeline.health import Level
from air_pipeline.health.devices import finding_of
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.settings.former import Former
from air_pipeline_tests.days.deployments import HOUR, MINUTE, build, deployment, device, poll, window

START, END = window()
ASLEEP = (Outcome.UNREACHABLE, Outcome.TIMEOUT, Outcome.SKIPPED)


def sleeper(**more):
    return device(sleeps=timedelta(hours=12), **more)


def polled(start, end, awake):
    """A poll in every slot, with a reading in those in which it was awake."""
    return [
        poll(at) if at in awake else poll(at, outcome=ASLEEP[at // MINUTE // 10 % len(ASLEEP)])
        for at in range(start, end, 10 * MINUTE)
    ]


def test_a_day_of_a_device_that_sleeps_has_the_slots_in_which_it_was_awake(tmp_path):
    awake = {START + HOUR, START + 13 * HOUR, START + 13 * HOUR + 10 * MINUTE}
    deployed = deployment(tmp_path, sleeper(), device("attic"))
    for name in ("hall", "attic"):
        deployed.store.write([replace(one, device=name) for one in polled(START, END, awake)])
    observed, hourly, daily = build(deployed)
    rows = observed.reset_index()
    own = rows[rows["device"] == "hall"]
    assert [at.timestamp() * 1000 for at in own["observed_at"]] == sorted(awake)
    assert len(rows) - len(own) == 144  # of one that does not sleep, every slot is expected
    [whole] = daily.reset_index().query("device == 'hall'").to_dict("records")
    assert (whole["expected_count"], whole["missing_count"], whole["coverage"]) == (3, 0, 1.0)
    of_hours = hourly.reset_index().query("device == 'hall'")
    assert sorted(of_hours["expected_count"]) == [0] * 22 + [1, 2]
    deployed.store.close()


@pytest.mark.parametrize(("hours", "is_unwell"), [(23, False), (25, True)])
def test_it_is_not_well_after_twice_the_time_for_which_it_sleeps(tmp_path, hours, is_unwell):
    deployed = deployment(tmp_path, sleeper(), now=from_epoch_ms(END))
    last = END - hours * HOUR
    deployed.store.write(polled(END - 60 * HOUR, END, {last}))
    report = look(deployed, deployed.store, START, from_epoch_ms(END))
    assert [one.device for one in report.unwell] == (["hall"] if is_unwell else [])
    deployed.store.close()


def test_one_that_is_new_may_not_have_been_awake_yet(tmp_path):
    deployed = deployment(tmp_path, sleeper(), now=from_epoch_ms(END))
    assert look(deployed, deployed.store, START, from_epoch_ms(END)).unwell == ()
    deployed.store.write(polled(END - 5 * HOUR, END, set()))
    assert look(deployed, deployed.store, START, from_epoch_ms(END)).unwell == ()
    deployed.store.close()


@pytest.mark.parametrize("outcome", ASLEEP)
def test_that_it_does_not_answer_now_is_as_it_should_be(outcome):
    seen = [finding_of(Asked(one, poll(END, outcome=outcome), live=True), from_epoch_ms(END)) for one in
            (sleeper(), device())]  # fmt: skip
    assert [one.level for one in seen] == [Level.OK, Level.FAILURE]
    assert seen[0].text.endswith("; it sleeps")


def test_a_setting_that_it_sleeps_changes_its_days_and_for_how_long_does_not():
    assert sleeper().digest != device().digest
    assert replace(sleeper(), sleeps=timedelta(hours=1)).digest == sleeper().digest


def test_what_is_kept_of_a_device_that_was_removed_says_that_it_slept():
    kept = Former.from_json(Former((sleeper(), device("attic"))).to_json())
    assert {one.id: one.sleeps for one in kept.devices} == {"hall": timedelta(hours=12), "attic": None}

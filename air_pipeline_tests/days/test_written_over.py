"""Days whose readings were written over are built again, once, though nothing that is counted of them has changed."""

from datetime import timedelta

import pytest

from air_pipeline.days.comparing import compare_day
from air_pipeline.days.inputs import Standing
from air_pipeline.devices.polls import Outcome
from air_pipeline.storage.written_over import mark_written_over
from air_pipeline_tests.days.deployments import (
    AFTER,
    BEFORE,
    DAY,
    MINUTE,
    build,
    contents,
    deployment,
    device,
    poll,
    seed,
    window,
    with_built_days,
)

START, END = window()


@pytest.fixture
def deployed(tmp_path):
    deployed = deployment(tmp_path)
    seed(deployed, (BEFORE, DAY, AFTER))
    for day in (BEFORE, DAY, AFTER):
        build(deployed, day)
    yield deployed
    deployed.store.close()


def standing(deployed, day=DAY):
    return compare_day(deployed, deployed.store, day).standing


def test_other_values_in_equal_counts_are_seen_by_the_mark_of_who_wrote_them(deployed):
    deployed.store.write([poll(at, value=7.0) for at in range(START, END, 10 * MINUTE)])
    assert standing(deployed) is Standing.CURRENT, "by what is counted it is what it was"
    polls = compare_day(deployed, deployed.store, DAY).inputs.polls
    mark_written_over(deployed.store, [DAY])
    assert standing(deployed) is Standing.CHANGED
    assert compare_day(deployed, deployed.store, DAY).inputs.polls == polls
    observed, *_ = build(deployed)
    assert set(observed["value"]) == {7.0}
    assert standing(deployed) is Standing.CURRENT


def test_a_day_that_was_written_over_by_the_same_is_built_once_and_then_left(deployed):
    before = deployed.store.readings("hall", START, END)
    mark_written_over(deployed.store, [DAY])
    assert standing(deployed) is Standing.CHANGED
    first, *_ = build(deployed)
    assert standing(deployed) is Standing.CURRENT
    assert list(first["value"]) == list(before["first_temperature"])
    once = contents(deployed)
    build(deployed)
    assert contents(deployed) == once
    mark_written_over(deployed.store, [DAY])
    assert standing(deployed) is Standing.CHANGED


def test_the_days_are_built_again_that_can_depend_on_what_was_written_over(deployed):
    near = {BEFORE: False, DAY: True, AFTER: True}  # the restarts of two days, and the slot after a day
    mark_written_over(deployed.store, [DAY])
    assert {day: standing(deployed, day) is Standing.CHANGED for day in near} == near
    for far in (DAY - timedelta(days=3), DAY + timedelta(days=4)):
        mark_written_over(deployed.store, [far])
    for day in near:
        build(deployed, day)
    assert {standing(deployed, day) for day in near} == {Standing.CURRENT}


def test_the_days_of_a_mark_are_those_of_utc(tmp_path):
    """Restarts are looked up for more than 48 hours before a day; the next date has the slot after it."""
    deployed = with_built_days(tmp_path, device(timezone="UTC"), days=(DAY,))
    for mark, found in (
        (DAY - timedelta(days=3), Standing.CHANGED),
        (DAY - timedelta(days=4), Standing.CURRENT),
        (DAY + timedelta(days=1), Standing.CHANGED),
        (DAY + timedelta(days=2), Standing.CURRENT),
    ):
        mark_written_over(deployed.store, [mark])
        assert standing(deployed) is found, mark
        build(deployed)
    deployed.store.close()


def test_another_import_with_as_many_values_is_another_input(tmp_path):
    deployed = deployment(tmp_path)

    def bring(import_id):
        slots = range(START, END, 10 * MINUTE)
        deployed.store.write([poll(at, outcome=Outcome.IMPORTED, import_id=import_id) for at in slots])

    bring("spring")
    build(deployed)
    assert standing(deployed) is Standing.CURRENT
    deployed.store.delete_import("hall", "spring", START, END)
    bring("summer")
    assert standing(deployed) is not Standing.CURRENT
    deployed.store.close()


def test_marks_of_collectors_have_days_compared_and_nothing_built_that_is_what_it_was(deployed):
    deployed.store.mark_late("main", [DAY])
    assert standing(deployed) is Standing.CURRENT

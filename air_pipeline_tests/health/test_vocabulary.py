"""What checks and findings are, whatever they are about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.errors import AirPipelineError
from air_pipeline.health import Finding, Level, check, failure, fine, unknown, warning
from air_pipeline.health.checks import CHECKS
from air_pipeline.health.examination import EXAMINATION, SET_BY_THE_USER, exit_status
from air_pipeline.instance.checks import DAGSTER_CHECKS

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
levels = st.sampled_from(Level)


@check(
    means="All is well.",
    remedy="Turn {subject}; from {first} to {last}.",
    title="wheel {subject}",
    many="wheels squeak",
)
def wheels(seen):
    """Gives what it is handed."""
    yield from seen


def summary(*found):
    return wheels.summary(list(wheels.findings(found)), NOW)


def test_a_function_becomes_the_check_of_its_name():
    assert (wheels.name, wheels.means) == ("wheels", "All is well.")
    [one] = wheels.findings([fine("turns", "left")])
    assert one == Finding("wheels", "left", Level.OK, "turns")


def test_what_is_not_well_has_the_remedy_of_its_check_unless_it_has_its_own():
    own, of_check, well = wheels.findings([warning("", "oil it", "a"), failure("", subject="b"), fine("", "c")])
    assert (own.remedy, of_check.remedy, well.remedy) == ("oil it", "Turn b; from b to b.", "")


def test_what_a_look_cannot_tell_is_a_finding():
    def broken(_seen):
        raise AirPipelineError("the wheel\nis locked")

    [one] = replace(wheels, look=broken).findings(None)
    assert (one.level, one.text) == (Level.UNKNOWN, "cannot be told: the wheel is locked")


def test_a_mistake_of_ours_hides_no_other_check():
    def broken(_seen):
        raise ZeroDivisionError

    [one] = replace(wheels, look=broken).findings(None)
    assert (one.level, one.text) == (Level.UNKNOWN, "cannot be told: ZeroDivisionError")


def test_of_nothing_there_is_nothing_to_say():
    assert summary().level is Level.UNKNOWN


def test_what_is_said_of_each_of_many_is_short():
    one = summary(warning("x" * 1000, subject="a"), fine("", "b"))
    assert len(one.text) < 300


def test_one_that_is_bad_among_several_is_named_with_its_remedy():
    one = summary(fine("", "a"), warning("squeaks", subject="b"), fine("", "c"))
    assert (one.level, one.text) == (Level.WARNING, "1 of 3 wheels squeak: b (squeaks)")
    assert one.remedy == "Turn b; from b to b."


def test_several_that_are_bad_have_the_remedy_of_all():
    one = summary(warning("", subject="b"), failure("off", subject="a"))
    assert (one.level, one.text) == (Level.FAILURE, "2 of 2 wheels squeak: b, a (off)")
    assert one.remedy == "Turn ; from a to b."


def test_what_has_not_lasted_long_enough_counts_as_well():
    young = Finding("wheels", "a", Level.WARNING, "", patience=timedelta(hours=2), since=NOW - timedelta(hours=1))
    assert summary(young).level is Level.OK
    assert summary(young, fine("", "b")).text == ("well: 1 of 2 that were looked at; not for long otherwise: a")
    assert summary(replace(young, since=NOW - timedelta(hours=2))).level is Level.WARNING
    assert summary(replace(young, since=None)).level is Level.WARNING


@given(st.lists(st.tuples(levels, st.dictionaries(st.sampled_from("ab"), st.integers(0, 9))), min_size=1))
def test_a_summary_is_of_the_worst_level_and_adds_up_what_is_known(found):
    made = [Finding("wheels", str(n), level, "", numbers=numbers) for n, (level, numbers) in enumerate(found)]
    one = summary(*made)
    known = [numbers for level, numbers in found if level is not Level.UNKNOWN] or [found[0][1]]
    order = [Level.FAILURE, Level.WARNING, Level.OK, Level.UNKNOWN]
    assert one.level is min((level for level, _ in found), key=order.index)
    assert dict(one.numbers) == {name: sum(n.get(name, 0) for n in known) for name in {k for n in known for k in n}}


def test_what_cannot_be_told_counts_only_alone():
    assert summary(unknown("who knows")).level is Level.UNKNOWN
    assert summary(unknown("who knows"), fine("turns", "a")).level is Level.OK


ALL = list({one.name: one for one in (*CHECKS, *EXAMINATION, *DAGSTER_CHECKS)}.values())


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_every_check_says_what_it_means_and_what_to_do(one):
    """One list serves doctor, Dagster, messages and docs: nothing in it is left out."""
    assert one.means.endswith(".")
    assert one.remedy
    assert one.title
    assert bool(one.bad) == bool(one.good)
    assert one._remedy("garage")


def test_names_of_checks_are_used_once():
    checks = {one.name: one for one in ALL}
    assert all(checks[one.name] is one for one in (*CHECKS, *EXAMINATION, *DAGSTER_CHECKS))


def test_the_exit_status_is_that_of_the_gravest():
    bad = Finding("outbox_draining", "", Level.FAILURE, "")
    assert (
        exit_status([Finding("clock_kept", "", Level.WARNING, ""), Finding("up_running", "", Level.UNKNOWN, "")]) == 0
    )
    assert exit_status([bad]) == 1
    assert exit_status([bad, replace(bad, check=SET_BY_THE_USER[0].name)]) == 2

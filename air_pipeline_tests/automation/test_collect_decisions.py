"""What the sensor `collect` decides, as functions of values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.automation.collecting import (
    CHANGES_EVERY_S,
    CHECKS_EVERY_S,
    LONGEST_REPORT,
    REPORT_EVERY_S,
    Cursor,
    advance,
    due_checks,
    report_is_due,
    since,
    with_silence,
)
from air_pipeline.collection.collector_state import CollectorState
from air_pipeline.collection.report import DeviceState, Report
from air_pipeline.health import Finding, Level
from air_pipeline.health.checks import checks_of
from air_pipeline.settings import MAIN

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
NOW_S = NOW.timestamp()
NOW_MS = round(NOW_S * 1000)
CHECKS = [check.name for check in checks_of("raw_readings")]

cursors = st.builds(
    Cursor,
    until=st.none() | st.integers(0, 2**52),
    reported=st.floats(0, 2e9),
    passed=st.dictionaries(st.sampled_from(CHECKS), st.booleans()),
    checked=st.floats(0, 2e9),
    started=st.floats(0, 2e9),
    silent=st.floats(0, 2e9),
)


def report(**more):
    given = {
        "since": NOW_MS - 60_000,
        "until": NOW_MS,
        "counts": {"hall": {"ok": 6}},
        "unwell": (),
        "expected": 2,
        "collectors": {MAIN: CollectorState()},
    }
    return Report(**{**given, **more})


def finding(check, passed=True):
    return Finding(check, "", Level.OK if passed else Level.WARNING, "")


def test_a_store_that_does_not_answer_is_known_since_when():
    silent = report(store_error="away")
    begun = with_silence(Cursor(), silent, NOW_S)
    assert with_silence(begun, silent, NOW_S + 60).silent == NOW_S
    assert with_silence(begun, report(), NOW_S + 60).silent == 0
    assert with_silence(begun, silent, NOW_S - 60).silent == NOW_S - 60  # the clock was set back


@given(cursors)
def test_a_cursor_comes_back_as_it_went(cursor):
    assert Cursor.from_text(cursor.to_text()) == cursor


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "null",
        "[]",
        "7",
        '"text"',
        '{"until": "soon"}',
        '{"until": []}',
        '{"until": 1e999}',
        '{"reported": {}}',
        '{"passed": 7}',
        '{"checked": null}',
    ],
)
def test_a_cursor_that_cannot_be_read_is_a_fresh_one(text):
    assert Cursor.from_text(text) == Cursor()


@given(st.text(max_size=40))
def test_no_text_of_a_cursor_is_an_error(text):
    Cursor.from_text(text)


def test_a_cursor_of_another_version_is_read_as_far_as_it_goes():
    assert Cursor.from_text('{"until": 5, "later": 1}') == Cursor(until=5)


@pytest.mark.parametrize(
    ("cursor", "ago"),
    [
        (Cursor(), timedelta(minutes=5)),
        (Cursor(until=NOW_MS - 20_000), timedelta(seconds=20)),
        (Cursor(until=NOW_MS - 40 * 86_400_000), LONGEST_REPORT),
        (Cursor(until=NOW_MS + 3650 * 86_400_000), LONGEST_REPORT),  # by a clock that was ahead: no silence for years
    ],
)
def test_a_report_begins_where_the_last_one_ended_within_bounds(cursor, ago):
    assert since(cursor, NOW) == round((NOW - ago).timestamp() * 1000)


@pytest.mark.parametrize(
    ("cursor", "polls", "due"),
    [
        (Cursor(), 0, False),
        (Cursor(), 1, True),
        (Cursor(until=1, reported=NOW_S - REPORT_EVERY_S + 1), 100, False),
        (Cursor(until=1, reported=NOW_S - REPORT_EVERY_S), 1, True),
        (Cursor(until=1, reported=NOW_S - REPORT_EVERY_S), 0, False),
        (Cursor(until=1, reported=NOW_S + 86_400), 1, True),  # the clock was set back by a day
    ],
)
def test_a_report_is_due_with_the_first_readings_and_then_every_quarter_of_an_hour(cursor, polls, due):
    counts = {"hall": {"ok": polls}} if polls else {}
    assert report_is_due(cursor, report(counts=counts), NOW_S) is due


@pytest.mark.parametrize(("ago", "due"), [(CHANGES_EVERY_S - 1, False), (CHANGES_EVERY_S, True)])
def test_other_devices_that_are_not_well_are_reported_sooner(ago, due):
    seen = report(unwell=(DeviceState("hall", 6, 0, "timeout"),))
    assert report_is_due(Cursor(until=1, reported=NOW_S - ago), seen, NOW_S) is due
    known = advance(Cursor(), seen, [], NOW_S - ago)[0]
    assert not report_is_due(known, seen, NOW_S)
    assert report_is_due(known, report(), NOW_S) is due  # it is well again


def test_checks_are_due_when_they_change_and_all_of_them_every_few_hours():
    a, b, changed = finding("a"), finding("b", passed=False), finding("b")
    assert due_checks(Cursor(), [a, b], NOW_S) == [a, b]
    known = Cursor(passed={"a": True, "b": False}, checked=NOW_S - CHECKS_EVERY_S + 1)
    assert due_checks(known, [a, b], NOW_S) == []
    assert due_checks(known, [a, changed], NOW_S) == [changed]
    assert due_checks(known, [a, b], NOW_S + 1) == [a, b]
    assert due_checks(known, [a, b], NOW_S - 86_400) == [a, b]  # the clock was set back


@given(cursors, st.booleans(), st.booleans())
def test_after_a_tick_the_same_look_leads_to_nothing(cursor, passed, polled):
    seen = report(counts={"hall": {"ok": 1}} if polled else {})
    all_found = [finding(check, passed=passed) for check in CHECKS]
    after, _, _ = advance(cursor, seen, all_found, NOW_S)
    if NOW_S - after.checked < CHECKS_EVERY_S and NOW_S - after.reported < REPORT_EVERY_S:
        assert advance(after, seen, all_found, NOW_S) == (after, False, [])


def test_what_a_check_found_is_kept_while_it_cannot_be_made():
    before = Cursor(passed={"devices_reporting": False, "outbox_draining": True}, checked=NOW_S)
    after, _, due = advance(before, report(), [finding("outbox_draining", passed=False)], NOW_S)
    assert after.passed == {"devices_reporting": False, "outbox_draining": False}
    assert [one.check for one in due] == ["outbox_draining"]

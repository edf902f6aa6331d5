"""What the sensor `collect` decides, as functions of values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.automation.collecting import (
    CHECKS_EVERY_S,
    LONGEST_REPORT,
    REPORT_EVERY_S,
    Cursor,
    advance,
    due_verdicts,
    report_is_due,
    since,
)
from air_pipeline.collection.lease import Holder
from air_pipeline.collection.outbox import OutboxStatus
from air_pipeline.collection.report import CHECKS, DeviceState, Report, Verdict, verdicts
from air_pipeline.deployment import Deployment
from air_pipeline.environment import read_environment
from air_pipeline.settings import Device, Settings, SettingsError

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
NOW_S = NOW.timestamp()
NOW_MS = round(NOW_S * 1000)
EMPTY = OutboxStatus(pending=0, oldest=None, quarantined=0, failures=0, retry_at=0.0, error="")
OLD_COLLECTOR = Holder(pid=7, since=NOW_S - 3600, leased=True)

cursors = st.builds(
    Cursor,
    until=st.none() | st.integers(0, 2**52),
    reported=st.floats(0, 2e9),
    passed=st.dictionaries(st.sampled_from(list(CHECKS)), st.booleans()),
    checked=st.floats(0, 2e9),
    started=st.floats(0, 2e9),
)


def report(**more):
    given = {
        "since": NOW_MS - 60_000,
        "until": NOW_MS,
        "counts": {"hall": {"ok": 6}},
        "unwell": (),
        "expected": 2,
        "outbox": EMPTY,
        "collector": OLD_COLLECTOR,
        "notes": {},
    }
    return Report(**{**given, **more})


def deployment(**more):
    settings = Settings("Europe/Warsaw", NOW.date(), (Device("hall", "http://hall/", "Europe/Warsaw"),), **more)
    return Deployment(read_environment({}), settings)


def verdict(check, passed=True):
    return Verdict(check, passed=passed, text="")


def found(check, deployment, report):
    [one] = [one for one in verdicts(deployment, report, NOW) if one.check == check]
    return one


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
    ],
)
def test_a_report_is_due_with_the_first_readings_and_then_every_five_minutes(cursor, polls, due):
    counts = {"hall": {"ok": polls}} if polls else {}
    assert report_is_due(cursor, report(counts=counts), NOW_S) is due


def test_checks_are_due_when_they_change_and_all_of_them_hourly():
    a, b, changed = verdict("a"), verdict("b", passed=False), verdict("b")
    assert due_verdicts(Cursor(), [a, b], NOW_S) == [a, b]
    known = Cursor(passed={"a": True, "b": False}, checked=NOW_S - CHECKS_EVERY_S + 1)
    assert due_verdicts(known, [a, b], NOW_S) == []
    assert due_verdicts(known, [a, changed], NOW_S) == [changed]
    assert due_verdicts(known, [a, b], NOW_S + 1) == [a, b]


@given(cursors, st.booleans(), st.booleans())
def test_after_a_tick_the_same_look_leads_to_nothing(cursor, passed, polled):
    seen = report(counts={"hall": {"ok": 1}} if polled else {})
    all_found = [verdict(check, passed=passed) for check in CHECKS]
    after, _, _ = advance(cursor, seen, all_found, NOW_S)
    if NOW_S - after.checked < CHECKS_EVERY_S and NOW_S - after.reported < REPORT_EVERY_S:
        assert advance(after, seen, all_found, NOW_S) == (after, False, [])


def test_what_a_check_found_is_kept_while_it_cannot_be_made():
    before = Cursor(passed={"devices_reporting": False, "outbox_draining": True}, checked=NOW_S)
    after, _, due = advance(before, report(), [verdict("outbox_draining", passed=False)], NOW_S)
    assert after.passed == {"devices_reporting": False, "outbox_draining": False}
    assert [one.check for one in due] == ["outbox_draining"]


def test_there_is_a_verdict_for_every_check_in_their_order():
    assert [one.check for one in verdicts(deployment(), report(), NOW)] == list(CHECKS)


def test_without_an_answer_of_the_store_nothing_is_said_of_devices():
    silent = report(store_error="away", counts={})
    assert "devices_reporting" not in [one.check for one in verdicts(deployment(), silent, NOW)]


@pytest.mark.parametrize(
    ("check", "seen", "passed", "grave", "text"),
    [
        ("collector_running", report(), True, False, "process 7, since 2026-03-20T12:00:00+01:00"),
        ("collector_running", report(collector=None), False, True, "no collector runs: the sensor `collect` starts"),
        ("devices_reporting", report(), True, False, "2 of 2 devices gave readings"),
        (
            "devices_reporting",
            report(unwell=(DeviceState("hall", 6, 0, "timeout"),)),
            False,
            False,
            "1 of 2 devices gave no reading lately: hall (timeout); ask one: air-pipeline poll",
        ),
        (
            "devices_reporting",
            report(unwell=(DeviceState("attic", 0, 0, ""), DeviceState("hall", 6, 0, "timeout"))),
            False,
            True,
            "2 of 2 devices gave no reading lately: attic (not polled), hall (timeout)",
        ),
        (
            "devices_reporting",
            report(unwell=(DeviceState("hall", 0, 0, ""),), collector=Holder(7, NOW_S - 10, leased=True)),
            True,
            False,
            "the collector has just started",
        ),
        (
            "devices_reporting",
            report(
                unwell=(DeviceState("attic", 0, 0, ""), DeviceState("hall", 2, 0, "timeout")),
                collector=Holder(7, NOW_S - 10, leased=True),
            ),
            False,
            False,
            "1 of 2 devices gave no reading lately: hall (timeout)",
        ),
        ("outbox_draining", report(), True, False, "0 polls wait"),
        (
            "outbox_draining",
            report(outbox=OutboxStatus(9, NOW_MS - 60_000, 0, 1, 0.0, "away")),
            True,
            False,
            "9 polls wait",
        ),
        (
            "outbox_draining",
            report(outbox=OutboxStatus(9, NOW_MS - 180_000, 0, 1, 0.0, "away")),
            False,
            True,
            "9 polls wait, the oldest for 0:03:00: away",
        ),
        (
            "outbox_draining",
            report(outbox=OutboxStatus(9, NOW_MS - 180_000, 0, 0, 0.0, "")),
            False,
            True,
            "9 polls wait, the oldest for 0:03:00: no collector delivers them",
        ),
        ("quarantine_empty", report(), True, False, "nothing was set aside"),
        (
            "quarantine_empty",
            report(outbox=OutboxStatus(0, None, 3, 0, 0.0, "")),
            False,
            False,
            "the store will not take 3 polls; see why: air-pipeline outbox",
        ),
        ("configuration_valid", report(), True, False, "devices.yaml is valid"),
        ("documents_known", report(), True, False, "everything that devices send is known"),
        (
            "documents_known",
            report(notes={"b": "new", "a": "odd"}),
            False,
            False,
            "a: odd\nb: new",
        ),
    ],
)
def test_verdicts(check, seen, passed, grave, text):
    one = found(check, deployment(), seen)
    assert (one.passed, one.grave) == (passed, grave)
    assert one.text.startswith(text)


def test_an_external_collector_is_for_the_operator_to_start():
    one = found("collector_running", deployment(collector="external"), report(collector=None))
    assert one.text.endswith("so start `air-pipeline collect`")


def test_a_mistake_in_the_configuration_is_told_with_its_place():
    wrong = Deployment(read_environment({}), deployment().settings, SettingsError("devices.yaml:3: that will not do"))
    one = found("configuration_valid", wrong, report())
    assert not one.passed
    assert (
        one.text
        == "the last valid configuration is in force until this is put right:\ndevices.yaml:3: that will not do"
    )


def test_at_most_twenty_devices_are_named():
    unwell = tuple(DeviceState(f"d{number}", 1, 0, "timeout") for number in range(50))
    text = found("devices_reporting", deployment(), report(unwell=unwell, expected=60)).text
    assert text.count("(timeout)") == 20
    assert " and 30 more; " in text

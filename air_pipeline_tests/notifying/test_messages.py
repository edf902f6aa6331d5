"""What a person reads."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from air_pipeline.health.checks import told_checks
from air_pipeline.notifying.deciding import Change
from air_pipeline.notifying.messages import Message, change_message, digest_message, duration
from air_pipeline_tests.notifying.findings import unwell

WARSAW = ZoneInfo("Europe/Warsaw")
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


def bad(subject="garage", detail="timeout", check="devices_reporting", grave=False):
    return Change((check, subject), unwell(detail, check=check, subject=subject, grave=grave), NOON)


def good(subject="garage", minutes=130, check="devices_reporting"):
    return Change((check, subject), None, NOON, NOON + timedelta(minutes=minutes))


def said(*changes):
    return change_message("1", changes, WARSAW, NOON, "attic")


def test_a_silent_device_is_said_with_what_to_do():
    message = said(bad())
    assert message.title == "air: garage gives no readings (timeout)"
    assert message.text == (
        "Garage gives no readings (timeout) (since 2026-03-20 13:00 +0100)\n"
        "See that it has power and network; ask it: air-pipeline poll garage\n\n"
        "-- \nair_pipeline on attic"
    )


def test_the_body_of_a_change_is_this():
    assert said(bad(grave=True)).to_body() == {
        "id": "1",
        "at": "2026-03-20T13:00:00+01:00",
        "kind": "change",
        "level": "grave",
        "deployment": "attic",
        "title": "air: garage gives no readings (timeout)",
        "text": said(bad()).text,
        "items": (
            {
                "subject": "garage",
                "check": "devices_reporting",
                "level": "grave",
                "was": "good",
                "now": "bad",
                "since": "2026-03-20T13:00:00+01:00",
                "text": "garage gives no readings (timeout)",
                "detail": "timeout",
                "remedy": "See that it has power and network; ask it: air-pipeline poll garage",
            },
        ),
        "more": 0,
    }


def test_good_news_says_how_long_it_was_bad():
    message = said(good())
    assert message.title == "air: garage gives readings again, after 2 h 10 min"
    assert (message.level, message.items[0].was, message.items[0].now) == ("well", "bad", "good")
    assert message.items[0].since == "2026-03-20T15:10:00+01:00"


def test_many_changes_are_one_message_that_names_twenty():
    message = said(*(bad(f"d{number:04}") for number in range(1000)))
    assert message.title == "air: d0000 gives no readings (timeout) and 999 more"
    assert (len(message.items), message.more) == (20, 980)
    assert "D0019 gives" in message.text
    assert "D0020 gives" not in message.text
    assert "… and 980 more" in message.text


def test_what_was_found_at_length_is_not_in_the_title():
    message = said(bad("", "the store is away\nand says nothing", "outbox_draining"))
    assert message.title == "air: readings do not reach the store"
    assert "\nthe store is away\nand says nothing\n" in message.text


@pytest.mark.parametrize("check", [check.name for check in told_checks()])
def test_every_check_has_words_and_a_remedy(check):
    [first] = said(bad("2026-03-19", "", check)).items
    [second] = said(good("2026-03-19", 1, check)).items
    assert first.text != second.text
    assert first.remedy
    assert "{" not in first.text + first.remedy + second.text


def test_a_digest_says_what_is_not_well_and_the_summary():
    message = digest_message("2", ["Coverage of 2026-03-19", "Outbox: empty"], [bad()], WARSAW, NOON, "attic")
    assert message.title == "air: 1 not well"
    assert (message.level, message.items[0].was, message.items[0].now) == ("mild", "bad", "bad")
    assert message.text.startswith("Not well now:\n- garage gives no readings (timeout)\n\nCoverage of 2026-03-19\n\n")


def test_a_digest_comes_also_when_all_is_well():
    message = digest_message("2", [], [], WARSAW, NOON, "attic")
    assert (message.title, message.level, message.items) == ("air: all is well", "well", ())
    assert message.text.startswith("Everything is well now.")


@pytest.mark.parametrize("message", [said(bad(), good("hall")), digest_message("2", [], [bad()], WARSAW, NOON, "x")])
def test_a_message_comes_back_as_it_went(message):
    assert Message.from_body(message.to_body()) == message


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (7_800, "2 h 10 min"),
        (3_601, "1 h"),
        (90_000, "1 d 1 h"),
        (86_400 * 40, "40 d"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds, words):
    assert duration(timedelta(seconds=seconds)) == words

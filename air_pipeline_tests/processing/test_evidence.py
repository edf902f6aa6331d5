"""What a store holds of a device, as the rules see it: in its slots, with what it was asked for then."""

from dataclasses import replace

import numpy as np
import pytest

from air_pipeline.devices.polls import AskedFor, Flag, Problem, problems_to_json
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.flags import flag_series
from air_pipeline.processing.observations import ProcessingError
from air_pipeline.processing.slots import expected_slots
from air_pipeline_tests.processing.frames import SMALL, polls, readings

FIRST, SECOND, THIRD = "first_temperature", "second_temperature", "third_dust"
NAN = float("nan")


def station(read, polled, opening=None, slots=4):
    expected = expected_slots(
        0, slots * 10_000, polls=polled, readings=read, opening_interval_ms=10_000, expected_from=0
    )
    return station_of(SMALL, read, polled, expected, opening=opening)


def asked(found):
    return {name: places.tolist() for name, places in found.asked.items()}


def problem(series, flag=Flag.BAD, value="inf"):
    return problems_to_json((Problem(series, value, flag, "why"),))


def test_a_series_knows_its_unit_and_its_range():
    found = station(readings([0], **{FIRST: [20.0]}), polls([0]))
    assert [(one.unit, one.sensor_range) for one in found.series.values()] == [
        ("°C", (-40.0, 80.0)), ("°C", (-55.0, 125.0)), ("µg/m³", None)
    ]  # fmt: skip


def test_outcomes_are_codes_of_a_byte_and_minus_one_where_nobody_polled():
    found = station(readings([]), polls([0, 20_000], outcome=["ok", "timeout"]))
    assert (found.outcomes.dtype, found.outcomes[1], found.outcomes[3]) == (np.int8, -1, -1)
    assert found.outcomes[0] != found.outcomes[2]


def test_outcomes_of_a_later_version_are_named_with_what_to_do():
    words = r"outcomes that this version does not know \(dreamt, guessed\); install the version that wrote them, or a l"
    with pytest.raises(ProcessingError, match=words):
        station(readings([]), polls([0, 10_000], outcome=["guessed", "dreamt"]))


def test_without_a_word_on_what_was_asked_for_everything_was():
    found = station(readings([0], **{FIRST: [20.0]}), polls([0]))
    assert found.asked == {}
    assert found.was_asked(SECOND).tolist() == [True] * 4


def test_what_was_asked_for_is_what_the_last_poll_with_anything_has():
    """Before the first, what held at the opening; a problem is as good as a value."""
    read = readings([10_000], **{FIRST: [20.0]})
    polled = polls([0, 10_000, 20_000], problems=["", "", problem(SECOND)])
    found = station(read, polled, AskedFor(frozenset({THIRD})))
    assert asked(found) == {
        FIRST: [False, True, False, False],
        SECOND: [False, False, True, True],
        THIRD: [True, False, False, False],
    }


def test_no_rule_speaks_of_what_was_not_asked_for():
    """However bad: there is no observation of it."""
    spoilt = problems_to_json((Problem(FIRST, "inf", Flag.BAD, "not finite"),))
    found = station(readings([]), polls([0, 10_000], problems=[spoilt, ""]), AskedFor(frozenset({FIRST})))
    told = flag_series(replace(found, asked={FIRST: np.zeros(4, dtype=bool)}))[FIRST]
    assert (told.flags.tolist(), told.bits.tolist()) == ([0] * 4, [0] * 4)
    assert flag_series(found)[FIRST].bits[0] != 0


def test_what_a_poll_says_that_it_was_asked_for_holds_from_its_slot_on():
    polled = polls([0, 10_000, 20_000])
    polled["series"] = [None, f'["{SECOND}"]', None]
    found = station(readings([0], **{FIRST: [20.0]}), polled, AskedFor(frozenset({FIRST}), is_said=True))
    assert asked(found) == {FIRST: [True, False, False, False], SECOND: [False, True, True, True], THIRD: [False] * 4}
    polled["series"] = [None, "[]", None]
    found = station(readings([0], **{FIRST: [20.0]}), polled, AskedFor(frozenset({FIRST}), is_said=True))
    assert asked(found) == {FIRST: [True, False, False, False], SECOND: [False] * 4, THIRD: [False] * 4}


def test_what_cannot_be_read_of_it_names_the_device():
    polled = polls([0])
    polled["series"] = ["{"]
    with pytest.raises(ProcessingError, match="a poll of small says that it was asked for what cannot be read: Exp"):
        station(readings([]), polled, AskedFor(frozenset()))


def test_a_poll_without_a_word_on_problems_has_none():
    """As of a point that somebody else has left without the field."""
    polled = polls([0, 10_000, 20_000], problems=[None, problem(FIRST), None])
    assert {name: places.tolist() for name, places in station(readings([]), polled).unusable.items()} == {
        FIRST: [False, True, False, False]
    }


@pytest.mark.parametrize(
    ("flag", "value", "is_empty"),
    [(Flag.MISSING, "", True), (Flag.MISSING, "null", False), (Flag.BAD, "", False)],
)
def test_a_value_is_empty_where_it_is_missing_and_was_sent_as_an_empty_text(flag, value, is_empty):
    found = station(readings([]), polls([0], problems=[problem(FIRST, flag, value)]))
    assert bool(found.empty) is is_empty
    assert bool(found.unusable) is (flag is Flag.BAD)

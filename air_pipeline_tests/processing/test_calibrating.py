"""What a calibration by hand makes of a value and of its flag, whatever was found of the raw one."""

from dataclasses import replace

import numpy as np
import pytest

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.calibrating import calibrated_of
from air_pipeline.processing.flags import NOT_ASKED, Flagged, flag_calibrated
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.settings import Mark
from air_pipeline.settings.calibration import Calibration
from air_pipeline_tests.processing.rule_examples import HOME, NAN, START, Example
from air_pipeline_tests.processing.rule_names import rule_names

RAW, CALIBRATED = "dht22_temperature", "dht22_temperature_calibrated"
SLOT = 10_000
SINCE = START + SLOT
"""The second slot."""
TWICE = Calibration(SINCE, 2.0, 1.0, "beside the reference")
STEP = RULE_BITS["rate"]
LAB = replace(HOME, calibrations={RAW: (TWICE,), "temperature": (TWICE,)}, expected_range={CALIBRATED: (0.0, 40.0)})


def station(values, **changes):
    return Example(RAW, 0, 0.0, {RAW: values}, device=replace(LAB, **changes)).station()


def calibrated(value, flag, bits=0, slot=1, marked=None, **changes):
    """Value, flag and rules of the calibrated series, of a raw one that has these in each slot."""
    marks = () if marked is None else (Mark("home", CALIBRATED, START, START + 9 * SLOT, marked, "in the fridge"),)
    raw = Flagged(np.full(3, value), np.full(3, flag, np.int8), np.full(3, bits, np.int32))
    found = flag_calibrated(station([20.0] * 3, marks=marks, **changes), {RAW: raw})
    assert list(found) == [CALIBRATED]
    values, flags, bits = found[CALIBRATED]
    assert (flags.dtype, bits.dtype) == (np.int8, np.int32)
    return values[slot], flags[slot], rule_names(bits[slot])


@pytest.mark.parametrize(
    ("raw", "of_it"),
    [
        ((10.0, Flag.GOOD), (21.0, Flag.GOOD, ())),
        ((10.0, Flag.NOT_EVALUATED), (21.0, Flag.GOOD, ())),  # it is within what is expected of the calibrated one
        ((10.0, Flag.SUSPECT, STEP), (21.0, Flag.SUSPECT, ("rate",))),
        ((10.0, Flag.BAD, STEP), (21.0, Flag.BAD, ("rate",))),
        ((30.0, Flag.GOOD), (61.0, Flag.SUSPECT, ("expected_range",))),
        ((30.0, Flag.NOT_EVALUATED), (61.0, Flag.SUSPECT, ("expected_range",))),
        ((30.0, Flag.BAD, STEP), (61.0, Flag.BAD, ("expected_range", "rate"))),
        ((NAN, Flag.MISSING), (NAN, Flag.MISSING, ())),
        ((NAN, Flag.BAD, STEP), (NAN, Flag.BAD, ("rate",))),
        ((1e308, Flag.GOOD), (NAN, Flag.BAD, ())),  # too large for a number
        ((10.0, NOT_ASKED), (21.0, NOT_ASKED, ())),
        ((30.0, NOT_ASKED, STEP), (61.0, NOT_ASKED, ())),
    ],
    ids=str,
)
def test_the_worse_of_two_flags_counts_and_the_rules_of_both(raw, of_it):
    assert calibrated(*raw) == (pytest.approx(of_it[0], nan_ok=True), *of_it[1:])


@pytest.mark.parametrize("flag", [Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.BAD])
def test_where_nothing_is_expected_of_it_the_flag_is_that_of_the_raw_value(flag):
    assert calibrated(10.0, flag, STEP, expected_range={}) == (21.0, flag, ("rate",))


@pytest.mark.parametrize(
    ("marked", "raw", "flag"),
    [
        ("good", Flag.GOOD, Flag.GOOD),
        ("good", Flag.SUSPECT, Flag.GOOD),
        ("good", Flag.BAD, Flag.GOOD),
        ("suspect", Flag.GOOD, Flag.SUSPECT),
        ("bad", Flag.GOOD, Flag.BAD),
        ("suspect", Flag.BAD, Flag.BAD),
    ],
)
def test_a_mark_of_the_calibrated_series_overrules_or_joins(marked, raw, flag):
    assert calibrated(10.0, raw, STEP, marked=marked) == (21.0, flag, ("rate", "marked"))


def test_a_value_that_is_none_stays_so_whatever_is_marked():
    assert calibrated(1e308, Flag.GOOD, marked="good")[1] == Flag.BAD
    assert calibrated(NAN, Flag.MISSING, marked="good")[1] == Flag.MISSING


def test_there_is_nothing_before_it_begins_and_something_from_its_first_instant_on():
    before, first, later = (calibrated(10.0, Flag.SUSPECT, STEP, slot=slot) for slot in range(3))
    assert np.isnan(before[0])
    assert before[1:] == (NOT_ASKED, ())
    assert first == later == (21.0, Flag.SUSPECT, ("rate",))


def test_each_calibration_holds_until_the_next_one():
    of_one = (TWICE, replace(TWICE, since=START + 2 * SLOT, gain=-1.0, offset=20.0))
    one = station([20.0] * 4, calibrations={RAW: of_one})
    made = calibrated_of(one, {RAW: np.array([1.0, 2.0, 15.0, NAN])})
    assert (made.slots, made.outcomes) == (one.slots, one.outcomes)
    found = made.series[CALIBRATED]
    assert (found.name, found.unit, found.slots) == (CALIBRATED, "°C", one.slots)
    assert found.values.tolist() == pytest.approx([NAN, 5.0, 5.0, NAN], nan_ok=True)


def test_there_is_no_zero_below_zero():
    one = station([20.0] * 2, calibrations={RAW: (replace(TWICE, since=START, gain=-1.0, offset=-0.0),)})
    found = calibrated_of(one, {RAW: np.array([0.0, 1.0])}).series[CALIBRATED]
    assert np.signbit(found.values).tolist() == [False, True]


def test_series_that_are_not_there_have_none():
    one = station([20.0] * 3)
    assert not calibrated_of(one, {}).series
    assert flag_calibrated(one, {}) == {}

"""Times as others write them: in a zone, with an offset or as numbers; and the two hours a year that are not clear."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.importing.instants import NO_TIME, NONE, SKIPPED, TWICE, instants_of
from air_pipeline.importing.rows import ImportFailed, Notes

WARSAW = ZoneInfo("Europe/Warsaw")


def ms(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def read(texts, written="iso", zone=WARSAW, twice=None):
    notes = Notes()
    found = instants_of(texts, written, zone, twice, notes, 2)
    return [None if at == NONE else at for at in found.tolist()], notes


@settings(max_examples=50)
@given(st.lists(st.integers(631_152_000, 2_200_000_000), min_size=1, max_size=5))
def test_an_instant_comes_back_from_its_local_time_or_is_named(instants):
    instants = [datetime.fromtimestamp(at, UTC) for at in instants]
    texts = [at.astimezone(WARSAW).replace(tzinfo=None).isoformat() for at in instants]
    found, notes = read(texts)
    for at, one in zip(instants, found, strict=True):
        assert one is None or one == round(at.timestamp() * 1000)
    assert found.count(None) == notes.counts[TWICE]
    with_offset = [at.astimezone(WARSAW).isoformat() for at in instants]
    assert read(with_offset, zone=None)[0] == [round(at.timestamp() * 1000) for at in instants]


def test_a_local_time_that_was_shown_twice_is_left_out_and_named_unless_it_is_said_which_is_meant():
    texts = ["2026-10-25 01:59:00", "2026-10-25 02:30:00", "2026-10-25 03:00:00"]
    first, second = ms("2026-10-25T02:30:00+02:00"), ms("2026-10-25T02:30:00+01:00")
    found, notes = read(texts)
    assert found == [ms("2026-10-25T01:59:00+02:00"), None, ms("2026-10-25T03:00:00+01:00")]
    assert notes.sentences() == [f"1 {TWICE}: row 3 (2026-10-25 02:30:00)"]
    assert read(texts, twice="first")[0][1] == first
    assert read(texts, twice="second")[0][1] == second
    assert read(texts, twice="second")[1].sentences() == []


@pytest.mark.parametrize("twice", [None, "first", "second"])
def test_a_local_time_that_was_skipped_is_none_and_named(twice):
    found, notes = read(["2026-03-29T02:30:00", "2026-03-29T03:00:00"], twice=twice)
    assert found == [None, ms("2026-03-29T03:00:00+02:00")]
    assert notes.sentences() == [f"1 {SKIPPED}: row 2 (2026-03-29T02:30:00)"]


def test_times_of_many_writings_are_understood():
    utc = ms("2019-08-11T00:01:15+00:00")
    assert read(["2019/08/11T00:01:15z"], "%Y/%m/%dT%H:%M:%S%z", None)[0] == [utc]
    assert read(["11.08.2019 02:01"], "%d.%m.%Y %H:%M")[0] == [utc - 15_000]
    assert read([utc / 1000, str(utc // 1000), "1.1"], "epoch-s", None)[0] == [utc, utc, 1100]
    assert read([utc * 1_000_000], "epoch-ns", None)[0] == [utc]
    assert read(["2019-08-11 02:01:15+0200", " 2019-08-11T00:01:15.000Z "], zone=None)[0] == [utc, utc]


def test_a_year_at_the_end_is_no_offset():
    """Of another way to write a time; as one, it would have made UTC of local times."""
    local = ms("2025-12-05T13:05:00+01:00")
    assert read(["13:05 05-12-2025"], "%H:%M %d-%m-%Y")[0] == [local]
    assert read(["05-12-2025"], "%d-%m-%Y")[0] == [ms("2025-12-05T00:00:00+01:00")]


@pytest.mark.parametrize("offset", ["+01", "+0100", "+01:00", " +01:00"])
def test_an_offset_may_be_of_hours_alone(offset):
    """As PostgreSQL writes it; a date alone has none, and is local."""
    found, _ = read([f"2025-12-05 13:05:00{offset}", "2025-12-05"])
    assert found == [ms("2025-12-05T13:05:00+01:00"), ms("2025-12-05T00:00:00+01:00")]


@pytest.mark.parametrize(
    "text", ["0001-01-01", "1899-12-31T00:00:00Z", "2200-01-02 00:00:00", "9999-12-31", "9999-12-31T00:00:00+00:00"]
)
def test_a_time_of_no_calendar_here_is_no_time(text):
    found, notes = read([text, "2025-12-05"])
    assert found[0] is None
    assert notes.counts[NO_TIME] == 1
    assert read(["-62135596800", "253402300799"], "epoch-s")[0] == [None, None]


def test_what_is_no_time_is_named_with_its_row():
    found, notes = read(["", "soon", "2026-13-01", "2026-01-01T00:00:00"])
    assert found[:3] == [None] * 3
    assert notes.sentences() == [f"3 {NO_TIME}: row 2 (), row 3 (soon), row 4 (2026-13-01)"]
    assert read([None, "x", float("nan"), 1e300], "epoch-s")[0] == [None] * 4


def test_a_time_without_an_offset_needs_a_zone():
    with pytest.raises(ImportFailed, match=r"have no offset, as '2026-01-01T00:00:00'.*zone: Europe/Warsaw"):
        read(["2026-01-01T00:00:00"], zone=None)

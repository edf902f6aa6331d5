"""Which days the schedule `build_days` builds, as functions of values."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.days.choosing import (
    MOST_RUNS,
    RECENT_DAYS,
    Candidate,
    Decision,
    days_to_build,
    days_to_compare,
    touched_days,
    unsettled_marks,
)

NEWEST = date(2026, 3, 19)
FINISHED = [NEWEST - timedelta(days=number) for number in range(400)]
NO_REACH = (timedelta(), timedelta())
RULES_REACH = (timedelta(hours=48), timedelta(hours=1))

days = st.sampled_from(FINISHED[:60])
some_days = st.sets(days)


def wanted(day):
    return Candidate(day, wanted=True, fingerprint="f")


def current(day):
    return Candidate(day, wanted=False, fingerprint="f")


def never(_):
    return False


@given(some_days, some_days, some_days)
def test_recent_unbuilt_late_and_monthly_days_are_compared_newest_first(built, late, month):
    finished = FINISHED[:60]
    compared = list(days_to_compare(finished, built, late, month))
    assert compared == sorted(compared, reverse=True)
    assert set(compared) == {*finished[:RECENT_DAYS], *(set(finished) - built), *late, *month}


@given(some_days, some_days, some_days)
def test_days_to_build_are_wanted_free_and_never_too_many(under_way, wished, failed):
    decision = days_to_build(
        FINISHED[:60],
        lambda day: wanted(day) if day in wished else current(day),
        under_way,
        lambda candidate: candidate.day in failed,
    )
    chosen = [candidate.day for candidate in decision.chosen]
    free = [day for day in FINISHED[:60] if day in wished and day not in under_way and day not in failed]
    assert chosen == free[: len(chosen)]
    assert 0 < len(chosen) <= max(MOST_RUNS - len(under_way), 1) or not free
    assert set(decision.failed) <= failed & wished
    assert not set(chosen) & set(decision.settled)


def test_a_year_of_missing_days_is_begun_with_the_newest():
    decision = days_to_build(FINISHED, wanted, (), never)
    assert [candidate.day for candidate in decision.chosen] == FINISHED[:MOST_RUNS]
    assert decision.settled == []


def test_what_is_under_way_counts_and_one_day_is_always_possible():
    assert len(days_to_build(FINISHED, wanted, FINISHED[100:110], never).chosen) == MOST_RUNS - 10
    assert [c.day for c in days_to_build(FINISHED, wanted, FINISHED[100:200], never).chosen] == FINISHED[:1]


def test_no_more_is_compared_than_is_needed():
    compared = []
    days_to_build(FINISHED, lambda day: compared.append(day) or wanted(day), (), never)
    assert len(compared) == MOST_RUNS


def test_shrunk_days_are_left_alone_and_told():
    decision = days_to_build(
        FINISHED[:2], lambda day: Candidate(day, wanted=False, fingerprint="f", warning="!"), (), never
    )
    assert decision.chosen == []
    assert str(decision) == "0 days were compared and are built from what there is now; !; !"


def test_a_decision_in_words():
    decision = Decision(
        under_way=FINISHED[:2], failed=FINISHED[2:10], settled=FINISHED[2:20], warnings=["one day has shrunk"]
    )
    assert str(decision) == (
        "9 days were compared and are built from what there is now; queued or running: 2026-03-18 … 2026-03-19;"
        " left alone until something changes, as they failed: 2026-03-10 … 2026-03-17; one day has shrunk"
    )


def test_a_late_reading_touches_the_days_of_all_zones_and_those_that_rules_see_it_from():
    mark = date(2026, 3, 10)
    assert touched_days(mark, NO_REACH) == [date(2026, 3, 9), mark, date(2026, 3, 11)]
    assert touched_days(mark, RULES_REACH) == [date(2026, 3, 8) + timedelta(days=n) for n in range(6)]


@given(days, some_days, some_days)
def test_a_mark_is_forgotten_once_every_finished_day_that_it_touches_is_settled(mark, settled, finished):
    decision = Decision(settled=sorted(settled))
    kept = unsettled_marks({mark}, RULES_REACH, finished, decision)
    open_days = (set(touched_days(mark, RULES_REACH)) & finished) - settled
    assert kept == ({mark} if open_days else set())

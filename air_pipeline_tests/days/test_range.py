import sqlite3
from datetime import UTC, date, datetime

import pytest

from air_pipeline.days.calendar import DayNotOver, DayOutOfRange
from air_pipeline.days.range import Plan, dates_of_range, plan_range
from air_pipeline.times import TimeError
from air_pipeline_tests.days.deployments import MINUTE, build, deployment, poll, seed, window

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAYS = [date(2026, 11, n) for n in (20, 21, 22, 23)]


@pytest.fixture
def deployed(tmp_path):
    deployed = deployment(tmp_path, start=DAYS[0], now=NOW)
    yield deployed
    deployed.store.close()


def test_a_range_without_ends_is_everything_that_can_be_built(deployed):
    assert dates_of_range(deployed, None, None) == DAYS


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-11-21", None, DAYS[1:]),
        (None, "2026-11-21", DAYS[:2]),
        ("2026-11-21", "2026-11-22", DAYS[1:3]),
        ("2026-11-21", "2026-11-21", DAYS[1:2]),
        ("-2d", None, DAYS[2:]),
        ("-2d", "-1d", DAYS[2:]),
        ("2026-11-21T15:00", "2026-11-22T01:00", DAYS[1:3]),
    ],
)
def test_both_ends_are_included(deployed, start, end, days):
    assert dates_of_range(deployed, start, end) == days


def test_a_range_that_ends_before_it_begins_is_empty(deployed):
    with pytest.raises(TimeError, match="from 2026-11-22 to 2026-11-21 is empty; put the earlier date first"):
        dates_of_range(deployed, "2026-11-22", "2026-11-21")


@pytest.mark.parametrize(("start", "end"), [("2026-11-24", None), (None, "2026-11-24"), ("2026-12-01", "2026-12-02")])
def test_a_range_with_a_day_that_is_not_over_is_refused_with_the_time(deployed, start, end):
    with pytest.raises(DayNotOver, match=r"is not over yet: it can be built from 2026-1"):
        dates_of_range(deployed, start, end)


def test_a_range_with_a_day_before_the_start_is_refused(deployed):
    with pytest.raises(DayOutOfRange, match=r"set start: 2026-11-19 in devices\.yaml"):
        dates_of_range(deployed, "2026-11-19", None)


def test_before_the_first_day_is_over_there_is_nothing_to_build(tmp_path):
    deployed = deployment(tmp_path, start=date(2026, 11, 24), now=NOW)
    with pytest.raises(DayNotOver, match="2026-11-24 is not over yet"):
        dates_of_range(deployed, None, None)


@pytest.mark.parametrize("text", ["tomorrow", "21.11.2026", "-1x"])
def test_what_is_no_date_is_told(deployed, text):
    with pytest.raises(TimeError, match="is not a date; write it as 2026-11-21, -7d or yesterday"):
        dates_of_range(deployed, text, None)


def test_days_are_wanted_until_they_are_built_from_what_there_is(deployed):
    seed(deployed, DAYS)
    assert plan_range(deployed, None, None, force=False) == Plan(DAYS, [])
    build(deployed, DAYS[1])
    assert plan_range(deployed, None, None, force=False) == Plan([DAYS[0], *DAYS[2:]], [DAYS[1]])
    deployed.store.write([poll(window(DAYS[1])[0] + MINUTE)])
    assert plan_range(deployed, None, None, force=False) == Plan(DAYS, [])


def test_force_wants_every_day(deployed):
    seed(deployed, DAYS)
    build(deployed, DAYS[1])
    assert plan_range(deployed, None, None, force=True) == Plan(DAYS, [])


def test_a_day_that_would_lose_something_is_left_alone_and_the_others_are_not(deployed):
    seed(deployed, DAYS)
    build(deployed, DAYS[1])
    with sqlite3.connect(deployed.environment.state.readings) as connection:
        connection.execute("DELETE FROM poll WHERE observed_at = ?", (window(DAYS[1])[0],))
    connection.close()
    plan = plan_range(deployed, None, None, force=False)
    assert plan.wanted == [DAYS[0], *DAYS[2:]]
    assert list(plan.shrunk) == [DAYS[1]]
    assert "hall was built from 144 polls and the store now holds 143;" in plan.shrunk[DAYS[1]]
    assert plan_range(deployed, None, None, force=True) == Plan(DAYS)

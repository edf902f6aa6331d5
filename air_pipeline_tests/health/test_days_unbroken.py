"""Days that are missing between others that are built."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from air_pipeline.health import Level
from air_pipeline.health.days import days_built, days_unbroken
from air_pipeline.health.seen import WATCHED_DAYS, Seen, seen_by_dagster
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.days.deployments import LATER, build, deployment

YESTERDAY = LATER.date() - timedelta(days=1)


def ago(days):
    return YESTERDAY - timedelta(days=days)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A deployment and a day of it, whose file may be put under other dates: only whether it is there is looked at."""
    deployed = deployment(tmp_path_factory.mktemp("unbroken"))
    build(deployed, YESTERDAY)
    yield deployed
    deployed.store.close()


@pytest.fixture
def put(built):
    """Makes days built, for one test."""
    files = []

    def put(*days):
        for day in days:
            file = day_file(built.data, "daily_aggregates", day).path
            file.parent.mkdir(parents=True)
            file.hardlink_to(day_file(built.data, "daily_aggregates", YESTERDAY).path)
            files.append(file)

    yield put
    for file in files:
        file.unlink()
        file.parent.rmdir()


def look(deployed, start=date(2026, 1, 1)):
    seen = Seen(deployed.environment, LATER, replace(deployed.settings, start=start))
    [found] = days_unbroken.findings(seen)
    return found


def test_between_days_one_after_the_other_none_is_missing(built, put):
    put(*(ago(number) for number in range(1, 10)))
    found = look(built)
    assert (found.level, dict(found.numbers)) == (Level.OK, {"days": 10, "days_missing": 0})


def test_missing_days_are_counted_and_named_with_the_command_that_builds_them(built, put):
    put(*(ago(number) for number in range(1, 8)), ago(9), ago(12))
    found = look(built)
    assert (found.level, found.numbers["days_missing"]) == (Level.WARNING, 3)
    assert found.text == (f"between {ago(12)} and {YESTERDAY} are 3 days missing: {ago(11)} … {ago(10)}, {ago(8)}")
    assert found.remedy == f"build what is missing: air-pipeline build --from {ago(11)} --to {ago(8)}"


def test_what_was_before_the_first_day_that_was_built_is_not_missing(built, put):
    put(ago(7), ago(8))
    assert look(built).level is Level.OK


def test_days_before_the_start_of_the_settings_are_not_missing(built, put):
    put(*(ago(number) for number in range(1, 8)), ago(20))
    assert look(built).level is Level.WARNING
    assert look(built, start=ago(7)).level is Level.OK


def test_the_last_days_are_said_by_days_built_alone(built, put):
    put(ago(WATCHED_DAYS))
    assert look(built).level is Level.OK
    unbuilt = [one.subject for one in days_built.findings(seen_by_dagster(built)) if one.is_bad]
    assert unbuilt == [ago(number).isoformat() for number in range(1, WATCHED_DAYS)]


def test_where_nothing_is_built_nothing_is_missing(tmp_path):
    assert look(deployment(tmp_path)).text == "no day is built yet"

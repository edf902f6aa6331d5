"""Whether built days are of the rules, columns and settings of now, by what their files say of themselves."""

from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from air_pipeline.health import Level, days
from air_pipeline.health.days import days_current
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.days.deployments import DAY, MINUTE, build, deployment, device, poll, seed, window, with_devices
from air_pipeline_tests.waiting import WITHIN_S

DAYS = [DAY - timedelta(days=number) for number in range(3)]


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """A look comes to its end, however slow the machine is."""
    monkeypatch.setattr(days, "COMPARE_WITHIN_S", WITHIN_S)


@pytest.fixture
def three(tmp_path):
    """Three days of two devices, built."""
    deployed = deployment(tmp_path, device("hall"), device("attic"))
    seed(deployed, DAYS)
    for day in DAYS:
        build(deployed, day)
    return deployed


def look(deployed):
    seen = seen_by_dagster(deployed)
    return days_current.summary(list(days_current.findings(seen)), seen.now)


def numbers(deployed):
    return {name: number for name, number in look(deployed).numbers.items() if number}


def rewrite(deployed, day, change):
    """Replaces a day's file by one with other columns or metadata."""
    path = day_file(deployed.data, "daily_aggregates", day).path
    table = change(pq.read_table(path))
    pq.write_table(table, path)


def with_text(key, text):
    """A change of one text of a file's metadata."""

    def change(table):
        return table.replace_schema_metadata({**table.schema.metadata, f"air_pipeline.{key}".encode(): text.encode()})

    return change


def test_days_that_were_built_just_now_are_of_now(three):
    found = look(three)
    assert (found.level, dict(found.numbers)["days"]) == (Level.OK, 3)
    assert found.text == "all 3 built days are of the rules, columns and settings of now"


def test_where_no_day_is_built_there_is_nothing_to_say(tmp_path):
    assert look(deployment(tmp_path)).level is Level.OK


def test_days_of_older_rules_are_counted_and_named(three):
    rewrite(three, DAYS[0], with_text("rule_set_version", "0"))
    rewrite(three, DAYS[2], with_text("rule_set_version", "0"))
    found = look(three)
    assert found.level is Level.WARNING
    assert found.text == (
        f"2 of 3 built days are of others than now: 2 older rules; the newest is {DAYS[0]}, the oldest {DAYS[2]}"
    )
    assert "air-pipeline build" in found.remedy


def test_a_day_of_other_columns_is_counted_though_its_rows_cannot_be_read(three):
    """The footer is read without regard to the columns: a new version knows what an old file is."""

    def older(table):
        return with_text("schema_version", "0")(table.drop_columns(["p98"]))

    rewrite(three, DAYS[1], older)
    assert numbers(three) == {"days": 3, "older_schema": 1}


def test_days_of_other_settings_are_counted(three):
    changed = with_devices(three, device("hall", expected_range={"first_temperature": (5, 40)}), device("attic"))
    assert numbers(changed) == {"days": 3, "other_settings": 3}


def test_a_device_that_is_new_since_changes_no_day(three):
    assert numbers(with_devices(three, *three.settings.devices, device("garage"))) == {"days": 3}


def test_a_day_on_which_a_device_was_silent_is_of_now(tmp_path):
    """Its interval of that day is what an earlier poll said: the store is asked, as its files alone cannot tell."""
    deployed = deployment(tmp_path, device("hall"), device("attic"))
    seed(deployed, DAYS[2:])
    deployed.store.write([poll(at, "hall") for at in range(*window(DAYS[0]), 10 * MINUTE)])
    for day in (DAYS[2], DAYS[0]):
        build(deployed, day)
    assert numbers(deployed) == {"days": 2}
    slower = with_devices(deployed, device("hall"), device("attic", interval_ms=60 * MINUTE))
    assert numbers(slower) == {"days": 2}


def test_a_file_that_cannot_be_read_is_said(three):
    day_file(three.data, "daily_aggregates", DAYS[1]).path.write_bytes(b"PAR1")
    found = look(three)
    assert found.numbers["not_read"] == 1
    assert found.text.endswith("; 1 could not be looked at")


def test_time_that_is_over_leaves_days_for_later_and_counts_them(three, monkeypatch):
    monkeypatch.setattr(days, "COMPARE_WITHIN_S", 0.0)
    assert numbers(three) == {"days": 3, "not_read": 3}


def test_a_store_that_is_away_hides_no_older_rules(three):
    rewrite(three, DAYS[0], with_text("rule_set_version", "0"))
    path = three.environment.state.readings
    three.store.close()
    path.rename(path.with_suffix(".away"))
    path.write_bytes(b"no database " * 1000)
    # Of the settings of the others nothing is known without it.
    assert numbers(three) == {"days": 3, "older_rules": 1, "not_read": 2}


def test_nothing_is_read_twice_while_no_file_changes(three, monkeypatch):
    look(three)
    monkeypatch.setattr("air_pipeline.storage.day_files.DayFile.metadata", pytest.fail)
    assert look(three).level is Level.OK

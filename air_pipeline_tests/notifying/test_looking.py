"""What holds now, from real files and reports."""

from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

import pytest

from air_pipeline.collection.collector_state import CollectorState
from air_pipeline.collection.lease import Holder
from air_pipeline.collection.report import DeviceState, Report
from air_pipeline.health import Level
from air_pipeline.health.checks import told_checks
from air_pipeline.health.days import BUILT_WITHIN
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.notifying.looking import day_summary, sight
from air_pipeline.settings import MAIN
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.days.deployments import MINUTE, build, deployment, device, poll, seed, window, with_devices

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
DAYS = [date(2026, 11, 22) - timedelta(days=number) for number in range(1, 8)]
RUNNING = Holder(7, NOW.timestamp() - 3600, leased=True)


def report(*silent, expected=2, running=RUNNING, notes=MappingProxyType({}), store_error=""):
    states = tuple(DeviceState(name, 3, 0, "timeout") for name in silent)
    return Report(
        NOW_MS, NOW_MS, {}, states, expected, {MAIN: CollectorState(running, has_begun=True, notes=notes)}, store_error
    )


@pytest.fixture
def two(tmp_path):
    return deployment(tmp_path, device("hall"), device("attic"), now=NOW)


def look(deployed, seen_report, failed=None):
    return sight(told_checks(), seen_by_dagster(deployed, seen_report, failed))


def unwell(deployed, seen_report, failed=None):
    return look(deployed, seen_report, failed).unwell


def without_days(found):
    return {key: condition for key, condition in found.items() if key[0] not in {"days_built", "days_rebuilt"}}


def test_all_is_well(two):
    assert without_days(unwell(two, report())) == {}


def test_a_silent_device_is_told_by_its_name_and_is_grave_only_if_all_are_silent(two):
    [(key, one)] = without_days(unwell(two, report("attic"))).items()
    assert (key, one.text, one.level is Level.FAILURE) == (("devices_reporting", "attic"), "timeout", False)
    both = without_days(unwell(two, report("attic", "hall")))
    assert [one.level is Level.FAILURE for one in both.values()] == [True, True]


def test_without_a_collector_that_is_told_and_not_every_device(two):
    found = look(two, report("attic", "hall", running=None))
    assert list(without_days(found.unwell)) == [("collector_running", "")]
    assert found.unknown == {"devices_reporting"}


def test_without_a_store_nobody_knows_of_devices(two):
    found = look(two, report(store_error="away"))
    assert found.unknown == {"devices_reporting", "store_answering"}
    assert not [key for key in found.holds if key[0] == "devices_reporting"]


def test_a_collector_that_has_just_started_gets_its_time(two):
    just = Holder(7, NOW.timestamp() - 10, leased=True)
    silent = Report(
        NOW_MS, NOW_MS, {}, (DeviceState("hall", 0, 0, ""),), 2, {MAIN: CollectorState(just, has_begun=True)}
    )
    assert without_days(unwell(two, silent)) == {}


def test_a_device_that_is_no_longer_polled_is_neither_well_nor_unwell(tmp_path):
    deployed = deployment(tmp_path, device("hall"), device("attic", until=date(2026, 11, 20)), now=NOW)
    holds = look(deployed, report()).holds
    assert ("devices_reporting", "hall") in holds
    assert ("devices_reporting", "attic") not in holds


def test_what_a_device_sends_that_is_unknown_is_told_by_its_name(two):
    [(key, one)] = without_days(unwell(two, report(notes={"hall": "it sends pm25"}))).items()
    assert (key, one.text) == (("documents_known", "hall"), "it sends pm25")


def test_days_that_are_not_built_are_told_after_two_hours_and_at_once_when_their_run_failed(two):
    assert seen_by_dagster(two, report()).days == DAYS
    seed(two, DAYS[:2])
    build(two, DAYS[0])
    build(two, DAYS[1])
    found = unwell(two, report(), {DAYS[1]: "1a2b", DAYS[2]: "3c4d"})
    told = {key: (one.text, one.patience) for key, one in found.items()}
    assert told.pop(("days_rebuilt", DAYS[1].isoformat())) == (
        "run 1a2b; what was built before is kept",
        timedelta(),
    )
    assert told.pop(("days_built", DAYS[2].isoformat())) == ("run 3c4d failed", timedelta())
    assert told == {("days_built", day.isoformat()): ("", BUILT_WITHIN) for day in DAYS[3:]}


def test_a_device_whose_day_is_not_complete_is_told_until_one_is(two):
    seed(two, DAYS[:1])
    two.store.write([poll(at, "attic", -300.0) for at in range(*window(DAYS[0]), 10 * MINUTE)])  # out of range: bad
    seed(two, DAYS[1:2])
    build(two, DAYS[1])
    assert look(two, report()).holds["values_believed", "attic"] is None
    build(two, DAYS[0])
    holds = look(two, report()).holds
    assert holds["values_believed", "hall"] is None
    said = "2026-11-21: first_temperature: 100% suspect or bad, most by sensor_range"
    assert holds["values_believed", "attic"].text == said
    assert holds["complete", "attic"] is None  # what is said once is enough
    left = look(with_devices(two, device("hall")), report()).holds
    assert [key for key in left if key[0] == "values_believed"] == [("values_believed", "hall")]


def test_of_a_table_that_cannot_be_read_nothing_is_said_of_complete_days(two):
    seed(two, DAYS[:1])
    build(two, DAYS[0])
    day_file(two.data, "daily_aggregates", DAYS[0]).path.write_bytes(b"PAR1")
    found = look(two, report())
    assert "complete" in found.unknown
    assert not [key for key in found.holds if key[0] == "complete"]


def test_the_summary_has_the_least_coverage_first(tmp_path):
    names = ["hall", *(f"d{number:02}" for number in range(24))]
    deployed = deployment(tmp_path, *(device(name) for name in names), now=NOW)
    polled = deployment(tmp_path, *(device(name) for name in names[:-1]), now=NOW)
    seed(polled, DAYS[:1])
    seed(deployment(tmp_path, device(names[-1]), now=NOW), DAYS[1:2])
    build(deployed, DAYS[0])
    coverage, days, outbox = day_summary(seen_by_dagster(deployed, report()))
    lines = coverage.splitlines()
    assert lines[0] == "Coverage of 2026-11-21, the least first:"
    assert lines[1] == "- d23: 0.0%"
    assert lines[2].startswith("- d00: ")
    assert len(lines) == 22
    assert lines[-1].startswith("… and 5 more, each at least ")
    assert days == f"Of the last 7 days, not built: {min(DAYS[1:])} … {max(DAYS[1:])}."
    assert outbox == "Outbox: 0 polls wait, 0 are in quarantine."


def test_a_day_that_is_not_built_is_said_in_the_summary(two):
    coverage, *_ = day_summary(seen_by_dagster(two, report()))
    assert coverage.startswith("2026-11-21 has no daily_aggregates yet")


def test_before_the_first_day_is_over_there_is_nothing_to_say_of_days(tmp_path):
    young = deployment(tmp_path, device(), start=date(2026, 11, 22), now=NOW)
    assert day_summary(seen_by_dagster(young, report())) == ["Outbox: 0 polls wait, 0 are in quarantine."]
    assert without_days(unwell(young, report())) == unwell(young, report()) == {}

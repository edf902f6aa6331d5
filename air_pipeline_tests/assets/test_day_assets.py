"""The day assets, run on a real instance and a real store."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from air_pipeline.assets.day_steps import Work
from air_pipeline.assets.explaining import RETRIES
from air_pipeline.assets.kept import Kept
from air_pipeline.assets.raw_readings import materialization
from air_pipeline.assets.table_checks import check_staged
from air_pipeline.collection.collector_state import CollectorState
from air_pipeline.collection.report import Report
from air_pipeline.days.building import Built, built_observations, nothing_more
from air_pipeline.definitions import build_definitions
from air_pipeline.health.measuring import OF_A_DAY
from air_pipeline.instance.runs_of_days import AGAIN_TAG, FORCE_TAG
from air_pipeline.processing.aggregates import hourly_aggregates
from air_pipeline.processing.columns import TABLES
from air_pipeline.settings import MAIN
from air_pipeline.storage.day_files import built_days, day_file
from air_pipeline.storage.pages import PAGE
from air_pipeline.storage.parquet import Rows, stage
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline_tests.assets.small_deployments import (
    DAY,
    NOON,
    WHOLE,
    build,
    checks_of,
    deployment_in,
    failures,
    metadata_of,
    seed,
    small_device,
)


@pytest.fixture
def deployment(tmp_path):
    return half_seeded(tmp_path)


@pytest.fixture(scope="module")
def built(instance, tmp_path_factory):
    """A deployment with a day that was built, and the run that did it; for tests that change neither."""
    deployment = half_seeded(tmp_path_factory.mktemp("built"))
    return deployment, build(deployment, instance)


def half_seeded(directory):
    """Two devices, of which one gave readings."""
    deployment = deployment_in(directory, small_device("hall"), small_device("attic", since="2026-03-01"))
    seed(deployment, DAY, only=["hall"])
    return deployment


def damage(deployment, statement):
    with closing(sqlite3.connect(deployment.environment.state.readings)) as store, store:
        store.execute(statement)


def files(deployment):
    return {table: built_days(deployment.data, table) for table in TABLES}


def test_a_day_is_built_published_checked_and_described(built):
    deployment, result = built
    assert failures(result) == {}
    assert files(deployment) == {table: [DAY] for table in TABLES}
    assert checks_of(result) == {
        "observations.schema": True,
        "observations.row_count": True,
        "hourly_aggregates.schema": True,
        "hourly_aggregates.row_count": True,
        "hourly_aggregates.counts_add_up": True,
        "daily_aggregates.schema": True,
        "daily_aggregates.row_count": True,
        "daily_aggregates.counts_add_up": True,
        **dict.fromkeys((f"daily_aggregates.{check.name}" for check in OF_A_DAY), True),
        "daily_aggregates.devices_covered": False,
        "daily_aggregates.complete": False,
    }
    said = metadata_of(result)
    observed = said["observations"]
    assert observed["dagster/partition_row_count"] == 2 * 24 * 2
    assert (observed["device_count"], observed["input_polls"]) == (2, 24)
    counts = ("expected", "valid", "suspect", "bad", "missing")
    assert [observed[f"{name}_count"] for name in counts] == [96, 48, 0, 0, 48]
    assert observed["coverage"] == 0.5
    assert observed["path"] == str(day_file(deployment.data, "observations", DAY).path)
    assert observed["size_bytes"] == day_file(deployment.data, "observations", DAY).size_bytes
    assert said["hourly_aggregates"]["complete_hours"] == 48
    assert said["hourly_aggregates"]["incomplete_hours"] == 48
    assert said["daily_aggregates"]["complete_series"] == 2
    assert said["daily_aggregates"]["series_count"] == 4


def test_the_tables_in_the_metadata_name_devices_the_worst_first(built):
    _, result = built
    events = {event.asset_key.to_user_string(): event for event in result.get_asset_materialization_events()}
    table = events["observations"].materialization.metadata["devices"]
    assert [record.data["device"] for record in table.records] == ["attic", "hall"]
    assert [record.data["coverage"] for record in table.records] == ["0.0%", "100.0%"]
    assert table.schema.constraints.other == ["2 of 2 rows, the least coverage first"]
    table = events["daily_aggregates"].materialization.metadata["series"]
    assert [record.data["complete"] for record in table.records] == ["no", "no", "yes", "yes"]
    assert table.records[3].data["mean"].endswith(" °C")


def test_series_that_are_not_complete_are_named_and_fail_nothing(built):
    _, result = built
    assert result.success
    [check] = [check for check in result.get_asset_check_evaluations() if check.check_name == "complete"]
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert check.description.startswith(
        "2 of 4 series are not complete: attic dht22_humidity (coverage 0%), attic dht22_temperature (coverage 0%)"
    )
    rows = [row.data for row in check.metadata["not_complete"].records]
    assert [(row["device"], row["hours"], row["missing"]) for row in rows] == [("attic", "0 of 24", 24)] * 2


def test_sensors_of_which_nothing_can_be_told_cost_no_day(deployment, instance, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("air_pipeline.assets.table_checks.tallies_of", broken)
    result = build(deployment, instance)
    assert failures(result) == {}
    [check] = [one for one in result.get_asset_check_evaluations() if one.check_name == "dht22_moving"]
    assert (check.passed, check.description) == (False, "cannot be told: ZeroDivisionError")
    assert files(deployment) == {table: [DAY] for table in TABLES}


def test_a_day_without_devices_is_built_and_says_so(instance, tmp_path):
    deployment = deployment_in(tmp_path, small_device("hall", since="2026-03-15"))
    result = build(deployment, instance)
    assert failures(result) == {}
    observed = metadata_of(result)["observations"]
    assert observed["devices"] == "nothing was expected of any device on this day"
    assert "coverage" not in observed
    assert files(deployment) == {table: [DAY] for table in TABLES}


def test_results_of_checks_are_those_of_their_day(built, instance):
    """One red or green mark a day: a day that is not complete is not hidden by the next that is."""
    _, result = built
    evaluations = result.get_asset_check_evaluations()
    assert {one.partition for one in evaluations} == {DAY.isoformat()}
    of_form = {"schema", "row_count", "counts_add_up"}
    assert {one.check_name for one in evaluations} == {*of_form, *(check.name for check in OF_A_DAY)}
    records = [
        instance.event_log_storage.get_asset_check_execution_history(one.asset_check_key, limit=5)
        for one in evaluations
    ]
    assert all({record.partition for record in found} == {DAY.isoformat()} for found in records)


def test_a_day_built_again_from_the_same_has_the_same_data_version(deployment, instance):
    def version():
        [event] = build(deployment, instance, only=["observations"]).get_asset_materialization_events()
        return event.materialization.tags[DATA_VERSION_TAG]

    first, again = version(), version()
    seed(deployment, DAY, only=["attic"])
    assert first == again
    assert first != version()


def test_a_run_of_a_day_reads_a_device_of_the_store_once_and_its_tables_to_check_them(
    deployment, instance, monkeypatch
):
    asked, read, polls, groups = [], [], SqliteStore.polls, Rows.groups
    monkeypatch.setattr(
        SqliteStore, "polls", lambda store, device, *span: asked.append(device) or polls(store, device, *span)
    )
    monkeypatch.setattr(Rows, "groups", lambda rows, devices: read.append(rows.of.table) or groups(rows, devices))
    assert failures(build(deployment, instance, only=WHOLE)) == {}
    assert sorted(asked) == ["attic", "hall"]
    assert read == []


def test_steps_in_runs_of_their_own_make_the_same_of_what_is_in_the_files(deployment, instance):
    def published():
        return {path: path.read_bytes() for path in deployment.data.rglob("*.*") if path.is_file()}

    assert failures(build(deployment, instance, only=WHOLE)) == {}
    together = published()
    for table in ("hourly_aggregates", "daily_aggregates", PAGE):
        assert failures(build(deployment, instance, only=[table])) == {}
    assert len(together) >= len(WHOLE)
    assert published() == together


def test_what_a_run_keeps_is_not_used_with_observations_that_another_one_made_meanwhile(deployment):
    work = Work(deployment, DAY, force=False, warn=print, kept=Kept(deployment, DAY))

    def observe(take):
        with built_observations(deployment, DAY, take=take) as made:
            return made.staged.publish()

    own = observe(work.kept.take)
    assert work.kept_of(own) is work.kept
    assert [rows["device"][0].as_py() for rows in work.aggregates_of(own).daily] == ["attic", "hall"]
    seed(deployment, DAY, only=["attic"])
    assert work.kept_of(observe(nothing_more)) is None
    assert work.aggregates_of(own) is None  # in whose place the other file is


def test_readings_that_come_in_do_not_make_days_look_out_of_date(built, instance):
    from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
    from dagster._core.loader import LoadingContextForTest

    deployment, _ = built
    definitions = build_definitions(deployment)
    report = Report(0, 1, {}, (), 2, {MAIN: CollectorState()})

    def status():
        graph = definitions.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        return resolver.get_status(dg.AssetKey("observations"), DAY.isoformat())

    assert status() is StaleStatus.FRESH
    instance.report_runless_asset_event(materialization(report))
    assert status() is StaleStatus.FRESH


def test_a_table_that_fails_a_check_is_not_published_and_stops_those_after_it(deployment, instance, monkeypatch):
    build(deployment, instance)
    before = {table: day_file(deployment.data, table, DAY).path.read_bytes() for table in TABLES}
    monkeypatch.setattr("air_pipeline.days.building.hourly_aggregates", lambda *of: hourly_aggregates(*of)[:-1])
    result = build(deployment, instance, only=["hourly_aggregates", "daily_aggregates"])
    assert checks_of(result) == {
        "hourly_aggregates.schema": True,
        "hourly_aggregates.row_count": False,
        "hourly_aggregates.counts_add_up": True,
    }
    assert failures(result) == {
        "hourly_aggregates": (
            "hourly_aggregates was not published, as it is not what it should be (row_count: 94 rows, and 96 should be"
            " there); what was there before is kept"
        )
    }
    assert metadata_of(result) == {}
    assert {table: day_file(deployment.data, table, DAY).path.read_bytes() for table in TABLES} == before


def test_a_schema_check_counts_and_names_what_is_wrong(built):
    deployment, _ = built
    day = day_file(deployment.data, "observations", DAY)
    metadata = day.metadata()
    with stage(deployment.data, "observations", DAY, metadata) as staged:
        for _, rows in day.device_tables():
            flags = rows.column("flag").to_numpy().copy()
            flags[:3] = 5
            column = rows.schema.get_field_index("flag")
            staged.write(rows.set_column(column, rows.schema.field("flag"), [flags]))
        checks = {check.check_name: check for check in check_staged(Built(staged, metadata, rows=96))}
    assert checks["row_count"].passed
    assert not checks["schema"].passed
    assert checks["schema"].metadata["failures"].value == 6
    assert checks["schema"].description.startswith("flag: isin(")
    assert checks["schema"].metadata["cases"].value.splitlines()[0] == f"- {checks['schema'].description}"


@pytest.mark.parametrize("table", ["observations", "hourly_aggregates"])
@pytest.mark.parametrize("groups", [1, 2])
def test_rows_out_of_order_are_seen_wherever_in_the_file_they_are(built, table, groups):
    deployment, _ = built
    day = day_file(deployment.data, table, DAY)
    attic, hall = (rows for _, rows in day.device_tables())
    size = (attic.num_rows + hall.num_rows) // groups

    def schema_check(*parts):
        rows = pa.concat_tables(parts)
        with stage(deployment.data, table, DAY, day.metadata()) as staged:
            pq.write_table(rows, staged.written.path, row_group_size=size)
            return check_staged(Built(staged, day.metadata(), rows=rows.num_rows))[0]

    assert schema_check(attic, hall).passed
    for parts, first in (((hall, attic), "attic dht22_humidity"), ((hall, hall), "hall dht22_humidity")):
        check = schema_check(*parts)
        assert check.metadata["failures"].value == 1
        assert f": sorted by the key, each key once, broken 1 ×: {first} 2026-03-09 23:00" in check.description


def test_a_day_that_is_not_over_fails_with_its_time_and_is_not_tried_again(deployment, instance):
    result = build(deployment, instance, day=NOON.date())
    assert failures(result) == {
        "observations": "2026-03-20 is not over yet: it can be built from 2026-03-21 00:15+01:00 (Europe/Warsaw)"
    }
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    assert files(deployment) == {table: [] for table in TABLES}


def test_hours_without_observations_name_the_remedy(instance, tmp_path):
    result = build(deployment_in(tmp_path), instance, only=["hourly_aggregates"])
    [said] = failures(result).values()
    assert said.startswith("2026-03-10 has no observations yet (")
    assert said.endswith("build it with: air-pipeline build --from 2026-03-10 --to 2026-03-10")


def test_a_damaged_file_names_the_remedy_and_the_day_can_be_built_again(deployment, instance):
    build(deployment, instance, only=["observations"])
    path = day_file(deployment.data, "observations", DAY).path
    path.write_bytes(path.read_bytes()[:-100])
    [said] = failures(build(deployment, instance, only=["hourly_aggregates"])).values()
    assert said.startswith(f"{path} cannot be read (")
    assert said.endswith("build it with: air-pipeline build --from 2026-03-10 --to 2026-03-10")
    assert failures(build(deployment, instance, only=["observations", "hourly_aggregates"])) == {}


def test_observations_of_a_series_that_is_gone_ask_for_the_whole_day(deployment, instance, tmp_path):
    build(deployment, instance, only=["observations"])
    changed = deployment_in(
        tmp_path, small_device("attic"), {**small_device("hall"), "sensors": {"dht22": ["temperature"]}}
    )
    [said] = failures(build(changed, instance, only=["hourly_aggregates"])).values()
    assert said == (
        "the observations of 2026-03-10 were built with other settings than devices.yaml has now, or by an earlier"
        " version; build the whole day:"
        " air-pipeline build --from 2026-03-10 --to 2026-03-10"
    )


def test_a_day_with_fewer_polls_than_before_is_refused_unless_forced(deployment, instance):
    observed = ["observations"]
    build(deployment, instance, only=observed)
    damage(deployment, "DELETE FROM poll WHERE observed_at IN (SELECT observed_at FROM poll LIMIT 3)")
    [said] = failures(build(deployment, instance, only=observed)).values()
    assert "hall was built from 24 polls and the store now holds 21;" in said
    assert said.endswith("air-pipeline build --from 2026-03-10 --to 2026-03-10 --force")
    forced = build(deployment, instance, tags={FORCE_TAG: "true"}, only=observed)
    assert metadata_of(forced)["observations"]["input_polls"] == 21


def test_a_damaged_store_fails_with_a_sentence_and_is_not_tried_again(instance, tmp_path):
    deployment = deployment_in(tmp_path)
    deployment.environment.state.path.mkdir()
    path = deployment.environment.state.readings
    path.write_bytes(b"no database " * 1000)
    result = build(deployment, instance)
    [said] = failures(result).values()
    assert said.startswith(f"{path} is damaged or no SQLite file: ")
    assert AGAIN_TAG not in instance.get_run_by_id(result.run_id).tags


@pytest.fixture
def locked(deployment):
    """The deployment while another program has the store for itself."""
    path = deployment.environment.state.readings
    impatient = replace(deployment)
    vars(impatient)["_store"] = SqliteStore(path, timeout_s=0.05)
    deployment.store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        yield impatient
    impatient.store.close()


def test_a_store_that_is_away_is_tried_again_and_then_leaves_a_mark_for_the_schedule(locked, instance, monkeypatch):
    monkeypatch.setattr("air_pipeline.assets.explaining.RETRY_AFTER_S", 0)  # else the test would wait for minutes
    result = build(locked, instance)
    attempts = [event for event in result.all_events if event.is_step_up_for_retry]
    assert len(attempts) == RETRIES
    [said] = failures(result).values()
    assert "was locked by another program" in said
    assert instance.get_run_by_id(result.run_id).tags[AGAIN_TAG] == "true"

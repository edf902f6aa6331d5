"""Dagster's storage is pruned while it is in use: what is asked of it afterwards is answered as before."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.instance import pruning
from air_pipeline.instance.pruning import KEPT_DAYS, PruneError, prune
from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.pages import PAGE
from air_pipeline_tests.assets.small_deployments import WHOLE, build, deployment_in, real_instance, seed, small_device
from air_pipeline_tests.automation.test_collect_sensor import CHECKS, Ticks

DAYS = [date(2026, 3, number) for number in (1, 2, 3)]
NOW = datetime.now(UTC)
KEPT = timedelta(days=KEPT_DAYS)
OLD = timedelta(days=40)
READINGS = dg.AssetKey("raw_readings")


def make_history(deployment, instance):
    """Three days built, and the reports of three ticks."""
    for day in DAYS:
        assert build(deployment, instance, day, only=WHOLE).success
    for _ in range(3):
        with CollectorLock(deployment.environment.state):
            tick = Ticks(deployment, instance)()
        for event in tick.asset_events:
            instance.report_runless_asset_event(event)
        instance.report_runless_asset_event(dg.AssetMaterialization("raw_readings", metadata={"polls": 7}))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with three days built and the reports of three ticks; most is made old; and a run that goes on."""
    path = tmp_path_factory.mktemp("made")
    deployment = deployment_in(path, small_device("hall"), collector="external")
    seed(deployment, *DAYS)
    with real_instance(path) as instance:
        make_history(deployment, instance)
        under_way = instance.create_run_for_job(
            dg.job(name="unended")(lambda: None), status=dg.DagsterRunStatus.STARTED, tags={}
        )
        instance.report_engine_event("it goes on", under_way)
        home = Path(instance.root_directory)
        runs = [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))]
    age(home, [*runs[1:], under_way.run_id])
    deployment.store.close()
    return path, runs, under_way.run_id


def age(home, runs):
    """Makes runs and all of what sensors reported so old that it goes."""
    old = NOW - OLD
    text = old.replace(tzinfo=None).isoformat(" ", "microseconds")
    with closing(sqlite3.connect(home / "history/runs.db")) as database, database:
        change = "UPDATE runs SET end_time = ?, update_timestamp = ? WHERE run_id = ?"
        database.executemany(change, [(old.timestamp(), text, run) for run in runs])
    for name in ("index", ""):
        with closing(sqlite3.connect(home / f"history/runs/{name}.db")) as database, database:
            change = "UPDATE event_logs SET timestamp = ? WHERE run_id = ?"
            database.executemany(change, [(text, run) for run in ("", *runs)])
            if name:
                database.execute("UPDATE asset_check_executions SET evaluation_event_timestamp = ?", (text,))
    for path in (home / "storage").rglob("*"):
        if any(run in path.parts for run in runs):
            os.utime(path, (old.timestamp(), old.timestamp()))
    logs = home / "storage" / "__repository__" / "build_days" / "20260301_000000"
    logs.mkdir(parents=True)
    for name, at in (("old.err", old), ("young.err", NOW)):
        (logs / name).write_text("said")
        os.utime(logs / name, (at.timestamp(), at.timestamp()))


@pytest.fixture
def storage(made, tmp_path):
    """A copy of it: the home, its open instance, its runs by age, the one under way."""
    path, runs, under_way = made
    home = tmp_path / "dagster"
    subprocess.run(["cp", "-a", path / "dagster", home], check=True)
    with dg.DagsterInstance.local_temp(str(home), overrides={"telemetry": {"enabled": False}}) as instance:
        yield home, instance, runs, under_way


def status(instance):
    """What the UI shows of days, checks and runs."""
    found = {}
    for asset in (*TABLES, PAGE, "devices", "raw_readings"):
        key = dg.AssetKey(asset)
        last = instance.get_latest_materialization_event(key)
        found[asset] = (
            instance.get_materialized_partitions(key),
            sorted(last.asset_materialization.metadata) if last else None,
            last and last.timestamp,
        )
    for day in DAYS:
        for table in TABLES:
            [record] = instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey(table), asset_partitions=[day.isoformat()]), limit=1
            ).records
            found[table, day] = (record.storage_id, sorted(record.asset_materialization.metadata))
    keys = [dg.AssetCheckKey(READINGS, check) for check in CHECKS]
    keys += [dg.AssetCheckKey(dg.AssetKey("daily_aggregates"), name) for name in ("schema", "complete")]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    found["checks"] = {str(key): (one.id, one.status, one.evaluation is not None) for key, one in latest.items()}
    found["runs"] = {run.run_id: run.status for run in instance.get_runs()}
    return found


def rows(home, table, where="1", name="index"):
    with closing(sqlite3.connect(home / f"history/runs/{name}.db")) as database:
        return database.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]  # noqa: S608


def test_what_is_old_goes_and_what_is_asked_for_stays(storage):
    home, instance, runs, under_way = storage
    before = status(instance)
    assert len(before["checks"]) == len(CHECKS) + 2
    assert all(instance.all_logs(run) for run in runs)  # their pages have been looked at
    young = len(instance.all_logs(runs[0]))
    pruned = prune(home, NOW, KEPT)
    assert pruned.notes == []
    assert (pruned.runs, pruned.evaluations, pruned.logs) == (2, 2 * len(CHECKS), 2 * 3 + 1)
    assert pruned.reports == 2 * len(CHECKS) + 2 + 2  # raw_readings and devices, but for the last
    assert status(instance) == before
    assert [len(instance.all_logs(run)) for run in runs] == [young, 0, 0]  # open pages are empty, and no error
    assert any("it goes on" in entry.message for entry in instance.all_logs(under_way))
    assert rows(home, "event_logs", name="") == 0
    assert rows(home, "event_logs", "run_id = ''") == len(CHECKS) + 2
    assert rows(home, "asset_check_executions", "coalesce(run_id, '') = ''") == len(CHECKS)
    assert sorted(path.name for path in home.rglob("*.err") if "__repository__" in path.parts) == ["young.err"]
    assert (home / "storage" / runs[0]).exists()
    assert pruned.freed > 400_000
    again = prune(home, NOW, KEPT)
    assert (again.runs, again.reports, again.logs, again.notes) == (0, 0, 0, [])
    with dg.DagsterInstance.local_temp(str(home), overrides={"telemetry": {"enabled": False}}) as another:
        assert status(another) == before


def test_a_dry_run_says_what_would_go_and_changes_nothing(storage):
    home, _, _, _ = storage
    before = {path: path.read_bytes() for path in home.rglob("*") if path.suffix in {".db", ".err", ".out"}}
    dry = prune(home, NOW, KEPT, dry=True)
    assert {path: path.read_bytes() for path in before} == before
    wet = prune(home, NOW, KEPT)
    assert (dry.runs, dry.reports, dry.evaluations, dry.logs) == (wet.runs, wet.reports, wet.evaluations, wet.logs)
    assert dry.freed > 0


def test_rows_that_went_are_given_back_to_the_disk(storage):
    home, instance, _, _ = storage
    prune(home, NOW, KEPT)  # the first time the whole is rewritten
    index = home / "history/runs/index.db"
    for _ in range(300):
        instance.report_runless_asset_event(dg.AssetMaterialization("raw_readings", description="much " * 300))
    full = index.stat().st_size
    prune(home, NOW + OLD, KEPT)
    assert index.stat().st_size < full / 2
    assert len(instance.get_materialized_partitions(dg.AssetKey("observations"))) == len(DAYS)


def test_a_database_that_is_locked_is_left_for_the_next_time_and_the_rest_goes(storage, monkeypatch):
    home, _, _, _ = storage
    monkeypatch.setattr(pruning, "WAIT_S", 0.01)
    with closing(sqlite3.connect(home / "history/runs/index.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        pruned = prune(home, NOW, KEPT)
        assert any(note.startswith("index.db is left for the next time: ") for note in pruned.notes)
        assert pruned.runs == 2
        other.execute("ROLLBACK")
    assert prune(home, NOW, KEPT).notes == []


def test_a_disk_without_room_to_rewrite_on_is_told(storage, monkeypatch):
    home, instance, _, _ = storage
    monkeypatch.setattr(pruning, "LARGEST_VACUUM_BYTES", 1000)
    pruned = prune(home, NOW, KEPT)
    assert pruned.notes[0].startswith("0 MB of index.db are free, are used again and cannot be given back: ")
    assert pruned.reports > 0
    assert len(instance.get_materialized_partitions(dg.AssetKey("observations"))) == len(DAYS)


def test_of_a_run_that_was_deleted_in_the_ui_nothing_stays(storage):
    home, instance, runs, _ = storage
    for run in runs[:2]:
        instance.delete_run(run)
        os.utime(home / f"history/runs/{run}.db", ((NOW - OLD).timestamp(),) * 2)
    prune(home, NOW, KEPT)
    assert not any((home / f"history/runs/{run}.db").exists() for run in runs[:2])


def test_without_storage_logs_are_pruned(tmp_path):
    log = tmp_path / "storage" / "4d5c7d6e-0000-4000-8000-000000000000" / "compute_logs" / "a.err"
    other = tmp_path / "storage" / "of_somebody_else" / "a.err"
    for path in (log, other):
        path.parent.mkdir(parents=True)
        path.write_text("said")
        os.utime(path, ((NOW - OLD).timestamp(),) * 2)
    pruned = prune(tmp_path, NOW, KEPT)
    assert pruned.logs == 1
    assert pruned.notes == ["Dagster's storage is not there: only logs are pruned"]
    assert not log.parent.parent.exists()
    assert other.exists()


def test_two_do_not_prune_at_once(storage):
    home, _, _, _ = storage
    with pruning._alone(home), pytest.raises(PruneError, match="another process prunes"):
        prune(home, NOW, KEPT)


def test_the_command_says_what_it_freed(storage, tmp_path):
    home, _, _, _ = storage
    variables = {"AIR_PIPELINE_STATE": str(tmp_path / "state"), "DAGSTER_HOME": str(home)}
    leftover = tmp_path / "state" / "data" / "observations" / "date=2026-03-01" / ".observations.parquet.1f.partial"
    leftover.parent.mkdir(parents=True)
    leftover.touch()

    def run(*arguments):
        command = [sys.executable, "-m", "air_pipeline", "prune", *arguments]
        environment = {**os.environ, **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    dry = run("--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert dry.stdout.startswith("older than 30 days: the details of 2 runs, 7 logs, ")
    assert dry.stdout.endswith("would be freed\n")
    assert leftover.exists()
    done = json.loads(run("--json").stdout)
    assert (done["runs"], done["logs"], done["leftovers"], done["notes"]) == (2, 7, 1, [])
    assert done["freed_bytes"] > 0
    assert not leftover.exists()
    assert run("--older-than", "0").returncode == 2
    variables["DAGSTER_HOME"] = str(tmp_path / "nowhere")
    nothing = run()
    assert nothing.returncode == 1
    assert nothing.stderr.startswith("there is nothing to prune yet")

"""Dagster's history after a year, and pruning that is ended in the middle, has no room, or meets everybody at work."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.deployment import Deployment
from air_pipeline.instance.pruning import prune
from air_pipeline.instance.storage import open_storage
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.commit import torn
from air_pipeline_tests.assets.small_deployments import (
    WHOLE,
    build,
    deployment_in,
    place_in,
    seed,
    small_device,
    write_settings,
)
from air_pipeline_tests.automation.test_collect_sensor import CHECKS, Ticks
from air_pipeline_tests.chaos.whole_days import UNDER_WAY
from air_pipeline_tests.chaos.year import inflate, size_mb
from air_pipeline_tests.running_pipeline import Installation, Pipeline, free_port, running_pipeline
from air_pipeline_tests.waiting import WITHIN_S, wait_for

pytestmark = pytest.mark.chaos

TEMPLATE = date(2026, 3, 1)
MOST_MB = 150.0
REPORTS, EVALUATIONS = 96, 4
"""A day: every quarter of an hour, every six hours."""
KEPT = timedelta(days=30)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[date]]:
    """An installation of three devices with 366 days of history, its last day yesterday."""
    path = tmp_path_factory.mktemp("year")
    last = datetime.now(UTC).date() - timedelta(days=1)
    days = [last - timedelta(days=number) for number in range(366)]
    deployment = deployment_in(path, *({"id": name, "url": f"http://127.0.0.1:9/{name}"} for name in "abc"),
                               start=min(TEMPLATE, *days), collector="external")  # fmt: skip
    seed(deployment, TEMPLATE)
    home = path / "state" / "dagster"
    home.mkdir(parents=True)
    open_storage(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert build(deployment, instance, TEMPLATE, only=WHOLE).success
        with CollectorLock(deployment.environment.state):
            for event in Ticks(deployment, instance)().asset_events:
                instance.report_runless_asset_event(event)
        from air_pipeline.assets.raw_readings import materialization
        from air_pipeline.collection.report import look

        report = look(deployment, deployment.store, 0, datetime.now(UTC))
        instance.report_runless_asset_event(materialization(report))
    inflate(home, TEMPLATE, [day for day in reversed(days) if day != TEMPLATE], REPORTS, EVALUATIONS)
    deployment.store.close()
    return path, days


@pytest.fixture
def storage(year: tuple[Path, list[date]], tmp_path: Path) -> tuple[Path, list[date]]:
    """A copy of it."""
    subprocess.run(["cp", "-a", f"{year[0]}/.", tmp_path], check=True)
    return tmp_path, year[1]


@contextmanager
def ui(folder: Path) -> Iterator[Pipeline]:
    """Dagster's own webserver on a folder."""
    installation, port = Installation(folder), free_port()
    log = folder / "webserver.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster_webserver", "-m", "air_pipeline.definitions", "--port", str(port)],
            env={**installation.variables, "DAGSTER_HOME": str(installation.state / "dagster")},
            stdout=output,
            stderr=output,
            text=True,
        )
        pipeline = Pipeline(installation, port, process, log)

        def ready() -> bool:
            assert process.poll() is None, pipeline.said
            try:
                return bool(pipeline.ask("{assetNodes{id}}")["assetNodes"])
            except OSError:
                return False

        try:
            wait_for(ready, "the UI")
            yield pipeline
        finally:
            process.terminate()
            process.wait(WITHIN_S)


def all_is_there(home: Path, days: list[date]) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for asset in WHOLE:
            key = dg.AssetKey(asset)
            assert instance.get_materialized_partitions(key) >= {day.isoformat() for day in days}
            for day in days[::30]:
                [record] = instance.fetch_materializations(
                    dg.AssetRecordsFilter(key, asset_partitions=[day.isoformat()]), limit=1
                ).records
                assert len(record.asset_materialization.metadata) >= 7
        complete = dg.AssetCheckKey(dg.AssetKey("daily_aggregates"), "complete")
        executions = instance.event_log_storage.get_asset_check_execution_history(complete, limit=1000)
        assert len(executions) >= len(days)
        assert len(instance.get_runs()) >= len(days)


def test_a_year_of_history_is_small_once_it_is_pruned_and_the_ui_shows_all_of_it(
    storage: tuple[Path, list[date]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, days = storage
    home = folder / "state" / "dagster"
    before = size_mb(home)
    all_is_there(home, days)
    with ui(folder) as shown:
        began = time.monotonic()
        pruned = prune(home, datetime.now(UTC), KEPT)  # while somebody looks
        took = time.monotonic() - began
        after = size_mb(home)
        with capsys.disabled():
            sys.stdout.write(f"\n{before:.0f} MB, pruned in {took:.0f} s: {after:.0f} MB; {pruned}\n")
        assert pruned.notes == []
        assert pruned.runs >= 330
        assert after < MOST_MB < before
        for asset in WHOLE:
            assert shown.materialized_partitions(asset) >= len(days)
        assert set(shown.checks()) == CHECKS
        newest = shown.materializations("daily_report", 400)
        assert len({one["partition"] for one in newest}) >= len(days)
        assert all(one["size_bytes"] for one in newest)
        [last] = shown.materializations("raw_readings", 1)
        assert last["devices"] is not None
        assert len(shown.runs("SUCCESS")) >= len(days)
    all_is_there(home, days)


def test_pruning_that_is_killed_anywhere_leaves_working_storage_and_goes_on_the_next_time(
    storage: tuple[Path, list[date]],
) -> None:
    folder, days = storage
    home = folder / "state" / "dagster"
    command = [sys.executable, "-m", "air_pipeline", "prune"]
    environment = {**Installation(folder).variables, "AIR_PIPELINE_STATE": str(folder / "state")}
    chance = random.Random(1)
    kills = 0
    for _ in range(12):
        at = size_mb(home)
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        some = at - chance.uniform(1, 40)
        wait_for(lambda process=process, some=some: process.poll() is not None or size_mb(home) < some, "some progress")  # type: ignore[misc]
        kills += process.poll() is None
        process.kill()
        process.wait()
        all_is_there(home, days[::60])
    assert kills >= 3
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    assert size_mb(home) < MOST_MB
    all_is_there(home, days)


def test_pruning_while_up_builds_days_disturbs_neither(storage: tuple[Path, list[date]]) -> None:
    """Again and again, each time of what is a little younger, so that there is always something to prune."""
    folder, days = storage
    recent, home = days[1:7], folder / "state" / "dagster"
    devices = [small_device(name) for name in "abc"]
    write_settings(folder / "devices.yaml", devices, start=min(recent), collector="external")
    environment = place_in(folder)
    deployment = Deployment(environment, read_settings(environment.config))
    seed(deployment, *recent)
    deployment.store.close()
    installation, ages = Installation(folder), list(range(360, 0, -12))
    with running_pipeline(installation) as pipeline:
        known = set(pipeline.runs("SUCCESS"))
        pipeline.backfill(recent)
        wait_for(lambda: pipeline.runs("STARTED"), "a run under way")
        meanwhile = 0
        while ages or not all(map(installation.built, recent)):
            meanwhile += bool(pipeline.runs("STARTED"))
            pruned = installation.run("prune", "--json", "--older-than", str(ages.pop(0) if ages else 1))
            assert pruned.returncode == 0, pruned.stderr
            assert json.loads(pruned.stdout)["notes"] == []
        wait_for(lambda: not any(map(pipeline.runs, UNDER_WAY)), "the end of all runs")
        assert meanwhile > 1
        assert not pipeline.runs("FAILURE")
        made = set(pipeline.runs("SUCCESS")) - known
        assert pipeline.stop() == 0
    assert size_mb(home) < MOST_MB
    all_is_there(home, days)
    assert [day for day in recent if torn(environment.data, day)] == []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert len(made) >= len(recent)
        for run in made:
            events = {entry.dagster_event.event_type for entry in instance.all_logs(run) if entry.dagster_event}
            assert events >= {dg.DagsterEventType.RUN_START, dg.DagsterEventType.RUN_SUCCESS}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_on_a_disk_that_is_full_pruning_says_so_and_loses_nothing(
    storage: tuple[Path, list[date]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, days = storage
    home = folder / "state" / "dagster"
    disk = tmp_path_factory.mktemp("disk")
    size = size_mb(home) + 4
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size:.0f}M", "none", disk], check=True)
    try:
        subprocess.run(["cp", "-a", home, disk], check=True)
        full = disk / "filling"
        subprocess.run(["dd", "if=/dev/zero", f"of={full}", "bs=64k"], check=False, stderr=subprocess.DEVNULL)
        pruned = prune(disk / "dagster", datetime.now(UTC), KEPT)
        assert any("left for the next time" in note and "full" in note for note in pruned.notes), pruned.notes
        full.unlink()
        all_is_there(disk / "dagster", days)
        assert prune(disk / "dagster", datetime.now(UTC), KEPT).notes == []
        assert size_mb(disk / "dagster") < MOST_MB
        all_is_there(disk / "dagster", days)
    finally:
        subprocess.run(["umount", disk], check=True)

"""Dagster's storage is brought up to date before anybody uses it, and that of a newer Dagster refused in a sentence."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date

import dagster as dg
import pytest
from alembic.command import downgrade
from alembic.config import Config
from sqlalchemy import create_engine

from air_pipeline.instance.lost_runs import PROCESS_TAG, _has_ended, give_up_lost_runs, this_process
from air_pipeline.instance.runs_of_days import under_way
from air_pipeline.instance.storage import StorageError, is_of_older_dagster, open_storage
from air_pipeline.storage.commit import torn
from air_pipeline_tests.assets.small_deployments import deployment_in, seed, small_device
from air_pipeline_tests.waiting import wait_for

DATABASES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
OLDER = "46b412388816"
"""Of early 2024: four migrations that change tables have come since."""
DAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A home as `up` makes it, with a run."""
    home = tmp_path_factory.mktemp("fresh")
    open_storage(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        dg.job(name="nothing")(lambda: None).execute_in_process(instance=instance)
    return home


@pytest.fixture
def home(fresh, tmp_path):
    home = tmp_path / "dagster"
    subprocess.run(["cp", "-a", fresh, home], check=True)
    return home


def revisions(home):
    found = []
    for name in DATABASES:
        with closing(sqlite3.connect(home / name)) as database:
            found.append(database.execute("SELECT version_num FROM alembic_version").fetchall())
    return found


def columns(home, database, table):
    with closing(sqlite3.connect(home / database)) as opened:
        return {row[1] for row in opened.execute(f"PRAGMA table_info({table})")}


def set_back(home):
    """Takes the storage back to what an older Dagster made, by Dagster's own migrations."""
    config = Config()
    config.set_main_option("script_location", "dagster:_core/storage/alembic")
    for path in [*(home / name for name in DATABASES), *(home / "history" / "runs").glob("*-*.db")]:
        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            config.attributes["run_id"] = path.stem
            downgrade(config, OLDER)
            connection.commit()
        engine.dispose()


def opened(home, **options):
    command = [sys.executable, "-m", "air_pipeline.instance.storage"]
    return subprocess.Popen(
        command,
        env={**os.environ, "DAGSTER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_storage_of_an_older_dagster_is_brought_up_to_date_once_by_whoever_comes_first(home):
    newest = revisions(home)
    assert not is_of_older_dagster(home)
    set_back(home)
    assert revisions(home) == [[(OLDER,)]] * 3
    assert "backfill_id" not in columns(home, "history/runs.db", "runs")
    assert is_of_older_dagster(home)
    both = [opened(home), opened(home)]  # `up` and another one
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Updating run storage" in err for _, err in said) == 1
    assert revisions(home) == newest
    assert "backfill_id" in columns(home, "history/runs.db", "runs")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert len(instance.get_runs()) == 1
        assert instance.all_logs(instance.get_runs()[0].run_id)


def test_storage_of_a_newer_dagster_is_refused_in_a_sentence(home):
    with closing(sqlite3.connect(home / "history/runs.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'fffffffffff1'")
    before = (home / "history/runs.db").read_bytes()
    process = opened(home)
    said, _ = process.communicate()
    assert process.returncode == 1
    assert "history/runs.db was written by a newer Dagster (its revision fffffffffff1 is not known to" in said
    assert "Traceback" not in said
    assert (home / "history/runs.db").read_bytes() == before


def test_storage_that_is_damaged_is_refused_in_a_sentence(home):
    (home / "history/runs.db").write_bytes(b"no database " * 1000)
    with pytest.raises(StorageError, match=r"runs\.db cannot be read"):
        open_storage(home)


def test_a_run_that_was_lost_while_nothing_ran_is_given_up_when_the_storage_is_opened(home):
    with dg.DagsterInstance.from_config(str(home)) as instance:
        tags = {".dagster/grpc_info": '{"socket": "/nowhere/code"}'}
        job = dg.job(name="nothing")(lambda: None)
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    open_storage(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


def test_a_lock_that_is_no_file_is_refused_in_a_sentence(tmp_path):
    os.mkfifo(tmp_path / "storage.lock")
    with pytest.raises(StorageError, match=r"storage\.lock a file of this user"):
        open_storage(tmp_path)


def test_rows_that_go_can_be_given_back_from_the_start(fresh):
    with closing(sqlite3.connect(fresh / "history/runs/index.db")) as database:
        assert database.execute("PRAGMA auto_vacuum").fetchone() == (2,)


@pytest.fixture
def deployment(tmp_path, monkeypatch):
    deployment = deployment_in(tmp_path, small_device("hall"), interval="10s")
    seed(deployment, DAY)
    deployment.store.close()
    for name, value in deployment.environment.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_HOME", "")
    return deployment


def built_until(deployment, end):
    """Begins `air-pipeline build` of one day, and ends it once a step has written; what it said.

    Where it was ready before it heard of its end, it is begun again.
    """
    command = [sys.executable, "-m", "air_pipeline", "build", "--force", "--to", DAY.isoformat()]
    while True:
        shutil.rmtree(deployment.data, ignore_errors=True)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        wait_for(lambda: list(deployment.data.rglob("*.parquet*")) or process.poll() is not None, "a step at work")  # noqa: B023
        end(process.pid)
        _, said = process.communicate()
        if process.returncode != 0:
            return said


@pytest.mark.slow
def test_ctrl_c_in_a_build_is_one_end_without_a_traceback_and_a_killed_one_is_given_up(deployment):
    said = built_until(deployment, lambda pid: os.killpg(pid, signal.SIGINT))  # as a terminal does: to everybody in it
    assert "Traceback" not in said
    home = deployment.environment.state.dagster
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert under_way(instance) == set()
        built_until(deployment, lambda pid: os.kill(pid, signal.SIGKILL))
        assert under_way(instance) == {DAY}
        assert give_up_lost_runs(instance) == 1
        assert under_way(instance) == set()
        assert give_up_lost_runs(instance) == 0
        command = [sys.executable, "-m", "air_pipeline", "build", "--to", DAY.isoformat()]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_for(lambda: under_way(instance), "a run, which has not begun yet")
        process.kill()
        process.wait()
        assert under_way(instance) == {DAY}
        assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
        assert under_way(instance) == set()
    assert torn(deployment.data, DAY) == ""
    assert not [path for path in deployment.data.rglob(".*") if path.is_file()]


def test_a_run_is_lost_only_where_its_own_process_can_be_seen_to_have_ended():
    tag = this_process()
    assert not _has_ended({PROCESS_TAG: tag}, os.getpid())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    of_gone = tag.replace(f", {os.getpid()}]", f", {gone.pid}]")
    assert _has_ended({PROCESS_TAG: of_gone}, gone.pid)
    assert _has_ended({PROCESS_TAG: of_gone})  # which has not begun
    assert not _has_ended({PROCESS_TAG: tag})
    assert not _has_ended({PROCESS_TAG: of_gone}, os.getpid())  # tried again: the tags of the first, another process
    assert not _has_ended({PROCESS_TAG: of_gone.replace('["', '["another-')}, gone.pid)
    assert not _has_ended({}, gone.pid)
    assert not _has_ended({PROCESS_TAG: "[]"}, gone.pid)

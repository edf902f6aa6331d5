"""What `up` does beside its parts."""

import os
import signal
import subprocess
import sys

import dagster as dg
import psutil
import pytest

from air_pipeline.instance.storage import open_storage
from air_pipeline.running import housekeeping
from air_pipeline.running.housekeeping import Housekeeping, begun_runs, keep_open_log_small
from air_pipeline.state import LARGE_LOG_BYTES
from air_pipeline_tests.waiting import wait_for


def test_a_log_that_others_write_to_stays_small_and_goes_on(tmp_path):
    log = tmp_path / "dagster.log"
    with log.open("ab", buffering=0) as writer:  # as the parts have it
        for number in range(3):
            writer.write(b"%d" % number * LARGE_LOG_BYTES)
            keep_open_log_small(log)
            assert log.stat().st_size == LARGE_LOG_BYTES  # not more than is allowed
            writer.write(b"!\n")
            keep_open_log_small(log)
            assert log.stat().st_size == 0
        writer.write(b"more\n")
    assert log.read_bytes() == b"more\n"
    aside = tmp_path / "dagster.log.1"
    assert aside.read_bytes() == b"2" * LARGE_LOG_BYTES + b"!\n"
    assert aside.stat().st_mode & 0o77 == 0
    keep_open_log_small(tmp_path / "nowhere")


def test_where_there_is_no_room_to_set_it_aside_a_log_is_emptied(tmp_path):
    log = tmp_path / "dagster.log"
    log.write_bytes(b"!" * (LARGE_LOG_BYTES + 1))
    (tmp_path / "dagster.log.1").mkdir()
    keep_open_log_small(log)
    assert log.stat().st_size == 0


def test_a_run_whose_process_is_gone_is_given_up_and_history_is_pruned_while_up_runs(tmp_path, monkeypatch):
    home = tmp_path / "dagster"
    home.mkdir()
    open_storage(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        tags = {".dagster/grpc_info": '{"socket": "/nowhere/code"}'}
        run = instance.create_run_for_job(
            dg.job(name="nothing")(lambda: None), status=dg.DagsterRunStatus.STARTED, tags=tags
        )
        assert begun_runs(home) == {run.run_id}
        monkeypatch.setattr(housekeeping, "LOOK_FOR_LOST_S", 0.0)
        monkeypatch.setattr(housekeeping, "PRUNE_FIRST_S", 0.0)
        variables = {**os.environ, "DAGSTER_HOME": str(home), "AIR_PIPELINE_STATE": str(tmp_path)}
        with (tmp_path / "said").open("wb") as output:
            keeper = Housekeeping(home, tmp_path / "dagster.log", variables, output)
            keeper.work()
            assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED
            assert [process.args[2:] for process in keeper._working] == [["air_pipeline", "prune"]]  # one look is none
            keeper.work()
            keeper._prune_at = float("inf")
            monkeypatch.setattr(housekeeping, "LOOK_FOR_LOST_S", float("inf"))
            wait_for(lambda: not begun_runs(home), "the end of the run")
            wait_for(lambda: "freed" in (tmp_path / "said").read_text(), "the pruning")
            keeper.stop()
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


def test_storage_that_is_no_file_or_no_database_has_no_runs(tmp_path):
    assert begun_runs(tmp_path) == set()
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "runs.db").write_bytes(b"no database " * 1000)
    assert begun_runs(tmp_path) == set()


SLEEPER = "import time; time.sleep(1000)"
UP = """
import os, signal, sys
from pathlib import Path
from air_pipeline.running.housekeeping import Housekeeping
keeper = Housekeeping(Path("."), Path("log"), dict(os.environ), sys.stderr.buffer)
keeper._start("sleeper")
print(keeper._working[0].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def variables(tmp_path):
    """An environment in which there is a module that takes its time."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}


def test_what_is_at_work_ends_when_up_does(tmp_path, variables):
    log = tmp_path / "dagster.log"
    log.write_bytes(b"!" * (LARGE_LOG_BYTES + 1))
    with (tmp_path / "said").open("wb") as output:
        keeper = Housekeeping(tmp_path, log, variables, output)
        keeper.work()
        assert log.stat().st_size == 0
        keeper._start("sleeper")
        [process] = keeper._working
        keeper.stop()
        assert process.returncode == -signal.SIGKILL


def test_what_is_at_work_ends_when_up_is_killed(tmp_path, variables):
    done = subprocess.run([sys.executable, "-c", UP], env=variables, cwd=tmp_path, stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL
    sleeper = int(done.stdout)

    def is_gone():
        try:
            return psutil.Process(sleeper).status() == psutil.STATUS_ZOMBIE  # nobody may take note of it here
        except psutil.NoSuchProcess:
            return True

    try:
        wait_for(is_gone, "the end of what was at work")
    finally:
        if not is_gone():
            os.kill(sleeper, signal.SIGKILL)

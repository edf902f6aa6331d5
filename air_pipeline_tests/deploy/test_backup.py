"""The backup of a state directory is taken while a collector runs, and what it holds is used again."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.running_pipeline import Installation, today, write_devices
from air_pipeline_tests.waiting import WITHIN_S, wait_for

BACKUP = Path(__file__).parents[2] / "deploy" / "backup"

pytestmark = pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not there")


def back_up(home: Installation, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BACKUP, home.environment.state.path, target], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_restored_backup_has_every_poll_up_to_its_time_and_the_days(tmp_path: Path) -> None:
    with Simulator(["attic", "cellar"]) as simulator:
        home = Installation(tmp_path)
        write_devices(home.config, simulator, {"attic": "1s", "cellar": "1s"}, today() - timedelta(days=1))
        home.seed(0, [today() - timedelta(days=1)], 600_000)
        assert home.run("build").returncode == 0
        collector = subprocess.Popen([sys.executable, "-m", "air_pipeline", "collect"], env=home.variables)
        since = home.collecting_since()
        wait_for(lambda: len(home.stored(["attic"], since)) > 1, "readings")
        accepted = home.accepted(["attic", "cellar"], since)
        copied = back_up(home, tmp_path / "an 'old' backup")
        collector.send_signal(signal.SIGTERM)
        assert collector.wait(WITHIN_S) == 0
        assert (copied.returncode, copied.stdout, copied.stderr) == (0, "", "")

        shutil.rmtree(home.environment.state.path)
        (tmp_path / "an 'old' backup").rename(home.environment.state.path)
        assert accepted <= home.accepted(["attic", "cellar"], since)
        home.environment.state.check_store(home.environment.store)
        rebuilt = home.run("build")
        assert "0 of 0 days built" in rebuilt.stderr
        assert not list(home.environment.state.path.rglob("*-wal"))
        assert not list(home.environment.state.path.glob("*.lock"))


def test_each_poll_is_in_the_outbox_or_in_the_store_of_a_backup(tmp_path: Path) -> None:
    """The order matters: a poll that is delivered between the two copies must be in one of them."""
    home = Installation(tmp_path)
    with closing(Outbox(home.environment.state.outbox)):
        pass
    with closing(sqlite3.connect(home.environment.state.readings)):
        home.environment.state.readings.touch()
    shim = tmp_path / "bin"
    shim.mkdir()
    (shim / "sqlite3").write_text(f'#!/bin/sh\necho "$3" >> {tmp_path}/order\nexec {shutil.which("sqlite3")} "$@"\n')
    (shim / "sqlite3").chmod(0o755)
    path = f"{shim}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [BACKUP, home.environment.state.path, tmp_path / "copy"], env={**os.environ, "PATH": path}, check=True
    )
    assert (tmp_path / "order").read_text().split() == ["outbox.sqlite", "readings.sqlite"]


def test_a_backup_is_never_written_into_an_older_one(tmp_path: Path) -> None:
    home = Installation(tmp_path)
    home.environment.state.path.mkdir()
    (tmp_path / "old").mkdir()
    refused = back_up(home, tmp_path / "old")
    assert refused.returncode != 0
    assert "File exists" in refused.stderr


def test_a_copy_is_for_its_user_alone_whatever_rights_the_files_had(tmp_path: Path) -> None:
    home = Installation(tmp_path)
    with closing(Outbox(home.environment.state.outbox)):
        (home.environment.state.path / "store").write_text("the embedded store\n", encoding="utf-8")
    (home.environment.state.path / "store").chmod(0o664)
    before = os.umask(0o002)
    try:
        assert back_up(home, tmp_path / "copy").returncode == 0
    finally:
        os.umask(before)
    paths = [tmp_path / "copy", *(tmp_path / "copy").rglob("*")]
    assert {path.name for path in paths} >= {"outbox.sqlite", "store"}
    assert [path for path in paths if path.stat().st_mode & 0o077] == []

"""The whole way of a backup with real processes: taken while a collector runs, everything lost, restored, gone on."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.cli.in_this_process import give_doctor_time, in_this_process
from air_pipeline_tests.running_pipeline import Installation, today, write_devices
from air_pipeline_tests.storage.model import START, poll
from air_pipeline_tests.waiting import WITHIN_S, wait_for

BACKUP = Path(__file__).parents[2] / "deploy" / "backup"

pytestmark = pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not there")


def back_up(state: Path, target: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BACKUP, state, target], capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )


@contextmanager
def collecting(home: Installation, devices: list[str]) -> Iterator[int]:
    """A collector of its own, within the block; gives since when (ms) it has collected, after its first polls."""
    collector = subprocess.Popen([sys.executable, "-m", "air_pipeline", "collect"], env=home.variables)
    try:
        since = home.collecting_since()
        wait_for(lambda: {name for name, _ in home.stored(devices, since)} == set(devices), "a poll of each device")
        yield since
        collector.send_signal(signal.SIGTERM)
        assert collector.wait(WITHIN_S) == 0
    finally:
        collector.kill()
        collector.wait()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with an outbox, an embedded store, history and tables."""
    home = Installation(tmp_path)
    state = home.environment.state
    with closing(Outbox(state.outbox)) as box:
        box.add([poll("hall", START)])
    for path in (state.readings, state.path / "dagster" / "history" / "runs.db"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE one (x)")
    for name in ("ui", "up.lock", "collector.log", "sockets/workspace.yaml", "data/.x.partial", "data/page.html"):
        file = state.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return state.path


@pytest.mark.slow
def test_what_was_backed_up_while_collecting_is_restored_after_everything_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """First with its tables, then without; the collector is a process of its own, as is the backup."""
    devices = ["attic", "cellar"]
    yesterday = today() - timedelta(days=1)
    home, copy = Installation(tmp_path), tmp_path / "an 'old' backup"
    for name, value in home.variables.items():
        monkeypatch.setenv(name, value)
    give_doctor_time(monkeypatch)
    ask = partial(in_this_process, monkeypatch, capsys)
    with Simulator(devices) as simulator:
        write_devices(home.config, simulator, dict.fromkeys(devices, "1s"), yesterday)
        home.config.write_text(home.config.read_text() + "collector: external\n")
        home.seed(0, [yesterday], 600_000)
        assert ask("build", "--workers", "1")[0] == 0
        with collecting(home, devices) as since:
            before = home.accepted(devices, since)
            copied = back_up(home.state, copy)
            assert (copied.returncode, copied.stdout, copied.stderr) == (0, "", "")
            status, _, err = ask("restore", copy, "--yes", "--replace")
            assert (status, "a collector (process" in err) == (1, True)

        shutil.rmtree(home.state)
        status, out, err = ask("restore", copy, "--yes")
        assert (status, "1 days are built from what the store holds" in out) == (0, True), (out, err)
        assert before <= home.accepted(devices, since)
        with collecting(home, devices):
            status, out, _ = ask("doctor")
            assert (status, "✗" in out) == (0, False), out
        home.accepted(devices, 0)  # which fails where a slot is there twice
        assert "0 of 0 days built" in ask("build", "--workers", "1")[2]

        shutil.rmtree(copy / "data")
        status, out, err = ask("restore", copy, "--yes", "--replace")
        assert (status, f"1 days ({yesterday}) are built by themselves" in out) == (0, True), (out, err)
        assert before <= home.accepted(devices, since)
        assert "1 of 1 days built" in ask("build", "--workers", "1")[2]
        assert home.built(yesterday)


def test_each_poll_is_in_the_outbox_or_in_the_store_of_a_backup(tmp_path: Path, state: Path) -> None:
    """The order matters: a poll that is delivered between the two copies must be in one of them."""
    shim = tmp_path / "bin"
    shim.mkdir()
    (shim / "sqlite3").write_text(f'#!/bin/sh\necho "$3" >> {tmp_path}/order\nexec {shutil.which("sqlite3")} "$@"\n')
    (shim / "sqlite3").chmod(0o755)
    assert back_up(state, tmp_path / "copy", PATH=f"{shim}{os.pathsep}{os.environ['PATH']}").returncode == 0
    assert (tmp_path / "order").read_text().split()[:2] == ["outbox.sqlite", "readings.sqlite"]


def test_a_backup_has_what_lasts_and_is_for_its_user_alone(tmp_path: Path, state: Path) -> None:
    assert back_up(state, tmp_path / "copy").returncode == 0
    files = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert files == {"outbox.sqlite", "readings.sqlite", "dagster/history/runs.db", "data/page.html"}
    assert {path.stat().st_mode & 0o077 for path in [tmp_path / "copy", *(tmp_path / "copy").glob("*")]} == {0}


def test_what_cannot_be_copied_whole_leaves_nothing_under_a_good_name(tmp_path: Path, state: Path) -> None:
    (state / "dagster" / "history" / "runs.db").write_text("this is no database, and so cannot be copied as one")
    failed = back_up(state, tmp_path / "copy")
    assert failed.returncode != 0
    assert f"{state} could not be copied (see above), and nothing was left at {tmp_path / 'copy'}" in failed.stderr
    assert not list(tmp_path.glob("copy*"))


def test_a_backup_that_is_killed_leaves_nothing_under_a_good_name(tmp_path: Path, state: Path) -> None:
    """Killed while it waits for a database that another program has locked."""
    with closing(sqlite3.connect(state / "readings.sqlite")) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        running = subprocess.Popen([BACKUP, state, tmp_path / "copy"], start_new_session=True)
        [staged] = wait_for(lambda: list(tmp_path.glob("copy.*/outbox.sqlite")), "the begin of a backup")
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert not (tmp_path / "copy").exists()
    assert staged.parent.name.endswith(".partial")


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("state", "old", "is there already; name a directory that is not"),
        ("state", "no/copy", "is not there; make it first"),
        ("state", "state/copy", "is in the state directory itself"),
        ("old", "copy", "is no state directory of air_pipeline"),
        ("nowhere", "copy", "is no directory that this user may read"),
    ],
)
def test_wrong_use_is_refused_in_a_sentence(tmp_path: Path, state: Path, source: str, target: str, said: str) -> None:
    (tmp_path / "old").mkdir()
    refused = back_up(state.with_name(source), tmp_path / target)
    assert refused.returncode != 0
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "copy").exists()


def test_a_copy_is_for_its_user_alone_whatever_rights_the_files_had(tmp_path: Path) -> None:
    home = Installation(tmp_path)
    with closing(Outbox(home.environment.state.outbox)):
        (home.environment.state.path / "store").write_text("the embedded store\n", encoding="utf-8")
    (home.environment.state.path / "store").chmod(0o664)
    before = os.umask(0o002)
    try:
        assert back_up(home.environment.state.path, tmp_path / "copy").returncode == 0
    finally:
        os.umask(before)
    paths = [tmp_path / "copy", *(tmp_path / "copy").rglob("*")]
    assert {path.name for path in paths} >= {"outbox.sqlite", "store"}
    assert [path for path in paths if path.stat().st_mode & 0o077] == []

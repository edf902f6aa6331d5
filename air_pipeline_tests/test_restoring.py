"""What `air-pipeline restore` refuses, and that a kill leaves the old state or the restored one, never a mixture."""

import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.collection.outbox import Outbox
from air_pipeline.environment import Environment
from air_pipeline.in_force import load_settings
from air_pipeline.restoring import RestoreError, examine_backup, finish_interrupted, restore
from air_pipeline.running.up import only_one
from air_pipeline.state import StateDirectory
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.environments import INFLUX, VALID, environment_in
from air_pipeline_tests.needs import go_without
from air_pipeline_tests.storage.model import START, poll

NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
WRITTEN = ("os.", "shutil.", "ctypes.", "open")
"""The names of the audit events of what changes anything on the disk begin so."""
LAST_STEPS = 18
"""From before the restored directory is put in place to the end, and some more."""


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return environment_in(tmp_path)


@pytest.fixture
def backup(tmp_path: Path, environment: Environment) -> Path:
    """A backup with one poll that waits, a day's file and some history."""
    environment.state.remember_store(environment.store)
    with closing(Outbox(environment.state.outbox)) as box:
        box.add([poll("hall", START)])
    environment.state.write(environment.state.last_valid, VALID)
    for name in ("data/observations/date=2026-11-01/observations.parquet", "dagster/history/note"):
        file = environment.state.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
        file.chmod(0o644)
    return environment.state.path.rename(tmp_path / "backup")


@pytest.fixture
def ask(environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for name, value in environment.variables().items():
        if name != "AIR_PIPELINE_DATA":
            monkeypatch.setenv(name, value)
    return lambda *arguments: in_this_process(monkeypatch, capsys, "restore", *arguments)


def contents(folder: Path) -> dict[str, bytes]:
    """What somebody could miss in a directory; nothing where there is none."""
    ours = ("version", "restoring", ".lock", ".partial")
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.endswith(ours))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def old_state(environment: Environment) -> dict[str, bytes]:
    """Something in the state directory that is not from the backup."""
    environment.state.write(environment.state.binding, "something else\n")
    environment.state.write(environment.state.space, "{}")
    return contents(environment.state.path)


def test_without_yes_it_is_only_said_what_would_be_done(ask, environment: Environment, backup: Path) -> None:
    before = contents(backup)
    status, out, _ = ask(backup)
    assert status == 0
    assert "the outbox, the history of Dagster, the last valid devices.yaml, 1 days of tables" in out
    assert f"it becomes {environment.state}" in out
    assert "to do it, add --yes" in out
    assert not environment.state.path.exists()
    assert contents(backup) == before


def test_what_is_restored_is_the_backup_for_its_user_alone(ask, environment: Environment, backup: Path) -> None:
    status, out, _ = ask(backup, "--yes")
    assert status == 0, out
    state = environment.state.path
    assert contents(state).keys() == contents(backup).keys()
    assert {path.stat().st_mode & 0o777 for path in state.rglob("*")} == {0o700, 0o600}
    assert "1 polls wait in the outbox" in out
    assert [path.name for path in state.parent.iterdir() if path.name.startswith("state")] == ["state"]


def test_what_is_not_there_beside_the_restored_state_is_brought_back_by_the_command_that_is_named(
    ask, environment: Environment, backup: Path
) -> None:
    mark = "- {device: hall, from: 2026-11-21, to: 2026-11-22, verdict: bad, why: moved}\n"
    (backup / "marks.last-valid.yaml").write_text(mark)
    environment.config.unlink()
    status, out, _ = ask(backup, "--yes")
    assert status == 0, out
    assert "the last valid devices.yaml, the last valid marks.yaml, 1 days of tables" in out
    for command in re.findall(r"the last valid one is: (cp .*)", out):
        subprocess.run(shlex.split(command), check=True)
    loaded = load_settings(environment.config, environment.state)
    assert ([one.why for one in loaded.settings.marks], loaded.mistake) == (["moved"], None)


def test_a_state_directory_that_is_not_empty_is_put_aside_only_when_told(
    ask, environment: Environment, backup: Path
) -> None:
    before = old_state(environment)
    status, _, err = ask(backup, "--yes")
    assert (status, "is not empty" in err) == (1, True)
    assert contents(environment.state.path) == before
    status, out, _ = ask(backup, "--yes", "--replace")
    assert status == 0, out
    [kept] = environment.state.path.parent.glob("state.before-*")
    assert str(kept) in out
    assert contents(kept) == before


def test_nothing_is_restored_under_a_collector_or_up(ask, environment: Environment, backup: Path) -> None:
    before = old_state(environment)
    for lock, named in ((CollectorLock(environment.state), "a collector"), (only_one(environment.state), "up")):
        with lock:
            status, _, err = ask(backup, "--yes", "--replace")
            assert status == 1
            assert named in err
            assert f"(process {os.getpid()}) runs on {environment.state}; stop it first" in err
    assert contents(environment.state.path) == before


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[5000:9000] = b"\xff" * 4000
    file.write_bytes(content)


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda backup: damage(backup / "outbox.sqlite"), "outbox.sqlite cannot be used: it is damaged"),
        (lambda backup: newer(backup / "outbox.sqlite"), "was made by a newer air_pipeline; update this one"),
        (lambda backup: (backup / "readings.sqlite").write_text("no database"), "is damaged or no SQLite file"),
        (lambda backup: (backup / "dagster" / "runs.db").write_text("no database"), "is damaged or no SQLite file"),
        (lambda backup: (backup / "outbox.sqlite-wal").write_text("x"), "take backups with deploy/backup"),
        (
            lambda backup: (backup / "version").write_text("99\n"),
            "was written by a newer air_pipeline; update this one",
        ),
        (
            lambda backup: (backup / "store").write_text("InfluxDB at http://10.0.0.1:8086, org home, bucket air\n"),
            "set INFLUXDB_V2_",
        ),
        (lambda backup: [file.unlink() for file in backup.iterdir() if file.is_file()], "is no backup"),
    ],
)
def test_a_backup_that_cannot_be_used_is_refused_before_anything_is_touched(
    ask, environment: Environment, backup: Path, spoil, said: str
) -> None:
    before = old_state(environment)
    spoil(backup)
    status, _, err = ask(backup, "--yes", "--replace")
    assert status in (1, 2)
    assert said in err
    assert len(err.splitlines()) == 1
    assert contents(environment.state.path) == before
    assert not list(environment.state.path.parent.glob("state.*"))


def test_a_backup_of_another_store_names_it(ask, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in INFLUX.items():
        monkeypatch.setenv(name, value)
    status, _, err = ask(backup, "--yes")
    assert status == 2
    assert "belongs to the embedded store, and the environment names InfluxDB" in err


def test_tables_are_left_out_where_they_are_kept_elsewhere(
    ask, environment: Environment, backup: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIR_PIPELINE_DATA", str(tmp_path / "tables"))
    status, out, _ = ask(backup, "--yes")
    assert status == 0
    assert "its tables are left out" in out
    assert not (environment.state.path / "data").exists()


def restored_in_a_process(environment: Environment, backup: Path, kill_before: int | None = None) -> int | None:
    """Restores in a process of its own; how many things it did to the disk, None if it was killed before one."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        done = 0

        def count(event: str, _: object) -> None:
            nonlocal done
            if event.startswith(WRITTEN) and event != "os.kill":
                if done == kill_before:
                    os.kill(os.getpid(), signal.SIGKILL)
                done += 1

        try:
            found = examine_backup(backup, environment)
            sys.addaudithook(count)
            restore(found, environment.state, NOW)
            os.write(writes, str(done).encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    assert said or os.WIFSIGNALED(status)
    return int(said) if said else None


@pytest.mark.parametrize(
    ("there_is_one", "every"),
    [
        (False, 29),
        (True, 29),
        pytest.param(False, 1, marks=pytest.mark.chaos),
        pytest.param(True, 1, marks=pytest.mark.chaos),
    ],
)
def test_whenever_a_restore_is_killed_the_old_state_stands_or_the_restored_one(
    environment: Environment, backup: Path, *, there_is_one: bool, every: int
) -> None:
    """Before each nth thing that it does to the disk, and before each of the last ones, which put it in place."""

    def begin_again() -> dict[str, bytes]:
        for folder in environment.state.path.parent.glob("state*"):
            shutil.rmtree(folder)
        return old_state(environment) if there_is_one else {}

    new, old = contents(backup), begin_again()
    steps = restored_in_a_process(environment, backup)
    assert steps is not None
    assert contents(environment.state.path) == new
    seen = set()
    for number in {*range(0, steps, every), *range(max(steps - LAST_STEPS, 0), steps)}:
        begin_again()
        assert restored_in_a_process(environment, backup, kill_before=number) is None
        now = contents(environment.state.path)
        assert now in (old, new), f"killed before step {number} of {steps}"
        seen.add(now == new)
        finish_interrupted(environment.state, NOW)
        assert contents(environment.state.path) == now
        assert not environment.state.path.with_name("state.restoring").exists()
        if there_is_one and now == new:
            assert contents(environment.state.path.with_name("state.before-2026-11-26T080000Z")) == old
    assert seen == {False, True}


def test_a_restore_that_was_killed_is_finished_by_the_next(ask, environment: Environment, backup: Path) -> None:
    """The directories have changed their names, and nothing was tidied up."""
    old = old_state(environment)
    backup_copy = environment.state.path.with_name("copy")
    shutil.copytree(backup, backup_copy)
    (backup_copy / "restoring").write_text(f"{backup}\n")
    environment.state.path.rename(environment.state.path.with_name("state.restoring"))
    backup_copy.rename(environment.state.path)
    status, out, _ = ask(backup, "--yes")
    assert (status, "is finished now" in out) == (0, True)
    [kept] = environment.state.path.parent.glob("state.before-*")
    assert contents(kept) == old
    assert contents(environment.state.path).keys() == contents(backup).keys()


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system of its own; it takes the right to mount one."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", *options, "none", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        go_without("this user may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_where_something_is_mounted_it_is_said(ask, environment: Environment, backup: Path) -> None:
    with mounted(environment.state.path):
        (environment.state.path / "something").write_text("")
        status, _, err = ask(backup, "--yes", "--replace")
        assert (status, "where something is mounted" in err) == (1, True)
        assert not environment.state.path.with_name("state.restoring").exists()


def test_on_a_full_disk_the_old_state_stands_and_nothing_is_left(
    ask, environment: Environment, backup: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIR_PIPELINE_STATE", str(tmp_path / "small" / "state"))
    (backup / "data" / "large").write_bytes(bytes(400_000))
    with mounted(tmp_path / "small", "-o", "size=300k"):
        small = replace(environment, state=StateDirectory(tmp_path / "small" / "state"))
        before = old_state(small)
        status, _, err = ask(backup, "--yes", "--replace")
        assert (status, "No space left on device" in err) == (1, True)
        assert f"the state in {small.state} is as it was" in err
        assert contents(small.state.path) == before
        assert [path.name for path in (tmp_path / "small").iterdir()] == ["state"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_restores_is_the_service_s(ask, environment: Environment, backup: Path) -> None:
    old_state(environment)
    os.chown(environment.state.path, 4711, 4712)
    assert ask(backup, "--yes", "--replace")[0] == 0
    restored = [environment.state.path, *environment.state.path.rglob("*")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in restored if path.name != "space.json"} == {
        (4711, 4712)
    }


def test_a_state_directory_that_is_a_link_is_restored_where_it_leads_to(
    ask, environment: Environment, backup: Path, tmp_path: Path
) -> None:
    """It was put on another disk for its room, or its speed."""
    place = tmp_path / "disk" / "state"
    place.mkdir(parents=True)
    environment.state.path.symlink_to(place)
    for options in (("--yes",), ("--yes", "--replace")):  # empty, and not
        assert ask(backup, *options)[0] == 0
        assert environment.state.path.readlink() == place
        assert contents(place).keys() == contents(backup).keys()
    assert sorted(path.name.partition(".")[0] for path in place.parent.iterdir()) == ["state", "state"]


def test_a_marker_that_is_no_file_is_not_waited_for(ask, environment: Environment, backup: Path) -> None:
    environment.state.make()
    os.mkfifo(environment.state.path / "restoring")
    status, _, err = ask(backup, "--yes", "--replace")
    assert (status, "it is no file; remove it" in err) == (2, True)


def test_a_link_in_a_backup_gives_nobody_what_it_leads_to(ask, environment: Environment, backup: Path) -> None:
    """Root restores, and gives to the user of the service what there is."""
    secret = backup.with_name("secret")
    secret.write_text("of root", encoding="utf-8")
    examined = examine_backup(backup, environment)
    note = backup / "dagster" / "history" / "note"
    note.unlink()
    note.symlink_to(secret)
    status, _, err = ask(backup, "--yes")
    assert (status, f"{note} is a symbolic link" in err) == (1, True)
    with pytest.raises(RestoreError):  # put there after it was looked at
        restore(examined, environment.state, NOW)
    assert not environment.state.outbox.exists()

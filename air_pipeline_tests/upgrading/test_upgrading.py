"""A state directory of an older version is taken up; one of a newer version is refused by every command."""

import re
import signal
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from air_pipeline.cli import COMMANDS
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.simulator import Simulator
from air_pipeline.notifying.telling import read_state
from air_pipeline.storage.day_files import built_days
from air_pipeline_tests.cli.in_this_process import give_doctor_time, in_this_process
from air_pipeline_tests.environments import VALID
from air_pipeline_tests.running_pipeline import Installation, dead_port
from air_pipeline_tests.storage.model import START, poll
from air_pipeline_tests.upgrading.make_old_state import DAYS, DEVICES
from air_pipeline_tests.waiting import WITHIN_S, wait_for

OLD_STATE = Path(__file__).with_name("old-state.tar.xz")


def old_installation(folder: Path, simulator: Simulator) -> Installation:
    """The old state directory, with its devices at the addresses of now."""
    with tarfile.open(OLD_STATE) as archive:
        archive.extractall(folder, filter="data")
    home = Installation(folder)
    text = re.sub(
        r"url: .*/(\w+)/circumstances", lambda found: f"url: {simulator.url(found[1])}", home.config.read_text()
    )
    home.config.write_text(re.sub(r"notify:.*", "collector: external\n", text, flags=re.DOTALL))
    return home


def rows(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.slow
def test_an_older_state_directory_is_taken_up_and_nothing_of_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Simulator(DEVICES) as simulator:
        home = old_installation(tmp_path, simulator)
        for name, value in home.variables.items():
            monkeypatch.setenv(name, value)
        give_doctor_time(monkeypatch)
        ask = partial(in_this_process, monkeypatch, capsys)
        state = home.environment.state
        waited = rows(state.outbox, "SELECT poll ->> 'device', observed_at FROM outbox")
        stored = rows(state.readings, "SELECT device, observed_at FROM poll")
        assert len(waited) > 50
        assert len(stored) > 900
        assert read_state(state).outgoing
        assert len(built_days(home.environment.data, "daily_aggregates")) == DAYS

        # The archive grows old: without that word, a kernel that says nothing of the clock would hold for ten minutes.
        command = [sys.executable, "-m", "air_pipeline", "collect", "--believe-clock"]
        collector = subprocess.Popen(command, env=home.variables)
        try:
            since = home.collecting_since()
            wait_for(lambda: {name for name, _ in home.stored(DEVICES, since)} == set(DEVICES), "a poll of each device")
            wait_for(lambda: not home.waiting().intersection(waited), "the polls that waited")
            first, *_, last = built_days(home.environment.data, "daily_aggregates")
            for _ in range(2):
                status, _, err = ask("build", "--from", first, "--to", last, "--workers", 1)
                assert status == 0, err
            assert f"{DAYS} days are current" in err
            status, out, _ = ask("doctor")
            assert (status, "✗" in out) == (0, False), out
            collector.send_signal(signal.SIGTERM)
            assert collector.wait(WITHIN_S) == 0
        finally:
            collector.kill()
            collector.wait()
        assert {*waited, *stored} <= set(rows(state.readings, "SELECT device, observed_at FROM poll"))


ARGUMENTS = {
    "accept": ("accept", "hall"),
    "init": None,
    "simulate": None,
    "demo": None,  # which has a state directory of its own
    "flux": None,  # with the embedded store, wrong use
    "restore": None,  # which looks at the version of the backup
    "report": ("report", "2026-11-01", "-o", "page.html"),
    "build": ("build", "--from", "2026-11-01", "--to", "2026-11-01"),
    "copy": ("copy", "embedded"),
    "rename": ("rename", "hall", "attic"),
    "delete": ("delete", "attic"),
    "export": ("export", "openair", "-o", "hours.csv"),
    "explain": ("explain", "--device", "hall", "--series", "mq135_co2", "--at", "2026-11-01T08:00"),
}
"""How each command is called that is not called by its name alone; not at all those that use no state directory."""


def bump(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


NEWER = {
    "version": lambda state: state.version.write_text("99\n"),
    "outbox": lambda state: bump(state.outbox),
    "readings": lambda state: bump(state.readings),
}
USES = {"outbox": {"collect", "outbox"}, "readings": {"latest", "history", "build"}}
"""The commands that look into such a file."""


@pytest.mark.parametrize("newer", NEWER)
def test_what_a_newer_version_wrote_is_refused_by_every_command_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], newer: str
) -> None:
    home = Installation(tmp_path)
    home.config.write_text(VALID.replace("10.0.0.1", f"127.0.0.1:{dead_port()}"))
    for name, value in home.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    state = home.environment.state
    state.remember_store(home.environment.store)
    with closing(Outbox(state.outbox)) as box:
        box.add([poll("hall", START)])
    home.seed(0, [date(2026, 11, 1)], 3_600_000)
    NEWER[newer](state)
    before = {path: path.read_bytes() for path in (state.version, state.outbox, state.readings)}
    for name in COMMANDS:
        arguments = ARGUMENTS.get(name, (name,))
        if arguments is None or (newer != "version" and name not in USES[newer]):
            continue
        status, out, err = in_this_process(monkeypatch, capsys, *arguments)
        said = out if name == "doctor" else err
        assert status in (1, 2), f"{name}: {said}"
        assert re.search(r"by a newer air_pipeline(;|:| →) update this one", said), f"{name}: {said}"
        assert "Traceback" not in out + err
        assert {path: path.read_bytes() for path in before} == before, name
    assert not list(state.path.glob("data/*/date=*"))

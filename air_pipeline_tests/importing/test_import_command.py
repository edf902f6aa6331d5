"""The command: it says first, writes with --yes, and what was killed in the middle is finished by the same command."""

import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import date

import pytest

from air_pipeline.cli import display, importing
from air_pipeline.collection.asking import ask_devices
from air_pipeline.collection.lease import CollectorLock
from air_pipeline.days.imports import known_imports
from air_pipeline.environment import Environment
from air_pipeline.importing.writing import write_import
from air_pipeline.settings.file import read_settings
from air_pipeline.state import StateDirectory
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.written_over import written_over
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.cli.test_reading import terminal
from air_pipeline_tests.importing.histories import table
from air_pipeline_tests.waiting import wait_for

DAYS = [date(2026, 10, day) for day in (23, 24, 25)]  # with the autumn night of Warsaw
SETTINGS = """
timezone: Europe/Warsaw
start: {start}
devices:
  - id: hall
    url: http://127.0.0.1:9/circumstances
"""


class Home:
    """A deployment on the embedded store, whose commands run in this process."""

    def __init__(self, path, monkeypatch, capsys):
        self.path, self.monkeypatch, self.capsys = path, monkeypatch, capsys
        path.mkdir(exist_ok=True)
        self.configure()
        table(path, DAYS)
        monkeypatch.chdir(path)
        for name in ("URL", "TOKEN", "ORG", "BUCKET"):
            monkeypatch.delenv(f"INFLUXDB_V2_{name}", raising=False)

    def configure(self, start="2026-01-01"):
        (self.path / "devices.yaml").write_text(SETTINGS.format(start=start))

    def __call__(self, *arguments):
        self.monkeypatch.setenv("AIR_PIPELINE_STATE", str(self.path / "state"))
        self.monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(self.path / "devices.yaml"))
        return in_this_process(self.monkeypatch, self.capsys, *arguments)

    def imports(self, *arguments):
        status, out, err = self("import", "history.csv", "--as", "mapping.yaml", *arguments)
        assert status == 0, err
        return out

    def rows(self):
        """All that the store holds, but for what it does not: a file that was never made."""
        with closing(sqlite3.connect(self.path / "state" / "readings.sqlite")) as file:
            polls = file.execute("SELECT * FROM poll ORDER BY device, observed_at").fetchall()
            return polls, file.execute("SELECT * FROM air ORDER BY device, observed_at").fetchall()

    def listed(self):
        return json.loads(self("import", "--list", "--json")[1])


@pytest.fixture
def home(tmp_path, monkeypatch, capsys):
    return Home(tmp_path / "home", monkeypatch, capsys)


def test_first_it_is_said_what_would_come_and_nothing_is_written(home):
    said = home.imports()
    assert "432 rows → 426 polls with 852 values, 2026-10-23 00:00 to 2026-10-26 00:00 (Europe/Warsaw)" in said
    assert "series: dht22_temperature (°C), sds011_pm25 (µg/m³)" in said
    assert "every 600 s, in 1 stretch with 12 missed slots" in said
    assert "1 gap of more than an hour: 2026-10-25 02:00 to 2026-10-25 03:00" in said
    assert "6 rows at a local time that the clock showed twice are left out" in said
    assert said.endswith("nothing was changed; to do it, add --yes\n")
    assert not (home.path / "state" / "readings.sqlite").exists()
    assert home("import", "--list")[1] == "nothing was imported\n"


def test_it_is_written_listed_built_taken_back_and_written_again(home):
    said = home.imports("--yes")
    [one] = home.listed()
    assert f"imported as {one['import']}" in said
    assert (one["device"], one["stage"], one["polls"], one["source"]) == ("hall", "done", 427, "history.csv")
    assert "air-pipeline build --from 2026-10-23 --to 2026-10-25" in said  # these days, and none that has nothing
    home.monkeypatch.setenv("COLUMNS", "40")
    shown = home("import", "--list")[1]
    assert all(whole in shown for whole in (one["import"], "2026-10-22", "2026-10-25", "history.csv"))
    first = home.rows()
    assert "(all of it was there already)" in home.imports("--yes")
    assert home.rows() == first
    _, daily, _ = home("daily", "--from", "2026-10-25", "--to", "2026-10-26", "--json")
    assert {json.loads(row)["expected_count"] for row in daily.splitlines()} == {150}  # the long day has 25 hours
    why = home("explain", "--device", "hall", "--series", "dht22_temperature", "--at", "2026-10-24T08:00")[1]
    assert "\npoll: imported\n" in why  # of which nobody knows how long it took
    assert "would be deleted" in home("import", "--undo", one["import"])[1]
    assert home.rows() == first
    assert home("import", "--undo", one["import"], "--yes")[1].startswith(f"427 polls of import {one['import']} are")
    assert home.rows() == ([], [])
    assert [row["stage"] for row in home.listed()] == ["undone"]
    again = home("import", "--undo", one["import"], "--yes")[1]
    assert again == f"import {one['import']} was taken back before: nothing of it is there\n"
    home.imports("--yes")
    assert home.rows() == first
    assert [row["stage"] for row in home.listed()] == ["done"]


def test_while_days_are_written_a_terminal_shows_how_many_there_are_still(home):
    """As of each day that takes its time: the next one begins once the bar has told of it."""

    def at_leisure(*arguments):
        for number, day in enumerate(write_import(*arguments), start=1):
            yield day
            wait_for(lambda number=number, day=day: f" {number}/{number + day.left} " in text(), "the bar")

    home.monkeypatch.setattr(importing, "write_import", at_leisure)
    home.monkeypatch.setattr(display, "LONG_S", 0.0)
    home.monkeypatch.setenv("TERM", "xterm")
    with terminal() as (theirs, text), os.fdopen(os.dup(theirs), "w") as stderr, home.monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        home.imports("--yes")
        assert "writing days" in text()
    assert [row["stage"] for row in home.listed()] == ["done"]


def test_one_command_puts_an_import_in_the_place_of_another(home):
    home.imports("--yes")
    [old] = home.listed()
    table(home.path, DAYS, value=10.0)
    assert f"import {old['import']}" in home.imports()  # whose slots they are
    assert f"with --replace {old['import']}" in home.imports()
    said = home.imports("--replace", old["import"], "--yes")
    assert f"427 polls of import {old['import']} are taken back" in said
    stages = {row["import"]: (row["stage"], row["polls"]) for row in home.listed()}
    assert stages.pop(old["import"]) == ("undone", 0)
    assert list(stages.values()) == [("done", 427)]


def test_before_start_nothing_is_written_and_the_line_to_set_is_printed(home):
    home.configure(start="2026-10-24")
    for more in ((), ("--yes",)):
        status, out, err = home("import", "history.csv", "--as", "mapping.yaml", *more)
        assert status == 2
        assert "start: 2026-10-23" in err.splitlines()
        assert "426 polls" in out
    assert not (home.path / "state" / "readings.sqlite").exists()
    home.imports("--from", "2026-10-24", "--yes")
    assert len(home.rows()[0]) == 427 - 144


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("history.csv",), "say with --as what columns mean"),
        (("history.csv", "--as", "nothing"), "is no preset, and no file that ends in .yaml"),
        (("history.csv", "--as", "sensor.community-dht22"), "say with --device whose history it is"),
        (("--as", "mapping.yaml"), "name the files to import"),
        (("--as", "mapping.yaml", "--bucket", "old"), "is of files: name those, and no --bucket"),
        (("history.csv", "--as", "ahttpdc", "--device", "hall"), "is of a bucket: name it with --bucket"),
        (("--as", "ahttpdc", "--bucket", "old", "--device", "hall"), "where bucket old is, ahttpdc does not say"),
        (("history.csv", "--as", "mapping.yaml", "--device", "hal"), "has no device hal; did you mean hall?"),
    ],
)
def test_wrong_use_is_said_with_what_would_be_right(home, arguments, said):
    status, _, err = home("import", *arguments)
    assert (status, said in err) == (2, True), err


MOMENTS = {
    "before the first day": ("write", 1, False),
    "after the first day": ("write", 1, True),
    "before the third day": ("write", 3, False),
    "after the last": ("write", 4, True),
}


def killed(home, moment, number, after, *arguments):
    """Runs a command in a process that is killed before or after so many calls of a method of the store."""
    child = os.fork()
    if not child:
        real, calls = getattr(SqliteStore, moment), []

        def dying(*given):
            calls.append(given)
            if len(calls) == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            real(*given)
            if len(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        home.monkeypatch.setattr(SqliteStore, moment, dying)
        home(*arguments)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was not killed"


IMPORT = ("import", "history.csv", "--as", "mapping.yaml", "--yes")


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_import_that_was_killed_is_finished_by_the_same_command(home, tmp_path, moment):
    other = Home(tmp_path / "other", home.monkeypatch, home.capsys)
    other.imports("--yes")
    home.monkeypatch.chdir(home.path)
    killed(home, *MOMENTS[moment], *IMPORT)
    assert [one.stage.value for one in known_imports(StateDirectory(home.path / "state")).values()] == ["begun"]
    home.imports("--yes")
    assert home.rows() == other.rows()
    assert [(row["stage"], row["polls"]) for row in home.listed()] == [("done", 427)]
    with closing(SqliteStore(StateDirectory(home.path / "state").readings)) as store:
        marks = {mark.day.isoformat() for mark in written_over(store)}
    assert marks == {"2026-10-22", "2026-10-23", "2026-10-24", "2026-10-25"}


@pytest.mark.parametrize("after", [False, True], ids=["before it is deleted", "after it is deleted"])
def test_a_replacement_that_was_killed_is_finished_by_the_same_command(home, tmp_path, after):
    home.imports("--yes")
    [old] = home.listed()
    table(home.path, DAYS, value=10.0)
    other = Home(tmp_path / "other", home.monkeypatch, home.capsys)
    table(other.path, DAYS, value=10.0)
    other.imports("--yes")
    home.monkeypatch.chdir(home.path)
    replacing = (*IMPORT, "--replace", old["import"])
    killed(home, "delete_import", 1, after, *replacing)
    assert home(*replacing)[0] == 0
    assert home.rows() == other.rows()


def test_what_was_imported_says_nothing_of_how_a_device_answers(home):
    """Its last stored poll is one that ends the import: while a collector runs, doctor knows of no poll yet."""
    home.imports("--yes")
    environment = Environment(home.path / "devices.yaml", StateDirectory(home.path / "state"), home.path / "data")
    settings = read_settings(environment.config)
    with CollectorLock(environment.state):
        [asked] = ask_devices(environment, settings, settings.devices, may_ask=True, longest_s=5, within_s=5)
    assert (asked.poll, asked.live) == (None, False)

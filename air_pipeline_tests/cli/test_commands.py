"""The commands as a user and a shell see them: help, exit statuses, sentences, files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.cli.shell import Shell, seeded
from air_pipeline_tests.running_pipeline import (
    dead_port,
    has_colour,
)

READING = ("latest", "history", "observations", "hourly", "daily")
OTHERS = (
    "init",
    "up",
    "collect",
    "poll",
    "flux",
    "build",
    "export",
    "doctor",
    "outbox",
    "copy",
    "notify",
    "simulate",
    "restore",
    "rename",
    "accept",
    "delete",
    "mark",
)
EVERY_COMMAND = (*READING, *OTHERS)
HEAVY = ("dagster", "pandas", "numpy", "pyarrow", "pandera", "influxdb_client", "requests", "yaml", "rich")
NEED_SETTINGS = ("up", "collect", "poll", *READING, "build", "notify", "mark")


def listed(text: str) -> list[str]:
    """The commands that `--help` lists."""
    return re.findall(r"^  ([a-z]+) ", text.split("Commands:")[1], re.MULTILINE)


def test_help_lists_every_command_and_each_has_an_example_to_paste(home: Shell) -> None:
    overview = home("--help")
    assert (overview.status, overview.err) == (0, "")
    commands = listed(overview.out)
    assert set(EVERY_COMMAND) <= set(commands)
    assert "..." not in overview.out.split("Commands:")[1]  # lines are broken, not cut
    for name in commands:
        text = home(name, "--help").out
        [example] = re.findall(r"^ *Example: (.*)$", text, re.MULTILINE)
        assert example.startswith(f"air-pipeline {name}"), name
        options = re.findall(r" (--[a-z]+)", example)
        assert all(re.search(rf"{option}\b", text) for option in options), example
        assert not has_colour(text)


def test_help_starts_nothing_heavy(home: Shell) -> None:
    code = (
        "import sys\nfrom air_pipeline.cli import main\nsys.argv = ['air-pipeline', '--help']\n"
        f"try:\n    main()\nfinally:\n    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=home.variables)
    assert shown.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "air_pipeline"], [str(Path(sys.executable).with_name("air-pipeline"))]]
)
def test_the_module_and_the_script_are_the_same_command(command: list[str], home: Shell) -> None:
    shown = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, env=home.variables)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", shown.stdout)
    wrong = subprocess.run(
        [*command, "latest", "nobody"], capture_output=True, text=True, check=False, env=home.variables
    )
    assert wrong.returncode == 2
    assert "there is no device 'nobody'" in wrong.stderr


@pytest.mark.parametrize("name", NEED_SETTINGS)
def test_a_missing_configuration_is_a_sentence_and_status_2(name: str, shell: Shell) -> None:
    assert str(shell.config) in shell.refused(name, status=2)


@pytest.mark.parametrize("name", NEED_SETTINGS)
def test_a_typing_error_is_named_with_its_line_and_status_2(name: str, home: Shell) -> None:
    lines = home.config.read_text(encoding="utf-8").splitlines()
    home.config.write_text("\n".join([*lines, "    intervall: 2s"]), encoding="utf-8")
    said = home.refused(name, status=2)
    assert f"devices.yaml:{len(lines) + 1}" in said
    assert "intervall" in said


@pytest.mark.parametrize("name", ["poll", *READING])
def test_an_unknown_device_is_answered_with_those_there_are(name: str, home: Shell) -> None:
    assert "there is no device 'attc' in devices.yaml; did you mean attic?" in home.refused(name, "attc", status=2)
    assert "there are: attic, cellar" in home.refused(name, "kitchen", status=2)


@pytest.mark.parametrize("name", [*NEED_SETTINGS, "outbox"])
def test_half_of_influxdb_is_refused(name: str, home: Shell) -> None:
    home.influxdb["INFLUXDB_V2_URL"] = "http://127.0.0.1:9"
    home.influxdb["INFLUXDB_V2_ORG"] = "home"
    said = home.refused(name, status=2)
    assert "INFLUXDB_V2_TOKEN, INFLUXDB_V2_BUCKET" in said


@pytest.mark.parametrize("name", ["up", "collect"])
def test_a_state_directory_that_cannot_be_made_is_named(name: str, home: Shell) -> None:
    home.environment.state.path.write_text("a file is in the way", encoding="utf-8")
    said = home.refused(name, status=2)
    assert f"the state directory {home.environment.state} cannot be used" in said
    assert "set AIR_PIPELINE_STATE" in said


@pytest.mark.parametrize("name", ["up", "collect", "latest", "history", "build", "outbox"])
def test_another_store_than_before_is_refused(name: str, home: Shell) -> None:
    home.environment.state.remember_store(home.environment.store)
    home.use_influxdb("http://127.0.0.1:9")
    said = home.refused(name, status=2)
    assert "belongs to the embedded store" in said
    assert "unset the INFLUXDB_V2_* variables" in said
    assert "secret" not in said


@pytest.mark.parametrize("arguments", [("history", "--from", "last week"), ("build", "--from", "2026-13-01")])
def test_a_time_that_is_none_is_answered_with_how_to_write_one(arguments: tuple[str, ...], home: Shell) -> None:
    said = home.refused(*arguments, status=2)
    assert repr(arguments[-1]) in said
    assert "write it as" in said


def test_an_empty_time_is_refused(home: Shell) -> None:
    assert "is empty" in home.refused("history", "--from", "2026-11-02", "--to", "2026-11-01", status=2)


def test_wrong_use_has_status_2(home: Shell) -> None:
    assert "No such option" in home.refused("latest", "--jason", status=2)
    assert "No such command" in home.refused("lates", status=2)


def test_a_file_that_is_neither_csv_nor_parquet_is_refused_before_anything_is_read(home: Shell) -> None:
    said = home.refused("history", "-o", "rows.xlsx", status=2)
    assert "rows.xlsx" in said
    assert ".csv" in said
    assert ".parquet" in said
    assert not home.environment.state.readings.exists()


def test_a_file_that_cannot_be_written_is_a_sentence(home: Shell) -> None:
    said = seeded(home).refused("history", "--from", "-3d", "-o", "no/such/folder/rows.csv", status=1)
    assert said == "no/such/folder/rows.csv cannot be written: there is no directory no/such/folder; make it first"
    (home.folder / "rows.csv").mkdir()
    assert "rows.csv cannot be written: Is a directory" in home.refused("history", "-o", "rows.csv", status=1)


def test_history_is_a_file_that_pandas_reads(home: Shell) -> None:
    seeded(home)
    written = home("history", "attic", "--from", "-3d", "--to", "today", "-o", "rows.parquet")
    assert (written.status, written.out) == (0, "")
    assert "144 rows written to rows.parquet" in written.err
    parquet = pd.read_parquet(home.folder / "rows.parquet")
    home("history", "attic", "--from", "-3d", "--to", "today", "-o", "rows.csv")
    csv = pd.read_csv(home.folder / "rows.csv", index_col="observed_at", parse_dates=["observed_at"])
    assert str(parquet.index.tz) == "Europe/Warsaw"
    assert csv.index.tz_convert("UTC").equals(parquet.index.tz_convert("UTC").as_unit(csv.index.unit))
    values = parquet.drop(columns="device")
    assert values.notna().all(axis=None)
    pd.testing.assert_frame_equal(csv[values.columns].reset_index(drop=True), values.reset_index(drop=True))

    printed = home("history", "attic", "--from", "-3d", "--to", "today", "--json")
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert len(rows) == len(parquet)
    assert [row["dht22_temperature"] for row in rows] == parquet["dht22_temperature"].tolist()
    printed_at = pd.to_datetime([row["observed_at"] for row in rows], utc=True)
    assert printed_at.equals(csv.index.tz_convert("UTC").as_unit(printed_at.unit))
    assert home("history", "attic", "--from", "-3d", "--to", "today").out == (home.folder / "rows.csv").read_text(
        encoding="utf-8"
    )


def test_latest_is_json_for_programs_and_says_where_there_is_nothing(home: Shell) -> None:
    nothing = home("latest")
    assert (nothing.status, nothing.err) == (0, "")
    assert nothing.out.splitlines() == ["attic: nothing yet", "cellar: nothing yet"]
    rows = json.loads(home("latest", "--json").out)
    assert rows == [
        {"device": name, "polled_at": None, "outcome": None, "observed_at": None, "values": {}}
        for name in ("attic", "cellar")
    ]
    seeded(home)
    [row] = json.loads(home("latest", "cellar", "--json").out)
    assert (row["device"], row["outcome"]) == ("cellar", "ok")
    assert row["observed_at"] == row["polled_at"]
    shown = home("latest", "cellar")
    assert not has_colour(shown.out)
    assert re.search(r"bmp180_pressure +[0-9.]+ +hPa", shown.out)


def test_history_of_nothing_is_a_header(home: Shell) -> None:
    empty = home("history")
    assert empty.status == 0
    assert re.fullmatch(r"no readings of any device between \S+ \S+ and \S+ \S+ \(Europe/Warsaw\)\n", empty.err)
    assert (
        "no readings of attic, cellar between 2026-11-02 08:00 and 2026-11-02 09:00 ("
        in home("history", "attic", "cellar", "--from", "2026-11-02T08:00", "--to", "2026-11-02T09:00").err
    )
    assert empty.out == "observed_at,device\n"
    assert home("history", "--json").out == ""
    written = home("history", "-o", "none.parquet")
    assert written.status == 0, written.err
    assert pd.read_parquet(home.folder / "none.parquet").empty


def test_up_says_that_its_port_is_taken(home: Shell, simulator: Simulator) -> None:
    said = home.refused("up", "--port", str(simulator.port), status=1)
    assert f"port {simulator.port} of 127.0.0.1 is taken" in said


def test_a_store_that_does_not_answer_is_a_sentence(home: Shell) -> None:
    url = f"http://127.0.0.1:{dead_port()}"
    home.use_influxdb(url)
    for command in ("latest", "history"):
        said = home.refused(command, status=1)
        assert url in said
        assert "secret" not in said

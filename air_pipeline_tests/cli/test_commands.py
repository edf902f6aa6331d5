"""The commands as a user and a shell see them: help, exit statuses, sentences, files."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Simulator
from air_pipeline.in_force import load_settings
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.running_pipeline import (
    Installation,
    dead_port,
    has_colour,
    now_ms,
    today,
    write_devices,
)
from air_pipeline_tests.waiting import WITHIN_S, wait_for

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


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str


class Shell(Installation):
    """An installation whose commands run in the tests' own process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(folder)
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ran:
        with self._monkeypatch.context() as patch:
            for name in ("AIR_PIPELINE_CONFIG", "AIR_PIPELINE_STATE", *INFLUXDB):
                patch.delenv(name, raising=False)
            for name, value in self.variables.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            return Ran(*in_this_process(patch, self._capsys, *arguments))

    def refused(self, *arguments: str, status: int) -> str:
        """What a command that fails says: sentences, nothing else."""
        ran = self(*arguments)
        assert ran.status == status, ran
        assert ran.out == ""
        assert ran.err.strip()
        assert not has_colour(ran.err)
        return " ".join(ran.err.split())

    def use_influxdb(self, url: str) -> None:
        self.influxdb.update(dict(zip(INFLUXDB, (url, "secret", "home", "air"), strict=True)))


INFLUXDB = ("INFLUXDB_V2_URL", "INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG", "INFLUXDB_V2_BUCKET")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["attic", "cellar"]) as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def home(shell: Shell, simulator: Simulator) -> Shell:
    write_devices(shell.config, simulator, {"attic": "10s", "cellar": "10s"}, date(2026, 11, 1))
    return shell


def seeded(home: Shell) -> Shell:
    home.seed(0, [today() - timedelta(days=1)], 600_000)
    return home


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


def test_poll_asks_and_stores_nothing(home: Shell, simulator: Simulator) -> None:
    simulator.set_fault("cellar", "http_500")
    polled = home("poll", "--json")
    assert (polled.status, polled.err) == (1, "")
    attic, cellar = json.loads(polled.out)
    assert (attic["device"], attic["live"], attic["outcome"], attic["http_status"]) == ("attic", True, "ok", 200)
    assert attic["values"]["dht22_temperature"] is not None
    assert (cellar["outcome"], cellar["http_status"], cellar["values"]) == ("http_error", 500, {})
    assert "500" in home("poll", "cellar").out
    assert home("poll", "attic").status == 0
    assert not home.environment.state.path.exists()


@pytest.mark.parametrize("command", ["poll", "doctor"])
def test_with_an_external_collector_devices_are_asked_only_where_that_is_said(
    home: Shell, simulator: Simulator, command: str
) -> None:
    text = home.config.read_text(encoding="utf-8")
    home.config.write_text(f"collector: external\n{text}", encoding="utf-8")
    before = len(simulator.requests("attic").times_ms)
    with closing(open_store(None, home.environment.state)) as store:
        store.write([Poll("attic", now_ms(), Outcome.OK, 40.0, 10.0, 200, {"dht22_temperature": 21.0})])
    assert "last poll of the running collector" in home(command, "attic").out
    assert len(simulator.requests("attic").times_ms) == before
    assert "attic: ok" in home(command, "attic", "--ask").out
    assert len(simulator.requests("attic").times_ms) == before + 1
    with CollectorLock(home.environment.state):  # it is here, after all
        assert "last poll of the running collector" in home(command, "attic", "--ask").out
    assert len(simulator.requests("attic").times_ms) == before + 1


def test_poll_goes_on_with_the_last_valid_configuration_and_says_so(home: Shell) -> None:
    load_settings(home.environment.config, home.environment.state)
    home.config.write_text("timezone: Europe/Warsaw\n", encoding="utf-8")
    polled = home("poll", "attic")
    assert polled.status == 0
    assert polled.out.startswith("attic: ok")
    assert "going on with the last valid configuration" in polled.err
    assert "devices is missing" in polled.err


def test_beside_a_collector_poll_says_what_it_met(home: Shell, simulator: Simulator) -> None:
    page = Poll("cellar", now_ms(), Outcome.REJECTED, 40.0, 10.0, http_status=200, body="<html>who are you?")
    missed = Poll("attic", now_ms(), Outcome.HTTP_ERROR, 40.0, 10.0, http_status=404)
    with closing(open_store(None, home.environment.state)) as store, CollectorLock(home.environment.state):
        store.write([page, missed])
        polled = home("poll")
    assert polled.status == 1
    assert "attic: http_error: the device answered with status 404" in polled.out
    assert "cellar: rejected: the answer is a web page" in polled.out
    assert not simulator.requests("attic").times_ms


def test_beside_a_collector_poll_knows_what_waits_while_the_store_is_away(home: Shell) -> None:
    home.use_influxdb(f"http://127.0.0.1:{dead_port()}")
    with closing(Outbox(home.environment.state.outbox)) as box, CollectorLock(home.environment.state):
        values = {"dht22_temperature": 21.0}
        box.add([Poll("attic", now_ms() - age, Outcome.OK, 40.0, 10.0, 200, values) for age in (0, 10_000)])
        box.remember("attic", notes="sends x.y, which is not stored")
        known, unknown = home("poll", "attic"), home("poll", "cellar")
    assert known.status == 0
    assert "dht22_temperature" in known.out
    assert "sends x.y" in known.out
    assert "the store does not answer, so only what waits in the outbox is known" in known.err
    assert "secret" not in known.err
    assert unknown.status == 1
    assert "no poll of the running collector is known yet" in unknown.out


def test_collect_goes_on_until_it_is_stopped(home: Shell, simulator: Simulator) -> None:
    write_devices(home.config, simulator, {"attic": "1s"}, date(2026, 11, 1))
    variables = {name: value for name, value in home.variables.items() if name != "AIR_PIPELINE_CONFIG"}
    process = subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", "collect", "--config", str(home.config)],
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: len(home.stored(["attic"], 0)) >= 2, "two slots")
        assert "already collects into" in home.refused("collect", status=1).replace(str(process.pid), "")
    finally:
        process.terminate()
        _, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0
    assert not has_colour(said)
    assert "Traceback" not in said


def test_what_was_set_aside_is_shown_and_put_back(home: Shell) -> None:
    poll = Poll("attic", 1_795_000_000_000, Outcome.OK, 40.0, 10.0, values={"dht22_temperature": 21.0})
    with closing(Outbox(home.environment.state.outbox)) as box:
        box.add([poll])
        [pending] = box.pending(1)
        box.quarantine([pending], "the field is of another type")
    shown = home("outbox")
    assert (shown.status, shown.err) == (0, "")
    assert "0 polls wait for the embedded store" in shown.out
    assert re.search(r"attic +2026-11-18T\S+Z +the field is of another type", shown.out)
    as_json = json.loads(home("outbox", "--json").out)
    assert (as_json["pending"], as_json["quarantined"]) == (0, 1)
    assert as_json["quarantine"][0]["device"] == "attic"
    released = home("outbox", "--release")
    assert "1 polls put back into the outbox" in released.err
    after = json.loads(home("outbox", "--json").out)
    assert (after["pending"], after["quarantined"], after["oldest"]) == (1, 0, "2026-11-18T11:06:40.000Z")


def test_who_looks_at_an_outbox_that_is_not_there_makes_none(home: Shell) -> None:
    for options in ((), ("--json",), ("--release",)):
        assert home("outbox", *options).status == 0
    assert not home.environment.state.outbox.exists()


def test_simulate_answers_as_devices_do_with_the_faults_asked_for(home: Shell) -> None:
    import requests

    (home.folder / "faults.yaml").write_text("- {device: garage, fault: http_500}\n", encoding="utf-8")
    arguments = [
        "simulate",
        "living-room",
        "garage",
        "attic",
        "--port",
        "0",
        "--fault",
        "attic=dht22_frozen",
        "--script",
        "faults.yaml",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", *arguments],
        cwd=home.folder,
        env=home.variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        urls = [process.stdout.readline().strip() for _ in range(3)]
        answers = [requests.get(url, timeout=WITHIN_S) for url in urls]
        assert [answer.status_code for answer in answers] == [200, 500, 200]
        assert "DHT22" in answers[0].text.upper()
    finally:
        process.terminate()
        process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0


def test_simulate_says_what_it_cannot_do(home: Shell, simulator: Simulator) -> None:
    taken = home.refused("simulate", "--port", str(simulator.port), status=1)
    assert f"port {simulator.port} of 127.0.0.1 is taken" in taken
    assert "--port" in taken
    assert "garage=hang" in home.refused("simulate", "garage", "--fault", "garag=hang", status=2)
    assert "hang" in home.refused("simulate", "garage", "--fault", "garage=hangs", status=2)
    assert "no.yaml" in home.refused("simulate", "--script", "no.yaml", status=2)
    (home.folder / "faults.yaml").write_text("- {fault: nonsense}\n", encoding="utf-8")
    assert "entry 1 of the script" in home.refused("simulate", "--script", "faults.yaml", status=2)


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

"""The commands as a user and a shell see them: help, exit statuses, sentences, files."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Simulator
from air_pipeline.environment import remember_store
from air_pipeline_tests.running_pipeline import WITHIN_S, Installation, free_port, has_colour, wait_for, write_devices

EVERY_COMMAND = ("up", "collect", "poll", "latest", "history", "build", "outbox", "simulate")
HEAVY = ("dagster", "pandas", "numpy", "pyarrow", "pandera", "influxdb_client", "requests", "rich.table", "yaml")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["attic", "cellar"]) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, simulator: Simulator) -> Installation:
    installation = Installation(tmp_path)
    start = date(2026, 11, 1)
    write_devices(installation.config, simulator, {"attic": "10s", "cellar": "10s"}, start)
    return installation


def failed(command: subprocess.CompletedProcess[str], status: int) -> str:
    """What a command that failed said: sentences, nothing else."""
    assert command.returncode == status, command.stderr
    assert command.stdout == ""
    assert command.stderr.strip()
    assert "Traceback" not in command.stderr
    assert not has_colour(command.stderr)
    return " ".join(command.stderr.split())


def seeded(home: Installation) -> Installation:
    yesterday = pd.Timestamp.now(tz="Europe/Warsaw").date() - timedelta(days=1)
    home.seed(0, [yesterday], 600_000)
    return home


def listed(text: str) -> list[str]:
    """The commands that `--help` lists."""
    return re.findall(r"^  ([a-z]+) ", text.split("Commands:")[1], re.MULTILINE)


def test_help_lists_every_command_and_each_has_an_example_to_paste(home: Installation) -> None:
    overview = home.run("--help")
    assert (overview.returncode, overview.stderr) == (0, "")
    commands = listed(overview.stdout)
    assert set(EVERY_COMMAND) <= set(commands)
    for name in commands:
        text = home.run(name, "--help").stdout
        [example] = re.findall(r"^ *Example: (.*)$", text, re.MULTILINE)
        assert example.startswith(f"air-pipeline {name}"), name
        options = re.findall(r" (--[a-z]+)", example)
        assert all(re.search(rf"{option}\b", text) for option in options), example
        assert not has_colour(text)


def test_help_starts_nothing_heavy(home: Installation) -> None:
    code = (
        "import sys\nfrom air_pipeline.cli import main\nsys.argv = ['air-pipeline', '--help']\n"
        f"try:\n    main()\nfinally:\n    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=home.variables)
    assert shown.stderr.strip() == "[]"


@pytest.mark.parametrize("command", [[sys.executable, "-m", "air_pipeline"], [str(Path(sys.executable).with_name("air-pipeline"))]])
def test_the_module_and_the_script_are_the_same_command(command: list[str], home: Installation) -> None:
    shown = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, env=home.variables)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", shown.stdout)
    wrong = subprocess.run([*command, "latest", "nobody"], capture_output=True, text=True, check=False, env=home.variables)
    assert wrong.returncode == 2
    assert "there is no device 'nobody'" in wrong.stderr


@pytest.mark.parametrize("name", ["up", "collect", "poll", "latest", "history", "build"])
def test_a_missing_configuration_is_a_sentence_and_status_2(name: str, tmp_path: Path) -> None:
    said = failed(Installation(tmp_path).run(name), 2)
    assert str(tmp_path / "devices.yaml") in said


@pytest.mark.parametrize("name", ["up", "collect", "poll", "latest", "history", "build"])
def test_a_typing_error_is_named_with_its_line_and_status_2(name: str, home: Installation) -> None:
    lines = home.config.read_text(encoding="utf-8").splitlines()
    home.config.write_text("\n".join([*lines, "    intervall: 2s"]), encoding="utf-8")
    said = failed(home.run(name), 2)
    assert f"devices.yaml:{len(lines) + 1}" in said
    assert "intervall" in said


@pytest.mark.parametrize("name", ["poll", "latest", "history"])
def test_an_unknown_device_is_answered_with_those_there_are(name: str, home: Installation) -> None:
    said = failed(home.run(name, "attc"), 2)
    assert "'attc'" in said
    assert "attic, cellar" in said


@pytest.mark.parametrize("name", ["up", "collect", "poll", "latest", "history", "build", "outbox"])
def test_half_of_influxdb_is_refused(name: str, home: Installation) -> None:
    home.influxdb["INFLUXDB_V2_URL"] = "http://127.0.0.1:9"
    home.influxdb["INFLUXDB_V2_ORG"] = "home"
    said = failed(home.run(name), 2)
    assert "INFLUXDB_V2_TOKEN, INFLUXDB_V2_BUCKET" in said


@pytest.mark.parametrize("name", ["up", "collect", "latest", "history", "build"])
def test_another_store_than_before_is_refused(name: str, home: Installation) -> None:
    remember_store(home.place)
    names = ("URL", "TOKEN", "ORG", "BUCKET")
    home.influxdb.update({f"INFLUXDB_V2_{n}": v for n, v in zip(names, ("http://127.0.0.1:9", "secret", "o", "b"), strict=True)})
    said = failed(home.run(name), 2)
    assert "belongs to the embedded store" in said
    assert "unset the INFLUXDB_V2_* variables" in said
    assert "secret" not in said


@pytest.mark.parametrize("arguments", [("history", "--from", "last week"), ("build", "--from", "2026-13-01")])
def test_a_time_that_is_none_is_answered_with_how_to_write_one(arguments: tuple[str, ...], home: Installation) -> None:
    said = failed(home.run(*arguments), 2)
    assert repr(arguments[-1]) in said
    assert "write it as" in said


def test_an_empty_time_is_refused(home: Installation) -> None:
    assert "is empty" in failed(home.run("history", "--from", "2026-11-02", "--to", "2026-11-01"), 2)


def test_wrong_use_has_status_2(home: Installation) -> None:
    assert "No such option" in failed(home.run("latest", "--jason"), 2)
    assert "No such command" in failed(home.run("lates"), 2)


def test_a_file_that_is_neither_csv_nor_parquet_is_refused_before_anything_is_read(home: Installation) -> None:
    said = failed(home.run("history", "-o", "rows.xlsx"), 2)
    assert "rows.xlsx" in said
    assert ".csv" in said
    assert ".parquet" in said
    assert not (home.place.state / "readings.sqlite").exists()


def test_a_file_that_cannot_be_written_is_a_sentence(home: Installation) -> None:
    said = failed(seeded(home).run("history", "--from", "-3d", "-o", "no/such/folder/rows.csv"), 1)
    assert "no/such/folder" in said


def test_history_is_a_file_that_pandas_reads(home: Installation) -> None:
    seeded(home)
    written = home.run("history", "attic", "--from", "-3d", "-o", "rows.parquet")
    assert (written.returncode, written.stdout) == (0, "")
    assert "144 rows written to rows.parquet" in written.stderr
    parquet = pd.read_parquet(home.folder / "rows.parquet")
    home.run("history", "attic", "--from", "-3d", "-o", "rows.csv")
    csv = pd.read_csv(home.folder / "rows.csv", index_col="observed_at", parse_dates=["observed_at"])
    assert str(parquet.index.tz) == "Europe/Warsaw"
    assert csv.index.tz_convert("UTC").equals(parquet.index.tz_convert("UTC").as_unit(csv.index.unit))
    values = parquet.drop(columns="device")
    assert values.notna().all(axis=None)
    pd.testing.assert_frame_equal(csv[values.columns], values, check_index=False, check_exact=True, check_index_type=False)

    printed = home.run("history", "attic", "--from", "-3d", "--json")
    rows = [json.loads(line) for line in printed.stdout.splitlines()]
    assert len(rows) == len(parquet)
    assert [row["dht22_temperature"] for row in rows] == parquet["dht22_temperature"].tolist()
    assert pd.DatetimeIndex([row["observed_at"] for row in rows]).equals(csv.index.tz_convert("UTC").as_unit("us"))
    assert home.run("history", "attic", "--from", "-3d").stdout == (home.folder / "rows.csv").read_text(encoding="utf-8")


def test_latest_is_json_for_programs_and_says_where_there_is_nothing(home: Installation) -> None:
    nothing = home.run("latest")
    assert (nothing.returncode, nothing.stderr) == (0, "")
    assert nothing.stdout.splitlines() == ["attic: nothing yet", "cellar: nothing yet"]
    rows = json.loads(home.run("latest", "--json").stdout)
    assert rows == [
        {"device": name, "polled_at": None, "outcome": None, "observed_at": None, "values": {}} for name in ("attic", "cellar")
    ]
    seeded(home)
    [row] = json.loads(home.run("latest", "cellar", "--json").stdout)
    assert (row["device"], row["outcome"]) == ("cellar", "ok")
    assert row["observed_at"] == row["polled_at"]
    shown = home.run("latest", "cellar")
    assert not has_colour(shown.stdout)
    assert re.search(r"bmp180_pressure +[0-9.]+ +hPa", shown.stdout)


def test_history_of_nothing_is_a_header(home: Installation) -> None:
    empty = home.run("history")
    assert (empty.returncode, empty.stderr) == (0, "")
    assert empty.stdout == "observed_at,device\n"
    assert home.run("history", "--json").stdout == ""
    written = home.run("history", "-o", "none.parquet")
    assert written.returncode == 0, written.stderr
    assert pd.read_parquet(home.folder / "none.parquet").empty


def test_poll_asks_and_stores_nothing(home: Installation, simulator: Simulator) -> None:
    simulator.set_fault("cellar", "http_500")
    polled = home.run("poll", "--json")
    assert (polled.returncode, polled.stderr) == (1, "")
    attic, cellar = json.loads(polled.stdout)
    assert (attic["device"], attic["live"], attic["outcome"], attic["http_status"]) == ("attic", True, "ok", 200)
    assert attic["values"]["dht22_temperature"] is not None
    assert (cellar["outcome"], cellar["http_status"], cellar["values"]) == ("http_error", 500, {})
    assert "500" in home.run("poll", "cellar").stdout
    assert home.run("poll", "attic").returncode == 0
    assert not home.place.state.exists()


def test_collect_goes_on_until_it_is_stopped(home: Installation, simulator: Simulator) -> None:
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
        assert "already collects into" in failed(home.run("collect"), 1).replace(str(process.pid), "")
    finally:
        process.terminate()
        _, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0
    assert not has_colour(said)
    assert "Traceback" not in said


def test_what_was_set_aside_is_shown_and_put_back(home: Installation) -> None:
    poll = Poll("attic", 1_795_000_000_000, Outcome.OK, 40.0, 10.0, values={"dht22_temperature": 21.0})
    with closing(Outbox(home.place.state / "outbox.sqlite")) as box:
        box.add([poll])
        [pending] = box.pending(1)
        box.quarantine(pending.number, "the field is of another type")
    shown = home.run("outbox")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "0 polls wait for the embedded store" in shown.stdout
    assert re.search(r"attic +2026-11-18T\S+Z +the field is of another type", shown.stdout)
    as_json = json.loads(home.run("outbox", "--json").stdout)
    assert (as_json["pending"], as_json["quarantined"]) == (0, 1)
    assert as_json["quarantine"][0]["device"] == "attic"
    released = home.run("outbox", "--release")
    assert "1 polls put back into the outbox" in released.stderr
    after = json.loads(home.run("outbox", "--json").stdout)
    assert (after["pending"], after["quarantined"], after["oldest"]) == (1, 0, "2026-11-18T11:06:40.000Z")


def test_simulate_answers_as_devices_do_with_the_faults_asked_for(home: Installation) -> None:
    import requests

    (home.folder / "faults.yaml").write_text("- {device: garage, fault: http_404}\n", encoding="utf-8")
    arguments = ["simulate", "living-room", "garage", "attic", "--port", "0", "--fault", "attic=http_500", "--script", "faults.yaml"]
    process = subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", *arguments], cwd=home.folder, env=home.variables, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        urls = [process.stdout.readline().strip() for _ in range(3)]
        answers = [requests.get(url, timeout=10) for url in urls]
        assert [answer.status_code for answer in answers] == [200, 404, 500]
        assert "DHT22" in answers[0].text.upper()
    finally:
        process.terminate()
        process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0


def test_simulate_says_what_it_cannot_do(home: Installation, simulator: Simulator) -> None:
    taken = failed(home.run("simulate", "--port", str(simulator.port)), 1)
    assert f"port {simulator.port} of 127.0.0.1 is taken" in taken
    assert "--port" in taken
    assert "garage=hang" in failed(home.run("simulate", "garage", "--fault", "garag=hang"), 2)
    assert "hang" in failed(home.run("simulate", "garage", "--fault", "garage=hangs"), 2)
    assert "no.yaml" in failed(home.run("simulate", "--script", "no.yaml"), 2)
    (home.folder / "faults.yaml").write_text("- {fault: nonsense}\n", encoding="utf-8")
    assert "entry 1 of the script" in failed(home.run("simulate", "--script", "faults.yaml"), 2)


def test_up_says_that_its_port_is_taken(home: Installation, simulator: Simulator) -> None:
    said = failed(home.run("up", "--port", str(simulator.port)), 1)
    assert f"port {simulator.port} of 127.0.0.1 is taken" in said


def test_up_says_when_the_store_does_not_answer(home: Installation) -> None:
    names = ("URL", "TOKEN", "ORG", "BUCKET")
    url = f"http://127.0.0.1:{free_port()}"
    home.influxdb.update({f"INFLUXDB_V2_{n}": v for n, v in zip(names, (url, "secret", "o", "b"), strict=True)})
    for command in ("latest", "history"):
        said = failed(home.run(command), 1)
        assert url in said
        assert "secret" not in said

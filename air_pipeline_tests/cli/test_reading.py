"""The reading commands: what they show to a person, a pipe and a file, and what they say."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from air_pipeline.access import Archive
from air_pipeline.cli import display as showing
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Simulator
from air_pipeline.processing.columns import TABLES as COLUMNS_OF
from air_pipeline.settings.file import read_settings
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.running_pipeline import today, write_devices, yesterday
from air_pipeline_tests.waiting import WITHIN_S, wait_for

TABLES = {"observations": "observations", "hourly": "hours", "daily": "days"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Two devices that were polled every ten minutes yesterday."""
    shell = Shell(tmp_path, monkeypatch, capsys)
    with Simulator(["attic", "cellar"]) as simulator:
        write_devices(shell.config, simulator, {"attic": "10m", "cellar": "10m"}, date(2026, 11, 1))
    shell.seed(0, [yesterday()], 600_000)
    return shell


@contextmanager
def archive_of(home: Shell) -> Iterator[Archive]:
    with Archive(Deployment(home.environment, read_settings(home.config))) as archive:
        yield archive


def test_yesterdays_averages_are_a_csv(home: Shell) -> None:
    written = home("daily", "--from", "yesterday", "-o", "yesterday.csv")
    assert (written.status, written.out) == (0, "")
    assert "28 rows written to yesterday.csv" in written.err
    rows = pd.read_csv(home.folder / "yesterday.csv")
    assert set(rows["date"]) == {str(yesterday())}
    with archive_of(home) as archive:
        expected = archive.daily(yesterday(), today())
    assert rows["mean"].tolist() == expected["mean"].tolist()
    assert rows["device"].tolist() == ["attic"] * 14 + ["cellar"] * 14
    assert home("daily").out == (home.folder / "yesterday.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", TABLES)
def test_a_file_has_the_columns_of_the_tables_in_their_order_and_dates_as_dates(home: Shell, command: str) -> None:
    name = {"hourly": "hourly_aggregates", "daily": "daily_aggregates"}.get(command, command)
    ours = [column.name for column in COLUMNS_OF[name].columns]
    assert home(command, "--from", "yesterday", "--to", "today", "-o", "x.PARQUET").status == 0
    schema = pq.read_schema(home.folder / "x.PARQUET")
    assert [column for column in schema.names if column in ours] == ours
    if command == "daily":
        assert schema.names[0] == "date"
        assert schema.field("date").type == pa.date32()
    assert home("history", "--from", "yesterday", "--to", "today", "-o", "h.parquet").status == 0
    history = pq.read_schema(home.folder / "h.parquet").names
    assert history.index("observed_at") < history.index("dht22_temperature")


def test_a_csv_has_the_mark_for_excel_where_it_is_asked_for_in_any_case_of_its_name(home: Shell) -> None:
    assert home("daily", "-o", "X.CSV").status == 0
    assert home("daily", "-o", "y.csv", "--excel").status == 0
    plain, marked = (home.folder / "X.CSV").read_bytes(), (home.folder / "y.csv").read_bytes()
    assert marked == b"\xef\xbb\xbf" + plain
    assert "°C".encode() in plain


def test_today_so_far_is_what_is_asked_for_by_name(home: Shell) -> None:
    so_far = pd.read_csv(io.StringIO(home("daily", "--from", "today").out))
    assert set(so_far["date"]) <= {str(today())}
    assert not so_far["is_complete"].any()
    both = pd.read_csv(io.StringIO(home("daily", "--to", "now").out))
    assert set(both["date"]) == {str(yesterday()), *so_far["date"]}


@pytest.mark.parametrize("command", TABLES)
def test_rows_are_of_the_devices_series_and_times_asked_for(home: Shell, command: str) -> None:
    asked = (
        "attic",
        "--series",
        "dht22_temperature",
        "--series",
        "temperature",
        "--from",
        "yesterday",
        "--to",
        "today",
    )
    printed = home(command, *asked)
    assert (printed.status, printed.err) == (0, "")
    rows = pd.read_csv(io.StringIO(printed.out))
    assert set(rows["device"]) == {"attic"}
    assert rows["series"].unique().tolist() == ["dht22_temperature", "temperature"]
    assert home(command, *asked, "-o", "rows.parquet").status == 0
    parquet = pd.read_parquet(home.folder / "rows.parquet")
    with archive_of(home) as archive:
        expected = getattr(archive, command)("yesterday", "today", "attic", ["dht22_temperature", "temperature"])
    if "date" in parquet:  # as dates, which the frame has as their first instants
        parquet = parquet.assign(date=parquet["date"].astype("datetime64[ms]"))
    pd.testing.assert_frame_equal(parquet, expected)
    as_json = [json.loads(line) for line in home(command, *asked, "--json").out.splitlines()]
    value = "value" if command == "observations" else "mean"
    assert [row[value] for row in as_json] == [None if pd.isna(x) else x for x in expected[value]]
    assert [row["series"] for row in as_json] == expected["series"].tolist()


@pytest.mark.parametrize("command", TABLES)
def test_where_there_is_nothing_it_is_said_beside_the_header(home: Shell, command: str) -> None:
    none = home(command, "attic", "--from", "2026-11-02", "--to", "2026-11-03")
    assert none.status == 0
    assert none.err == (
        f"no {TABLES[command]} of attic between 2026-11-02 00:00 and 2026-11-03 00:00 (Europe/Warsaw)\n"
    )
    assert len(none.out.splitlines()) == 1
    assert "device,series" in none.out
    assert home(command, "--from", "2026-11-02", "--to", "2026-11-03", "--json").out == ""


def test_an_unknown_series_is_answered_with_the_nearest(home: Shell) -> None:
    said = home.refused("history", "--series", "dht22_temprature", status=2)
    assert said == "no device in devices.yaml has readings of 'dht22_temprature'; did you mean dht22_temperature?"


def test_latest_and_history_give_the_same_numbers_to_the_last_digit(home: Shell) -> None:
    store = Deployment(home.environment, read_settings(home.config)).store
    [index] = store.readings("attic", 0, 10**14).index[-1:].asi8
    uneven = {"dht22_temperature": 0.1 + 0.2, "bmp180_pressure": 1006.1300000000001, "mq135_co": 1e-7 / 3}
    store.write([Poll("attic", int(index), Outcome.OK, 40.0, 600.0, http_status=200, values=uneven)])
    store.close()
    [latest] = json.loads(home("latest", "attic", "--json").out)
    last = json.loads(home("history", "attic", "--from", "-3d", "--json").out.splitlines()[-1])
    assert latest["values"] == uneven
    assert {name: last[name] for name in uneven} == uneven
    assert last["observed_at"] == latest["observed_at"]
    assert last["dht22_humidity"] is None


@pytest.mark.parametrize("command", ["latest", "history", *TABLES])
def test_reading_goes_on_while_the_configuration_is_wrong(home: Shell, command: str) -> None:
    asked = (command, "attic") if command == "latest" else (command, "attic", "--from", "yesterday", "--to", "today")
    sound = home(*asked)
    assert sound.err == ""
    with home.config.open("a", encoding="utf-8") as file:
        file.write("    intervall: 2s\n")
    goes_on = home(*asked)
    assert goes_on.status == 0
    assert goes_on.out == sound.out
    assert "going on with the last valid configuration" in goes_on.err
    assert "intervall" in goes_on.err


def test_a_query_to_a_store_without_flux_is_a_sentence(home: Shell) -> None:
    assert "speaks no Flux: Flux needs InfluxDB" in home.refused("flux", "buckets()", status=1)


def test_flux_is_given_one_query(home: Shell) -> None:
    (home.folder / "query.flux").write_text("buckets()", encoding="utf-8")
    for wrong in (("flux",), ("flux", "buckets()", "--file", "query.flux")):
        assert "give a query, or a file with --file" in home.refused(*wrong, status=2)
    assert "none.flux" in home.refused("flux", "--file", "none.flux", status=2)


@pytest.mark.influxdb
def test_flux_comes_from_the_argument_a_file_or_the_standard_input(home: Shell, influxdb: InfluxServer) -> None:
    environment = influxdb.connection()
    named = {"URL": environment.url, "TOKEN": environment.token, "ORG": environment.org, "BUCKET": environment.bucket}
    home.influxdb.update({f"INFLUXDB_V2_{name}": value for name, value in named.items()})
    home.seed(0, [yesterday()], 3_600_000)
    query = (
        f'from(bucket: "{environment.bucket}") |> range(start: -3d)'
        ' |> filter(fn: (r) => r._measurement == "air" and r._field == "dht22_temperature" and r.device == "attic")'
        ' |> keep(columns: ["_time", "_value"])'
    )
    rows = pd.read_csv(io.StringIO(home("flux", query).out))
    assert rows["_value"].notna().all()
    assert rows["_time"].iloc[0].startswith(f"{yesterday()} 00:00:00+0")
    history = pd.read_csv(io.StringIO(home("history", "attic", "--from", "-3d").out))
    assert rows["_value"].tolist() == history["dht22_temperature"].tolist()
    (home.folder / "query.flux").write_text(query, encoding="utf-8")
    assert home("flux", "--file", "query.flux").out == home("flux", query).out
    piped = home.run("flux", "-", input=query)
    assert piped.stdout == home("flux", query).out
    nothing = home("flux", query.replace("attic", "kitchen"))
    assert (nothing.status, nothing.out, nothing.err) == (0, "", "the query gives no rows\n")
    assert "InfluxDB" in home.refused("flux", "nonsense(", status=1)


@contextmanager
def terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """The end of a terminal for a process to write to, and what has been written to it so far."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    seen = bytearray()

    def text() -> str:
        try:
            while chunk := os.read(ours, 65_536):
                seen.extend(chunk)
        except (BlockingIOError, OSError):  # nothing more now, or no more writers
            pass
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode()).replace("\r", "")

    try:
        yield theirs, text
    finally:
        os.close(ours)
        os.close(theirs)


# A slow machine must not make a command one that takes long, which would show a bar.
_AT_LEISURE = """
import sys
from air_pipeline.cli import display, main
display.LONG_S = 3600.0
sys.argv[0] = "air-pipeline"
main()
"""


def in_a_terminal(home: Shell, *arguments: str) -> str:
    with terminal() as (theirs, text):
        variables = {**home.variables, "COLUMNS": "120", "TERM": "xterm"}
        process = subprocess.Popen(
            [sys.executable, "-c", _AT_LEISURE, *arguments],
            cwd=home.folder,
            env=variables,
            stdout=theirs,
            stderr=theirs,
        )
        wait_for(lambda: text() is not None and process.poll() is not None, "the end of the command")
        assert process.returncode == 0
        return text()


def test_a_terminal_shows_few_rows_as_a_table_with_units(home: Shell) -> None:
    shown = in_a_terminal(home, "daily", "attic", "--from", str(yesterday()), "--series", "bmp180_pressure")
    assert re.search(rf"{yesterday()} +attic +bmp180_pressure +[0-9.]+ +hPa +", shown)
    assert re.search("date +device +series +mean +unit +min +max +coverage +is_complete", shown)
    assert "," not in shown


def test_a_terminal_shows_many_rows_as_csv(home: Shell) -> None:
    arguments = ("observations", "attic", "--series", "bmp180_pressure", "--from", "yesterday", "--to", "today")
    assert in_a_terminal(home, *arguments) == home(*arguments).out


def test_a_bar_comes_when_it_takes_long_and_goes_when_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "LONG_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    with terminal() as (theirs, text), os.fdopen(os.dup(theirs), "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with showing.bar_if_long("reading") as progress:
            progress(3, 7)
            wait_for(lambda: re.search("reading .* 3/7", text()), "the bar")


def test_nothing_is_shown_of_what_is_soon_done_or_piped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with terminal() as (theirs, text), os.fdopen(os.dup(theirs), "w") as stderr, monkeypatch.context() as patch:
        patch.setattr(showing, "LONG_S", WITHIN_S)
        patch.setattr(sys, "stderr", stderr)
        with showing.bar_if_long("reading") as progress:
            progress(1, 7)
        assert text() == ""
    monkeypatch.setattr(showing, "LONG_S", 0.0)
    with showing.bar_if_long("reading") as progress:
        progress(1, 7)
    assert capsys.readouterr() == ("", "")


def completed(home: Shell, line: str) -> tuple[list[str], str]:
    """What bash is given for a line, and what is said beside it."""
    variables = {
        **home.variables,
        "_AIR_PIPELINE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    script = str(Path(sys.executable).with_name("air-pipeline"))
    ran = subprocess.run(
        [script], cwd=home.folder, env=variables, capture_output=True, text=True, check=False, timeout=WITHIN_S
    )
    return ran.stdout.split(), ran.stderr


def test_a_shell_completes_commands_devices_and_series(home: Shell) -> None:
    assert completed(home, "air-pipeline dai") == (["daily"], "")
    assert completed(home, "air-pipeline latest at") == (["attic"], "")
    assert completed(home, "air-pipeline history --series dht22_") == (["dht22_humidity", "dht22_temperature"], "")


def test_completion_is_silent_where_there_is_no_configuration(home: Shell) -> None:
    home.config.write_text("devices: {", encoding="utf-8")
    assert completed(home, "air-pipeline latest at") == ([], "")
    home.config.unlink()
    assert completed(home, "air-pipeline history --series dht22_") == ([], "")


def test_times_in_csv_have_one_form_at_midnight_too(home: Shell) -> None:
    written = home("hourly", "--from", str(yesterday()), "--to", f"{yesterday()}T01:00", "-o", "hour.csv")
    assert written.status == 0
    rows = pd.read_csv(home.folder / "hour.csv")
    assert set(rows["hour_start_local"]) == {f"{yesterday()} 00:00:00"}

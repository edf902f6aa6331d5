"""Whatever stands where our files should be, and whatever is typed: a sentence and a status, never a traceback."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from air_pipeline.cli import COMMANDS
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.environments import VALID

INSTEAD: dict[str, Callable[[Path], object]] = {
    "a directory": Path.mkdir,
    "a pipe": os.mkfifo,
    "no text": lambda path: path.write_bytes(b"\xff\xfe\0junk" * 50),
    "a link to itself": lambda path: path.symlink_to(path),
}
LOOKING = (("poll",), ("doctor",), ("outbox",), ("notify",), ("latest",), ("report",))
AT_HOME = VALID.replace("10.0.0.1", "127.0.0.1:1") + "notify: {webhook: 'http://127.0.0.1:1/x'}\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "state").mkdir()
    (tmp_path / "devices.yaml").write_text(AT_HOME, encoding="utf-8")
    monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(tmp_path / "devices.yaml"))
    monkeypatch.setenv("AIR_PIPELINE_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


@pytest.mark.parametrize("instead", INSTEAD)
@pytest.mark.parametrize(
    "name",
    ["devices.yaml", "state/store", "state/version", "state/notified.json", "state/collector.lock", "state/up.lock",
     "state/ui", "state/space.json", "state/outbox.sqlite", "state/readings.sqlite", "state/devices.last-valid.yaml"],
)  # fmt: skip
def test_what_is_no_file_of_ours_is_said_in_a_sentence(home, monkeypatch, capsys, name, instead):
    (home / name).unlink(missing_ok=True)
    INSTEAD[instead](home / name)
    for arguments in LOOKING:
        status, out, err = in_this_process(monkeypatch, capsys, *arguments)
        assert status in {0, 1, 2}
        assert "Traceback" not in out + err
        if name == "devices.yaml" and arguments != ("outbox",):
            assert (status, str(home / name) in out + err) == (2, True)


def test_an_argument_that_is_no_text_is_wrong_use(home):
    command = [sys.executable, "-m", "air_pipeline", "outbox", b"\xff"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout, b"Traceback" in done.stderr) == (2, b"", False)


def test_what_up_and_a_collector_need_is_asked_for_before_they_start(home, monkeypatch, capsys):
    for name, command, exits in (
        ("up.lock", "up", 2),
        ("dagster", "build", 2),
        ("collector.lock", "collect", 2),
        ("dagster/dagster.yaml", "build", 2),
        ("dagster/prune.lock", "prune", 1),
    ):
        (home / "state" / name).parent.mkdir(exist_ok=True)
        os.mkfifo(home / "state" / name)
        status, _, err = in_this_process(monkeypatch, capsys, command)
        assert (status, str(home / "state" / name) in err) == (exits, True)
        (home / "state" / name).unlink()
    monkeypatch.setenv("DAGSTER_HOME", str(home / "nowhere"))
    status, _, err = in_this_process(monkeypatch, capsys, "build")
    assert (status, "DAGSTER_HOME" in err) == (2, True)


def test_a_huge_configuration_is_not_read_and_one_of_aliases_neither_hangs_nor_grows(home, monkeypatch, capsys):
    with (home / "devices.yaml").open("ab") as file:
        file.truncate(100_000_000)
    status, _, err = in_this_process(monkeypatch, capsys, "latest")
    assert (status, "larger than 10 MB" in err) == (2, True)
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    for place in ("devices: *a11", "start: *a11", "notify: *a11", "devices: [{id: a, url: *a11, sensors: {x: *a11}}]"):
        (home / "devices.yaml").write_text("\n".join([*bomb, "timezone: UTC", place]), encoding="utf-8")
        status, _, err = in_this_process(monkeypatch, capsys, "latest")
        assert (status, len(err) < 20_000) == (2, True)


@pytest.mark.parametrize("name", ["INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG", "INFLUXDB_V2_BUCKET", "INFLUXDB_V2_URL"])
@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\nb", b"a\x1b[31mb"])
def test_a_variable_that_is_no_text_is_named_and_not_shown(home, monkeypatch, capsys, name, value):
    for other, usual in (("URL", "http://localhost:1"), ("TOKEN", "t"), ("ORG", "o"), ("BUCKET", "b")):
        monkeypatch.setenv(f"INFLUXDB_V2_{other}", usual)
    monkeypatch.setenv(name, os.fsdecode(value))
    status, out, err = in_this_process(monkeypatch, capsys, "latest")
    assert (status, out, name in err) == (2, "", True)
    assert os.fsdecode(value) not in err


LOOKING_COMMANDS = [
    name for name in COMMANDS if name not in {"up", "ui", "demo", "collect", "simulate", "init", "copy", "build"}
]
OPTIONS = [
    "--json",
    "--config",
    "-o",
    "--output",
    "--series",
    "--from",
    "--to",
    "--release",
    "--help",
    "--test",
    "--no-open",
    "--limit",
    "--",
]
TYPED = st.one_of(
    st.sampled_from(OPTIONS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["hall", "2026-11-21", "-7d", "now", "-1", "9999-12-31", "0001-01-01", "x.csv", "/"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(st.sampled_from(LOOKING_COMMANDS), st.lists(TYPED, max_size=4))
@example("daily", ["--from", "0001-01-01", "--to", "9999-12-31"])
@example("report", ["9999-12-31"])
@example("report", ["0001-01-01"])
@example("flux", ["\x1b[31m"])
@example("latest", ["--config", "/"])
@example("poll", ["--config", "\0"])
def test_nothing_that_is_typed_makes_a_traceback(home, monkeypatch, capsys, command, arguments):
    monkeypatch.chdir(home)
    monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(home / "devices.yaml"))  # --config sets it for its process
    status, out, err = in_this_process(monkeypatch, capsys, command, *arguments)
    assert status in {0, 1, 2}
    assert "Traceback" not in out + err

"""The systemd units are those of the commands that there are, and give them the time they need to stop."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from air_pipeline.cli import load_command
from air_pipeline.collection.delivering import LAST_DELIVERY_S
from air_pipeline.environment import read_environment
from air_pipeline.running.parts import COLLECTOR_STOP_WITHIN_S, GONE_WITHIN_S, STOP_WITHIN_S

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
"""Those of one machine."""
ALL = sorted(DEPLOY.rglob("*.service"))
OWN = {"Description", "ExecStart", "TimeoutStopSec"}  # what differs from unit to unit


def options(unit: Path) -> dict[str, list[str]]:
    """What a unit says: option to its values, in order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        name, is_option, value = line.partition("=")
        if is_option and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_there_is_a_unit_for_everything_one_for_the_collector_and_one_for_a_ui_to_look_at() -> None:
    assert [unit.stem for unit in UNITS] == ["air-pipeline-collect", "air-pipeline-ui", "air-pipeline"]


def test_there_is_a_unit_for_a_worker_of_many_machines() -> None:
    assert [unit.stem for unit in ALL if unit not in UNITS] == ["air-pipeline-worker"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_runs_a_command_with_options_that_it_has(unit: Path) -> None:
    [line] = options(unit)["ExecStart"]
    program, command, *arguments = line.split()
    assert program == "/opt/air_pipeline/.venv/bin/air-pipeline"
    parameters = load_command(command).params
    known = {option for parameter in parameters for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("--")} <= known


@pytest.mark.parametrize("unit", ALL, ids=lambda unit: unit.stem)
def test_a_unit_writes_where_it_may(unit: Path) -> None:
    said = options(unit)
    environment = read_environment(dict(text.split("=", 1) for text in said["Environment"]))
    assert str(environment.state) == f"/var/lib/{said['StateDirectory'][0]}"
    assert environment.data.is_relative_to(environment.state.path)
    assert said["ProtectSystem"] == ["strict"]


def test_a_unit_waits_as_long_as_its_command_takes_to_stop() -> None:
    waits = {unit.stem: float(options(unit)["TimeoutStopSec"][0]) for unit in UNITS}
    assert waits["air-pipeline"] > STOP_WITHIN_S + COLLECTOR_STOP_WITHIN_S + 2 * GONE_WITHIN_S
    assert waits["air-pipeline-ui"] > STOP_WITHIN_S + GONE_WITHIN_S
    assert waits["air-pipeline-collect"] > LAST_DELIVERY_S + 5  # the default timeout of a device
    for unit in UNITS:
        assert options(unit)["KillMode"] == ["mixed"]  # the others of a unit are its command's to stop
        assert options(unit)["KillSignal"] == ["SIGTERM"]


def test_the_units_differ_in_nothing_else() -> None:
    one, *others = ({k: v for k, v in options(unit).items() if k not in OWN} for unit in UNITS)
    assert others == [one, one]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there")
@pytest.mark.parametrize("unit", ALL, ids=lambda unit: unit.stem)
def test_systemd_understands_a_unit(unit: Path, tmp_path: Path) -> None:
    text = re.sub(r"/opt/air_pipeline/\.venv/bin/[\w-]+", "/bin/true", unit.read_text(encoding="utf-8"))
    (tmp_path / unit.name).write_text(text, encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / unit.name)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("unit", ALL, ids=lambda unit: unit.stem)
def test_what_a_unit_writes_is_for_its_user_alone(unit: Path) -> None:
    said = options(unit)
    assert said["UMask"] == ["0077"]
    assert said["StateDirectoryMode"] == ["0700"]  # at every start, also of a directory that was made otherwise

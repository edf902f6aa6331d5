"""An installation with two simulated devices, and the patient of doctor."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.cli.in_this_process import give_doctor_time
from air_pipeline_tests.cli.patient import Patient
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.running_pipeline import write_devices
from air_pipeline_tests.waiting import WITHIN_S


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


@pytest.fixture(scope="module")
def dagster_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty storage of Dagster, made once."""
    home = tmp_path_factory.mktemp("dagster")
    shutil.copy(Path(__file__).parents[2] / "dagster.yaml", home)
    with dg.DagsterInstance.from_config(str(home)):
        pass
    return home


@pytest.fixture
def patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dagster_storage: Path
) -> Iterator[Patient]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    give_doctor_time(monkeypatch)
    for limit in (
        "seen.EXAMINED_WITHIN_S",
        "seen.STORE_WITHIN_S",
        "processes.UI_WITHIN_S",
        "days.COMPARE_WITHIN_S",
        "kept.COMPARE_WITHIN_S",
    ):
        monkeypatch.setattr(f"air_pipeline.health.{limit}", WITHIN_S)
    with Simulator(["attic", "cellar"]) as simulator, ExitStack() as opened:
        yield Patient(Shell(tmp_path, monkeypatch, capsys), simulator, dagster_storage, opened)

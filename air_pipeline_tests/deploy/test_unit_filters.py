"""Under the filters of the units the kernel can be asked whether the clock is kept, and a collector runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from air_pipeline.collection.clock import kernel_synchronized
from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.deploy.system_calls import IS_THERE, NOT_TOLD_OF_THE_CLOCK, filtered
from air_pipeline_tests.deploy.test_units import UNITS, options
from air_pipeline_tests.running_pipeline import Installation, today, write_devices
from air_pipeline_tests.waiting import WITHIN_S, wait_for

pytestmark = pytest.mark.skipif(not IS_THERE, reason="systemd-analyze or libseccomp is not there")

_ASK = [
    sys.executable,
    "-c",
    "from air_pipeline.collection.clock import kernel_synchronized; print(kernel_synchronized())",
]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_lets_the_kernel_say_whether_the_clock_is_kept(unit: Path) -> None:
    assert kernel_synchronized() is not None
    asked = subprocess.run(filtered(options(unit), _ASK), capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (0, f"{kernel_synchronized()}\n"), asked.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_once_the_clock_had_the_time_to_be_set(unit: Path) -> None:
    said = options(unit)
    assert "time-sync.target" in said["After"][0].split()
    assert "time-sync.target" in said["Wants"][0].split()


@pytest.mark.parametrize(
    ("said", "status", "stdout"),
    [
        ({"SystemCallFilter": ["@system-service"]}, -signal.SIGSYS, ""),
        ({"SystemCallFilter": ["@system-service"], "SystemCallErrorNumber": ["EPERM"]}, 0, "None\n"),
        (NOT_TOLD_OF_THE_CLOCK, 0, "None\n"),
    ],
)
def test_other_filters_kill_who_asks_or_say_nothing(said: dict[str, list[str]], status: int, stdout: str) -> None:
    """So a filter here is one, and where it refuses to say, that is no answer."""
    asked = subprocess.run(filtered(said, _ASK), capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (status, stdout), asked.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_collector_runs_under_the_filter_of_a_unit(unit: Path, tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    with Simulator(["attic"]) as simulator:
        write_devices(installation.config, simulator, {"attic": 1_000}, today())
        command = [sys.executable, "-m", "air_pipeline", "collect"]
        process = subprocess.Popen(
            filtered(options(unit), command), env={**os.environ, **installation.variables}, stderr=subprocess.PIPE
        )
        try:
            wait_for(lambda: len(installation.stored(["attic"], 0)) >= 2, "two slots in the store")
            process.send_signal(signal.SIGTERM)
            assert process.wait(WITHIN_S) == 0
        finally:
            process.kill()
            _, said = process.communicate()
        assert b"ERROR" not in said, said.decode()

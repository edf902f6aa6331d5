"""The collector as a process by a wrong clock (libfaketime), where the kernel does not say whether that is kept."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from air_pipeline.devices.simulator import Simulator
from air_pipeline.health import Level
from air_pipeline.health.clock import clock_believed
from air_pipeline.health.seen import Seen
from air_pipeline_tests.deploy.system_calls import IS_THERE, NOT_TOLD_OF_THE_CLOCK, filtered
from air_pipeline_tests.running_pipeline import Installation, today, write_devices
from air_pipeline_tests.waiting import WITHIN_S, wait_for

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)

pytestmark = pytest.mark.skipif(
    FAKETIME is None or not IS_THERE, reason="libfaketime (apt: faketime), systemd-analyze or libseccomp is not there"
)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["attic"]) as running:
        yield running


@pytest.fixture
def installation(tmp_path: Path, simulator: Simulator) -> Installation:
    made = Installation(tmp_path)
    write_devices(made.config, simulator, {"attic": 1_000}, today())
    return made


@contextmanager
def collecting(installation: Installation, clock: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A collector by a wrong clock, whose log is beside the settings; killed at the end, as by a power cut."""
    fake = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    command = [sys.executable, "-m", "air_pipeline", "collect", *options]
    # The launcher of the filter is not faked: only what it runs.
    command = ["/usr/bin/env", *(f"{name}={value}" for name, value in fake.items()), *command]
    # Nor is it measured what is covered: while a signal waits for Python's main thread, another that is traced begins
    # its function again and again until it is asked to let others run (Python 3.11), which libfaketime has not done.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}
    with (installation.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            filtered(NOT_TOLD_OF_THE_CLOCK, command), env={**variables, **installation.variables}, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def log_of(installation: Installation) -> str:
    return (installation.folder / "log").read_text()


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 0


@pytest.mark.slow
def test_a_power_cut_costs_no_true_reading_and_a_person_may_end_the_hold(
    installation: Installation, simulator: Simulator
) -> None:
    with collecting(installation, "+0"):
        wait_for(lambda: len(installation.accepted(["attic"], 0)) >= 3, "three slots")
    true = installation.accepted(["attic"], 0)
    with collecting(installation, "-20m") as process:
        held = time.monotonic()
        wait_for(lambda: "no slot is begun for 600 s at most" in log_of(installation), "the hold in the log")
        wait_for(lambda: "collecting from" in log_of(installation), "a collector that can be ended")
        asked = len(simulator.requests("attic").times_ms)
        [found] = clock_believed.findings(Seen(installation.environment, datetime.now(UTC)))
        end(process)
    assert "Traceback" not in log_of(installation)
    assert found.level is Level.WARNING
    assert "before the last slot" in found.text
    assert len(simulator.requests("attic").times_ms) == asked
    assert installation.accepted(["attic"], 0) == true
    # The next one knows that slots have been held for a while already.
    wait_for(lambda: time.monotonic() > held + 5, "a while to be over")
    with collecting(installation, "-20m") as process:
        wait_for(lambda: "no slot is begun for" in log_of(installation), "the hold in the log")
        assert "600 s" not in log_of(installation)
        end(process)
    with collecting(installation, "-20m", "--believe-clock") as process:
        wait_for(lambda: len(installation.accepted(["attic"], 0)) > len(true) + 1, "slots by the clock there is")
        end(process)
    [found] = clock_believed.findings(Seen(installation.environment, datetime.now(UTC)))
    assert found.level is Level.OK


@pytest.mark.parametrize("clock", ["@1970-01-01 00:00:12", "+3650d"])
def test_nothing_is_stored_fifty_years_ago_or_years_ahead(
    installation: Installation, simulator: Simulator, clock: str
) -> None:
    if clock.startswith("+"):  # nothing contradicts that but what was collected
        with collecting(installation, "+0"):
            wait_for(lambda: installation.accepted(["attic"], 0), "a slot")
    true = installation.accepted(["attic"], 0)
    with collecting(installation, clock) as process:
        wait_for(lambda: "no slot is begun for 600 s at most" in log_of(installation), "the hold in the log")
        asked = len(simulator.requests("attic").times_ms)
        end(process)
    assert len(simulator.requests("attic").times_ms) == asked
    assert installation.accepted(["attic"], -(10**13)) == true

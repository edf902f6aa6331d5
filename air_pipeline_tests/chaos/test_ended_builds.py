"""However a `build` is ended: each day is as it was or as it is to be, nothing is left, and the next one ends the work.

Readings have come late, so that days are built anew over files of an older making, and the two could be mixed.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import psutil
import pytest

from air_pipeline.devices.simulator import Simulator
from air_pipeline.instance.ranges import FEW_DAYS
from air_pipeline.running.housekeeping import begun_runs
from air_pipeline.storage.commit import torn
from air_pipeline_tests.chaos.whole_days import copy, files, leftovers, watched
from air_pipeline_tests.running_pipeline import INTERVALS, Installation, today, workers_of, write_devices
from air_pipeline_tests.waiting import WITHIN_S, wait_for

pytestmark = pytest.mark.chaos

DAYS = [today() - timedelta(days=number) for number in range(7, 1, -1)]
FILES_A_DAY = 5
ATTEMPTS = 5
"""A build may be ready before it hears of its end; then it is begun again."""
LATE_MS, ALL_MS = 120_000, 60_000
"""The devices' interval before and after the other half of the readings has come."""

Files = dict[tuple[date, str], bytes]
Build = subprocess.Popen[str]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation whose days were built before half of their readings came; the newest was never built."""
    installation = Installation(tmp_path_factory.mktemp("seeded"))
    with Simulator(INTERVALS) as simulator:
        write_devices(installation.config, simulator, INTERVALS, min(DAYS))
    installation.seed(0, DAYS, LATE_MS)
    built = installation.run("build", "--to", str(DAYS[-2]))
    assert built.returncode == 0, built.stderr
    installation.seed(0, DAYS, ALL_MS)
    return installation.folder


@pytest.fixture(scope="module")
def unharmed(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of the days where nobody ends the build."""
    installation = copy(seeded, tmp_path_factory.mktemp("unharmed"))
    built = installation.run("build", "--to", str(max(DAYS)))
    assert built.returncode == 0, built.stderr
    return files(installation, DAYS)


def twice(number: signal.Signals, send: Callable[[int, int], None]) -> Callable[[Build, random.Random], object]:
    def end(build: Build, chance: random.Random) -> None:
        send(build.pid, number)
        with suppress(subprocess.TimeoutExpired, ProcessLookupError):
            build.wait(chance.uniform(0.0, 0.5))
            return
        with suppress(ProcessLookupError):
            send(build.pid, number)

    return end


ENDS: dict[str, Callable[[Build, random.Random], object]] = {
    "kill -9": lambda build, _: build.kill(),
    "kill -9 of a worker": lambda build, chance: [one.kill() for one in workers_of(build.pid)[: chance.choice((1, 2))]],
    "SIGTERM": lambda build, _: build.terminate(),
    "SIGTERM twice": twice(signal.SIGTERM, os.kill),
    "Ctrl-C": lambda build, _: os.killpg(build.pid, signal.SIGINT),  # as a terminal does: to all that are in it
    "Ctrl-C twice": twice(signal.SIGINT, os.killpg),
    "SIGHUP": lambda build, _: os.killpg(build.pid, signal.SIGHUP),
}


def started(installation: Installation, days: list[date], *options: str) -> Build:
    return subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", "build", "--from", str(min(days)), "--to", str(max(days)), *options],
        env=installation.variables,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def to_do(installation: Installation, days: list[date], unharmed: Files) -> list[date]:
    now = files(installation, days)
    return sorted({which[0] for which, content in unharmed.items() if which[0] in days and now.get(which) != content})


def wait_for_some(
    build: Build, installation: Installation, days: list[date], lost: set[str], chance: random.Random
) -> None:
    """Waits until a build is anywhere between its first process or run and its last day but one."""
    home, before = installation.environment.state.dagster, files(installation, days)
    wanted = chance.choice((0, chance.randrange(FILES_A_DAY * (len(days) - 1))))

    def so_far() -> bool:
        now = files(installation, days)
        return build.poll() is not None or sum(before.get(which) != now[which] for which in now) >= wanted

    wait_for(lambda: workers_of(build.pid) or begun_runs(home) - lost or build.poll() is not None, "a process or a run")
    wait_for(so_far, f"{wanted} files")
    with suppress(subprocess.TimeoutExpired):
        build.wait(chance.uniform(0.0, 0.2))


def assert_of_one_making(installation: Installation, *makings: Files) -> None:
    """Each day is as one of these, unless it says of itself that it is not."""
    now = files(installation, DAYS)
    for day in DAYS:
        of_day = {which: content for which, content in now.items() if which[0] == day}
        assert torn(installation.environment.data, day) or any(
            of_day == {which: making.get(which) for which in of_day} for making in makings
        )


@pytest.mark.parametrize("workers", [2, 0], ids=["by workers", "in its own process"])
def test_however_builds_are_ended_days_are_whole_and_the_next_one_ends_the_work(
    seeded: Path, unharmed: Files, tmp_path: Path, workers: int
) -> None:
    """Each build goes on with what the one before it left; once that is little, old files are put back."""
    installation, chance = copy(seeded, tmp_path), random.Random(workers)
    home, old = installation.environment.state.dagster, files(installation, DAYS)
    days, options = (DAYS, ("--workers", str(workers))) if workers else (DAYS[-FEW_DAYS:], ())
    hows = [how for how in ENDS if workers or how != "kill -9 of a worker"]
    with watched(installation):
        for how in chance.sample(hows, len(hows)):
            for _ in range(ATTEMPTS):
                left = to_do(installation, days, unharmed)
                if len(left) <= workers + 1:
                    subprocess.run(["cp", "-a", f"{seeded}/state/data", installation.state], check=True)
                    left = to_do(installation, days, unharmed)
                build, lost = started(installation, days, *options), begun_runs(home)
                wait_for_some(build, installation, left, lost, chance)
                assert not begun_runs(home) & lost, how
                with suppress(ProcessLookupError, psutil.NoSuchProcess):
                    ENDS[how](build, chance)
                _, said = build.communicate(timeout=WITHIN_S)
                wait_for(lambda: not installation.processes(), f"the end of all processes after {how}")
                assert_of_one_making(installation, old, unharmed)
                if build.returncode != 0:
                    break
            assert build.returncode != 0, (how, said)
            if workers and "twice" not in how:  # else it may strike where Python can only tell of it so
                assert "Traceback" not in said, (how, said)
        last = started(installation, DAYS)
        _, said = last.communicate(timeout=WITHIN_S)
        assert last.returncode == 0, said
    assert files(installation, DAYS) == unharmed
    assert leftovers(installation) == []
    assert begun_runs(home) == set()
    assert installation.processes() == []

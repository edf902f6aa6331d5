"""Whatever is killed while days are built: no half file is ever seen, nothing is left, and the days are the same."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from air_pipeline.devices.simulator import Simulator
from air_pipeline.storage.commit import commit_path, torn
from air_pipeline_tests.running_pipeline import (
    DAY_TABLES,
    INTERVALS,
    Installation,
    Pipeline,
    running_pipeline,
    today,
    write_devices,
)
from air_pipeline_tests.waiting import WITHIN_S, wait_for

pytestmark = pytest.mark.chaos

DAYS = [today() - timedelta(days=number) for number in range(8, 1, -1)]
UNDER_WAY = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
SEED_INTERVAL_MS = 10_000


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(INTERVALS) as running:
        yield running


@pytest.fixture(scope="module")
def seeded(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with readings and nothing built."""
    folder = tmp_path_factory.mktemp("seeded")
    installation = Installation(folder)
    write_devices(installation.config, simulator, INTERVALS, min(DAYS))
    installation.seed(0, DAYS, SEED_INTERVAL_MS)
    return folder


@pytest.fixture(scope="module")
def unharmed(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, date], bytes]:
    """The files of the days as they are where nothing is killed."""
    installation = copy(seeded, tmp_path_factory.mktemp("unharmed"))
    built = installation.run("build", "--to", str(max(DAYS)))
    assert built.returncode == 0, built.stderr
    return files(installation)


def copy(source: Path, folder: Path) -> Installation:
    subprocess.run(["cp", "-a", f"{source}/.", folder], check=True)
    return Installation(folder)


def files(installation: Installation) -> dict[tuple[str, date], bytes]:
    found = {(table, day): installation.file(table, day).read_bytes() for table in DAY_TABLES for day in DAYS}
    return found | {("built.json", day): commit_path(installation.environment.data, day).read_bytes() for day in DAYS}


@contextmanager
def watched(installation: Installation) -> Iterator[None]:
    """Reads every table that there is all the time: none is ever half written."""
    data, broken, stop = installation.environment.data, list[str](), threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            for path in data.rglob("*.parquet"):
                try:
                    pq.ParquetFile(path).read()
                except Exception as error:  # noqa: BLE001 - it is the finding
                    broken.append(f"{path}: {error}")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert broken == []


def all_is_as_if_nothing_had_been(installation: Installation, unharmed: dict[tuple[str, date], bytes]) -> None:
    data = installation.environment.data
    assert [day for day in DAYS if torn(data, day)] == []
    assert [key for key, content in files(installation).items() if unharmed[key] != content] == []
    assert [path for path in data.rglob(".*") if path.is_file()] == []


def run_worker(pipeline: Pipeline) -> psutil.Process | None:
    """The process of a run."""
    for process in pipeline.installation.processes("spawn_main"):
        with suppress(psutil.Error):
            if any("api grpc" in " ".join(parent.cmdline()) for parent in process.parents()):
                return process
    return None


def whole_code_server(pipeline: Pipeline) -> list[psutil.Process]:
    server = pipeline.part("code-server start")
    return [server, *server.children(recursive=True)]


VICTIMS: dict[str, Callable[[Pipeline], list[psutil.Process]]] = {
    "the daemon": lambda pipeline: [pipeline.part("dagster-daemon run")],
    "the code server": lambda pipeline: [pipeline.part("code-server start")],
    "what the code server started": lambda pipeline: [pipeline.part("api grpc")],
    "the webserver": lambda pipeline: [pipeline.part("running.webserver")],
    "a run": lambda pipeline: [found] if (found := run_worker(pipeline)) else [],
    "the code server with all runs": whole_code_server,
}


def test_whatever_is_killed_under_up_the_days_are_built_and_no_run_is_left(
    tmp_path: Path, seeded: Path, unharmed: dict[tuple[str, date], bytes]
) -> None:
    installation = copy(seeded, tmp_path)
    data = installation.environment.data
    with watched(installation):
        with running_pipeline(installation) as pipeline:
            for day, (name, find) in zip(DAYS, VICTIMS.items(), strict=False):
                wait_for(lambda: answers(pipeline), f"the UI before {name} is killed")
                pipeline.backfill([day])
                wait_for(lambda: run_worker(pipeline), "a run under way")
                for process in find(pipeline):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            wait_for(lambda: answers(pipeline), "the UI")
            pipeline.backfill(DAYS[-1:])
            wait_for(lambda: run_worker(pipeline), "a run under way")
            pipeline.process.kill()
            pipeline.process.wait()
            wait_for(lambda: not installation.processes("dagster"), "the end of what up had started")
            wait_for(lambda: not installation.processes("spawn_main"), "the end of the runs")
        with running_pipeline(installation) as pipeline:
            wait_for(lambda: not any(torn(data, day) for day in DAYS), "all days, by themselves")
            wait_for(lambda: not any(map(pipeline.runs, UNDER_WAY)), "the end of all runs")
            assert pipeline.stop() == 0
        assert installation.processes() == []
    all_is_as_if_nothing_had_been(installation, unharmed)


def answers(pipeline: Pipeline) -> bool:
    with suppress(OSError, AssertionError, KeyError):
        return bool(pipeline.ask("{assetNodes{id}}")["assetNodes"])
    return False


def is_at_work(process: subprocess.Popen[str], data: Path, left: set[Path]) -> bool:
    """Whether a build writes a table, which is none of those that killed ones left, or has ended."""
    return bool(set(data.rglob(".*.partial")) - left) or process.poll() is not None


def building(installation: Installation, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", "build", "--to", str(max(DAYS)), *options],
        env=installation.variables,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_however_a_build_is_ended_the_next_one_makes_the_same_days(
    tmp_path: Path, seeded: Path, unharmed: dict[tuple[str, date], bytes]
) -> None:
    installation = copy(seeded, tmp_path)
    data = installation.environment.data

    def killed_worker(process: subprocess.Popen[str]) -> None:
        workers = [child for child in psutil.Process(process.pid).children() if "spawn_main" in str(child.cmdline())]
        workers[0].kill()

    def twice(process: subprocess.Popen[str]) -> None:
        os.killpg(process.pid, signal.SIGINT)
        os.killpg(process.pid, signal.SIGINT)

    ends: dict[str, Callable[[subprocess.Popen[str]], None]] = {
        "kill -9": lambda process: process.kill(),
        "a worker's kill -9": killed_worker,
        "a signal": lambda process: process.terminate(),
        "two Ctrl-C": twice,
    }
    with watched(installation):
        for name, end in ends.items():
            for day in DAYS[:3]:  # built again each time
                installation.file("daily_report", day).unlink(missing_ok=True)
            left = set(data.rglob(".*.partial"))
            process = building(installation, "--workers", "2")
            wait_for(lambda process=process, left=left: is_at_work(process, data, left), "a table")  # type: ignore[misc]
            assert process.poll() is None, process.communicate()
            end(process)
            _, said = process.communicate(timeout=WITHIN_S)
            assert process.returncode != 0, name
            assert "Traceback" not in said, (name, said)
            wait_for(lambda: not installation.processes("air_pipeline"), f"the end of all after {name}")
            wait_for(lambda: not installation.processes("spawn_main"), f"the end of the workers after {name}")
        process = building(installation)
        _, said = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 0, said
    all_is_as_if_nothing_had_been(installation, unharmed)

"""Whatever is killed while days are built: no half file is ever seen, nothing is left, and the days are the same."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import psutil
import pytest

from air_pipeline.devices.simulator import Simulator
from air_pipeline.storage.commit import torn
from air_pipeline_tests.chaos.whole_days import UNDER_WAY, copy, files, leftovers, watched
from air_pipeline_tests.running_pipeline import (
    INTERVALS,
    Installation,
    Pipeline,
    running_pipeline,
    today,
    write_devices,
)
from air_pipeline_tests.waiting import wait_for

pytestmark = pytest.mark.chaos

DAYS = [today() - timedelta(days=number) for number in range(8, 1, -1)]
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
def unharmed(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[date, str], bytes]:
    """The files of the days as they are where nothing is killed."""
    installation = copy(seeded, tmp_path_factory.mktemp("unharmed"))
    built = installation.run("build", "--to", str(max(DAYS)))
    assert built.returncode == 0, built.stderr
    return files(installation, DAYS)


def all_is_as_if_nothing_had_been(installation: Installation, unharmed: dict[tuple[date, str], bytes]) -> None:
    data = installation.environment.data
    assert [day for day in DAYS if torn(data, day)] == []
    now = files(installation, DAYS)
    assert [which for which, content in unharmed.items() if now.get(which) != content] == []
    assert leftovers(installation) == []


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
    tmp_path: Path, seeded: Path, unharmed: dict[tuple[date, str], bytes]
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

"""A launched run of many days, killed in the middle: tried again, it builds what is left, to the same bytes."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from air_pipeline.devices.simulator import Simulator
from air_pipeline.storage.commit import commit_path, torn
from air_pipeline_tests.chaos.test_killed_days import run_worker
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

DAYS = [today() - timedelta(days=number) for number in range(11, 1, -1)]
_LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ...on LaunchRunSuccess { run { runId } } }
}
"""
_SCHEDULE = """
query($selector: ScheduleSelector!) {
  scheduleOrError(scheduleSelector: $selector) { ...on Schedule { scheduleState { id status } } }
}
"""
_STOP = """
mutation($id: String!) { stopRunningSchedule(id: $id) { __typename } }
"""
_LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "air_pipeline"}


def switch_off_building(pipeline: Pipeline) -> None:
    """From now on nothing is built by itself."""
    selector = {**_LOCATION, "scheduleName": "build_days"}
    state = pipeline.ask(_SCHEDULE, selector=selector)["scheduleOrError"]["scheduleState"]
    stopped = pipeline.ask(_STOP, id=state["id"])["stopRunningSchedule"]
    assert stopped["__typename"] == "ScheduleStateResult", stopped


def test_a_range_whose_run_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    seeded = Installation(tmp_path / "seeded")
    seeded.folder.mkdir()
    with Simulator(INTERVALS) as simulator:
        write_devices(seeded.config, simulator, INTERVALS, min(DAYS))
        seeded.seed(0, DAYS, 10_000)
        unharmed = copy(seeded.folder, tmp_path / "unharmed")
        built = unharmed.run("build", "--to", str(max(DAYS)))
        assert built.returncode == 0, built.stderr

        installation = copy(seeded.folder, tmp_path / "killed")
        data = installation.environment.data
        write_devices(installation.config, simulator, INTERVALS, today() + timedelta(days=1))  # nothing to build yet
        with watched(installation), running_pipeline(installation) as pipeline:
            switch_off_building(pipeline)
            write_devices(installation.config, simulator, INTERVALS, min(DAYS))
            config = {"ops": {"days": {"config": {"to": str(max(DAYS))}}}}
            asked = {"selector": {**_LOCATION, "jobName": "build_range"}, "runConfigData": config}
            launched = pipeline.ask(_LAUNCH, params=asked)["launchRun"]
            assert launched["__typename"] == "LaunchRunSuccess", launched
            wait_for(lambda: commit_path(data, DAYS[0]).exists(), "the first day")
            before = commit_path(data, DAYS[0]).stat().st_mtime_ns
            victim = run_worker(pipeline)
            assert victim is not None
            with suppress(psutil.NoSuchProcess):
                victim.kill()
            assert not commit_path(data, DAYS[-1]).exists()  # it was in the middle
            wait_for(lambda: not any(torn(data, day) for day in DAYS), "all days, by themselves")
            wait_for(lambda: not any(map(pipeline.runs, UNDER_WAY)), "the end of all runs")
            assert launched["run"]["runId"] in pipeline.runs("FAILURE")
            assert commit_path(data, DAYS[0]).stat().st_mtime_ns == before
            assert pipeline.stop() == 0
    assert files(installation, DAYS) == files(unharmed, DAYS)
    assert leftovers(installation) == []

"""Thirty days of ticks in a few minutes, beside a collector that polls a hundred devices each second: all is flat."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psutil
import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.definitions import build_definitions
from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.assets.small_deployments import (
    WHOLE,
    Present,
    build,
    deployment_in,
    real_instance,
    seed,
    small_device,
)
from air_pipeline_tests.automation.test_collect_sensor import Ticks
from air_pipeline_tests.running_pipeline import Installation, write_devices
from air_pipeline_tests.waiting import wait_for

pytestmark = pytest.mark.chaos

DAYS, WARM_DAYS = 30, 5
TICK = timedelta(minutes=15)
DEVICES = 100
FIRST = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Taken:
    """What a process has taken."""

    rss_mb: float
    descriptors: int
    threads: int

    @classmethod
    def by(cls, process: psutil.Process) -> "Taken":
        with process.oneshot():
            return cls(process.memory_info().rss / 1e6, process.num_fds(), process.num_threads())

    def is_no_more_than(self, warm: "Taken") -> bool:
        """Whether nothing has grown: a few of each come and go."""
        return (
            self.rss_mb < 1.15 * warm.rss_mb + 5
            and self.descriptors <= warm.descriptors + 10
            and self.threads <= warm.threads + 3
        )


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[tuple[psutil.Process, Simulator]]:
    """A real collector of many devices that are due each second."""
    names = [f"d{number}" for number in range(DEVICES)]
    folder = tmp_path / "collecting"
    folder.mkdir()
    installation = Installation(folder)
    with Simulator(names) as simulator:
        write_devices(installation.config, simulator, dict.fromkeys(names, "1s"), datetime.now(UTC).date())
        with (folder / "said").open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "air_pipeline", "collect"], env=installation.variables, stderr=output
            )
        try:
            wait_for(lambda: len(simulator.requests(names[-1]).times_ms) > 30, "half a minute of polls")
            yield psutil.Process(process.pid), simulator
        finally:
            process.terminate()
            process.wait()


def test_thirty_days_take_no_more_memory_descriptors_and_threads_than_five(
    tmp_path: Path, collector: tuple[psutil.Process, Simulator], capsys: pytest.CaptureFixture[str]
) -> None:
    collecting, simulator = collector
    here = psutil.Process()
    present = Present(FIRST)
    deployment = deployment_in(tmp_path, small_device("hall"), present=present, collector="external")
    seed(deployment, *(FIRST.date() + timedelta(days=number) for number in range(-1, DAYS + 1)))
    definitions = build_definitions(deployment)
    schedule = definitions.resolve_schedule_def("build_days")
    warm: dict[str, Taken] = {}
    ticks = polled = 0

    def taken() -> dict[str, Taken]:
        gc.collect()
        return {"ticks": Taken.by(here), "collector": Taken.by(collecting)}

    with real_instance(tmp_path) as instance, CollectorLock(deployment.environment.state):
        tick = Ticks(deployment, instance)
        while present.now < FIRST + timedelta(days=DAYS):
            for event in tick().asset_events:
                instance.report_runless_asset_event(event)
            if present.now.minute == 30 and present.now.hour % 3 == 0:
                with dg.build_schedule_context(
                    instance,
                    scheduled_execution_time=present.now,
                    resources={"deployment": deployment},
                    repository_def=definitions.get_repository_def(),
                ) as context:
                    asked = schedule.evaluate_tick(context).run_requests
                for request in asked or ():
                    day = datetime.fromisoformat(str(request.partition_key)).date()
                    assert build(deployment, instance, day, only=WHOLE).success
            ticks += 1
            present.now += TICK
            if present.now == FIRST + timedelta(days=WARM_DAYS):
                warm, polled = taken(), len(simulator.requests("d0").times_ms)
        end = taken()
        built = instance.get_materialized_partitions(dg.AssetKey("daily_report"))
    polls = DEVICES * (len(simulator.requests("d0").times_ms) - polled)
    with capsys.disabled():
        sys.stdout.write(f"\n{ticks} ticks, {len(built)} days, {polls} polls since {warm}: {end}\n")
    assert len(built) >= DAYS - 1
    for name, one in end.items():
        assert one.is_no_more_than(warm[name]), (name, warm[name], one)

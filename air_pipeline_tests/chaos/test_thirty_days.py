"""Thirty days in minutes: memory, descriptors and threads are flat.

Of the collector, the polls of 16 devices every ten minutes (`month`). Of Dagster, what its daemon and code server have
done for the project, without themselves: ticks every half hour, a day's run every day.
"""

import gc
import json
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psutil
import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.definitions import build_definitions
from air_pipeline.devices.simulator import Flaky, Simulator
from air_pipeline.storage.opening import open_store
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
from air_pipeline_tests.chaos import month
from air_pipeline_tests.chaos.month import DAY_MS, Taken
from air_pipeline_tests.running_pipeline import Installation, now_ms, write_devices
from air_pipeline_tests.waiting import WITHIN_S

pytestmark = pytest.mark.chaos

DAYS, WARM_DAYS = 30, 5
DEVICES = [f"d{number:02}" for number in range(16)]
INTERVAL_MS = 600_000
FIRST, TICK = datetime(2026, 3, 2, tzinfo=UTC), timedelta(minutes=30)
WRONG = ("unknown_sensor", "nan", "truncated_json", "http_500", "refuse", "login_page", "reset")


def test_a_collector_takes_no_more_after_thirty_days_than_after_five(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    first = (now_ms() - (DAYS + 1) * DAY_MS) // DAY_MS * DAY_MS
    start = datetime.fromtimestamp(first / 1000, UTC).date() - timedelta(days=1)
    with Simulator(DEVICES, flaky=Flaky(0.1, faults=WRONG)) as simulator:
        write_devices(installation.config, simulator, dict.fromkeys(DEVICES, INTERVAL_MS), start)
        began = time.monotonic()
        ran = subprocess.run(
            [sys.executable, "-m", month.__name__, installation.config, installation.state, str(first), str(DAYS)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=6 * WITHIN_S,
        )
        took = time.monotonic() - began
    taken = [Taken(**json.loads(line)) for line in ran.stdout.splitlines()]
    with closing(open_store(None, installation.environment.state)) as store:
        polls = {name: store.polls(name, 0, 10**14) for name in DEVICES}
    outcomes = {str(one) for frame in polls.values() for one in frame["outcome"]}
    sys.stdout.write(f"{sum(map(len, polls.values()))} polls in {took:.0f} s, after each day: {taken}\n")
    assert {len(frame) for frame in polls.values()} == {DAYS * DAY_MS // INTERVAL_MS}
    assert {"ok", "partial", "rejected", "http_error", "unreachable"} <= outcomes
    assert len(taken) == DAYS
    assert all(day.is_no_more_than(taken[WARM_DAYS - 1]) for day in taken[WARM_DAYS:])


def test_ticks_and_runs_of_thirty_days_take_no_more_than_those_of_five(tmp_path: Path) -> None:
    """What daemon and code server do in thirty days, in this process: a tick of the sensor every half hour."""
    present, here = Present(FIRST), psutil.Process()
    deployment = deployment_in(tmp_path, small_device("hall"), present=present, collector="external")
    seed(deployment, *(FIRST.date() + timedelta(days=number) for number in range(-1, DAYS + 1)))
    definitions = build_definitions(deployment)
    schedule, taken, ticks = definitions.resolve_schedule_def("build_days"), list[Taken](), 0
    with real_instance(tmp_path) as instance, CollectorLock(deployment.environment.state):
        tick = Ticks(deployment, instance)
        for number in range(1, DAYS + 1):
            while present.now < FIRST + timedelta(days=number):
                for event in tick().asset_events:
                    instance.report_runless_asset_event(event)
                ticks += 1
                present.now += TICK
            with dg.build_schedule_context(
                instance,
                scheduled_execution_time=present.now,
                resources={"deployment": deployment},
                repository_def=definitions.get_repository_def(),
            ) as context:
                asked = schedule.evaluate_tick(context).run_requests
            for request in asked or ():
                assert build(deployment, instance, date.fromisoformat(str(request.partition_key)), only=WHOLE).success
            gc.collect()
            taken.append(Taken.by(here))
        built = instance.get_materialized_partitions(dg.AssetKey("daily_report"))
    sys.stdout.write(f"{ticks} ticks and {len(built)} days, after each day: {taken}\n")
    assert len(built) >= DAYS - 1
    assert all(day.is_no_more_than(taken[WARM_DAYS - 1]) for day in taken[WARM_DAYS:])

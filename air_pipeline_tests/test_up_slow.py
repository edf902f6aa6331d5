"""`up` through what takes minutes: an outage of InfluxDB, a wrong token, a month of days, a power cut."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from air_pipeline.collection.lease import holder
from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.running_pipeline import (
    DAY_TABLES,
    INTERVALS,
    Installation,
    running_pipeline,
    today,
    write_devices,
)
from air_pipeline_tests.waiting import WITHIN_S, wait_for

pytestmark = pytest.mark.slow

OUTAGE_POLLS = 40
"""Two minutes of them, after which the checks say so."""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["attic", "cellar", "kitchen"]) as running:
        yield running


@pytest.mark.influxdb
def test_neither_a_wrong_token_nor_an_outage_of_influxdb_costs_a_slot(
    tmp_path: Path, simulator: Simulator, influxdb: InfluxServer
) -> None:
    variables = {
        "INFLUXDB_V2_URL": influxdb.url,
        "INFLUXDB_V2_TOKEN": "wrong",
        "INFLUXDB_V2_ORG": influxdb.org,
        "INFLUXDB_V2_BUCKET": influxdb.make_bucket(),
    }
    installation = Installation(tmp_path, variables)
    write_devices(installation.config, simulator, INTERVALS, today())
    with running_pipeline(installation) as pipeline:
        begun = installation.collecting_since()
        wait_for(lambda: len(installation.waiting()) >= 5, "polls in the outbox")
        assert "INFLUXDB_V2_TOKEN" in installation.run("outbox").stdout
        assert pipeline.stop() == 0
        refused = installation.waiting()
    installation.influxdb["INFLUXDB_V2_TOKEN"] = influxdb.token
    last = max(slot for _, slot in refused)
    with running_pipeline(installation) as pipeline:
        wait_for(lambda: refused <= set(installation.stored(INTERVALS, 0)), "what had been refused")
        assert not installation.gaps(begun, last)
        begun = installation.collecting_since()
        influxdb.stop()
        wait_for(lambda: len(installation.waiting()) >= OUTAGE_POLLS, "polls in the outbox")
        waiting = installation.waiting()
        wait_for(lambda: not pipeline.check("outbox_draining")["success"], "the check that fails")
        influxdb.start()
        wait_for(lambda: not waiting & installation.waiting(), "the outbox drained")
        wait_for(lambda: pipeline.check("outbox_draining")["success"], "the check that passes again")
        assert pipeline.stop() == 0
    assert installation.waiting() == set()
    assert not installation.gaps(begun)


def test_a_month_is_built_while_collecting_is_switched_off_and_on(tmp_path: Path, simulator: Simulator) -> None:
    days = [today() - timedelta(days=number) for number in range(31, 1, -1)]
    installation = Installation(tmp_path)
    write_devices(installation.config, simulator, dict.fromkeys(("attic", "cellar", "kitchen"), "10s"), days[0])
    installation.seed(0, days, 10_000)
    state = installation.environment.state
    with running_pipeline(installation) as pipeline:
        begun = installation.collecting_since()
        backfill = pipeline.backfill(days)
        wait_for(lambda: pipeline.sensor()["sensorState"]["status"] == "RUNNING", "the sensor")
        pipeline.switch_collecting(on=False)
        wait_for(lambda: holder(state) is None, "the end of collecting")
        wait_for(lambda: not installation.waiting(), "the outbox drained")
        stored = installation.stored(["attic"], begun)
        pipeline.switch_collecting(on=True)
        wait_for(lambda: len(installation.stored(["attic"], begun)) > len(stored), "new readings")
        pipeline.wait_for_days(backfill, days)
        for table in DAY_TABLES:
            # The schedule may have built yesterday as well.
            assert pipeline.materialized_partitions(table) >= len(days)
        assert all(installation.built(day) for day in days)
        assert pipeline.stop() == 0


def test_after_a_power_cut_the_days_that_were_being_built_are_built(tmp_path: Path, simulator: Simulator) -> None:
    days = [today() - timedelta(days=number) for number in (3, 2)]
    installation = Installation(tmp_path)
    write_devices(installation.config, simulator, dict.fromkeys(("attic", "cellar", "kitchen"), "10s"), days[0])
    installation.seed(0, days, 1_000)
    with running_pipeline(installation) as pipeline:
        backfill = pipeline.backfill(days)
        wait_for(lambda: len(pipeline.runs("STARTED")) == len(days), "both days under way")
        # All at once, as far as signals can: what is left is ended before it can tell anybody.
        processes = installation.processes()
        for process in processes:
            process.suspend()
        for process in processes:
            process.kill()
        wait_for(lambda: not installation.processes(), "the end of all processes")
        assert pipeline.process.wait(WITHIN_S) == -signal.SIGKILL
    assert not all(installation.built(day) for day in days)
    with running_pipeline(installation) as pipeline:
        pipeline.wait_for_days(backfill, days)
        assert not pipeline.runs("STARTED")

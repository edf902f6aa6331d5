"""`air-pipeline demo` as its user starts it."""

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from air_pipeline.deployment import Deployment
from air_pipeline.processing.columns import TABLES
from air_pipeline.running import demo
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.day_files import built_days
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.running_pipeline import Installation, free_port, now_ms, running_pipeline
from air_pipeline_tests.waiting import wait_for

pytestmark = pytest.mark.slow


def in_folder(folder: Path, **variables: str) -> Installation:
    return Installation(folder, variables, state=".air_pipeline")


def test_the_demo_shows_two_weeks_and_what_comes_in_and_goes_on_when_it_is_started_again(tmp_path: Path) -> None:
    installation = in_folder(tmp_path)
    command = ("demo", "--directory", str(tmp_path))
    begun = now_ms()
    with running_pipeline(installation, *command) as pipeline:
        for table in TABLES:
            assert len(built_days(installation.environment.data, table)) == demo.PAST_DAYS
            assert pipeline.materialized_partitions(table) == demo.PAST_DAYS
        quick = set(demo.DEVICES) - {demo.OUTSIDE}  # the other one is asked every 150 s
        wait_for(lambda: {name for name, _ in installation.stored(demo.DEVICES, begun)} >= quick, "readings")
        wait_for(lambda: pipeline.check("devices_reporting"), "a report of the checks")
        assert all(check["success"] for check in pipeline.checks().values())
        said = pipeline.check("complete", "daily_aggregates")
        assert not said["success"]
        assert "greenhouse ds18b20_temperature" in said["description"]
        said = pipeline.check("ds18b20_measuring", "daily_aggregates")
        assert not said["success"]
        assert "greenhouse" in said["description"]
        latest = json.loads(installation.run("latest", "--json").stdout)
        assert [one["device"] for one in latest] == list(demo.DEVICES)
        for page in ("raw_readings?view=events", "daily_aggregates?view=checks"):
            assert f"{pipeline.url}/assets/{page}\n" in pipeline.said  # whole, to be opened
        assert pipeline.stop() == 0
    assert installation.processes() == []
    start = read_settings(installation.config).start
    with running_pipeline(installation, *command) as pipeline:
        assert read_settings(installation.config).start == start
        assert pipeline.materialized_partitions("observations") == demo.PAST_DAYS
        assert pipeline.stop(signal.SIGTERM) == 0
    assert installation.processes() == []


def test_a_demo_that_was_killed_while_it_wrote_its_past_writes_it_again(tmp_path: Path) -> None:
    installation = in_folder(tmp_path)
    arguments = ("demo", "--directory", str(tmp_path), "--port")
    process = subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", *arguments, str(free_port())], env=installation.variables, cwd=tmp_path
    )
    readings = installation.environment.state.readings
    wait_for(lambda: readings.exists() and readings.stat().st_size > 2_000_000, "a part of the past")
    process.kill()
    process.wait()
    deployment = Deployment(installation.environment, read_settings(installation.config))
    assert not demo.has_past(deployment)
    with running_pipeline(installation, *arguments[:-1]) as pipeline:
        assert demo.has_past(deployment)
        assert pipeline.stop() == 0
    deployment.store.close()


@pytest.mark.influxdb
def test_with_influxdb_named_the_demo_keeps_its_readings_there(tmp_path: Path, influxdb: InfluxServer) -> None:
    bucket = influxdb.make_bucket()
    installation = in_folder(
        tmp_path,
        INFLUXDB_V2_URL=influxdb.url,
        INFLUXDB_V2_TOKEN=influxdb.token,
        INFLUXDB_V2_ORG=influxdb.org,
        INFLUXDB_V2_BUCKET=bucket,
    )
    with running_pipeline(installation, "demo", "--directory", str(tmp_path)) as pipeline:
        with closing(Deployment(installation.environment, read_settings(installation.config)).store) as store:
            assert set(store.latest()) == set(demo.DEVICES)
        assert pipeline.materialized_partitions("daily_aggregates") == demo.PAST_DAYS
        assert pipeline.stop() == 0
    assert not installation.environment.state.readings.exists()

"""Building a day from each store: observations, hourly and daily aggregates with their checks, in a warm process.

The peers read the same readings and do nothing with them: `pandas.read_sql` for the embedded store, influxdb-client's
`query_data_frame` for InfluxDB (where there is one to start).
"""

import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

import dagster as dg
import pandas as pd

from air_pipeline.definitions import build_definitions
from air_pipeline.deployment import Deployment
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.environment import Environment
from air_pipeline.settings import Device, InfluxConnection, Settings
from air_pipeline.state import StateDirectory
from benchmarks import peers
from benchmarks.machine import load

DAY = date(2026, 11, 20)
CASES = ((3, 10), (10, 1))


def main() -> None:
    """Prints one line a case and store."""
    with tempfile.TemporaryDirectory() as folder:
        for devices, interval_s in CASES:
            where = Path(folder) / f"sqlite-{devices}"
            _case("SQLite", _deployment(where, None, devices, interval_s), _read_sql)
        left_out = "building from it is left out"
        with peers.influxdb(Path(folder) / "influxdb", left_out) as server:
            for devices, interval_s in CASES if server else ():
                where = Path(folder) / f"influxdb-{devices}"
                _case("InfluxDB", _deployment(where, server.connection(), devices, interval_s), _query_data_frame)


def _deployment(folder: Path, connection: InfluxConnection | None, devices: int, interval_s: int) -> Deployment:
    named = tuple(
        Device(f"device-{number}", f"http://127.0.0.1/{number}", "Europe/Warsaw", interval_s * 1000)
        for number in range(devices)
    )
    settings = Settings(timezone="Europe/Warsaw", start=DAY, devices=named)
    environment = Environment(folder / "devices.yaml", StateDirectory(folder), folder / "data", connection)
    deployment = Deployment(environment, settings, now=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    start, end = (round(datetime(2026, 11, day, 23, tzinfo=UTC).timestamp() * 1000) for day in (19, 20))
    for device in named:
        polls = polls_between(device, Profile(device.id), start, end)
        while batch := list(islice(polls, 2_000)):
            deployment.store.write(batch)
    return deployment


def _case(name: str, deployment: Deployment, peer: Callable[[Deployment, Device], int]) -> None:
    devices = deployment.settings.devices
    before = time.perf_counter()
    rows = sum(peer(deployment, device) for device in devices)
    read = time.perf_counter() - before
    job = build_definitions(deployment).resolve_job_def("build_day")
    took = []
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            before = time.perf_counter()
            result = job.execute_in_process(
                partition_key=DAY.isoformat(),
                instance=instance,
                run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
            )
            took.append(time.perf_counter() - before)
            assert result.success
    interval = devices[0].interval_ms / 1000
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    what = f"{name}, {len(devices)} devices every {interval:g} s ({rows} readings)"
    beside = f"{min(took) / read:.1f} × reading them with {peer.__name__[1:]}, {read:.1f} s"
    print(f"{what}: {min(took):.1f} s ({beside}); {memory:.0f} MB at most so far; {load()}", flush=True)


def _read_sql(deployment: Deployment, device: Device) -> int:
    with closing(sqlite3.connect(deployment.environment.state.readings)) as connection:
        return len(pd.read_sql("SELECT * FROM air WHERE device = ?", connection, params=[device.id]))


def _query_data_frame(deployment: Deployment, device: Device) -> int:
    from influxdb_client import InfluxDBClient

    connection = replace(deployment.environment.influxdb)  # type: ignore[type-var]
    query = (
        f'from(bucket: "{connection.bucket}") |> range(start: 2026-11-19T23:00:00Z, stop: 2026-11-20T23:00:00Z)'
        f' |> filter(fn: (r) => r._measurement == "air" and r.device == "{device.id}")'
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )
    with InfluxDBClient(connection.url, connection.token, org=connection.org, timeout=300_000) as client:
        return len(client.query_api().query_data_frame(query))

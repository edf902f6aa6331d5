"""Building days by `air-pipeline build`: whole processes, from their start to the last page, into the embedded store.

The peers, in the same run: a build of next to nothing, which is the start of the processes; the same days by plain
functions, without Dagster, checks and page; `pandas.read_sql` of the same readings.

    python -m benchmarks.days --help
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

import pandas as pd

from air_pipeline.days.building import built_daily, built_hourly, built_observations
from air_pipeline.days.calendar import device_days
from air_pipeline.deployment import Deployment
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.environment import read_environment
from air_pipeline.settings.file import read_settings

FIRST = date(2025, 9, 1)
YEAR = 365


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took, with all of its processes; memory is that of the largest."""

    cpu_s: float
    wall_s: float
    memory_mb: float


class Installation:
    """Devices with a past, in a folder."""

    def __init__(self, folder: Path, devices: int, interval_s: int, days: int) -> None:
        folder.mkdir()
        self.folder, self.state = folder, folder / "state"
        self.days = [FIRST + timedelta(days=number) for number in range(days)]
        lines = ["timezone: Europe/Warsaw", f"start: {FIRST}", f"interval: {interval_s}s", "devices:"]
        lines += [f"  - {{id: d{n:04}, url: 'http://127.0.0.1:9/{n}'}}" for n in range(devices)]
        (folder / "devices.yaml").write_text("\n".join(lines), encoding="utf-8")
        variables = {"AIR_PIPELINE_CONFIG": str(folder / "devices.yaml"), "AIR_PIPELINE_STATE": str(self.state)}
        self.variables = {k: v for k, v in os.environ.items() if not k.startswith("INFLUXDB_V2_")} | variables
        environment = read_environment(variables)
        self.deployment = Deployment(environment, read_settings(environment.config))
        for day in self.days:
            for one in device_days(self.deployment.settings, day):
                polls = polls_between(one.device, Profile(one.device.id), one.start, one.end + one.device.interval_ms)
                while batch := list(islice(polls, 20_000)):
                    self.deployment.store.write(batch)

    def build(self, days: int = 0, workers: int = 0) -> Cost:
        """Builds its first days (all, if 0) from nothing."""
        for made in ("data", "dagster"):
            shutil.rmtree(self.state / made, ignore_errors=True)
        last = self.days[(days or len(self.days)) - 1]
        command = [sys.executable, "-m", "air_pipeline", "build", "--to", str(last), "--workers", str(workers)]
        before = time.perf_counter()
        process = subprocess.Popen(command, env=self.variables, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        assert status == 0, f"{command} failed"
        return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - before, used.ru_maxrss / 1000)

    def plain_s(self, days: int) -> float:
        """CPU a day of the tables alone, day by day, by plain functions."""
        before = time.process_time()
        for day in self.days[:days]:
            with built_observations(self.deployment, day) as built:
                observed = built.staged.publish()
            with built_hourly(self.deployment, day, observed) as built:
                hourly = built.staged.publish()
            with built_daily(self.deployment, day, observed, hourly) as built:
                built.staged.publish()
        return (time.process_time() - before) / days

    def read_sql_s(self) -> float:
        """CPU of reading all readings with pandas."""
        before = time.process_time()
        with closing(sqlite3.connect(self.state / "readings.sqlite")) as connection:
            for device in self.deployment.settings.devices:
                pd.read_sql("SELECT * FROM air WHERE device = ?", connection, params=[device.id])
        return time.process_time() - before


def main(arguments: Sequence[str] = ()) -> None:
    """Prints a line a case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.days", description=__doc__)
    parser.add_argument("--days", type=int, default=12, help="of three devices at 10 s, by one worker and by two")
    parser.add_argument("--month", type=int, default=30, help="days of one device at 10 s")
    parser.add_argument("--devices", type=int, default=12, help="at 10 s, of one day: all, half and a quarter of them")
    parser.add_argument("--fast", type=int, default=2, help="devices at 1 Hz, of one day; a reading of each second")
    asked = parser.parse_args(list(arguments))
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        nothing = Installation(where / "nothing", 1, 3600, 1)
        start = min((nothing.build() for _ in range(2)), key=lambda cost: cost.cpu_s)
        print(f"start of the processes (a day of 24 polls): {_said(start)}", flush=True)
        _range(where / "range", asked.days, start)
        _month(where / "month", asked.month, start)
        if asked.devices:
            _devices(where, asked.devices, start)
        if asked.fast:
            _intervals(where, asked.fast, start)


def _range(folder: Path, days: int, start: Cost) -> None:
    of_three = Installation(folder, 3, 10, days)
    one, two = of_three.build(workers=1), of_three.build(workers=2)
    plain = of_three.plain_s(min(days, 4))
    each = (one.cpu_s - start.cpu_s) / days
    print(f"{days} days of 3 devices at 10 s, one worker: {_said(one)}; two: {_said(two)}", flush=True)
    print(
        f"  {each:.2f} s CPU a day ({each / plain:.1f} × plain functions without checks, events and page, {plain:.2f})"
        f"; {YEAR} days {YEAR * each / 60:.1f} min CPU, {YEAR * each / 120:.1f} min on two idle cores"
        f"; two workers {one.wall_s / two.wall_s / 2:.2f} of twice as fast by the clock",
        flush=True,
    )
    sizes = [max(days // 4, 1), max(days // 2, 2), days]
    costs = [of_three.build(number, workers=1).cpu_s - start.cpu_s for number in sizes[:-1]] + [one.cpu_s - start.cpu_s]
    _print_growth("days", sizes, costs)


def _month(folder: Path, days: int, start: Cost) -> None:
    cost = Installation(folder, 1, 10, days).build(workers=1)
    beside = f"{cost.cpu_s - start.cpu_s:.1f} s CPU beside the start"
    print(f"{days} days of one device at 10 s, one worker: {_said(cost)}; {beside}", flush=True)


def _devices(where: Path, most: int, start: Cost) -> None:
    sizes, costs = [max(most // 4, 1), max(most // 2, 1), most], []
    for number in sizes:
        cost = Installation(where / f"{number}-devices", number, 10, 1).build()
        costs.append(cost.cpu_s - start.cpu_s)
        print(f"a day of {number} devices at 10 s: {_said(cost)}", flush=True)
        shutil.rmtree(where / f"{number}-devices")
    _print_growth("devices", sizes, costs)


def _intervals(where: Path, devices: int, start: Cost) -> None:
    intervals, costs = [10, 3, 1], []
    for interval in intervals:
        of_interval = Installation(where / f"{interval}-s", devices, interval, 1)
        cost, read = of_interval.build(), of_interval.read_sql_s()
        costs.append(cost.cpu_s - start.cpu_s)
        beside = f"{costs[-1] / read:.1f} × pandas.read_sql, {read:.1f} s"
        print(f"a day of {devices} devices every {interval} s: {_said(cost)}; {beside}", flush=True)
        shutil.rmtree(where / f"{interval}-s")
    _print_growth("readings a second", [1 / interval for interval in intervals], costs)


def _said(cost: Cost) -> str:
    return f"{cost.cpu_s:.1f} s CPU, {cost.wall_s:.1f} s by the clock, {cost.memory_mb:.0f} MB the largest process"


def _print_growth(what: str, sizes: Sequence[float], costs: Sequence[float]) -> None:
    steps = [
        f"{more / less:.1f} × {what}: {dear / cheap:.2f} × CPU"
        for less, more, cheap, dear in zip(sizes, sizes[1:], costs, costs[1:], strict=False)
    ]
    print(f"  beside the start, {'; '.join(steps)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

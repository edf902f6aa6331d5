"""Building days by `air-pipeline build`: whole processes, from their start to the last page, into the embedded store.

The peers, in the same run: a build of next to nothing, which is the start of the processes; the same days by plain
functions, without Dagster, checks and page; `pandas.read_sql` of the same readings.

    python -m benchmarks days --help
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
from benchmarks.machine import load

FIRST = date(2025, 9, 1)
YEAR = 365
ROUNDS = 2
"""Of what is compared by the clock, in turns: what else this machine does meets all of them."""
LONG, FAST, MANY = 40, 10, 1000
"""Sizes of `--full`: days by one worker and by two, devices at 1 Hz, devices at 10 s."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took, with all of its processes; memory is that of the largest."""

    cpu_s: float
    wall_s: float
    memory_mb: float


def _least(costs: Sequence[Cost]) -> Cost:
    return Cost(
        min(cost.cpu_s for cost in costs),
        min(cost.wall_s for cost in costs),
        max(cost.memory_mb for cost in costs),
    )


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

    def in_turns(self, days: Sequence[int]) -> Sequence[Cost]:
        """Builds its first days by one worker, so many of them by two, and so on; the least of each."""
        return [_least(costs) for costs in zip(*(map(self.build, days, (1, 2)) for _ in range(ROUNDS)), strict=True)]

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
    parser = argparse.ArgumentParser(prog="python -m benchmarks days", description=__doc__)
    parser.add_argument("--days", type=int, default=12, help="of three devices at 10 s, by one worker and by two")
    parser.add_argument("--month", type=int, default=30, help="days of one device at 10 s")
    parser.add_argument("--devices", type=int, default=12, help="at 10 s, of one day: all, half and a quarter of them")
    parser.add_argument("--fast", type=int, default=2, help="devices at 1 Hz, of one day; a reading of each second")
    parser.add_argument("--through", type=int, default=0, help="days of three devices at 10 s, once, by two workers")
    large = f"also {LONG} days by one and two, {YEAR} days through, {FAST} devices at 1 Hz, {MANY} at 10 s"
    parser.add_argument("--full", action="store_true", help=large)
    asked = parser.parse_args(list(arguments))
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        nothing = Installation(where / "nothing", 1, 3600, 2)
        start = _least([nothing.build(1) for _ in range(2)])
        _print(f"start of the processes (a day of 24 polls): {_said(start)}")
        for days in [asked.days, *([LONG] if asked.full else [])]:
            if days:
                _range(where / f"range-{days}", days, nothing)
        if asked.month:
            _month(where / "month", asked.month, start)
        if asked.devices:
            _devices(where, asked.devices, start)
        if asked.fast:
            _intervals(where, asked.fast, start)
        if asked.full:
            _day(where, FAST, 1, start)
            _day(where, MANY, 10, start)
        if through := asked.through or (YEAR if asked.full else 0):
            _through(where / "through", through, nothing)


def _range(folder: Path, days: int, nothing: Installation) -> None:
    of_three = Installation(folder, 3, 10, days)
    # A day of 24 polls for each worker: what each range spends before its first day and after its last.
    start_of_one, start_of_two = nothing.in_turns([1, 2])
    one, two = of_three.in_turns([days, days])
    plain = of_three.plain_s(min(days, 4))
    each = (one.cpu_s - start_of_one.cpu_s) / days
    _print(f"{days} days of 3 devices at 10 s, one worker: {_said(one)}; two: {_said(two)}")
    _print(
        f"  {each:.2f} s CPU a day beside the start"
        f" ({each / plain:.1f} × plain functions without checks, events and page, {plain:.2f} s);"
        f" {YEAR} days {YEAR * each / 60:.1f} min CPU"
    )
    beside = (one.wall_s - start_of_one.wall_s) / (two.wall_s - start_of_two.wall_s) / 2
    _print(
        f"  two workers by the clock: {one.wall_s / two.wall_s / 2:.2f} of twice as fast, {beside:.2f} beside the start"
        f" of one, {start_of_one.wall_s:.1f} s, and of two, {start_of_two.wall_s:.1f} s"
    )
    sizes = [max(days // 4, 1), max(days // 2, 2), days]
    costs = [of_three.build(number, workers=1).cpu_s for number in sizes[:-1]] + [one.cpu_s]
    _print_growth("days", sizes, [cost - start_of_one.cpu_s for cost in costs])
    shutil.rmtree(folder)


def _through(folder: Path, days: int, nothing: Installation) -> None:
    of_three = Installation(folder, 3, 10, days)
    cost, start = of_three.build(workers=2), _least([nothing.build(2, workers=2) for _ in range(2)])
    each, plain = (cost.cpu_s - start.cpu_s) / days, of_three.plain_s(4)
    beside = f"{each:.2f} s CPU a day beside the start ({each / plain:.1f} × plain functions, {plain:.2f} s)"
    _print(f"{days} days of 3 devices at 10 s through, two workers: {_said(cost)}; {beside}")
    shutil.rmtree(folder)


def _month(folder: Path, days: int, start: Cost) -> None:
    month = Installation(folder, 1, 10, days)
    cost, plain = month.build(workers=1), month.plain_s(min(days, 8))
    each = (cost.cpu_s - start.cpu_s) / days
    beside = f"{cost.cpu_s - start.cpu_s:.1f} s CPU beside the start, {each:.2f} a day"
    _print(
        f"{days} days of one device at 10 s, one worker: {_said(cost)};"
        f" {beside} ({each / plain:.1f} × plain functions, {plain:.2f} s)"
    )
    shutil.rmtree(folder)


def _devices(where: Path, most: int, start: Cost) -> None:
    sizes = [max(most // 4, 1), max(most // 2, 1), most]
    _print_growth("devices", sizes, [_day(where, number, 10, start) for number in sizes])


def _intervals(where: Path, devices: int, start: Cost) -> None:
    intervals = [10, 3, 1]
    costs = [_day(where, devices, interval, start) for interval in intervals]
    _print_growth("readings a second", [1 / interval for interval in intervals], costs)


def _day(where: Path, devices: int, interval_s: int, start: Cost) -> float:
    """Prints what one day takes; its CPU beside the start."""
    folder = where / f"{devices}-devices-every-{interval_s}-s"
    of_devices = Installation(folder, devices, interval_s, 1)
    cost, read = of_devices.build(), of_devices.read_sql_s()
    shutil.rmtree(folder)
    spent = cost.cpu_s - start.cpu_s
    _print(
        f"a day of {devices} devices every {interval_s} s: {_said(cost)}; {spent:.1f} s CPU beside the start,"
        f" {start.cpu_s:.1f} s ({spent / read:.1f} × pandas.read_sql of its readings, {read:.2f} s);"
        f" beside reading as well {spent - read:.1f} s"
    )
    return spent


def _said(cost: Cost) -> str:
    return f"{cost.cpu_s:.1f} s CPU, {cost.wall_s:.1f} s by the clock, {cost.memory_mb:.0f} MB the largest process"


def _print_growth(what: str, sizes: Sequence[float], costs: Sequence[float]) -> None:
    steps = [
        f"{more / less:.1f} × {what}: {dear / cheap:.2f} × CPU"
        for less, more, cheap, dear in zip(sizes, sizes[1:], costs, costs[1:], strict=False)
    ]
    _print(f"  beside the start, {'; '.join(steps)}")


def _print(line: str) -> None:
    print(f"{line}; {load()}", flush=True)

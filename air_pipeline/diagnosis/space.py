"""Room on the disks, by what collecting and building take in a day."""

import shutil
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path

from air_pipeline.diagnosis import Finding, Level
from air_pipeline.diagnosis.setting_up import nearest
from air_pipeline.environment import Environment
from air_pipeline.processing.columns import TABLES
from air_pipeline.settings import Settings
from air_pipeline.storage.parquet import built_days, day_file

POLL_BYTES = 185
"""Of a poll of the station with its values in the embedded store, measured."""
DAGSTER_BYTES = 6_000_000
"""What Dagster's storage grows in a day: reports every five minutes at 9 KB, ticks at 0.7 KB, a few runs at 160 KB."""
DAYS_OBSERVED = 7
WARN_BELOW_DAYS = 30.0
FAIL_BELOW_DAYS = 1.0
LEAST_BYTES = 50_000_000
"""Below this SQLite and Dagster fail soon, however little comes in."""
_DAY_MS = 86_400_000


def look_at_space(environment: Environment, settings: Settings | None) -> Iterator[Finding]:
    """How many days the disks of the state and the data directory will do."""
    disks: dict[int, list[tuple[Path, float]]] = {}
    for path, daily in (
        (environment.state.path, _state_growth(settings, embedded=environment.influxdb is None)),
        (environment.data, _data_growth(environment.data)),
    ):
        disks.setdefault(nearest(path).stat().st_dev, []).append((path, daily))
    for found in disks.values():
        path = found[0][0]
        yield judge_space(path, shutil.disk_usage(nearest(path)).free, sum(daily for _, daily in found))


def judge_space(path: Path, free: int, daily: float) -> Finding:
    """What is to be said of a disk.

    Args:
        path: a directory on it.
        free: bytes.
        daily: bytes that a day takes.
    """
    days = free / max(daily, 1.0)
    text = f"{_bytes(free)} free at {path}, a day takes about {_bytes(daily)}"
    remedy = "make room, or set AIR_PIPELINE_STATE and AIR_PIPELINE_DATA to a larger disk"
    if free < LEAST_BYTES or days < FAIL_BELOW_DAYS:
        return Finding("disk space", Level.FAILURE, f"{text}: nearly full", remedy)
    if days < WARN_BELOW_DAYS:
        return Finding("disk space", Level.WARNING, f"{text}: enough for {days:.0f} days", remedy)
    return Finding("disk space", Level.OK, text)


def _state_growth(settings: Settings | None, *, embedded: bool) -> float:
    polls = sum(_DAY_MS / device.interval_ms for device in settings.devices) if settings else 0.0
    return DAGSTER_BYTES + (polls * POLL_BYTES if embedded else 0.0)


def _data_growth(data: Path) -> float:
    """The mean size of the newest days."""
    newest = list(islice(reversed(built_days(data, "daily_aggregates")), DAYS_OBSERVED))
    return sum(_size(data, day) for day in newest) / max(len(newest), 1)


def _size(data: Path, day: date) -> int:
    files = (day_file(data, table, day) for table in TABLES)
    return sum(file.path.stat().st_size for file in files if file.exists)


def _bytes(number: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.0f} KB"

"""Room on the disks of the state and the data: by what a day takes, and by what the last days took."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from math import isfinite
from pathlib import Path
from statistics import linear_regression

from air_pipeline.environment import Environment
from air_pipeline.health import Finding, check, failure, fine, warning
from air_pipeline.health.seen import Seen
from air_pipeline.places import DataPlace
from air_pipeline.processing.columns import TABLES
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.state import StateDirectory
from air_pipeline.storage.day_files import built_days, day_file

POLL_BYTES = 185
"""Of a poll of the station with its values in the embedded store, measured."""
DAGSTER_BYTES = 2_000_000
"""What Dagster's storage grows in a day until it is pruned: 96 reports at 8 KB, a few runs at 400 KB."""
DAYS_OBSERVED = 7
WARN_BELOW_DAYS = 30.0
FAIL_BELOW_DAYS = 1.0
LEAST_BYTES = 50_000_000
"""Below this SQLite and Dagster fail soon, however little comes in."""
SAMPLE_EVERY = timedelta(hours=1)
SAMPLES_KEPT = timedelta(days=7)
"""The last days, whose rate counts."""
SAMPLES_NEEDED = timedelta(days=1)
"""What is written goes up and down within a day: less says nothing."""
LASTS_DAYS = 7.0
_DAY_MS = 86_400_000
_DAY_S = 86_400.0
_REMEDY = "make room, or set AIR_PIPELINE_STATE and AIR_PIPELINE_DATA to a larger disk"


@check(
    means="The disks have room for a month of what collecting and building take in a day.",
    remedy=_REMEDY,
    title="disk space",
)
def disk_space(seen: Seen) -> Iterator[Finding]:
    """How many days the disks of the state and the data directory will do, by what a day is known to take."""
    environment = seen.environment
    daily = {
        "state": _state_growth(seen.settings, embedded=environment.influxdb is None),
        "data": _data_growth(environment.data) if isinstance(environment.data, Path) else 0.0,
    }
    for path, names in disks(environment).items():
        found = of_space(path, shutil.disk_usage(nearest(path)).free, sum(daily[name] for name in names))
        yield found if len(names) < len(daily) else replace(found, subject="")  # there is but one


def of_space(path: Path, free: int, daily: float) -> Finding:
    """What is to be said of a disk.

    Args:
        path: a directory on it.
        free: bytes.
        daily: bytes that a day takes.
    """
    days = free / max(daily, 1.0)
    text = f"{_bytes(free)} free at {path}, a day takes about {_bytes(daily)}"
    if free < LEAST_BYTES or days < FAIL_BELOW_DAYS:
        return failure(f"{text}: nearly full", subject=str(path))
    if days < WARN_BELOW_DAYS:
        return warning(f"{text}: enough for {days:.0f} days", subject=str(path))
    return fine(text, str(path))


@dataclass(frozen=True, slots=True)
class Sample:
    """How much room there was at one time.

    Attributes:
        at: seconds since 1970 UTC.
        free: disk (a directory on it) to free bytes.
    """

    at: float
    free: Mapping[str, int]


@check(
    asset="raw_readings",
    means="No disk will be full within a week at the rate of the last days. Silent until a day of samples is there.",
    remedy=f"See what grows (du -sh on it), {_REMEDY}.",
    title="disk space",
    bad="a disk will soon be full",
    good="the disks will do for more than a week again",
)
def disk_lasts(seen: Seen) -> Iterator[Finding]:
    """Which disk will be full within a week, if it goes on as in the last days."""
    samples = read_samples(seen.environment.state)
    found = disks(seen.environment)
    for path in found:
        one = of_samples(path, samples, shutil.disk_usage(nearest(path)).free)
        yield one if len(found) > 1 else replace(one, subject="")


def of_samples(path: Path, samples: Sequence[Sample], free: int) -> Finding:
    """What the samples of the last days say of a disk.

    Args:
        path: a directory on it.
        samples: rising in time.
        free: bytes, now.
    """
    numbers = {"free_mb": round(free / 1e6)}
    found = [(one.at, one.free[str(path)]) for one in samples if str(path) in one.free]
    if not found or found[-1][0] - found[0][0] < SAMPLES_NEEDED.total_seconds():
        return fine("there is not a day of samples yet", str(path), numbers)
    daily = -linear_regression(*zip(*found, strict=True)).slope * _DAY_S
    if daily <= 0 or free / daily >= LASTS_DAYS:
        return fine(f"{_bytes(free)} free at {path}, {_bytes(max(daily, 0.0))} less each day", str(path), numbers)
    text = f"{_bytes(free)} free at {path}, {_bytes(daily)} less each day: full in {free / daily:.1f} days"
    return (failure if free / daily < FAIL_BELOW_DAYS else warning)(text, subject=str(path), numbers=numbers)


def sample_space(environment: Environment, now: datetime) -> None:
    """Remembers, once an hour, how much room there is; what cannot be remembered is left out.

    Raises:
        SettingsError: the state directory cannot be made.
        OSError: it cannot be written.
    """
    samples = read_samples(environment.state)
    at = now.astimezone(UTC).timestamp()
    if samples and 0 <= at - samples[-1].at < SAMPLE_EVERY.total_seconds():
        return
    free = {str(path): shutil.disk_usage(nearest(path)).free for path in disks(environment)}
    kept = [one for one in samples if 0 <= at - one.at <= SAMPLES_KEPT.total_seconds()]
    rows = [{"at": one.at, "free": dict(one.free)} for one in (*kept, Sample(at, free))]
    environment.state.write(environment.state.space, json.dumps(rows))


def read_samples(state: StateDirectory) -> list[Sample]:
    """The samples of the last days; none where there is no file, or one that is not ours."""
    try:
        rows = json.loads(state.read(state.space))
        found = [Sample(float(row["at"]), {str(path): int(free) for path, free in row["free"].items()}) for row in rows]
    except (SettingsError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return []
    return sorted((one for one in found if isfinite(one.at)), key=lambda one: one.at)


def disks(environment: Environment) -> dict[Path, list[str]]:
    """A directory on each disk, with what of ours is there: `state`, `data`."""
    found: dict[int, Path] = {}
    names: dict[Path, list[str]] = {}
    for name, path in (("state", environment.state.path), ("data", environment.data)):
        if not isinstance(path, Path):
            continue  # an object store is no disk of this machine
        disk = nearest(path).stat().st_dev
        names.setdefault(found.setdefault(disk, path), []).append(name)
    return names


def nearest(path: Path) -> Path:
    """The path, or the nearest one above it that exists; a link that leads nowhere does not."""
    return next(one for one in (path, *path.parents) if one.exists())


def _state_growth(settings: Settings | None, *, embedded: bool) -> float:
    polls = sum(_DAY_MS / device.interval_ms for device in settings.devices) if settings else 0.0
    return DAGSTER_BYTES + (polls * POLL_BYTES if embedded else 0.0)


def _data_growth(data: DataPlace) -> float:
    """The mean size of the newest days."""
    newest = list(islice(reversed(built_days(data, "daily_aggregates")), DAYS_OBSERVED))
    return sum(_size(data, day) for day in newest) / max(len(newest), 1)


def _size(data: DataPlace, day: date) -> int:
    stamps = (day_file(data, table, day).stamp() for table in TABLES)
    return sum(stamp.size for stamp in stamps if stamp)


def _bytes(number: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.0f} KB"

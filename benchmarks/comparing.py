"""Comparing a year of built days with what they would be built from now, as `build_days` does after an upgrade.

The peer reads the footers of the same files with pyarrow alone, and compares nothing.
"""

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from air_pipeline.automation.building import MONTH_DAYS
from air_pipeline.days.compared import read_compared, under_now
from air_pipeline.days.comparing import Under, built_under
from air_pipeline.definitions import build_definitions
from air_pipeline.deployment import Deployment
from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.commit import built_metadata, commit_day
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.days.deployments import build, deployment, device, seed
from benchmarks.machine import load

LAST = date(2026, 11, 20)
DAYS = [LAST - timedelta(days=number) for number in range(365)]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def main() -> None:
    """Prints one line a way of comparing."""
    with tempfile.TemporaryDirectory() as folder:
        year = deployment(Path(folder), *map(device, "abc"), start=DAYS[-1], now=NOON)
        seed(year, [*DAYS, LAST + timedelta(days=1)])
        for day in DAYS:
            build(year, day)
        read = _wall_s(lambda: _read_footers(year))
        _print("by their footers", _wall_s(lambda: _compare(year)), read)
        for day in DAYS:
            assert not commit_day(year.data, day)
        _print("by their commits", _wall_s(lambda: _compare(year)), read)
        with dg.DagsterInstance.local_temp(folder) as instance:
            took = _wall_s(lambda: _tick(year, instance))
        compared = read_compared(year.environment)
        assert (compared.archive, compared.under) == (DAYS[-1], under_now(year.settings))
        _print(f"in one tick, the last {MONTH_DAYS} of them with the store", took, read)
        year.store.close()


def _wall_s(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def _print(how: str, took: float, read: float) -> None:
    beside = f"{took / read:.1f} × reading all footers with pyarrow alone, {read:.2f} s"
    print(f"{len(DAYS)} days of three devices, compared {how}: {took:.2f} s ({beside}); {load()}", flush=True)


def _read_footers(year: Deployment) -> None:
    for day in DAYS:
        for table in TABLES:
            assert pq.read_metadata(day_file(year.data, table, day).path).metadata


def _compare(year: Deployment) -> None:
    first_poll = cache(year.store.first_poll)
    for day in DAYS:
        built = built_metadata(year.data, day, read_all=False)
        assert built is not None
        assert built_under(built, year.settings, day, year.store, first_poll) is Under.NOW


def _tick(year: Deployment, instance: dg.DagsterInstance) -> None:
    repository = build_definitions(year).get_repository_def()
    with dg.build_schedule_context(
        instance, scheduled_execution_time=NOON, resources={"deployment": year}, repository_def=repository
    ) as context:
        answer = repository.get_schedule_def("build_days").evaluate_tick(context)
    assert not answer.run_requests, answer

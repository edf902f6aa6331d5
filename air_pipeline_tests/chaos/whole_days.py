"""What has to hold of days, whatever was ended while they were built.

Belongs here: what tests of ended processes share. Does not: what is ended, and how.
"""

import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from air_pipeline.storage.commit import commit_path
from air_pipeline_tests.running_pipeline import DAY_TABLES, Installation

UNDER_WAY = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
"""The states of a run that Dagster waits for."""


def copy(source: Path, folder: Path) -> Installation:
    """An installation as another one is now."""
    subprocess.run(["cp", "-a", f"{source}/.", folder], check=True)
    return Installation(folder)


def files(installation: Installation, days: Iterable[date]) -> dict[tuple[date, str], bytes]:
    """The files of days that there are, with their commits."""
    data = installation.environment.data
    paths = {(day, table): installation.file(table, day) for day in days for table in DAY_TABLES}
    paths |= {(day, "built.json"): commit_path(data, day) for day in {day for day, _ in paths}}
    return {which: path.read_bytes() for which, path in paths.items() if path.exists()}


def leftovers(installation: Installation) -> list[Path]:
    """What somebody left half written beside what it was to be."""
    hidden = {path for path in installation.environment.data.rglob(".*") if path.is_file()}
    return sorted(hidden | set(installation.state.rglob(".*.partial")))


@contextmanager
def watched(installation: Installation) -> Iterator[None]:
    """Reads every table as soon as it is there: none is ever half written."""
    data, broken, stop = installation.environment.data, list[str](), threading.Event()
    seen: set[tuple[int, int]] = set()

    def look() -> None:
        while not stop.wait(0.02):
            for path in data.rglob("*.parquet"):
                try:
                    stamp = (path.stat().st_ino, path.stat().st_mtime_ns)
                    if stamp not in seen:
                        pq.ParquetFile(path).read()
                    seen.add(stamp)
                except Exception as error:  # noqa: BLE001 - it is the finding
                    broken.append(f"{path}: {error}")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert broken == []

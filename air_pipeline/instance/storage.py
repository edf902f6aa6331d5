"""Dagster's storage, opened before everybody else does: made, brought up to date, rid of runs that were lost.

`up` starts this as a process of its own, and so stays small itself; `build` begins with it. Processes that make the
storage at the same time can leave it unusable (alembic_version with two heads); so could two that upgrade it.

For the underlying Dagster concept, see docs.dagster.io: upgrading Dagster.
"""

import fcntl
import importlib.resources
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stdout, suppress
from pathlib import Path

import dagster as dg
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from air_pipeline.errors import AirPipelineError
from air_pipeline.instance.home import is_of_files, opened_lock
from air_pipeline.instance.lost_runs import give_up_lost_runs
from air_pipeline.instance.pruned import Pruned
from air_pipeline.instance.pruning import give_back

_DATABASES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


class StorageError(AirPipelineError):
    """Dagster's storage cannot be used."""


def open_storage(home: Path) -> None:
    """Makes the storage, or brings that of an older Dagster up to date, while nobody else does.

    Raises:
        StorageError: a newer Dagster wrote it, or it cannot be read.
    """
    with opened_lock(home / "storage.lock", StorageError, "Dagster's storage") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        is_old = is_of_files(home) and is_of_older_dagster(home)
        try:
            with dg.DagsterInstance.from_config(str(home)) as instance, redirect_stdout(sys.stderr):
                if is_old:
                    instance.upgrade(print)
                give_up_lost_runs(instance)
        except DBAPIError as error:
            raise StorageError(
                f"Dagster's storage in {home} cannot be used ({error.orig}); see to space and rights there"
            ) from error
        if is_of_files(home):
            with suppress(sqlite3.Error, OSError):  # while it is small, so that what is pruned can be given back
                give_back(home / "history" / "runs" / "index.db", Pruned())


def is_of_older_dagster(home: Path) -> bool:
    """Whether a database there was made by an older Dagster than this one, and not brought up to date since.

    Raises:
        StorageError: by a newer one, or it cannot be read.
    """
    scripts = ScriptDirectory(str(importlib.resources.files("dagster") / "_core" / "storage" / "alembic"))
    known = {script.revision for script in scripts.walk_revisions()}
    found = dict(_revisions(home))
    for name, revision in found.items():
        if revision not in known:
            raise StorageError(
                f"{home / name} was written by a newer Dagster (its revision {revision} is not known to"
                f" {dg.__version__}): update air_pipeline, or put the backup of before the update in its place"
            )
    return any(revision != scripts.get_current_head() for revision in found.values())


def _revisions(home: Path) -> Iterator[tuple[str, str]]:
    """The revision of each database that has one."""
    for name in _DATABASES:
        path = home / name
        if path.exists():
            try:
                with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                    rows = database.execute("SELECT version_num FROM alembic_version").fetchall()
            except sqlite3.DatabaseError as error:
                if "no such table" in str(error):  # it is being made, or was left so
                    continue
                raise StorageError(f"Dagster's storage {path} cannot be read ({error})") from error
            yield from ((name, str(revision)) for (revision,) in rows)


if __name__ == "__main__":
    try:
        open_storage(Path(os.environ["DAGSTER_HOME"]))
    except StorageError as error:
        print(error)  # noqa: T201 -- for who started this
        sys.exit(1)

"""What Dagster keeps for ever and nobody looks at again, made less: by `air-pipeline prune`, and daily by `up`.

Belongs here: storage of SQLite files, and logs. Does not: what goes and what stays (`pruned`), a database
(`pruning_postgres`), how it is said (`cli`), when (`running`).

What goes, once it is old: the details of runs that have ended (their events and what they wrote), the logs of ticks,
and reports and check evaluations of sensors. What stays: every run, every materialization and check evaluation of a run
(of those is made which days are built, and from what), and of what sensors report the newest of each kind.

Dagster may run meanwhile: rows go a few hundred at a time, each time in a transaction of its own, and Dagster waits for
so long. Whatever ends this in the middle, what is left is whole, and the next time goes on.

For the underlying Dagster concept, see docs.dagster.io: the Dagster instance.
"""

import fcntl
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from air_pipeline.errors import AirPipelineError
from air_pipeline.instance.home import is_of_files, opened_lock
from air_pipeline.instance.pruned import ENDED, OLD_EVALUATIONS, OLD_REPORTS, Pruned

KEPT_DAYS = 30
"""How long everything is kept, unless said otherwise; failed runs are looked at for as long."""
KEPT_TWICE = timedelta(days=1)
"""Dagster keeps what sensors report twice, and reads one of the two: the other goes after a day."""
WAIT_S = 30.0
"""For a lock of the database: as long as Dagster itself waits."""
MOST_AT_ONCE = 500
"""Rows that go in one transaction: milliseconds."""
PAGES_AT_ONCE = 500
"""Pages that are given back in one."""
LARGEST_VACUUM_BYTES = 300_000_000
"""Rewriting more may take longer than those who write meanwhile wait."""
LEAST_ROOM_BYTES = 1_000_000
"""Below this no database can be opened: each needs a little for its journal."""
_OF_RUN = {"event_logs", "alembic_version"}
"""The tables that are asked of a run's own database."""


class PruneError(AirPipelineError):
    """Nothing can be pruned."""


def prune(home: Path, now: datetime, kept: timedelta, *, dry: bool = False) -> Pruned:
    """Removes what is older.

    Args:
        home: where Dagster's storage is.
        now: the time.
        kept: how long things are kept.
        dry: whether only to say what would go.

    Raises:
        PruneError: another one is at it.
    """
    pruned = Pruned()
    with _alone(home):
        before = _size(home)
        if not is_of_files(home):
            from air_pipeline.instance.pruning_postgres import prune_postgres  # Dagster: most of a second

            prune_postgres(home, now - kept, pruned, dry=dry)
        elif _is_there(home):
            _prune_details(home, now - kept, pruned, dry=dry)
            _prune_reports(home, now - kept, pruned, dry=dry)
            _prune_copies(home, now - KEPT_TWICE, pruned, dry=dry)
        else:
            pruned.notes.append("Dagster's storage is not there: only logs are pruned")
        _prune_logs(home, now - kept, pruned, dry=dry)
        if not dry:
            for path in (home / "history" / "runs" / "index.db", home / "history" / "runs" / ".db"):
                with _noted(pruned, path):
                    give_back(path, pruned)
            gone = max(before - _size(home), 0)
            pruned.freed = gone if is_of_files(home) else pruned.freed
    return pruned


def _is_there(home: Path) -> bool:
    return (home / "history" / "runs" / "index.db").exists() and (home / "history" / "runs.db").exists()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    if not home.is_dir():
        raise PruneError(f"there is nothing to prune yet: {home} is not there")
    with opened_lock(home / "prune.lock", PruneError, str(home)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PruneError(f"another process prunes {home}; it ends by itself") from None
        yield


@contextmanager
def _noted(pruned: Pruned, path: Path) -> Iterator[None]:
    """What cannot be done is said, and the rest gone on with: a disk that is full, a file that is locked or damaged."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        is_full = shutil.disk_usage(path.parent).free < LEAST_ROOM_BYTES  # SQLite calls it an I/O error
        why = "the disk is full, make some room first" if is_full else str(error)
        pruned.notes.append(f"{path.name} is left for the next time: {why}")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A database that is there, each statement a transaction."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", WAIT_S, uri=True, isolation_level=None)) as database:
        yield database


def _runs(home: Path, where: str, *values: object) -> set[str]:
    with _opened(home / "history" / "runs.db") as database:
        return {str(run) for (run,) in database.execute(f"SELECT run_id FROM runs WHERE {where}", values)}  # noqa: S608 -- ours


def _prune_details(home: Path, before: datetime, pruned: Pruned, *, dry: bool) -> None:
    """The events of runs: what is left of each is a database without any, as its page in the UI may be open."""
    path = home / "history" / "runs.db"
    with _noted(pruned, path):
        ended = "coalesce(end_time, strftime('%s', update_timestamp) + 0.0) < ?"
        old = _runs(home, f"{ENDED} AND {ended}", before.timestamp())
        known = _runs(home, "1")
        for shard in sorted((home / "history" / "runs").glob("*.db")):
            is_gone = _is_run(shard.stem) and shard.stem not in known and _is_older(shard, before)
            if not is_gone and shard.stem not in old:
                continue
            with _noted(pruned, shard):
                size = shard.stat().st_size
                if is_gone and not dry:
                    for suffix in ("-wal", "-shm", ""):
                        shard.with_name(f"{shard.name}{suffix}").unlink(missing_ok=True)
                elif not is_gone and not _empty(shard, dry=dry):
                    continue
                pruned.runs += 1
                pruned.freed += size


def _empty(shard: Path, *, dry: bool) -> bool:
    """Takes everything out of a run's database but what Dagster asks it for; whether there was anything."""
    with _opened(shard) as database:
        if database.execute("SELECT 1 FROM event_logs LIMIT 1").fetchone() is None:
            return False
        if dry:
            return True
        database.execute("BEGIN IMMEDIATE")
        named = database.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
        for kind, name in sorted(named):  # indices before tables
            if kind == "index" or name not in _OF_RUN:
                database.execute(f'DROP {kind} IF EXISTS "{name}"')
        database.execute("DELETE FROM event_logs")
        database.execute("COMMIT")
        database.execute("VACUUM")
    return True


def _prune_reports(home: Path, before: datetime, pruned: Pruned, *, dry: bool) -> None:
    """What sensors reported, but for the newest of each kind, day and check."""
    path = home / "history" / "runs" / "index.db"
    with _noted(pruned, path), _opened(path) as database:
        at = _text(before)
        for chosen in (OLD_EVALUATIONS, OLD_REPORTS):
            database.execute(chosen, {"before": at})
        count, size = database.execute("SELECT count(*), coalesce(sum(size), 0) FROM report").fetchone()
        [(evaluations,)] = database.execute("SELECT count(*) FROM report WHERE kind = 'ASSET_CHECK_EVALUATION'")
        pruned.reports += count
        pruned.evaluations += evaluations
        pruned.freed += size
        if not dry:
            _delete(database, "asset_check_executions", "id", "evaluation")
            _delete(database, "asset_event_tags", "event_id", "report")
            _delete(database, "event_logs", "id", "report")


def _prune_copies(home: Path, before: datetime, pruned: Pruned, *, dry: bool) -> None:
    """The second copies of what sensors reported."""
    path = home / "history" / "runs" / ".db"
    if not path.exists():
        return
    with _noted(pruned, path), _opened(path) as database:
        database.execute(
            "CREATE TEMP TABLE copy AS SELECT id, length(event) AS size FROM event_logs WHERE timestamp < ?",
            (_text(before),),
        )
        [(size,)] = database.execute("SELECT coalesce(sum(size), 0) FROM copy")
        pruned.freed += size
        if not dry:
            _delete(database, "event_logs", "id", "copy")


def _delete(database: sqlite3.Connection, table: str, column: str, chosen: str) -> None:
    """Deletes rows by the ids of a temporary table, some at a time."""
    ids = [one for (one,) in database.execute(f"SELECT id FROM temp.{chosen} ORDER BY id")]  # noqa: S608 -- ours
    for start in range(0, len(ids), MOST_AT_ONCE):
        some = ids[start : start + MOST_AT_ONCE]
        marks = ",".join("?" * len(some))
        database.execute(f"DELETE FROM main.{table} WHERE {column} IN ({marks})", some)  # noqa: S608 -- ours


def _prune_logs(home: Path, before: datetime, pruned: Pruned, *, dry: bool) -> None:
    """What runs and ticks wrote and nobody touched since; with storage in files, of a run under way nothing at all."""
    with _noted(pruned, home / "storage"):
        under_way = _runs(home, f"NOT {ENDED}") if _is_there(home) else set()
        for folder in sorted((home / "storage").glob("*")):
            if folder.name in under_way or not (_is_run(folder.name) or folder.name == "__repository__"):
                continue
            paths = sorted(folder.rglob("*"), reverse=True)  # what is in a folder before it
            for path in paths:
                if path.is_file() and _is_older(path, before):
                    pruned.logs += 1
                    pruned.freed += path.stat().st_size
                    if not dry:
                        path.unlink()
            for path in (*paths, folder):
                if not dry and path.is_dir():
                    with suppress(OSError):  # something is in it
                        path.rmdir()


def give_back(path: Path, pruned: Pruned) -> None:
    """Gives the free pages of a database back to the disk, a few at a time; the first time the whole is rewritten.

    Raises:
        sqlite3.Error: it is full or locked; then they stay in the file and are used again.
    """
    if not path.exists():
        return
    with _opened(path) as database:
        [(mode,)] = database.execute("PRAGMA auto_vacuum")
        [(size,)] = database.execute("PRAGMA page_size")
        [(pages,)] = database.execute("PRAGMA page_count")
        [(free,)] = database.execute("PRAGMA freelist_count")
        if mode == _INCREMENTAL:
            for _ in range(0, free, PAGES_AT_ONCE):
                database.executescript(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")
        else:
            needed = (pages - free) * size
            room = shutil.disk_usage(path.parent).free
            if needed > LARGEST_VACUUM_BYTES or 2 * needed > room:
                pruned.notes.append(
                    f"{free * size / 1e6:.0f} MB of {path.name} are free, are used again and cannot be given back:"
                    f" {needed / 1e6:.0f} MB would have to be rewritten, and there are {room / 1e6:.0f} MB on the disk"
                )
                return
            database.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
            database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


_INCREMENTAL = 2


def _text(at: datetime) -> str:
    """As Dagster writes times."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _is_run(name: str) -> bool:
    with suppress(ValueError):
        return str(UUID(name)) == name
    return False


def _is_older(path: Path, before: datetime) -> bool:
    return path.stat().st_mtime < before.timestamp()


def _size(home: Path) -> int:
    sizes = 0
    for path in home.rglob("*"):
        with suppress(OSError):  # it has just gone
            sizes += path.stat().st_size if path.is_file() else 0
    return sizes

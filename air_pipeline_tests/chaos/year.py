"""A year of Dagster's history, by copying what one real day left: its run, its reports, its check evaluations."""

import os
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

IDS = 100_000
"""Ids of one day's events are so far from those of the next."""
_DAY_S = 86_400.0


def size_mb(home: Path) -> float:
    """What is in a folder."""
    size = 0
    for folder, _, names in os.walk(home):  # which passes over a folder that has just gone
        for name in names:
            with suppress(FileNotFoundError):
                size += (Path(folder) / name).stat().st_size
    return size / 1e6


def inflate(home: Path, template: date, days: Iterable[date], reports_a_day: int, checks_a_day: int) -> None:
    """Gives each of the days a run and reports, as the day of the template has them.

    Args:
        home: of an instance in which the template's day was built once, and one report and all checks were made.
        template: the day that was built.
        days: other days.
        reports_a_day: how often what came in is reported in a day.
        checks_a_day: how often each check is.
    """
    runs = home / "history" / "runs"
    [(run,)] = _ask(home / "history" / "runs.db", "SELECT run_id FROM runs")
    for number, day in enumerate(days, start=1):
        change = {run: str(uuid4()), template.isoformat(): day.isoformat()}
        ended = datetime(day.year, day.month, day.day, 0, 20, tzinfo=UTC) + timedelta(days=1)
        _copy_run(home / "history" / "runs.db", change, ended, number * IDS)
        _copy_events(runs / "index.db", run, change, ended, number * IDS)
        shard = runs / f"{change[run]}.db"
        shutil.copyfile(runs / f"{run}.db", shard)
        _ask(shard, f"UPDATE event_logs SET run_id = ?, event = {_replaced('event', change)}", change[run])  # noqa: S608
        shutil.copytree(home / "storage" / run, home / "storage" / change[run])
        for path in (home / "storage" / change[run]).rglob("*"):
            os.utime(path, (ended.timestamp(), ended.timestamp()))
        for every, kind in ((reports_a_day, "ASSET_MATERIALIZATION"), (checks_a_day, "ASSET_CHECK_EVALUATION")):
            _copy_reports(runs, kind, every, ended, number * IDS + (50_000 if every == checks_a_day else 1000))


def _ask(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database, database:
        return database.execute(query, values).fetchall()


def _replaced(column: str, change: dict[str, str]) -> str:
    for old, new in change.items():
        column = f"replace({column}, '{old}', '{new}')"
    return column


def _text(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(" ", "microseconds")


def _copied(database: sqlite3.Connection, table: str, where: str, special: dict[str, str]) -> None:
    """Copies rows of a table; some columns are made by an expression."""
    names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    columns = ", ".join(f'"{name}"' for name in names)
    made = ", ".join(special.get(name, f'"{name}"') for name in names)
    database.execute(f"INSERT INTO {table} ({columns}) SELECT {made} FROM {table} WHERE {where}")  # noqa: S608


def _copy_run(path: Path, change: dict[str, str], ended: datetime, offset: int) -> None:
    run = next(iter(change))
    texts = {name: _replaced(f'"{name}"', change) for name in ("run_id", "run_body", "partition")}
    times = {name: f"'{_text(ended)}'" for name in ("create_timestamp", "update_timestamp")}
    moments = {"start_time": str(ended.timestamp() - 4), "end_time": str(ended.timestamp())}
    with closing(sqlite3.connect(path)) as database, database:
        _copied(database, "runs", f"run_id = '{run}'", {**texts, **times, **moments, "id": f"id + {offset}"})
        tags = {name: _replaced(f'"{name}"', change) for name in ("run_id", "value")}
        _copied(database, "run_tags", f"run_id = '{run}'", {**tags, "id": f"id + {offset}"})


def _copy_events(path: Path, run: str, change: dict[str, str], ended: datetime, offset: int) -> None:
    at = f"'{_text(ended)}'"
    ids = {name: f"{name} + {offset}" for name in ("id", "event_id", "evaluation_event_storage_id",
                                                   "materialization_event_storage_id")}  # fmt: skip
    texts = {name: _replaced(name, change) for name in ("event", "evaluation_event", "run_id", "partition", "value")}
    times = dict.fromkeys(("timestamp", "event_timestamp", "evaluation_event_timestamp"), at)
    with closing(sqlite3.connect(path)) as database, database:
        special = {**ids, **texts, **times}
        mine = f"SELECT id FROM event_logs WHERE run_id = '{run}'"  # noqa: S608
        _copied(database, "asset_event_tags", f"event_id IN ({mine})", special)
        _copied(database, "asset_check_executions", f"run_id = '{run}'", special)
        _copied(database, "event_logs", f"run_id = '{run}'", special)


def _copy_reports(runs: Path, kind: str, times: int, ended: datetime, offset: int) -> None:
    where = f"run_id = '' AND dagster_event_type = '{kind}' AND id < {IDS}"
    for name in ("index.db", ".db"):
        with closing(sqlite3.connect(runs / name)) as database, database:
            for number in range(times):
                at = f"'{_text(ended - timedelta(seconds=number * _DAY_S / times))}'"
                ids = {"id": f"id + {offset + 100 * number}", "timestamp": at}
                _copied(database, "event_logs", f"{where} AND (asset_key IS NULL OR asset_key != '[\"devices\"]')", ids)
                if name == "index.db" and kind == "ASSET_CHECK_EVALUATION":
                    ids = {name: f"{name} + {offset + 100 * number}" for name in ("id", "evaluation_event_storage_id")}
                    ids["evaluation_event_timestamp"] = at
                    _copied(database, "asset_check_executions", f"coalesce(run_id, '') = '' AND id < {IDS}", ids)

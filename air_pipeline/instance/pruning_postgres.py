"""Dagster's history in a PostgreSQL, made less: all events of all runs are in one table there.

Belongs here: what is asked of that database. Does not: what goes (`pruned`), files and logs (`pruning`).

For the underlying Dagster concept, see docs.dagster.io: the Dagster instance.
"""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from sqlalchemy import Connection, text

from air_pipeline.instance.pruned import ENDED, OLD_EVALUATIONS, OLD_REPORTS, Pruned

_OLD_DETAILS = (
    "CREATE TEMP TABLE detail AS SELECT event.id, event.run_id, length(event.event) AS size FROM event_logs event"  # noqa: S608 -- ours
    f" JOIN runs run ON run.run_id = event.run_id WHERE run.{ENDED}"
    " AND coalesce(to_timestamp(run.end_time) AT TIME ZONE 'UTC', run.update_timestamp) < :before"
    " AND (event.dagster_event_type IS NULL OR event.dagster_event_type !~ '^(ASSET|FRESHNESS|PIPELINE)_')"
)
"""What runs said, but for what they made, checked, and how they began and ended: SQLite keeps these in a file apart."""
MOST_AT_ONCE = 5000
"""Rows that go in one transaction."""


def prune_postgres(home: Path, details_before: datetime, pruned: Pruned, *, dry: bool) -> None:
    """Removes what is older from the database that `dagster.yaml` names; it gives the room to the rows that come.

    Args:
        home: where `dagster.yaml` is.
        details_before: what is older goes.
        pruned: is added to.
        dry: whether only to say what would go.
    """
    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            storage = instance.event_log_storage
            if not isinstance(storage, SqlEventLogStorage):
                pruned.notes.append(f"{type(storage).__name__} is not pruned: only logs are")
                return
            with storage.index_connection() as database:
                if database.dialect.name != "postgresql":
                    pruned.notes.append(f"Dagster's storage in {database.dialect.name} is not pruned: only logs are")
                    return
                _prune(database, details_before.astimezone(UTC).replace(tzinfo=None), pruned, dry=dry)
    except Exception as error:  # noqa: BLE001 -- what another kind of storage raises where it is away or not named
        why = str(getattr(error, "orig", None) or error).strip()
        pruned.notes.append(f"Dagster's storage is left for the next time: {why or type(error).__name__}")


def _prune(database: Connection, before: datetime, pruned: Pruned, *, dry: bool) -> None:
    for chosen in (_OLD_DETAILS, OLD_EVALUATIONS, OLD_REPORTS):
        database.execute(text(chosen), {"before": before})
    runs, of_runs = _one(database, "SELECT count(DISTINCT run_id), coalesce(sum(size), 0) FROM detail")
    reports, of_reports = _one(database, "SELECT count(*), coalesce(sum(size), 0) FROM report")
    [evaluations] = _one(database, "SELECT count(*) FROM report WHERE kind = 'ASSET_CHECK_EVALUATION'")
    pruned.runs += runs
    pruned.reports += reports
    pruned.evaluations += evaluations
    pruned.freed += int(of_runs + of_reports)
    if not dry:
        _delete(database, "asset_check_executions", "id", "evaluation")
        _delete(database, "asset_event_tags", "event_id", "report")
        _delete(database, "event_logs", "id", "report")
        _delete(database, "event_logs", "id", "detail")


def _one(database: Connection, question: str) -> tuple[int, ...]:
    return tuple(database.execute(text(question)).one())


def _delete(database: Connection, table: str, column: str, chosen: str) -> None:
    """Deletes rows by the ids of a temporary table, some at a time: Dagster's connections commit each statement."""
    ids = [one for (one,) in database.execute(text(f"SELECT id FROM {chosen} ORDER BY id"))]  # noqa: S608 -- ours
    for start in range(0, len(ids), MOST_AT_ONCE):
        some = {"some": ids[start : start + MOST_AT_ONCE]}
        database.execute(text(f"DELETE FROM {table} WHERE {column} = ANY(:some)"), some)  # noqa: S608 -- ours

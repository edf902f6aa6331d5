"""What goes of Dagster's history and what stays, the same in SQLite files and in a PostgreSQL.

For the underlying Dagster concept, see docs.dagster.io: the Dagster instance.
"""

from dataclasses import dataclass, field

ENDED = "status IN ('SUCCESS', 'FAILURE', 'CANCELED')"
"""Of a run: nothing will be said of it any more."""

OLD_EVALUATIONS = (
    "CREATE TEMP TABLE evaluation AS SELECT id, evaluation_event_storage_id AS event FROM"
    " asset_check_executions WHERE coalesce(run_id, '') = '' AND evaluation_event_timestamp < :before AND id NOT IN"
    " (SELECT max(id) FROM asset_check_executions GROUP BY asset_key, check_name, partition)"
)
"""Evaluations of checks by sensors, but for the newest of each check and day."""

OLD_REPORTS = (
    "CREATE TEMP TABLE report AS SELECT id, length(event) AS size, dagster_event_type AS kind FROM event_logs"
    " WHERE run_id = '' AND timestamp < :before AND id NOT IN (SELECT max(id) FROM event_logs WHERE run_id = ''"
    " GROUP BY asset_key, partition, dagster_event_type) AND id NOT IN (SELECT evaluation_event_storage_id FROM"
    " asset_check_executions WHERE evaluation_event_storage_id IS NOT NULL AND id NOT IN (SELECT id FROM"
    " evaluation)) AND id NOT IN (SELECT materialization_event_storage_id FROM asset_check_executions WHERE"
    " materialization_event_storage_id IS NOT NULL AND id NOT IN (SELECT id FROM evaluation))"
)
"""What sensors reported, but for the newest of each kind and day and what an evaluation that stays speaks of."""


@dataclass(slots=True)
class Pruned:
    """What went, or would go.

    Attributes:
        runs: of so many the details.
        logs: files that runs and ticks wrote.
        reports: events of sensors; their second copies are not counted.
        evaluations: of them, those of checks.
        freed: bytes; of what would go, and in a PostgreSQL, about.
        notes: what could not be done, and why.
    """

    runs: int = 0
    logs: int = 0
    reports: int = 0
    evaluations: int = 0
    freed: int = 0
    notes: list[str] = field(default_factory=list)

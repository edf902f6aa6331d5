"""How the tables of a day look in Dagster: the IO manager, column schemas, metadata and checks of a staged table."""

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from air_pipeline.deployment import Deployment
from air_pipeline.processing.columns import TABLES, Column, TableName
from air_pipeline.storage.parquet import DayFile, DayMetadata, StagedDay, TableError, day_file

if TYPE_CHECKING:
    import pandas as pd

    from air_pipeline.days.building import Built
    from air_pipeline.processing.schemas import Failure

MOST_FAILURES = 20
"""Failures that a check spells out; it counts all."""
MOST_NAMED = 5
"""Series that a sentence names."""
MOST_ROWS = 50
"""Rows of a table in metadata; every run of every day keeps one."""
_TYPES = {"dictionary": "string", "instant": "timestamp[ms, UTC]", "clock": "timestamp[ms]"}


class TablesIOManager(dg.IOManager):
    """Publishes staged tables, and hands tables of the same day to the steps after them, unopened."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def handle_output(self, context: dg.OutputContext, obj: StagedDay) -> None:
        """Puts the table in its place, whole."""
        file = obj.publish()
        context.add_output_metadata(
            {"path": dg.MetadataValue.path(str(file.path)), "size_bytes": dg.MetadataValue.int(file.size_bytes)}
        )

    def load_input(self, context: dg.InputContext) -> DayFile:
        """The table of the same day."""
        table = cast("TableName", context.asset_key.to_user_string())
        file = day_file(self._deployment.data, table, date.fromisoformat(context.partition_key))
        try:
            file.metadata()  # a day that was built before is a claim about a file: it must be there and be ours
        except TableError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        return file


def column_schema(table: TableName) -> dg.TableSchema:
    """The table's columns with their units, for the UI."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                _TYPES.get(column.type, column.type),
                f"{column.description} [{column.unit}]" if column.unit else column.description,
                constraints=_constraints(column),
            )
            for column in TABLES[table].columns
        ],
        constraints=dg.TableConstraints([f"sorted by {', '.join(TABLES[table].key)}, each once a day"]),
    )


def _constraints(column: Column) -> dg.TableColumnConstraints:
    """What may be in a column, as the UI shows it."""
    other = [] if column.one_of is None else [f"one of {', '.join(map(str, column.one_of))}"]
    other += [] if column.at_least is None else [f"≥ {column.at_least:g}"]
    other += [] if column.at_most is None else [f"≤ {column.at_most:g}"]
    return dg.TableColumnConstraints(nullable=column.nullable, other=other)


COMPLETE = "complete"
"""The check of `daily_aggregates` that only warns."""


def check_specs(table: TableName) -> list[dg.AssetCheckSpec]:
    """The checks of a table.

    Those of its form are blocking, so that nothing is built upon a table that is not what it should be. `complete` is
    about what came in, which building cannot better: it warns.
    """
    specs = {
        "schema": "Types, ranges and order of rows are those of the table's one schema; no column contradicts another.",
        "row_count": "There are exactly as many rows as the settings and the slots of the day say.",
    }
    if table != "observations":
        specs["counts_add_up"] = "valid + suspect + bad = observed, and observed + missing = expected, in every row."
    blocking = [dg.AssetCheckSpec(name, asset=table, description=text, blocking=True) for name, text in specs.items()]
    if table != "daily_aggregates":
        return blocking
    text = (
        "Every series is complete: at least 75 % of its hours have at least 75 % of their observations valid."
        " What is not is published, marked; its values of the day are not to be relied on."
    )
    return [*blocking, dg.AssetCheckSpec(COMPLETE, asset=table, description=text)]


def check_staged(table: TableName, built: "Built") -> list[dg.AssetCheckResult]:
    """Checks what was written, by reading it back from the disk.

    Raises:
        TableError: it cannot be read back.
    """
    from air_pipeline.processing.schemas import counts_add_up, validate

    staged = built.staged.staged
    failures: list[Failure] = []
    sums: list[Failure] = []
    for _, frame in staged.device_frames():
        failures += validate(table, frame)
        if table != "observations":
            sums += counts_add_up(frame)
    rows = staged.row_count()
    results = [
        _result("schema", failures, rows),
        dg.AssetCheckResult(
            check_name="row_count",
            passed=rows == built.rows,
            description=f"{rows} rows" if rows == built.rows else f"{rows} rows, and {built.rows} should be there",
            metadata={"rows": rows, "rows_expected": built.rows},
        ),
    ]
    return results if table == "observations" else [*results, _result("counts_add_up", sums, rows)]


def _result(name: str, failures: "list[Failure]", rows: int) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"rows": rows, "failures": sum(failure.count for failure in failures)}
    if failures:
        metadata["cases"] = dg.MetadataValue.md("\n".join(f"- {failure}" for failure in failures[:MOST_FAILURES]))
    return dg.AssetCheckResult(
        check_name=name,
        passed=not failures,
        description=str(failures[0]) if failures else f"holds for {rows} rows",
        metadata=metadata,
    )


def check_complete(daily: "pd.DataFrame") -> dg.AssetCheckResult:
    """Whether every series of a day is complete, from its daily aggregates."""
    incomplete = daily[~daily["is_complete"]].sort_values(["coverage", "device", "series"], na_position="first")
    counts = ("expected", "suspect", "bad", "missing")
    rows: list[dict[str, Any]] = [
        {
            "device": row["device"],
            "series": row["series"],
            "coverage": f"{row['coverage']:.1%}" if row["expected_count"] else "–",
            **{name: row[f"{name}_count"] for name in counts},
        }
        for row in incomplete.to_dict("records")
    ]
    columns = [dg.TableColumn(name) for name in ("device", "series", "coverage")]
    columns += [dg.TableColumn(name, "int", "observations [1]") for name in counts]
    named = ", ".join(f"{row['device']} {row['series']} (coverage {row['coverage']})" for row in rows[:MOST_NAMED])
    more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    text = (
        f"{len(rows)} of {len(daily)} series are not complete: {named}{more}"
        if rows
        else f"all {len(daily)} series are"
    )
    return dg.AssetCheckResult(
        check_name=COMPLETE,
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={"series": len(daily), "incomplete": len(rows)}
        | ({"not_complete": table_or_note(rows, columns, "the least coverage first")} if rows else {}),
    )


def built_metadata(built: "Built") -> dict[str, Any]:
    """What is said of every table: rows, inputs, rules."""
    return {
        "dagster/partition_row_count": built.staged.staged.row_count(),
        "input_polls": json.loads(built.metadata.input_fingerprint)["polls"],
        "input_fingerprint": built.metadata.input_fingerprint,
        "rule_set_version": built.metadata.rule_set_version,
        "settings_digest": built.metadata.settings_digest,
    }


def data_version(built: "Built") -> dg.DataVersion:
    """The same for the same inputs, settings and rules: what is built from them repeats byte for byte."""
    return metadata_version(built.metadata)


def metadata_version(metadata: DayMetadata) -> dg.DataVersion:
    """The same for what was made from the same."""
    texts = json.dumps(metadata.to_texts(), sort_keys=True)
    return dg.DataVersion(hashlib.sha256(texts.encode()).hexdigest()[:16])


def table_or_note(rows: list[dict[str, Any]], columns: Sequence[dg.TableColumn], order: str) -> dg.MetadataValue:
    """Rows as a table, the first so many of them, which says how they are sorted; a sentence where there are none."""
    if not rows:
        return dg.MetadataValue.text("nothing was expected of any device on this day")
    shown = rows[:MOST_ROWS]
    constraints = dg.TableConstraints([f"{len(shown)} of {len(rows)} rows, {order}"])
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in shown], dg.TableSchema(list(columns), constraints=constraints)
    )

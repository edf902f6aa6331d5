"""What Dagster shows of the tables of a day beside their checks: columns, numbers, worst devices, data versions.

For the underlying Dagster concept, see docs.dagster.io: asset metadata.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from air_pipeline.processing.columns import TABLES, Column, TableName
from air_pipeline.storage.parquet import DayMetadata

if TYPE_CHECKING:
    from air_pipeline.days.building import Built

MOST_ROWS = 50
"""Rows of a table in metadata; every run of every day keeps one."""
DATA_VERSION = dg.DataVersion("INITIAL")
"""Of what is not a day's: always the same, and that of an asset without materializations. Otherwise the UI would call
every day out of date whenever readings come in. Which days are is known to `build_days`."""
DATA_VERSION_TAGS = {DATA_VERSION_TAG: DATA_VERSION.value}
"""The same for the events of a sensor."""
_TYPES = {"dictionary": "string", "instant": "timestamp[ms, UTC]", "clock": "timestamp[ms]"}
_COUNTS = ("expected", "valid", "suspect", "bad", "missing")


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


def data_version(metadata: DayMetadata) -> dg.DataVersion:
    """The same for the same inputs, settings and rules: what is made from them repeats byte for byte."""
    texts = json.dumps(metadata.to_texts(), sort_keys=True)
    return dg.DataVersion(hashlib.sha256(texts.encode()).hexdigest()[:16])


def table_metadata(built: "Built") -> dict[str, Any]:
    """What is said of every table: rows, inputs, rules."""
    return {
        "dagster/partition_row_count": built.written.row_count(),
        "input_polls": json.loads(built.metadata.input_fingerprint)["polls"],
        "input_fingerprint": built.metadata.input_fingerprint,
        "rule_set_version": built.metadata.rule_set_version,
        "settings_digest": built.metadata.settings_digest,
    }


def observations_metadata(built: "Built") -> dict[str, Any]:
    """How the observations of each device came out."""
    totals = {name: sum(getattr(one, name) for one in built.counts) for name in _COUNTS}
    rows = [
        {
            "device": one.device,
            "coverage": None if one.coverage is None else f"{one.coverage:.1%}",
            **{name: getattr(one, name) for name in _COUNTS},
        }
        for one in sorted(built.counts, key=lambda one: one.coverage or 0)
    ]
    columns = [
        dg.TableColumn("device"),
        dg.TableColumn("coverage", description="valid ÷ expected, over all series"),
        *(dg.TableColumn(name, "int", "observations [1]") for name in _COUNTS),
    ]
    metadata = {
        "device_count": len(built.counts),
        **{f"{name}_count": total for name, total in totals.items()},
        "devices": table_or_note(rows, columns, "the least coverage first"),
    }
    return metadata | ({"coverage": totals["valid"] / totals["expected"]} if totals["expected"] else {})


def hourly_metadata(built: "Built") -> dict[str, Any]:
    """How many of the hours are complete."""
    table = built.written.read_table()
    complete = table.column("is_complete").to_pylist().count(True)
    return {
        "device_count": len(table.column("device").unique()),
        "complete_hours": complete,
        "incomplete_hours": table.num_rows - complete,
    }


def daily_metadata(built: "Built") -> dict[str, Any]:
    """How each series came out."""
    frame = built.written.read()
    worst_first = frame.sort_values(["coverage", "device", "series"], na_position="last")
    rows = [
        {
            "device": row.device,
            "series": row.series,
            "mean": None if row.valid_count == 0 else f"{row.mean:.2f} {row.unit}",
            "min": None if row.valid_count == 0 else f"{row.min:.2f}",
            "max": None if row.valid_count == 0 else f"{row.max:.2f}",
            "coverage": None if row.expected_count == 0 else f"{row.coverage:.1%}",
            "complete": "yes" if row.is_complete else "no",
        }
        for row in worst_first.itertuples()
    ]
    columns = [dg.TableColumn(name) for name in ("device", "series", "mean", "min", "max", "coverage", "complete")]
    return {
        "device_count": int(frame["device"].nunique()),
        "complete_series": int(frame["is_complete"].sum()),
        "series_count": len(frame),
        "series": table_or_note(rows, columns, "the least coverage first"),
    }


def table_or_note(rows: list[dict[str, Any]], columns: Sequence[dg.TableColumn], order: str) -> dg.MetadataValue:
    """Rows as a table, the first so many of them, which says how they are sorted; a sentence where there are none."""
    if not rows:
        return dg.MetadataValue.text("nothing was expected of any device on this day")
    shown = rows[:MOST_ROWS]
    constraints = dg.TableConstraints([f"{len(shown)} of {len(rows)} rows, {order}"])
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in shown], dg.TableSchema(list(columns), constraints=constraints)
    )

"""What Dagster shows of assets beside their checks: columns, data versions, rows as a table.

Belongs here: what needs no rows. Does not: what is said of the rows of a day (`day_steps`).

For the underlying Dagster concept, see docs.dagster.io: asset metadata.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from air_pipeline.processing.columns import TABLES, Column, TableName
from air_pipeline.storage.day_files import DayFile, DayMetadata

MOST_ROWS = 50
"""Rows of a table in metadata; every run of every day keeps one."""
DATA_VERSION = dg.DataVersion("INITIAL")
"""Of what is not a day's: always the same, and that of an asset without materializations. Otherwise the UI would call
every day out of date whenever readings come in. Which days are is known to `build_days`."""
DATA_VERSION_TAGS = {DATA_VERSION_TAG: DATA_VERSION.value}
"""The same for the events of a sensor."""
_TYPES = {"dictionary": "string", "instant": "timestamp[ms, UTC]", "clock": "timestamp[ms]"}


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
    texts = json.dumps(metadata.making(), sort_keys=True)
    return dg.DataVersion(hashlib.sha256(texts.encode()).hexdigest()[:16])


def file_metadata(file: DayFile) -> dict[str, dg.MetadataValue]:
    """What is said of every file that was published."""
    return {"path": dg.MetadataValue.path(str(file.path)), "size_bytes": dg.MetadataValue.int(file.size_bytes)}


def table_or_note(rows: list[dict[str, Any]], columns: Sequence[dg.TableColumn], order: str) -> dg.MetadataValue:
    """Rows as a table, the first so many of them, which says how they are sorted; a sentence where there are none."""
    if not rows:
        return dg.MetadataValue.text("nothing was expected of any device on this day")
    shown = rows[:MOST_ROWS]
    constraints = dg.TableConstraints([f"{len(shown)} of {len(rows)} rows, {order}"])
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in shown], dg.TableSchema(list(columns), constraints=constraints)
    )

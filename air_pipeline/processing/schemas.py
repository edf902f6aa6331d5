"""The Arrow schemas of the Parquet tables, derived from `columns`.

Belongs here: types of Arrow. Does not: the columns themselves, what a frame breaks of them (`violations`).
"""

from functools import cache
from typing import Any

import pyarrow as pa

from air_pipeline.processing.columns import TABLES, TableName


@cache
def arrow_schema(table: TableName) -> pa.Schema:
    """The table's Arrow schema; each field's metadata holds its `description` and, if it has one, its `unit`."""
    types: dict[str, Any] = {  # the others by Arrow's own names
        "dictionary": pa.dictionary(pa.int32(), pa.string()),
        "instant": pa.timestamp("ms", "UTC"),
        "clock": pa.timestamp("ms"),
    }
    return pa.schema(
        [
            pa.field(
                column.name,
                types.get(column.type, column.type),
                nullable=column.nullable,
                metadata={"description": column.description} | ({"unit": column.unit} if column.unit else {}),
            )
            for column in TABLES[table].columns
        ]
    )

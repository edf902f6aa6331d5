"""The Arrow schemas of the Parquet tables, derived from `columns`.

Belongs here: types of Arrow. Does not: the columns themselves, what a frame breaks of them (`violations`).
"""

from functools import cache
from typing import Any

import pyarrow as pa

from air_pipeline.processing.columns import TABLES, Column, Table, TableName


@cache
def arrow_schema(table: TableName) -> pa.Schema:
    """The table's Arrow schema.

    Each field's metadata holds its `description`, which is its `long_name` as well; a `standard_name` of the CF
    conventions, if there is one; and its `unit`, or in `unit_in` where the unit of each row is.
    """
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
                metadata=_said(column, TABLES[table]),
            )
            for column in TABLES[table].columns
        ]
    )


def _said(column: Column, table: Table) -> dict[str, str]:
    said = {"description": column.description, "long_name": column.description, "standard_name": column.standard_name}
    said |= {"unit_in": table.unit_of_series} if column.unit == "series" else {"unit": column.unit}
    return {key: text for key, text in said.items() if text}

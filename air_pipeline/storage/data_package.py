"""`datapackage.json` beside the tables: what they are, in the words of the Data Package standard.

Belongs here: the description of the three tables, made from `columns`. Does not: the tables themselves.

It depends on the columns and rules alone, so the days that come do not change it: `path` has a `*` for the date, as
DuckDB and Polars read it. What somebody else wrote into it (title, licenses, contributors, more resources) stays.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from air_pipeline.devices.polls import Flag
from air_pipeline.places import DataPlace
from air_pipeline.processing.columns import RULE_SET_VERSION, SCHEMA_VERSION, TABLES, Column, Table
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.storage.shelf import ShelfError, put_text, shelf_at

DATA_PACKAGE = "datapackage.json"
"""Its name on the shelf."""
_PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
_TYPES: Mapping[str, str] = {
    "dictionary": "string",
    "string": "string",
    "instant": "datetime",
    "clock": "datetime",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "float64": "number",
    "bool": "boolean",
}


def describe_tables(data: DataPlace) -> None:
    """Writes the description of the tables, if the one that is there says something else of them.

    The same columns and rules give the same bytes. One that is no JSON is left to whoever wrote it; one that cannot be
    written is written with the next day: a day counts whatever becomes of this.
    """
    shelf = shelf_at(data)
    with suppress(OSError, ValueError, RecursionError, ShelfError):
        try:
            there = json.loads(shelf.head(None, DATA_PACKAGE))
        except FileNotFoundError:
            there = {}
        if not isinstance(there, dict):
            return
        wanted = described(there)
        if wanted != there:
            put_text(shelf, None, DATA_PACKAGE, f"{json.dumps(wanted, indent=1, ensure_ascii=False)}\n")


def described(there: Mapping[str, Any]) -> dict[str, Any]:
    """The description, with what else one that is there says."""
    others = there.get("resources", [])
    ours = [_resource(table) for table in TABLES.values()]
    kept = [one for one in others if not (isinstance(one, dict) and one.get("name") in TABLES)]
    beginning = {
        "$schema": _PROFILE,
        "name": "air-pipeline",
        "title": "Air-quality readings, flagged, in local days",
    }
    return beginning | dict(there) | {"resources": [*ours, *kept]}


def _resource(table: Table) -> dict[str, Any]:
    date = {
        "name": "date",
        "type": "date",
        "description": "the local date; it is in the path, and no column of the file",
        "constraints": {"required": True},
    }
    return {
        "name": table.name,
        "type": "table",
        "description": f"{table.description} One file a local date.",
        "path": f"{table.name}/date=*/{table.name}.parquet",
        "format": "parquet",
        "mediatype": "application/vnd.apache.parquet",
        "version": SCHEMA_VERSION,
        "schema": {
            "fields": [date, *(_field(column) for column in table.columns)],
            "primaryKey": ["date", *table.key],
        },
    }


def _field(column: Column) -> dict[str, Any]:
    field: dict[str, Any] = {"name": column.name, "type": _TYPES[column.type], "description": column.description}
    if column.unit:
        field["unit"] = "the unit of the row's series" if column.unit == "series" else column.unit
    if column.name == "flag":
        field["categories"] = [{"value": int(flag), "label": flag.name.lower()} for flag in Flag]
    if column.name == "rules":
        field |= {"bits": dict(RULE_BITS), "ruleSetVersion": RULE_SET_VERSION}
    limits = {
        "required": None if column.nullable else True,
        "minimum": column.at_least,
        "maximum": column.at_most,
        "enum": None if column.one_of is None else list(column.one_of),
    }
    said = {name: value for name, value in limits.items() if value is not None}
    return field | ({"constraints": said} if said else {})

"""A bucket of InfluxDB that somebody else wrote, as ahttpdc or Telegraf → rows, UTC day by UTC day.

Belongs here: a measurement whose fields are columns, with tags that say which points are meant. Does not: what fields
mean (`mapping`), and points of ours (`storage`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from air_pipeline.importing.mapping import Meaning, TimeEntry
from air_pipeline.importing.rows import ImportFailed, Notes, Rows
from air_pipeline.importing.tables import rows_of
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb_exchange import Exchange
from air_pipeline.storage.influxdb_failures import BucketMissing
from air_pipeline.storage.influxql import InfluxQL, during, identifier

_DAY_MS = 86_400_000
_PARAMETER = "tag"


def read_bucket(
    connection: InfluxConnection, meaning: Meaning, span: tuple[int, int], told: Callable[[int, int], None]
) -> tuple[Rows, Notes]:
    """The rows of a measurement in [start, end), ms UTC, with the values as they are there; what was not understood.

    Args:
        connection: to the bucket; it is only read.
        meaning: of its fields.
        span: from when until when.
        told: how many days of how many are read.

    Raises:
        ImportFailed: there is no such measurement, or it has no such fields.
        StoreError: the server does not answer, or refuses.
    """
    measurement = meaning.said.influxdb.measurement
    if measurement is None:
        raise ImportFailed(f"{meaning.name} names no measurement; write influxdb: {{measurement: http}}")
    exchange = Exchange(connection, 10.0)
    queries = InfluxQL(connection, exchange, 120.0, of_all=True)
    try:
        return _read(queries, measurement, meaning, span, told)
    except BucketMissing:
        raise ImportFailed(f"{connection.url} has no bucket {connection.bucket!r} that this token can read") from None
    finally:
        exchange.close()


def _read(
    queries: InfluxQL, measurement: str, meaning: Meaning, span: tuple[int, int], told: Callable[[int, int], None]
) -> tuple[Rows, Notes]:
    name, notes, parts = identifier(measurement), Notes(), []
    [fields] = queries.statements([f"SHOW FIELD KEYS FROM {name}"], {})
    there = [str(point["fieldKey"]) for series in fields for point in series.points]
    columns = [column for column in meaning.columns if column in there]
    if not columns:
        has = f"it has {', '.join(there[:20])}" if there else "there is nothing of it"
        raise ImportFailed(f"no field of measurement {measurement!r} is one that {meaning.name} names: {has}")
    notes.add("fields that the mapping does not name stay out", len(set(there) - set(columns)),
              sorted(set(there) - set(columns)))  # fmt: skip
    where, parameters = _where(meaning.said.where)
    counts = ", ".join(f"count({identifier(column)})" for column in columns)
    [days] = queries.statements(
        [f"SELECT {counts} FROM {name} WHERE {where}{during(*span)} GROUP BY time(1d) fill(none)"],  # noqa: S608
        parameters,
    )
    _name_tags(queries, name, meaning, where, span, parameters, notes)
    points = [point for series in days for point in series.points]
    said = replace(
        meaning,
        said=meaning.said.model_copy(update={"where": {}, "time": TimeEntry(column="time", written="epoch-ms")}),
    )
    wanted = ", ".join(map(identifier, columns))
    for number, point in enumerate(points):
        told(number, len(points))
        first, last = max(span[0], point["time"]), min(span[1], point["time"] + _DAY_MS)
        with queries.rows(name, wanted, f"{where}{during(first, last)}", parameters) as answer:
            found = [rows.columns for rows in answer]
        cells = {one: [_cell(value) for part in found for value in part[one]] for one in ("time", *columns)}
        parts.append(rows_of(cells, said, notes, 1, measurement))
    told(len(points), len(points))
    return Rows.joined(parts), notes


def _where(tags: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """The condition that tags have the values that are meant, and its parameters."""
    conditions = ""
    parameters: dict[str, object] = {}
    for number, (tag, wanted) in enumerate(tags.items()):
        parameters[f"{_PARAMETER}{number}"] = str(wanted)
        conditions += f"{identifier(tag)} = ${_PARAMETER}{number} AND "
    return conditions, parameters


def _name_tags(
    queries: InfluxQL,
    name: str,
    meaning: Meaning,
    where: str,
    span: tuple[int, int],
    parameters: Mapping[str, object],
    notes: Notes,
) -> None:
    """Notes it where points of several devices are meant at once."""
    [found] = queries.statements(
        [f"SELECT * FROM {name} WHERE {where}{during(*span)} GROUP BY * LIMIT 1"],  # noqa: S608 - quoted
        parameters,
    )
    kinds = {json.dumps(dict(sorted(series.tags.items()))) for series in found if series.points}
    if len(kinds) > 1:
        notes.add(f"kinds of points are taken as one device's (say which with where: in {meaning.name})", len(kinds),
                  sorted(kinds))  # fmt: skip


def _cell(value: object) -> object:
    """A value as a cell of a table: a yes or no is no number."""
    return str(value).lower() if isinstance(value, bool) else value.item() if isinstance(value, np.number) else value

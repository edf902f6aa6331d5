"""Flux's answers: annotated CSV into one frame.

See https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/. Not with the client's `query_data_frame`:
it is slower, and gives a frame or a list of frames, as the data falls.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from air_pipeline.storage.store import StoreError

if TYPE_CHECKING:
    import pandas as pd

# pandas' types for columns in which a value is missing; without a capital, those for columns in which none is.
_MISSABLE: dict[str, Literal["Int64", "UInt64", "boolean"]] = {
    "long": "Int64",
    "unsignedLong": "UInt64",
    "boolean": "boolean",
}
_TIMES = frozenset({"dateTime:RFC3339", "dateTime:RFC3339Nano"})


def flux_frame(answer: str) -> "pd.DataFrame":
    """One frame from an answer with the annotation `datatype`; tables with other columns are put below each other.

    Times are UTC in ns, strings are never missing (Flux's CSV has one sign for none and for an empty one).
    No rows: an empty frame.

    Raises:
        StoreError: the answer is, or ends in, an error of the query.
    """
    import pandas as pd

    frames = [_frame(types, names, rows) for types, names, rows in _tables(answer) if rows]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _tables(answer: str) -> Iterator[tuple[list[str], list[str], list[list[str]]]]:
    """Types, names and rows of each run of tables with the same columns."""
    # A cell may hold 64 KB and more, which is csv's limit unless told.
    csv.field_size_limit(max(csv.field_size_limit(), len(answer)))
    lines = csv.reader(io.StringIO(answer, newline=""))
    types: list[str] = []
    names: list[str] = []
    rows: list[list[str]] = []
    for line in lines:
        if not line:
            continue
        if line[0] == "#datatype":
            yield types, names, rows
            types, names, rows = line[1:], next(lines)[1:], []
            if names == ["error", "reference"]:
                reason = next(lines, ["", "no reason given"])[1]
                raise StoreError(f"InfluxDB could not run this Flux query to its end: {reason}.")
        else:
            rows.append(line[1:])
    yield types, names, rows


def _frame(types: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[str]]) -> "pd.DataFrame":
    import pandas as pd

    columns = zip(types, names, zip(*rows, strict=True), strict=True)
    return pd.DataFrame({name: _column(kind, cells) for kind, name, cells in columns})


def _column(kind: str, cells: Sequence[str]) -> "pd.Series":
    import pandas as pd

    if kind == "double":
        return pd.Series([float(cell or "nan") for cell in cells], dtype="float64")
    if kind in _TIMES:
        times = pd.Series([cell or None for cell in cells], dtype="str")
        return pd.to_datetime(times, utc=True, format="ISO8601").dt.as_unit("ns")
    if kind in _MISSABLE:
        values = [json.loads(cell) if cell else None for cell in cells]
        return pd.Series(values, dtype=XX)
    return pd.Series(cells, dtype="str")

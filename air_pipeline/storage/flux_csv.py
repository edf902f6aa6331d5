"""Flux's answers: annotated CSV into one frame.

See https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/. Not with the client's `query_data_frame`:
it is many times slower, and gives a frame or a list of frames, as the data falls.
"""

import csv
import io
import re
from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

from air_pipeline.storage.store import StoreError

# Where a run of tables with the same columns may start; inside a quoted cell the same bytes mean nothing.
_START = re.compile(rb"(?:\A|(?<=\n))#datatype,")


def flux_frame(answer: bytes) -> pd.DataFrame:
    """One frame from an answer with the annotation `datatype`; tables with other columns are put below each other.

    Times are UTC in ns, strings are never missing (Flux's CSV has one sign for none and for an empty one).
    No rows: an empty frame.

    Raises:
        StoreError: the answer is, or ends in, an error of the query.
    """
    frames = [frame for run in _runs(answer) if len(frame := _frame(run))]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _runs(answer: bytes) -> Iterator[bytes]:
    """The parts of an answer that have columns of their own, each from its annotation on."""
    start: int | None = None
    counted, quotes = 0, 0
    for match in _START.finditer(answer):
        quotes += answer.count(b'"', counted, match.start())
        counted = match.start()
        if quotes % 2 == 0:
            if start is not None:
                yield answer[start : match.start()]
            start = match.start()
    if start is not None:
        yield answer[start:]


def _frame(run: bytes) -> pd.DataFrame:
    # Names and types are the same for all rows, so the header is read apart.
    annotation, header, rows = run.split(b"\n", 2)
    kinds = annotation.decode().rstrip("\r").split(",")[1:]
    names = next(_cells(header))[1:]
    if names == ["error", "reference"]:
        reason = next(_cells(rows))[1]
        raise StoreError(f"InfluxDB could not run this Flux query to its end: {reason}.")
    if not rows.strip():
        return pd.DataFrame()
    table = read_csv(
        io.BytesIO(rows),
        read_options=ReadOptions(column_names=["", *names]),
        parse_options=ParseOptions(newlines_in_values=True),
        convert_options=ConvertOptions(
            column_types={name: _type(kind) for name, kind in zip(names, kinds, strict=True)},
            include_columns=names,
            null_values=[""],
            strings_can_be_null=False,
        ),
    )
    return pd.DataFrame({name: _column(table[name]) for name in names})


def _cells(text: bytes) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text.decode(), newline=""))


def _type(kind: str) -> pa.DataType:
    if kind.startswith("dateTime"):
        return pa.timestamp("ns", tz="UTC")
    types: dict[str, pa.DataType] = {
        "double": pa.float64(),
        "long": pa.int64(),
        "unsignedLong": pa.uint64(),
        "boolean": pa.bool_(),
    }
    return types.get(kind, pa.string())


def _column(column: "pa.ChunkedArray[pa.Scalar[pa.DataType]]") -> "pd.Series":
    # Without these an integer among nothings becomes a float, and loses its last digits.
    missable = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype(), pa.bool_(): pd.BooleanDtype()}
    return column.to_pandas(types_mapper=missable.get if column.null_count else None)

"""Rows of frames as a command gives them: in a file, as JSON or CSV, or in a terminal as a table.

Belongs here: how rows look. Does not: where they come from (`reading`).
"""

import json
from collections.abc import Hashable, Iterator, Sequence
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from air_pipeline.cli.output import OutputError
from air_pipeline.cli.terminal import say, show_rows_as_text
from air_pipeline.processing.columns import TABLES
from air_pipeline.showing import plain, plain_json, plain_lines

FEW = 60
"""So many rows are shown as a table; more, or wider ones, are CSV in a terminal too."""
_JSON_AT_ONCE = 10_000


def show_rows(
    frame: pd.DataFrame, output: Path | None, *, as_json: bool, excel: bool = False, columns: Sequence[str] = ()
) -> None:
    """Writes rows to a file (.csv, .parquet), or prints them: JSON lines, a table of few rows in a terminal, else CSV.

    Args:
        frame: the rows; an index counts if it has a name. Units are in `attrs["units"]`.
        output: the file.
        as_json: whether to print JSON lines.
        excel: whether a .csv file begins with a byte order mark.
        columns: those that a table shows, of the index and the columns; all without.

    Raises:
        OutputError: the file cannot be written.
    """
    flat = _as_in_tables(_flat(frame))
    if output is not None:
        _write(frame, flat, output, excel=excel)
        say(f"{len(flat)} rows written to {output}", err=True)
    elif as_json:
        for line in _json_lines(flat):
            show_rows_as_text(f"{plain_json(line)}\n")
    elif not _show_table(flat, columns):
        show_rows_as_text(_timed(flat).to_csv(index=False) if len(frame.columns) else "")


def _write(frame: pd.DataFrame, flat: pd.DataFrame, output: Path, *, excel: bool) -> None:
    try:
        if output.suffix.lower() == ".csv":
            _timed(flat).to_csv(output, index=False, encoding="utf-8-sig" if excel else "utf-8")
        else:  # in the order of the flat one, and with what tells pandas of the index
            table = pa.Table.from_pandas(_dated(frame), preserve_index=_has_index(frame))
            pq.write_table(table.select([str(name) for name in flat.columns]), output)
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror or error}") from error


def _as_in_tables(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with their columns in the order of the day's tables; a date first."""
    columns = [[column.name for column in table.columns] for table in TABLES.values()]
    names = ["date", *max(columns, key=lambda names: len(set(names).intersection(frame.columns)))]
    if "series" not in frame:
        return frame
    return frame[sorted(frame.columns, key=lambda name: names.index(name) if name in names else len(names))]


def _has_index(frame: pd.DataFrame) -> bool:
    return frame.index.name is not None


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with their index as a column, and a date as one."""
    return _dated(frame.reset_index() if _has_index(frame) else frame)


def _dated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(date=frame["date"].dt.date) if frame.dtypes.get("date") == "datetime64[ms]" else frame


def _timed(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with times as texts of one form: pandas leaves the time out where a whole column is midnights."""
    times = frame.select_dtypes(["datetime", "datetimetz"])
    texts = {
        str(name): column.map(lambda time: time.isoformat(sep=" "), na_action="ignore")
        for name, column in times.items()
    }
    return frame.assign(**texts)


def _json_lines(frame: pd.DataFrame) -> Iterator[str]:
    """A row a line: every digit of a number, times in ISO 8601, null for what is missing."""
    for first in range(0, len(frame), _JSON_AT_ONCE):
        some = frame.iloc[first : first + _JSON_AT_ONCE].astype(object)
        for row in some.where(some.notna(), None).to_dict("records"):
            yield json.dumps(row, ensure_ascii=False, default=_json_value)


def _json_value(value: object) -> object:
    if isinstance(value, date):  # timestamps are dates too
        return value.isoformat()
    return getattr(value, "item", value.__str__)()  # numpy's numbers, else a text


def _show_table(frame: pd.DataFrame, columns: Sequence[str]) -> bool:
    """Prints a table if this is a terminal, and the rows are few and narrow enough for it."""
    console = Console()
    if not console.is_terminal or not 0 < len(frame) <= FEW:
        return False
    units = frame.attrs.get("units", {})
    if "series" in frame and "unit" not in frame:
        frame = frame.assign(unit=frame["series"].astype(str).map(units))
    frame = frame[[name for name in columns if name in frame] or list(frame.columns)]
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for name in frame.columns:
        table.add_column(Text(plain_lines(_heading(name, units))))
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(plain(_cell(value))) for value in row))
    if Measurement.get(console, console.options.update(max_width=10_000), table).maximum > console.width:
        return False
    console.print(table)
    return True


def _heading(name: Hashable, units: dict[str, str]) -> str:
    """A series in two or three lines: its sensor, its parameter, its unit."""
    text = str(name)
    return "\n".join([*text.split("_", 1), units[text]]) if text in units else text


def _cell(value: object) -> str:
    if value is None or value is pd.NaT or value is pd.NA or value != value:  # noqa: PLR0124 - NaN
        return "–"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)

"""CSV and Parquet files of others → rows.

Belongs here: cells to instants and numbers, with what of them was not understood. Does not: which column means what
(`mapping`), when a local time was (`instants`).
"""

import bz2
import csv
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from air_pipeline.importing.instants import NONE, instants_of
from air_pipeline.importing.mapping import Meaning
from air_pipeline.importing.rows import ImportFailed, Instants, Notes, Numbers, Rows

_ROWS_AT_ONCE = 50_000
_SEPARATORS = (",", ";", "\t")
_MISSING = frozenset({"", "-", "na", "n/a", "nan", "null", "none", "unavailable", "unknown"})
_PACKED: Mapping[str, Callable[..., IO[str]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?")
_UNNAMED = "columns that the mapping does not name stay out"
_NOWHERE = "columns that the mapping names are in none of the files"
NO_NUMBER = "cells are no numbers; they become problems of their polls"
SHORT = "rows have fewer or more cells than the header and are left out"
OTHERS = "rows of others are left out (where)"


def read_tables(paths: Sequence[Path], meaning: Meaning, told: Callable[[int, int], None]) -> tuple[Rows, Notes]:
    """The rows of some files, one after the other, with the values as they are there; and what was not understood.

    Args:
        paths: the files: `.parquet`, else CSV, packed or not.
        meaning: of their columns.
        told: how many bytes of how many are read.

    Raises:
        ImportFailed: a file cannot be read, or has no such columns.
    """
    notes = Notes()
    try:
        sizes = [path.stat().st_size for path in paths]
    except OSError as error:
        raise ImportFailed(f"{error.filename} cannot be read ({error.strerror})") from error
    parts: list[Rows] = []
    for number, path in enumerate(paths):
        told(sum(sizes[:number]), sum(sizes))
        blocks = _of_parquet(path, meaning) if path.suffix == ".parquet" else _of_csv(path, meaning, notes)
        try:
            for first_row, cells in blocks:
                parts.append(rows_of(cells, meaning, notes, first_row, path.name))
        except UnicodeDecodeError as error:
            raise ImportFailed(
                f"{path} cannot be read: {error}; say its encoding in the mapping, as encoding: latin-1, or utf-16"
            ) from error
        except (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException, csv.Error, LookupError) as error:
            raise ImportFailed(f"{path} cannot be read: {error}") from error
    told(sum(sizes), sum(sizes))
    rows = Rows.joined(parts)
    nowhere = [column for column, (series, _) in meaning.columns.items() if series not in rows.series]
    notes.add(_NOWHERE, len(nowhere), nowhere)
    return rows, notes


def rows_of(cells: Mapping[str, Any], meaning: Meaning, notes: Notes, first_row: int, where: str) -> Rows:
    """Cells by column, of which one is the time, as rows.

    Args:
        cells: column to its cells; also columns of which only some rows are meant (`where`).
        meaning: of the columns.
        notes: where what was not understood is noted.
        first_row: the number of the first row, for people.
        where: in which file.
    """
    time = meaning.time
    zone = None if time.zone is None else ZoneInfo(time.zone)
    notes.rows += len(cells[time.column])
    kept = np.ones(len(cells[time.column]), dtype=bool)
    for column, wanted in meaning.said.where.items():
        accepted = {str(one) for one in (wanted if isinstance(wanted, list) else [wanted])}
        kept &= np.array([str(cell).strip() in accepted for cell in cells[column]], dtype=bool)
    notes.add(OTHERS, int((~kept).sum()))
    times = cells[time.column]
    if isinstance(times, pa.ChunkedArray) and pa.types.is_timestamp(times.type):
        texts: Sequence[Any] = [None if at is None else at.isoformat() for at in times.to_pylist()]
        found = instants_of([text or "" for text in texts], "iso", zone, time.twice, notes, first_row)
    else:
        listed = times.to_pylist() if isinstance(times, pa.ChunkedArray) else times
        found = instants_of(listed, time.written, zone, time.twice, notes, first_row)
    kept &= found != NONE
    values, spoilt = {}, {}
    for column, (series, _) in meaning.columns.items():
        if column in cells:
            numbers, texts_of = _numbers(cells[column], meaning, found, kept)
            notes.add(NO_NUMBER, len(texts_of), (f"{text[:40]!r} in {column} of {where}" for text in texts_of.values()))
            values[series] = numbers[kept]
            spoilt[series] = texts_of
    return Rows(found[kept], values, {series: texts for series, texts in spoilt.items() if texts})


def _numbers(cells: Any, meaning: Meaning, times: Instants, kept: np.ndarray) -> tuple[Numbers, dict[int, str]]:  # noqa: ANN401
    listed = cells.to_pylist() if isinstance(cells, pa.ChunkedArray) else cells
    texts = pd.Series(listed, dtype="object")
    if meaning.said.decimal == ",":
        texts = texts.map(lambda cell: _with_point(cell.strip()) if isinstance(cell, str) else cell)
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan).copy()
    numbers[np.isinf(numbers)] = np.nan
    missing = _MISSING | {one.strip().lower() for one in meaning.said.missing or ()}
    spoilt: dict[int, str] = {}
    for place in np.flatnonzero(np.isnan(numbers) & kept).tolist():
        cell = listed[place]
        if cell is not None and cell == cell and str(cell).strip().lower() not in missing:  # noqa: PLR0124 -- NaN
            at = int(times[place])
            spoilt[at] = max(str(cell), spoilt.get(at, str(cell)))
    return numbers, spoilt


def _with_point(text: str) -> str | None:
    """A number with a decimal comma as one with a point; None if it has points elsewhere than before three digits."""
    if _GROUPED.fullmatch(text):
        text = text.replace(".", "")
    return None if "." in text else text.replace(",", ".")


def _wanted(columns: Sequence[str], meaning: Meaning, path: Path, notes: Notes | None = None) -> list[str]:
    """The columns of a file that are needed.

    Raises:
        ImportFailed: one is not there.
    """
    needed = [meaning.time.column, *meaning.said.where]
    if lacking := [column for column in needed if column not in columns]:
        there = ", ".join(columns[:20])
        raise ImportFailed(f"{path} has no column {lacking[0]!r}, which {meaning.name} names; it has {there}")
    found = [column for column in meaning.columns if column in columns]
    if not found:
        there = ", ".join(columns[:20])
        raise ImportFailed(f"{path} has none of the columns that {meaning.name} names; it has {there}")
    others = [column for column in columns if column not in {*needed, *found} and column.strip()]
    if notes is not None and _UNNAMED not in notes.counts:
        notes.add(_UNNAMED, len(others), others)
    return list(dict.fromkeys([*needed, *found]))


def _of_csv(path: Path, meaning: Meaning, notes: Notes) -> Iterator[tuple[int, dict[str, list[str]]]]:
    said = meaning.said
    with _opened(path, said.encoding or "utf-8-sig") as file:
        first = file.readline()
        named = [said.separator] if said.separator else list(_SEPARATORS)
        header, separator = max(((_cells(first, one), one) for one in named), key=lambda one: len(one[0]))
        header = [column.strip() for column in header]
        columns = _wanted(header, meaning, path, notes)
        places = {column: header.index(column) for column in columns}
        lines = csv.reader(file, delimiter=separator)
        row = 2
        while block := list(islice(lines, _ROWS_AT_ONCE)):
            whole = [cells for cells in block if len(cells) == len(header)]
            bad = [row + n for n, cells in enumerate(block) if len(cells) != len(header) and cells]
            notes.add(SHORT, len(bad), (f"row {number} of {path.name}" for number in bad))
            notes.rows += len(bad)
            yield row, {column: [cells[place] for cells in whole] for column, place in places.items()}
            row += len(block)


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[IO[str]]:
    opening = _PACKED.get(path.suffix)
    if opening is not None:
        with opening(path, "rt", encoding=encoding, newline="") as packed:
            yield packed
    else:
        with path.open(encoding=encoding, newline="") as file:
            yield file


def _of_parquet(path: Path, meaning: Meaning) -> Iterator[tuple[int, dict[str, Any]]]:
    with pq.ParquetFile(path) as file:
        columns = _wanted(file.schema_arrow.names, meaning, path)
        row = 1
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=columns)
            yield row, {column: table[column] for column in columns}
            row += table.num_rows

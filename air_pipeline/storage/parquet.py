"""The Parquet tables, read and written: a file is replaced whole and atomically.

Belongs here: how rows come out of a file and into one. Does not: where the files are (`shelf`), what is in them
(`processing`).
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from air_pipeline.places import DataPlace
from air_pipeline.processing.columns import TABLES, TableName
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.storage.day_files import (
    DayFile,
    DayMetadata,
    Holding,
    TableError,
    day_file,
    says_other_columns,
)

ROWS_PER_GROUP = 131_072
"""Aggregates gather devices up to about this many rows in a row group; `observations` has one group a device."""

CELLS_AT_ONCE = 1_200_000
"""Values that are decoded together where a file is looked through: some 60 MB with what is made of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of a file that is open."""

    file: pq.ParquetFile
    of: DayFile

    def texts(self) -> dict[str, str]:
        """The file's own metadata."""
        return {key.decode(): text.decode() for key, text in (self.file.metadata.metadata or {}).items()}

    def made(self) -> DayMetadata:
        """How the file was made, by its own metadata.

        Raises:
            DayUnreadable: it does not say so.
        """
        try:
            return DayMetadata.from_texts(self.texts())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.of.unreadable("was not written by air_pipeline") from error

    def count(self) -> int:
        """How many there are."""
        return int(self.file.metadata.num_rows)

    def devices(self) -> list[str]:
        """The devices that have some, sorted."""
        column = self.file.read(columns=["device"]).column("device")
        return sorted({str(name) for name in column.unique().to_pylist()})

    def groups(self, devices: Collection[str] | None) -> Iterator[pa.Table]:
        """A table for each row group with rows of these devices (of any, if None), with no others."""
        for group in range(self.file.num_row_groups):
            if devices is None:
                yield self._of_today(self._group(group))
            elif _may_hold(self.file.metadata.row_group(group), devices):
                rows_of_all = self._of_today(self._group(group))
                wanted = [rows for name, rows in _by_device(rows_of_all) if name in devices]
                if wanted:
                    yield pa.concat_tables(wanted)

    def pieces(self) -> Iterator[pa.Table]:
        """All rows in their order, so many at a time that a large group is never in memory as a whole."""
        rows = CELLS_AT_ONCE // self.file.metadata.num_columns
        for group in range(self.file.num_row_groups):  # else one piece in two would be the rest of a group
            for batch in self.file.iter_batches(rows, row_groups=[group], use_threads=False):
                yield self._of_today(pa.Table.from_batches([batch]))

    def by_device(self, devices: Collection[str] | None) -> Iterator[tuple[str, pa.Table]]:
        """Each of these devices (all, if None) with its rows."""
        for rows in self.groups(devices):
            yield from _by_device(rows)

    def columns(self, names: Sequence[str], devices: Collection[str] | None) -> Iterator[tuple[str, pa.Table]]:
        """Each of these devices (all, if None) with some columns of its rows; no others are read."""
        for group in range(self.file.num_row_groups):
            if devices is None or _may_hold(self.file.metadata.row_group(group), devices):
                for name, rows in _by_device(self._group(group, ["device", *names])):
                    if devices is None or name in devices:
                        yield name, rows

    def _group(self, number: int, columns: list[str] | None = None) -> pa.Table:
        # A group is decoded within milliseconds: threads take as long to begin.
        return self.file.read_row_group(number, columns=columns, use_threads=False)

    @staticmethod
    def holding(rows: pa.Table) -> Holding:
        """What observations of one device hold; the means over its sensors are no values of theirs."""
        columns = rows.select(["series", "observed_at", "value", "poll_outcome"]).to_pandas()
        by_series = columns.groupby("series", observed=True)
        values: Any = by_series["value"].count()
        sensors = [name for name in values.index if not _is_mean(name, list(values.index))]
        at = columns["observed_at"].dt.tz_convert("UTC").dt.as_unit("ms").astype("int64")
        polls = int(by_series["poll_outcome"].count().max())
        return Holding(int(at.min()), int(at.max()) + 1, polls, int(values[sensors].sum()))

    def units(self) -> set[tuple[str, str, str, str]]:
        """Device, zone, series and unit of each row of daily aggregates."""
        rows = self.file.read(columns=["device", "timezone", "series", "unit"]).to_pylist()
        return {(row["device"], row["timezone"], row["series"], row["unit"]) for row in rows}

    def all(self) -> pa.Table:
        """All in one table."""
        return self._of_today(self.file.read()).unify_dictionaries()

    def _of_today(self, rows: pa.Table) -> pa.Table:
        """Rows of an earlier version with the types that the columns have now."""
        schema = arrow_schema(self.of.table)
        if rows.schema.equals(schema) or not set(schema.names) <= set(rows.column_names):
            return rows
        return rows.select(schema.names).cast(schema).replace_schema_metadata(rows.schema.metadata)


@contextmanager
def opened(file: DayFile, *, of_any_columns: bool = False) -> Iterator[Rows]:
    """The rows of a file, while the block lasts.

    Raises:
        DayNotBuilt: there is no file.
        DayUnreadable: it cannot be read, or has other columns than the table has now. Of an earlier version those will
            do that have the columns of now, of whatever type, and with `of_any_columns` all.
    """
    try:
        with _source(file) as source, pq.ParquetFile(source, pre_buffer=not isinstance(source, Path)) as parquet:
            rows, schema = Rows(parquet, file), arrow_schema(file.table)
            has_all = of_any_columns or set(schema.names) <= set(parquet.schema_arrow.names)
            if not parquet.schema_arrow.equals(schema) and not (has_all and says_other_columns(rows.texts())):
                raise file.unreadable(f"has other columns than {file.table} has now")
            yield rows
    except FileNotFoundError:
        raise file.not_built() from None
    except (pa.ArrowException, OSError) as error:
        raise file.unreadable(f"cannot be read ({error})") from error


@contextmanager
def _source(file: DayFile) -> Iterator[Path | BinaryIO]:
    """What pyarrow reads a file from: a path by itself, which is the fastest."""
    path = file.path
    if not isinstance(path, Path):
        with file.shelf.open(file.day, file.name) as opened_there:
            yield opened_there
        return
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise file.unreadable("is no file")
    yield path


def _by_device(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Each device with its rows, which are neighbours and so are not copied: tables are sorted by device."""
    names, counts = rows.column("device").value_counts().flatten()
    start = 0
    for name, count in zip(names.to_pylist(), counts.to_numpy(), strict=True):
        yield str(name), rows.slice(start, count)
        start += count


def _is_mean(name: str, series: Collection[str]) -> bool:
    """Whether a series is the mean of others, which then are at least two that end with its name."""
    return sum(other.partition("_")[2] == name for other in series) > 1


def _may_hold(group: pq.RowGroupMetaData, devices: Collection[str]) -> bool:
    """Whether a row group may have rows of any of these devices, by the least and greatest id that it notes."""
    columns = map(group.column, range(group.num_columns))
    noted = next((column.statistics for column in columns if column.path_in_schema == "device"), None)
    if noted is None or not noted.has_min_max:
        return True
    return any(str(noted.min) <= name <= str(noted.max) for name in devices)


class StagedDay:
    """A table's file of one day while it is written; made by `stage`."""

    def __init__(self, target: DayFile, partial: Path, descriptor: int, metadata: DayMetadata) -> None:
        self._target = target
        self._partial = partial
        self._descriptor = descriptor
        self._schema = arrow_schema(target.table).with_metadata(metadata.to_texts())
        times = [column.name for column in TABLES[target.table].columns if column.type in {"instant", "clock"}]
        others: Any = [name for name in self._schema.names if name not in times]
        self._writer: pq.ParquetWriter | None = pq.ParquetWriter(
            partial,
            self._schema,
            compression="zstd",
            version="2.6",
            use_dictionary=others,
            column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"),  # a fifth of the size at 1 Hz
        )
        self._gathered: list[pa.Table] = []
        self._last_device = ""

    @property
    def written(self) -> DayFile:
        """A handle of what has been written, for checks before it is published; the first use ends the writing."""
        self._finish()
        return replace(self._target, staged=self._partial)

    def write(self, rows: pa.Table) -> None:
        """Adds the rows of one device, which come after those of the devices before, sorted by the key.

        Raises:
            ValueError: the rows have another schema, or devices do not come in rising order.
        """
        if self._writer is None:
            raise ValueError("the table was finished already")
        if not rows.num_rows:
            return
        if not rows.schema.equals(self._schema):
            raise ValueError(f"not the columns of {self._target.table}: {rows.schema.names}")
        devices = rows.column("device").unique().to_pylist()
        if len(devices) != 1 or str(devices[0]) <= self._last_device:
            raise ValueError(f"one device at a time, in rising order: {devices} after {self._last_device!r}")
        self._last_device = str(devices[0])
        self._gathered.append(rows)
        if self._target.table == "observations" or sum(part.num_rows for part in self._gathered) >= ROWS_PER_GROUP:
            self._write_group()

    def publish(self) -> DayFile:
        """Puts the file in its place, whole, and gives its handle. A day without rows gets a file without rows."""
        self._finish()
        with self._writing():
            self._target.shelf.put_file(self._target.day, self._target.name, self._partial)
        return self._target

    def close(self) -> None:
        """Ends the writing without publishing; after `publish` it does nothing."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def _write_group(self) -> None:
        if self._gathered and self._writer is not None:
            rows = pa.concat_tables(self._gathered).combine_chunks()
            self._gathered = []
            with self._writing():
                self._writer.write_table(rows, row_group_size=rows.num_rows)

    def _finish(self) -> None:
        if self._writer is not None:
            self._write_group()
            with self._writing():
                self.close()
                os.fsync(self._descriptor)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _not_writable(self._target, error) from error


@contextmanager
def stage(data: DataPlace, table: TableName, day: date, metadata: DayMetadata) -> Iterator[StagedDay]:
    """Begins a table's file of one local date; what is not published by the end of the block is gone.

    Raises:
        TableError: the directory cannot be written.
    """
    target = day_file(data, table, day)
    with ExitStack() as stack:
        try:
            partial, descriptor = stack.enter_context(target.shelf.staged(day, target.name))
        except OSError as error:
            raise _not_writable(target, error) from error
        staged = StagedDay(target, partial, descriptor, metadata)
        try:
            yield staged
        finally:
            with suppress(OSError):  # a full disk was reported by the write already
                staged.close()


def _not_writable(target: DayFile, error: OSError) -> TableError:
    return TableError(f"{target.table} of {target.day} cannot be written ({error}); see to rights and space there")

"""The Parquet tables: one file per table and local date, replaced whole and atomically.

Belongs here: where the files are, how they are written, published and read. Does not: what is in them (`processing`).
pyarrow is imported when a file is opened, not before.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.columns import SCHEMA_VERSION, TABLES, TableName
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.replacing import put_in_place, remove_leftovers_of, staged_file

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS_PER_GROUP = 131_072
"""Aggregates gather devices up to about this many rows in a row group; `observations` has one group a device."""

_PREFIX = "air_pipeline."


class TableError(AirPipelineError):
    """A table's file could not be read or written. The message says which day, what happened, what to do."""


class DayNotBuilt(TableError):
    """There is no file for this table and day."""


class DayUnreadable(TableError):
    """The file is there and is not what it should be."""


@dataclass(frozen=True, slots=True)
class DayMetadata:
    """What a file's metadata says of how it was made.

    Attributes:
        settings_digest: of the settings that it was built with.
        input_fingerprint: JSON: what the store held then.
        rule_set_version: version of the rules that flagged it.
        rules: rule name to the bit value that stands for it in `rules`.
        schema_version: of the columns.
    """

    settings_digest: str
    input_fingerprint: str
    rule_set_version: str
    rules: Mapping[str, int]
    schema_version: str = SCHEMA_VERSION

    def to_texts(self) -> dict[str, str]:
        """As in the file: keys `air_pipeline.schema_version` and so on, `rules` as JSON."""
        return {
            f"{_PREFIX}schema_version": self.schema_version,
            f"{_PREFIX}rule_set_version": self.rule_set_version,
            f"{_PREFIX}rules": json.dumps(dict(self.rules), separators=(",", ":")),
            f"{_PREFIX}settings_digest": self.settings_digest,
            f"{_PREFIX}input_fingerprint": self.input_fingerprint,
        }

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> "DayMetadata":
        """The inverse of `to_texts`; a KeyError or ValueError where it is not one of ours."""
        return cls(
            settings_digest=texts[f"{_PREFIX}settings_digest"],
            input_fingerprint=texts[f"{_PREFIX}input_fingerprint"],
            rule_set_version=texts[f"{_PREFIX}rule_set_version"],
            rules=json.loads(texts[f"{_PREFIX}rules"]),
            schema_version=texts[f"{_PREFIX}schema_version"],
        )


@dataclass(frozen=True, slots=True)
class DayFile:
    """A handle of one table's file of one local date; nothing is opened until asked.

    Attributes:
        table: which table.
        day: the local date.
        path: where the file is, or would be.
    """

    table: TableName
    day: date
    path: Path

    @property
    def exists(self) -> bool:
        """Whether the day has been built."""
        return self.path.is_file()

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            raise self._not_built() from None

    def metadata(self, *, of_any_columns: bool = False) -> DayMetadata:
        """How the file was made, from its footer alone; on request even where it has other columns than today's."""
        with self._open(of_any_columns=of_any_columns) as file:
            texts = {key.decode(): text.decode() for key, text in (file.metadata.metadata or {}).items()}
        try:
            return DayMetadata.from_texts(texts)
        except (KeyError, ValueError) as error:
            raise DayUnreadable(f"{self.path} was not written by air_pipeline; {self._remedy()}") from error

    def row_count(self) -> int:
        """How many rows it has, from its footer alone."""
        with self._open() as file:
            return int(file.metadata.num_rows)

    def devices(self) -> list[str]:
        """The devices that have rows, sorted."""
        with self._open() as file:
            column = file.read(columns=["device"]).column("device")
        return sorted({str(name) for name in column.unique().to_pylist()})

    def tables(self, devices: Collection[str] | None = None) -> Iterator["pa.Table"]:
        """The rows as Arrow tables, one for each row group, in the order of the file.

        Args:
            devices: the ids of those that are wanted; all without. What holds none of them is not read.
        """
        import pyarrow as pa

        with self._open() as file:
            for group in range(file.num_row_groups):
                if devices is None:
                    yield file.read_row_group(group)
                elif _may_hold(file.metadata.row_group(group), devices):
                    wanted = [rows for name, rows in _by_device(file.read_row_group(group)) if name in devices]
                    if wanted:
                        yield pa.concat_tables(wanted)

    def device_tables(self, devices: Collection[str] | None = None) -> Iterator[tuple[str, "pa.Table"]]:
        """Each device with its rows as an Arrow table, as `tables` has them, one row group in memory at a time."""
        for rows in self.tables(devices):
            yield from _by_device(rows)

    def device_frames(self) -> Iterator[tuple[str, "pd.DataFrame"]]:
        """Each device with its rows as a long frame (see `processing.schemas`), in the order of the file."""
        for name, rows in self.device_tables():
            yield name, rows.to_pandas()

    def read_table(self) -> "pa.Table":
        """All rows as one Arrow table."""
        with self._open() as file:
            return file.read().unify_dictionaries()

    def read(self) -> "pd.DataFrame":
        """All rows as one long frame (see `processing.schemas`)."""
        return self.read_table().to_pandas()

    @contextmanager
    def _open(self, *, of_any_columns: bool = False) -> Iterator["pq.ParquetFile"]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path) as file:
                if not of_any_columns and not file.schema_arrow.equals(arrow_schema(self.table)):
                    raise DayUnreadable(f"{self.path} has other columns than {self.table} has now; {self._remedy()}")
                yield file
        except FileNotFoundError:
            raise self._not_built() from None
        except (pa.ArrowException, OSError) as error:
            raise DayUnreadable(f"{self.path} cannot be read ({error}); {self._remedy()}") from error

    def _not_built(self) -> DayNotBuilt:
        return DayNotBuilt(f"{self.day} has no {self.table} yet ({self.path} is missing); {self._remedy()}")

    def _remedy(self) -> str:
        return f"build it with: air-pipeline build --from {self.day} --to {self.day}"


def _by_device(rows: "pa.Table") -> Iterator[tuple[str, "pa.Table"]]:
    """Each device with its rows, which are neighbours and so are not copied: tables are sorted by device."""
    names, counts = rows.column("device").value_counts().flatten()
    start = 0
    for name, count in zip(names.to_pylist(), counts.to_numpy(), strict=True):
        yield str(name), rows.slice(start, count)
        start += count


def _may_hold(group: "pq.RowGroupMetaData", devices: Collection[str]) -> bool:
    """Whether a row group may have rows of any of these devices, by the least and greatest id that it notes."""
    noted = group.column(0).statistics
    if noted is None or not noted.has_min_max:
        return True
    return any(str(noted.min) <= name <= str(noted.max) for name in devices)


def day_file(data: Path, table: TableName, day: date) -> DayFile:
    """The handle of a table's file of a local date under the data directory."""
    return DayFile(table, day, data / table / f"date={day.isoformat()}" / f"{table}.parquet")


def built_days(data: Path, table: TableName) -> list[date]:
    """The local dates for which a table has a file, in order."""
    return days_with_file(data / table, f"{table}.parquet")


def days_with_file(directory: Path, name: str) -> list[date]:
    """The local dates that have a file of this name in their own folder of the directory, in order."""
    days = []
    for path in directory.glob(f"date=*/{name}"):
        with suppress(ValueError):  # somebody else's directory
            days.append(date.fromisoformat(path.parent.name.removeprefix("date=")))
    return sorted(days)


class StagedDay:
    """A table's file of one day while it is written; made by `stage`."""

    def __init__(self, target: DayFile, partial: Path, descriptor: int, metadata: DayMetadata) -> None:
        import pyarrow.parquet as pq

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
        return DayFile(self._target.table, self._target.day, self._partial)

    def write(self, rows: "pa.Table") -> None:
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
            put_in_place(self._partial, self._target.path)
        return self._target

    def close(self) -> None:
        """Ends the writing without publishing; after `publish` it does nothing."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

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
def stage(data: Path, table: TableName, day: date, metadata: DayMetadata) -> Iterator[StagedDay]:
    """Begins a table's file of one local date; what is not published by the end of the block is gone.

    Raises:
        TableError: the directory cannot be written.
    """
    target = day_file(data, table, day)
    with ExitStack() as stack:
        try:
            partial, descriptor = stack.enter_context(staged_file(target.path))
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


def remove_leftovers(data: Path, table: TableName, day: date) -> list[Path]:
    """Removes what killed writers of this table and day left, and says what; files of living writers stay."""
    return remove_leftovers_of(day_file(data, table, day).path)

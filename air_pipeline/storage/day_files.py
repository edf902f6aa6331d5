"""The files of the Parquet tables, one per table and local date: handles of them, and how they were made.

Belongs here: what may be wrong with a file, what its metadata says. Does not: where it stands (`shelf`), reading and
writing rows (`parquet`), what is in them (`processing`).
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from air_pipeline.errors import AirPipelineError
from air_pipeline.places import DataPlace
from air_pipeline.processing.columns import SCHEMA_VERSION, TableName
from air_pipeline.storage.shelf import Shelf, Stamp, shelf_at, stamp_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from air_pipeline.storage.parquet import Rows

_PREFIX = "air_pipeline."


class TableError(AirPipelineError):
    """A table's file could not be read or written. The message says which day, what happened, what to do."""


class DayNotBuilt(TableError):
    """There is no file for this table and day."""


class DayUnreadable(TableError):
    """The file is there and is not what it should be."""


class Holding(NamedTuple):
    """What a day's files hold of one device: from when and until when (not included), ms UTC; how many polls, values.

    A value is one that was stored; means over sensors are none. What was imported is apart: import to its polls and
    values.
    """

    start: int
    end: int
    polls: int
    values: int
    imports: Mapping[str, tuple[int, int]] = MappingProxyType({})

    def plain(self) -> list[Any]:
        """As in JSON: without imports, where there are none."""
        imports = {name: list(counts) for name, counts in self.imports.items()}
        return [self.start, self.end, self.polls, self.values, *([imports] if imports else [])]

    @classmethod
    def from_plain(cls, said: Sequence[Any]) -> "Holding":
        """The inverse of `plain`; a TypeError or ValueError where it is not one of ours."""
        *numbers, imports = said if len(said) == len(cls._fields) else (*said, {})
        counts = {str(name): (int(polls), int(values)) for name, (polls, values) in dict(imports).items()}
        start, end, polls, values = map(int, numbers)
        return cls(start, end, polls, values, counts)


@dataclass(frozen=True, slots=True)
class DayMetadata:
    """What a file's metadata says of how it was made.

    Attributes:
        settings_digest: of the settings that it was built with.
        input_fingerprint: JSON: what the store held then.
        rule_set_version: version of the rules that flagged it.
        rules: rule name to the bit value that stands for it in `rules`.
        schema_version: of the columns.
        holdings: device to what it holds of it; None in a page, and in files of versions that did not say it.
        limits: JSON: the limits of the rules that flagged it (`settings.limits`); empty where it does not say them.
    """

    settings_digest: str
    input_fingerprint: str
    rule_set_version: str
    rules: Mapping[str, int]
    schema_version: str = SCHEMA_VERSION
    holdings: Mapping[str, Holding] | None = field(default=None, compare=False)
    limits: str = field(default="", compare=False)

    def to_texts(self) -> dict[str, str]:
        """As in a table's file: keys `air_pipeline.schema_version` and so on, `rules` and `holdings` as JSON."""
        holdings = {} if self.holdings is None else {f"{_PREFIX}holdings": _json(self._holdings())}
        limits = {f"{_PREFIX}limits": self.limits} if self.limits else {}
        return self.making() | limits | holdings

    def making(self) -> dict[str, str]:
        """As in a page: the same without what it holds, which grows with the devices."""
        return {
            f"{_PREFIX}schema_version": self.schema_version,
            f"{_PREFIX}rule_set_version": self.rule_set_version,
            f"{_PREFIX}rules": _json(self.rules),
            f"{_PREFIX}settings_digest": self.settings_digest,
            f"{_PREFIX}input_fingerprint": self.input_fingerprint,
        }

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> "DayMetadata":
        """The inverse of `to_texts`; a KeyError, TypeError or ValueError where it is not one of ours."""
        holdings = texts.get(f"{_PREFIX}holdings")
        return cls(
            settings_digest=texts[f"{_PREFIX}settings_digest"],
            input_fingerprint=texts[f"{_PREFIX}input_fingerprint"],
            rule_set_version=texts[f"{_PREFIX}rule_set_version"],
            rules=json.loads(texts[f"{_PREFIX}rules"]),
            schema_version=texts[f"{_PREFIX}schema_version"],
            holdings=None if holdings is None else _holdings(json.loads(holdings)),
            limits=texts.get(f"{_PREFIX}limits", ""),
        )

    def to_json(self) -> dict[str, Any]:
        """As in JSON."""
        said = asdict(replace(self, holdings=None))
        return said if self.holdings is None else said | {"holdings": self._holdings()}

    def _holdings(self) -> dict[str, list[Any]]:
        return {device: one.plain() for device, one in (self.holdings or {}).items()}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "DayMetadata":
        """The inverse of `to_json`; a TypeError or ValueError where it is not one of ours."""
        holdings = said.get("holdings")
        return cls(**{**said, "holdings": None if holdings is None else _holdings(holdings)})


def says_other_columns(texts: Mapping[str, str]) -> bool:
    """Whether a file's metadata say that it has columns of another version."""
    return texts.get(f"{_PREFIX}schema_version", SCHEMA_VERSION) != SCHEMA_VERSION


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), separators=(",", ":"))


def _holdings(said: Mapping[str, Sequence[Any]]) -> Mapping[str, Holding]:
    return {device: Holding.from_plain(one) for device, one in said.items()}


@dataclass(frozen=True, slots=True)
class DayFile:
    """A handle of one table's file of one local date; nothing is opened until asked.

    Attributes:
        table: which table.
        day: the local date.
        shelf: where it stands.
        staged: the local file that it is, while it is not in its place yet.
    """

    table: TableName
    day: date
    shelf: Shelf
    staged: Path | None = None

    @property
    def name(self) -> str:
        """Its name on the shelf."""
        return table_name(self.table)

    @property
    def path(self) -> DataPlace:
        """Where the file is, or would be."""
        return self.staged or self.shelf.place(self.day, self.name)

    @property
    def exists(self) -> bool:
        """Whether the day has been built."""
        return self.stamp() is not None

    def stamp(self) -> Stamp | None:
        """What changes whenever the file is replaced; None where there is none."""
        return stamp_of(self.staged) if self.staged else self.shelf.stamp(self.day, self.name)

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        stamp = self.stamp()
        if stamp is None:
            raise self.not_built()
        return stamp.size

    def metadata(self, *, of_any_columns: bool = False) -> DayMetadata:
        """How the file was made, from its footer alone; on request even where it has other columns than today's."""
        with self.opened(of_any_columns=of_any_columns) as rows:
            return rows.made()

    def row_count(self) -> int:
        """How many rows it has, from its footer alone."""
        with self.opened() as rows:
            return rows.count()

    def devices(self) -> list[str]:
        """The devices that have rows, sorted."""
        with self.opened() as rows:
            return rows.devices()

    def pieces(self) -> "Iterator[pa.Table]":
        """All rows as Arrow tables in the order of the file, a large row group in several."""
        with self.opened() as rows:
            yield from rows.pieces()

    def holdings(self) -> Mapping[str, Holding]:
        """What observations hold of each device, counted from their rows, whatever other columns they have."""
        with self.opened(of_any_columns=True) as rows:
            return {device: rows.holding(part) for device, part in rows.by_device(None)}

    def units(self) -> set[tuple[str, str, str, str]]:
        """Of daily aggregates, whatever other columns they have: device, zone, series, unit, each as often as it is."""
        with self.opened(of_any_columns=True) as rows:
            return rows.units()

    def device_tables(self, devices: Collection[str] | None = None) -> "Iterator[tuple[str, pa.Table]]":
        """Each device, of those that are wanted, with its rows as an Arrow table, one row group in memory at a time."""
        with self.opened() as rows:
            yield from rows.by_device(devices)

    def device_columns(
        self, names: Sequence[str], devices: Collection[str] | None = None
    ) -> "Iterator[tuple[str, pa.Table]]":
        """Each device with some columns of its rows, one row group in memory at a time; no others are read."""
        with self.opened() as rows:
            yield from rows.columns(names, devices)

    def device_frames(self) -> "Iterator[tuple[str, pd.DataFrame]]":
        """Each device with its rows as a long frame (see `processing.violations`), in the order of the file."""
        for name, rows in self.device_tables():
            yield name, rows.to_pandas()

    def read_table(self) -> "pa.Table":
        """All rows as one Arrow table."""
        with self.opened() as rows:
            return rows.all()

    def read(self) -> "pd.DataFrame":
        """All rows as one long frame (see `processing.violations`)."""
        return self.read_table().to_pandas()

    def not_built(self) -> DayNotBuilt:
        """The error for a file that is not there."""
        return DayNotBuilt(f"{self.day} has no {self.table} yet ({self.path} is missing); {self._remedy}")

    def unreadable(self, why: str) -> DayUnreadable:
        """The error for a file that is not what it should be: `cannot be read`, say."""
        return DayUnreadable(f"{self.path} {why}; {self._remedy}")

    @property
    def _remedy(self) -> str:
        return f"build it with: air-pipeline build --from {self.day} --to {self.day}"

    @contextmanager
    def opened(self, *, of_any_columns: bool = False) -> "Iterator[Rows]":
        """Its rows, while the block lasts: for who wants more of them than one of the other methods gives.

        Raises:
            DayNotBuilt: there is no file.
            DayUnreadable: it cannot be read, or has other columns than the table has now, and those are not allowed.
        """
        # With pyarrow, 0.2 s and 50 MB: who asks where a file is, and the definitions, are spared them.
        from air_pipeline.storage.parquet import opened

        with opened(self, of_any_columns=of_any_columns) as rows:
            yield rows


def table_name(table: TableName) -> str:
    """The name of a table's files on the shelf."""
    return f"{table}/{table}.parquet"


def day_file(data: DataPlace | Shelf, table: TableName, day: date) -> DayFile:
    """The handle of a table's file of a local date at a place."""
    return DayFile(table, day, shelf_at(data))


def built_days(data: DataPlace | Shelf, table: TableName) -> list[date]:
    """The local dates for which a table has a file, in order."""
    return shelf_at(data).days(table_name(table))

"""The columns of the Parquet tables: name, type, unit, meaning and bounds, each written once.

Belongs here: what is true of a table wherever it is read. Does not: schemas of a library (`schemas` derives them from
here). Only the standard library and the words of polling are imported, so that names and descriptions come at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from air_pipeline.devices.polls import OF_SLOTS, Flag

SCHEMA_VERSION = "3"
"""Of the tables; raised when a column is added, removed, changes its meaning, or is otherwise described."""
RULE_SET_VERSION = "3"
"""Of the rules (`rules`); raised when one is added, removed or judges otherwise."""

ColumnType = Literal["dictionary", "string", "instant", "clock", "int8", "int16", "int32", "float64", "bool"]
"""How a column is stored: `dictionary` is dictionary<int32, string>, `instant` timestamp[ms, UTC], `clock` a naive
timestamp[ms] (a local clock); the others are Arrow's own names."""

TableName = Literal["observations", "hourly_aggregates", "daily_aggregates"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: as in the file.
        type: how it is stored.
        description: what it means, for people.
        unit: of its numbers; `series` where it is the unit of the row's series; empty where there is none.
        standard_name: what the CF conventions call it (standard name table, version 93); empty where they do not, or
            where that depends on the row's series.
        nullable: whether a value may be missing.
        at_least: the smallest value allowed.
        at_most: the largest value allowed.
        one_of: the only values allowed.
    """

    name: str
    type: ColumnType
    description: str
    unit: str = ""
    standard_name: str = ""
    nullable: bool = False
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] | tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One Parquet table: a file a local date, its rows sorted by the key and unique in it."""

    name: TableName
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def unit_of_series(self) -> str:
        """Where the unit of a row's series is, in words."""
        is_here = "unit" in self.column_names
        return "the column unit" if is_here else "the column unit of daily_aggregates, by device and series"

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in the order of the file."""
        return tuple(column.name for column in self.columns)


_OFFSET = Column(
    "utc_offset_minutes",
    "int16",
    "local minus UTC, in whole minutes",
    unit="min",
    at_least=-24 * 60,
    at_most=24 * 60,
)
_UNIT = Column("unit", "string", "unit of the series")


_DEVICE = Column("device", "dictionary", "id of the device, as in devices.yaml", standard_name="platform_id")


def _instant(name: str, description: str) -> Column:
    return Column(name, "instant", description, unit="UTC", standard_name="time")


def _count(name: str, description: str, standard_name: str = "") -> Column:
    return Column(name, "int32", description, unit="1", standard_name=standard_name, at_least=0)


def _statistic(name: str, description: str, *, at_least: float | None = None) -> Column:
    return Column(name, "float64", description, unit="series", nullable=True, at_least=at_least)


def _counts(period: str) -> tuple[Column, ...]:
    return (
        _count("expected_count", f"slots in the {period}"),
        _count("observed_count", "observations not flagged 9 (missing)"),
        _count("valid_count", "observations flagged 1 (good) or 2 (not evaluated)", "number_of_observations"),
        _count("suspect_count", "observations flagged 3 (suspect)"),
        _count("bad_count", "observations flagged 4 (bad)"),
        _count("missing_count", "observations flagged 9 (missing)"),
        Column(
            "coverage",
            "float64",
            "valid ÷ expected; null where nothing was expected",
            unit="1",
            nullable=True,
            at_least=0,
            at_most=1,
        ),
    )


_STATISTICS = (
    _statistic("mean", "mean of the valid observations"),
    _statistic("min", "least valid observation"),
    _statistic("max", "greatest valid observation"),
    _statistic("sd", "standard deviation of the valid observations, with n − 1; null for fewer than two", at_least=0),
    _statistic("median", "median of the valid observations"),
    _statistic("p02", "2nd percentile of the valid observations, by linear interpolation"),
    _statistic("p98", "98th percentile of the valid observations, by linear interpolation"),
)

OBSERVATIONS = Table(
    "observations",
    "A row for every slot in which a device was expected and every series that it was asked for: value, flag, time.",
    ("device", "series", "observed_at"),
    (
        _DEVICE,
        Column(
            "series",
            "dictionary",
            "one sensor's parameter, the mean over a device's sensors of one parameter, or one of these as calibrated",
        ),
        _instant("observed_at", "the slot: the instant at which the device was due"),
        Column("local_time", "clock", "what the clock at the device shows then"),
        _OFFSET,
        Column(
            "value",
            "float64",
            "what the device said, unchanged; null if no value was stored",
            unit="series",
            nullable=True,
        ),
        Column(
            "flag",
            "int8",
            "quality, QARTOD: 1 good, 2 not evaluated, 3 suspect, 4 bad, 9 missing",
            standard_name="aggregate_quality_flag",
            one_of=tuple(int(flag) for flag in Flag),
        ),
        Column(
            "rules",
            "int32",
            "a bit for each rule that spoke; the file's metadata names the bits",
            standard_name="quality_flag",
            at_least=0,
        ),
        Column(
            "poll_outcome",
            "dictionary",
            "what became of the poll of this slot; null if there was none",
            nullable=True,
            one_of=tuple(outcome.value for outcome in OF_SLOTS),
        ),
    ),
)

HOURLY_AGGREGATES = Table(
    "hourly_aggregates",
    "A row for every device, series and hour of the local day: counts, coverage and statistics of valid observations.",
    ("device", "series", "hour_start"),
    (
        _DEVICE,
        Column("series", "dictionary", "as in observations"),
        _instant("hour_start", "first instant of the hour"),
        Column("hour_start_local", "clock", "what the clock at the device shows then"),
        _OFFSET,
        _UNIT,
        *_counts("hour"),
        Column("is_complete", "bool", "coverage ≥ 75 % and something was expected"),
        *_STATISTICS,
    ),
)

DAILY_AGGREGATES = Table(
    "daily_aggregates",
    "A row for every device and series: counts, coverage and statistics of the local day's valid observations.",
    ("device", "series"),
    (
        _DEVICE,
        Column("series", "dictionary", "as in observations"),
        _instant("day_start", "first instant of the local day"),
        _instant("day_end", "first instant of the next local day"),
        Column("hours_in_day", "float64", "elapsed hours from day_start to day_end", unit="h", at_least=0),
        Column("timezone", "string", "IANA name of the device's time zone"),
        _UNIT,
        *_counts("day"),
        _count("hour_count", "hour rows of the day"),
        _count("complete_hours", "those of them that are complete"),
        Column("is_complete", "bool", "at least 75 % of the hour rows are complete and something was expected"),
        *_STATISTICS,
        _statistic("mean_06_22", "mean of the valid observations at local clock hours 06 to 21"),
        _statistic("mean_22_06", "mean of the others of the same local day: clock hours 00 to 05, 22 and 23"),
        _statistic(
            "max_8h_mean",
            "greatest mean over 8 elapsed hours inside the day, ≥ 6 h of them complete hours; null if there is none",
        ),
        Column(
            "exceedance_minutes",
            "float64",
            "time with a valid value above the configured threshold; null without a threshold",
            unit="min",
            nullable=True,
            at_least=0,
        ),
    ),
)

TABLES: Mapping[TableName, Table] = MappingProxyType(
    {table.name: table for table in (OBSERVATIONS, HOURLY_AGGREGATES, DAILY_AGGREGATES)}
)
"""The three tables by name, in the order in which they are built."""

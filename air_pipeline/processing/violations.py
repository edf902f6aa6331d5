"""What a frame breaks of its table: of the pandera schema, derived from `columns`, and of what holds between columns.

Belongs here: checks of frames. Does not: the columns themselves, types of Arrow (`schemas`).

A frame here is a long one, as it comes from a table's file: text in `observations` is categorical, in the aggregates
`str`; `observed_at` and the like are datetime64[ms, UTC], local clocks datetime64[ms].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.columns import TABLES, Column, TableName

if TYPE_CHECKING:
    import pandera.pandas as pandera

Key = tuple[Any, ...]
"""The values of a row in the columns of its table's key."""

MOST_CASES = 20
"""How many failing values a violation names; the count is of all."""

_MINUTE_MS = 60_000
_PANDAS_TYPES = {
    "dictionary": "category",
    "string": "str",
    "instant": "datetime64[ms, UTC]",
    "clock": "datetime64[ms]",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that a frame breaks.

    Attributes:
        column: the column, or the columns joined by a comma.
        check: what should have held.
        count: in how many rows it did not; 1 where it concerns the frame as a whole.
        cases: some of the failing values as text, or of their rows' keys.
    """

    column: str
    check: str
    count: int
    cases: tuple[str, ...] = ()

    def __str__(self) -> str:
        cases = f": {'; '.join(self.cases)}" if self.cases else ""
        more = " …" if self.count > len(self.cases) > 0 else ""
        return f"{self.column}: {self.check}, broken {self.count} ×{cases}{more}"


@cache
def frame_schema(table: TableName) -> "pandera.DataFrameSchema":
    """The table's pandera schema for a long frame: strict, ordered, nothing coerced, built-in checks only."""
    import pandera.pandas as pandera  # as long as pandas, and only who asks what is wrong needs it

    def bounds(column: Column) -> list[pandera.Check]:
        given = (
            (pandera.Check.ge, column.at_least),
            (pandera.Check.le, column.at_most),
            (pandera.Check.isin, column.one_of),
        )
        return [check(bound) for check, bound in given if bound is not None]

    columns = {
        column.name: pandera.Column(_pandas_type(column), bounds(column), nullable=column.nullable)
        for column in TABLES[table].columns
    }
    return pandera.DataFrameSchema(columns, name=table, strict=True, ordered=True, coerce=False)


def fits(table: TableName, frame: pd.DataFrame) -> bool:
    """Whether a long frame fits the table's pandera schema, without pandera, which takes 20 ms whatever the rows."""
    columns = TABLES[table].columns
    return list(frame.columns) == list(TABLES[table].column_names) and all(
        _fits(column, frame[column.name]) for column in columns
    )


def _fits(column: Column, values: "pd.Series[Any]") -> bool:
    if str(values.dtype) != _pandas_type(column) or (values.hasnans and not column.nullable):
        return False
    there = values.dropna() if values.hasnans else values
    return (
        (column.at_least is None or bool((there >= column.at_least).all()))
        and (column.at_most is None or bool((there <= column.at_most).all()))
        and (column.one_of is None or bool(there.isin(column.one_of).all()))
    )


def _pandas_type(column: Column) -> str:
    return _PANDAS_TYPES.get(column.type, column.type)


def misfits(table: TableName, frame: pd.DataFrame) -> list[Violation]:
    """What pandera finds in a long frame that does not fit; empty if nothing."""
    from pandera.errors import SchemaErrors  # as above

    try:
        frame_schema(table).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
    else:
        return []
    found = []
    for (column, check), rows in cases.groupby(["column", "check"], dropna=False, sort=False):
        values = tuple(str(value) for value in rows["failure_case"].dropna().unique()[:MOST_CASES])
        found.append(Violation(str(column), str(check), len(rows), values))
    return found


def validate(table: TableName, frame: pd.DataFrame, after: Key | None = None) -> list[Violation]:
    """What a long frame breaks of a table's schema and of what holds between its columns; empty if nothing.

    Where types or single values are wrong, pandera says so, and order and columns are not compared. That counts add up
    is a question of its own: `counts_add_up`.

    Args:
        table: which.
        frame: rows of it.
        after: see `key_rises`.
    """
    if not fits(table, frame) and (found := misfits(table, frame)):
        return found
    agree = observations_agree if table == "observations" else aggregates_agree
    return key_rises(frame, after) + agree(frame)


def last_key(frame: pd.DataFrame) -> Key:
    """The key of the last row of a frame that has some."""
    return tuple(frame[name].iloc[-1] for name in _key(frame))


def key_rises(frame: pd.DataFrame, after: Key | None = None) -> list[Violation]:
    """What breaks that the rows are sorted by the table's key and each key comes once.

    Args:
        frame: some rows of a table.
        after: the key of the row before them, if they are not the first.
    """
    key = _key(frame)
    risen = np.zeros(max(len(frame) - 1, 0), dtype=bool)
    level = ~risen
    for name in key:
        ranks = _ranks(frame[name])
        risen |= level & (ranks[1:] > ranks[:-1])
        level &= ranks[1:] == ranks[:-1]
    goes_on = after is None or not len(frame) or after < last_key(frame.head(1))
    rises = np.append(goes_on, risen)[: len(frame)]
    return _broken(frame, {(",".join(key), "sorted by the key, each key once"): rises})


def observations_agree(frame: pd.DataFrame) -> list[Violation]:
    """What the columns of `observations` break between them: value and flag, rules and flag, clock and offset."""
    flag, rules = frame["flag"].to_numpy(), frame["rules"].to_numpy()
    has_value, is_judged = frame["value"].notna().to_numpy(), (flag == Flag.SUSPECT) | (flag == Flag.BAD)
    local, utc = (frame[name].astype("int64").to_numpy() for name in ("local_time", "observed_at"))
    past_the_minute = local - utc - frame["utc_offset_minutes"].to_numpy() * np.int64(_MINUTE_MS)
    is_same_minute = (past_the_minute >= 0) & (past_the_minute < _MINUTE_MS)
    return _broken(
        frame,
        {
            ("value,flag", "flags 1 and 2 have a value"): (flag > Flag.NOT_EVALUATED) | has_value,
            ("value,flag", "flag 9 has none"): (flag != Flag.MISSING) | ~has_value,
            ("rules,flag", "a rule spoke exactly where the flag is 3 or 4"): (rules > 0) == is_judged,
            ("local_time,utc_offset_minutes", "local_time is observed_at plus the offset"): is_same_minute,
        },
    )


def counts_add_up(frame: pd.DataFrame) -> list[Violation]:
    """What the counts of an aggregate frame break: valid + suspect + bad = observed, observed + missing = expected."""
    observed, judged = frame["observed_count"], frame["valid_count"] + frame["suspect_count"] + frame["bad_count"]
    return _broken(
        frame,
        {
            ("counts", "valid + suspect + bad = observed"): judged == observed,
            ("counts", "observed + missing = expected"): observed + frame["missing_count"] == frame["expected_count"],
        },
    )


def aggregates_agree(frame: pd.DataFrame) -> list[Violation]:
    """What the columns of either aggregate table break between them: coverage, completeness, statistics."""
    some_valid, expected, coverage = frame["valid_count"] > 0, frame["expected_count"], frame["coverage"]
    ratio = frame["valid_count"] / expected.where(expected > 0)
    as_ratio = (coverage == ratio) | (coverage.isna() & ratio.isna())
    checks = {
        ("coverage", "valid ÷ expected, null where nothing was expected"): as_ratio,
        ("is_complete", "only where something was expected"): ~frame["is_complete"] | (expected > 0),
        ("mean", "null exactly where nothing is valid"): frame["mean"].notna() == some_valid,
        ("min,max", "min ≤ max, null exactly where nothing is valid"): (frame["min"] <= frame["max"]) == some_valid,
    }
    if "hour_count" in frame:
        fits = frame["complete_hours"] <= frame["hour_count"]
        checks["complete_hours,hour_count", "complete_hours ≤ hour_count"] = fits
    return _broken(frame, checks)


def _broken(frame: pd.DataFrame, checks: Mapping[tuple[str, str], npt.ArrayLike]) -> list[Violation]:
    """A violation for each (column, check) that does not hold in every row, with the keys of the first such rows."""
    found = []
    for (column, check), holds in checks.items():
        broken = ~np.asarray(holds)
        if broken.any():
            keys = frame.loc[broken, _key(frame)].head(MOST_CASES).astype(str).agg(" ".join, axis=1)
            found.append(Violation(column, check, int(broken.sum()), tuple(keys)))
    return found


def _key(frame: pd.DataFrame) -> list[str]:
    """The columns that tell the rows of a table apart, whichever it is."""
    return [name for name in frame.columns if any(name in table.key for table in TABLES.values())]


def _ranks(column: "pd.Series[Any]") -> npt.NDArray[np.integer[Any]]:
    """Whole numbers in the order of the column's values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.reorder_categories(sorted(column.cat.categories)).cat.codes.to_numpy()
    if isinstance(column.dtype, (pd.DatetimeTZDtype, np.dtype)) and column.dtype.kind == "M":
        return column.astype("int64").to_numpy()
    return pd.factorize(column, sort=True)[0]

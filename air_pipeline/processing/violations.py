"""What a frame breaks of its table: of the pandera schema, derived from `columns`, and of what holds between columns.

Belongs here: checks of frames. Does not: the columns themselves, types of Arrow (`schemas`).

A frame here is a long one, as it comes from a table's file: text in `observations` is categorical, in the aggregates
`str`; `observed_at` and the like are datetime64[ms, UTC], local clocks datetime64[ms].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pandera
from pandera.errors import SchemaErrors

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.columns import TABLES, Column, TableName

MOST_CASES = 20
"""How many failing values a violation names; the count is of all."""

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
def frame_schema(table: TableName) -> pandera.DataFrameSchema:
    """The table's pandera schema for a long frame: strict, ordered, nothing coerced, built-in checks only."""
    columns = {
        column.name: pandera.Column(
            _PANDAS_TYPES.get(column.type, column.type), _bounds(column), nullable=column.nullable
        )
        for column in TABLES[table].columns
    }
    return pandera.DataFrameSchema(columns, name=table, strict=True, ordered=True, coerce=False)


def _bounds(column: Column) -> list[pandera.Check]:
    bounds = (
        (pandera.Check.ge, column.at_least),
        (pandera.Check.le, column.at_most),
        (pandera.Check.isin, column.one_of),
    )
    return [check(bound) for check, bound in bounds if bound is not None]


def validate(table: TableName, frame: pd.DataFrame) -> list[Violation]:
    """What a long frame breaks of a table's schema and of what holds between its columns; empty if nothing.

    pandera takes 20 ms a call whatever the rows: give it many. Where types or single values are wrong, order and
    columns are not compared. That counts add up is a question of its own: `counts_add_up`.
    """
    try:
        frame_schema(table).validate(frame, lazy=True)
    except SchemaErrors as error:
        return _violations(error.failure_cases)
    agree = observations_agree if table == "observations" else aggregates_agree
    return key_rises(frame) + agree(frame)


def key_rises(frame: pd.DataFrame) -> list[Violation]:
    """What breaks that the rows are sorted by the table's key and each key comes once."""
    key = _key(frame)
    risen = np.zeros(max(len(frame) - 1, 0), dtype=bool)
    level = ~risen
    for name in key:
        ranks = _ranks(frame[name])
        risen |= level & (ranks[1:] > ranks[:-1])
        level &= ranks[1:] == ranks[:-1]
    rises = np.append(True, risen)[: len(frame)]
    return _broken(frame, {(",".join(key), "sorted by the key, each key once"): rises})


def observations_agree(frame: pd.DataFrame) -> list[Violation]:
    """What the columns of `observations` break between them: value and flag, rules and flag, clock and offset."""
    flag, has_value = frame["flag"], frame["value"].notna()
    judged = flag.isin([Flag.SUSPECT, Flag.BAD])
    local, utc = (frame[name].astype("int64") for name in ("local_time", "observed_at"))
    past_the_minute = local - utc - frame["utc_offset_minutes"].astype("int64") * 60_000
    return _broken(
        frame,
        {
            ("value,flag", "flags 1 and 2 have a value"): (flag > Flag.NOT_EVALUATED) | has_value,
            ("value,flag", "flag 9 has none"): (flag != Flag.MISSING) | ~has_value,
            ("rules,flag", "a rule spoke exactly where the flag is 3 or 4"): (frame["rules"] > 0) == judged,
            ("local_time,utc_offset_minutes", "local_time is observed_at plus the offset"): past_the_minute.between(
                0, 60_000, inclusive="left"
            ),
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


def _violations(cases: pd.DataFrame) -> list[Violation]:
    """What pandera found, as ours."""
    found = []
    for (column, check), rows in cases.groupby(["column", "check"], dropna=False, sort=False):
        values = tuple(str(value) for value in rows["failure_case"].dropna().unique()[:MOST_CASES])
        found.append(Violation(str(column), str(check), len(rows), values))
    return found


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

"""Arrow and pandera schemas of the Parquet tables, derived from `columns`, and what a frame breaks of them.

Belongs here: types and checks. Does not: the columns themselves. pandera takes a second to import, pyarrow a tenth:
both are imported when asked for.

A frame here is a long one, as it comes from a table's file: text in `observations` is categorical, in the aggregates
`str`; `observed_at` and the like are datetime64[ms, UTC], local clocks datetime64[ms].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.columns import TABLES, Column, Table, TableName

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pandera.pandas as pandera
    import pyarrow as pa

MOST_CASES = 20
"""How many failing values a failure names; the count is of all."""

_PANDAS_TYPES = {
    "dictionary": "category",
    "string": "str",
    "instant": "datetime64[ms, UTC]",
    "clock": "datetime64[ms]",
}


@dataclass(frozen=True, slots=True)
class Failure:
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
def arrow_schema(table: TableName) -> "pa.Schema":
    """The table's Arrow schema; each field's metadata holds its `description` and, if it has one, its `unit`."""
    import pyarrow as pa

    types: dict[str, pa.DataType] = {
        "dictionary": pa.dictionary(pa.int32(), pa.string()),
        "string": pa.string(),
        "instant": pa.timestamp("ms", "UTC"),
        "clock": pa.timestamp("ms"),
        "int8": pa.int8(),
        "int16": pa.int16(),
        "int32": pa.int32(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
    }
    return pa.schema(
        [
            pa.field(
                column.name,
                types[column.type],
                nullable=column.nullable,
                metadata={"description": column.description} | ({"unit": column.unit} if column.unit else {}),
            )
            for column in TABLES[table].columns
        ]
    )


@cache
def frame_schema(table: TableName) -> "pandera.DataFrameSchema":
    """The table's pandera schema for a long frame: strict, ordered, nothing coerced, built-in checks only."""
    import pandera.pandas as pandera

    definition = TABLES[table]
    return pandera.DataFrameSchema(
        {column.name: _pandera_column(column) for column in definition.columns},
        name=table,
        description=definition.description,
        strict=True,
        ordered=True,
        coerce=False,
    )


def _pandera_column(column: Column) -> "pandera.Column":
    import pandera.pandas as pandera

    checks = []
    if column.at_least is not None:
        checks.append(pandera.Check.ge(column.at_least))
    if column.at_most is not None:
        checks.append(pandera.Check.le(column.at_most))
    if column.one_of is not None:
        checks.append(pandera.Check.isin(column.one_of))
    return pandera.Column(
        _PANDAS_TYPES.get(column.type, column.type),
        checks=checks,
        nullable=column.nullable,
        description=column.description,
        metadata={"unit": column.unit},
    )


def validate(table: TableName, frame: "pd.DataFrame") -> list[Failure]:
    """What a long frame breaks of a table's schema and of what holds between its columns; empty if nothing.

    Where types or single values are wrong, the checks between columns are left out.
    """
    import pandera.errors

    try:
        frame_schema(table).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        return _failures(error.failure_cases)
    between = observations_agree if table == "observations" else aggregates_agree
    return key_rises(TABLES[table], frame) + between(frame)


def key_rises(table: Table, frame: "pd.DataFrame") -> list[Failure]:
    """A failure if the rows are not sorted by the table's key or a key comes twice."""
    import numpy as np

    if frame.empty:
        return []
    before, after = slice(None, -1), slice(1, None)
    risen = np.zeros(len(frame) - 1, dtype=bool)
    level = np.ones(len(frame) - 1, dtype=bool)
    for name in table.key:
        ranks = _ranks(frame[name])
        risen |= level & (ranks[after] > ranks[before])
        level &= ranks[after] == ranks[before]
    holds = {"sorted by the key, each key once": np.append(True, risen)}
    return _broken(frame, table.key, ",".join(table.key), holds)


def observations_agree(frame: "pd.DataFrame") -> list[Failure]:
    """What the columns of `observations` break between them: value and flag, rules and flag, clock and offset."""
    flag, offset = frame["flag"].to_numpy(), frame["utc_offset_minutes"].to_numpy().astype("int64")
    has_value, spoken = frame["value"].notna().to_numpy(), frame["rules"].to_numpy() > 0
    local, utc = (frame[name].astype("int64").to_numpy() for name in ("local_time", "observed_at"))
    past_the_minute = local - utc - offset * 60_000
    key = TABLES["observations"].key
    good, missing, judged = (
        flag <= Flag.NOT_EVALUATED,
        flag == Flag.MISSING,
        (flag == Flag.SUSPECT) | (flag == Flag.BAD),
    )
    value_flag = {"flags 1 and 2 have a value": ~good | has_value, "flag 9 has none": ~missing | ~has_value}
    return [
        *_broken(frame, key, "value,flag", value_flag),
        *_broken(frame, key, "rules,flag", {"a rule spoke exactly where the flag is 3 or 4": spoken == judged}),
        *_broken(
            frame,
            key,
            "local_time,utc_offset_minutes",
            {"local_time is observed_at plus the offset": (past_the_minute >= 0) & (past_the_minute < 60_000)},  # noqa: PLR2004
        ),
    ]


def counts_add_up(frame: "pd.DataFrame") -> list[Failure]:
    """What the counts of an aggregate frame break: valid + suspect + bad = observed, observed + missing = expected."""
    observed, expected = frame["observed_count"], frame["expected_count"]
    sums = {
        "valid + suspect + bad = observed": frame["valid_count"] + frame["suspect_count"] + frame["bad_count"]
        == observed,
        "observed + missing = expected": observed + frame["missing_count"] == expected,
    }
    return _broken(frame, ("device", "series"), "counts", {check: holds.to_numpy() for check, holds in sums.items()})


def aggregates_agree(frame: "pd.DataFrame") -> list[Failure]:
    """What the columns of either aggregate table break between them: counts, coverage, completeness, statistics."""
    some_valid, expected = frame["valid_count"] > 0, frame["expected_count"]
    ratio = frame["valid_count"] / expected.where(expected > 0)
    checks = {
        ("coverage", "valid ÷ expected, null where nothing was expected"): (frame["coverage"] == ratio)
        | (frame["coverage"].isna() & ratio.isna()),
        ("is_complete", "only where something was expected"): ~frame["is_complete"] | (expected > 0),
        ("mean", "null exactly where nothing is valid"): frame["mean"].notna() == some_valid,
        ("min,max", "min ≤ max, null exactly where nothing is valid"): (frame["min"] <= frame["max"]) == some_valid,
    }
    if "hour_count" in frame:
        fits = frame["complete_hours"] <= frame["hour_count"]
        checks["complete_hours,hour_count", "complete_hours ≤ hour_count"] = fits
    failures = counts_add_up(frame)
    for (column, check), holds in checks.items():
        failures += _broken(frame, ("device", "series"), column, {check: holds.to_numpy()})
    return failures


def _failures(cases: "pd.DataFrame") -> list[Failure]:
    failures = []
    for (column, check), rows in cases.groupby(["column", "check"], dropna=False, sort=False):
        values = tuple(str(value) for value in rows["failure_case"].dropna().unique()[:MOST_CASES])
        failures.append(Failure(str(column), str(check), len(rows), values))
    return failures


def _ranks(column: "pd.Series[Any]") -> "npt.NDArray[np.int64]":
    """Whole numbers in the order of the column's values, which has no nulls."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        order = np.argsort(np.argsort(np.asarray(column.cat.categories, dtype=object)))
        return order[column.cat.codes]
    return pd.factorize(column, sort=True)[0].astype(np.int64)


def _broken(
    frame: "pd.DataFrame", key: tuple[str, ...], column: str, holds: "Mapping[str, npt.NDArray[np.bool_]]"
) -> list[Failure]:
    """A failure for each check that does not hold in every row, with the keys of the first such rows."""
    failures = []
    for check, rows in holds.items():
        count = int((~rows).sum())
        if count:
            keys = frame.loc[~rows, list(key)].head(MOST_CASES).astype(str).agg(" ".join, axis=1)
            failures.append(Failure(column, check, count, tuple(keys)))
    return failures

"""The checks of a table of a day: of what was written, read back, before it is published.

For the underlying Dagster concept, see docs.dagster.io: asset checks.
"""

from collections.abc import Hashable, Mapping
from datetime import datetime
from typing import Any

import dagster as dg
import pandas as pd

from air_pipeline.assets.checks import check_result
from air_pipeline.assets.metadata import table_or_note
from air_pipeline.days.building import Built
from air_pipeline.deployment import Deployment
from air_pipeline.health import Check, Finding
from air_pipeline.health.coverage import shortfall
from air_pipeline.health.measuring import OF_A_DAY, complete, findings_of_day
from air_pipeline.health.tallies import tallies_of
from air_pipeline.processing.violations import Violation, counts_add_up, last_key, validate
from air_pipeline.showing import markdown
from air_pipeline.storage.day_files import DayFile
from air_pipeline.words import some

MOST_VIOLATIONS = 20
"""Violations that a check spells out; it counts all."""
MOST_NAMED = 5
"""Series that a sentence names."""


def check_staged(built: Built) -> list[dg.AssetCheckResult]:
    """Checks what was written, by reading it back from the disk, a piece in memory at a time.

    Raises:
        TableError: it cannot be read back.
    """
    written, rows = built.written, built.written.row_count()
    schema: list[Violation] = []
    sums: list[Violation] = []
    last = None
    for piece in written.pieces():
        frame = piece.to_pandas()
        schema += validate(written.table, frame, last)
        last = None if schema else last_key(frame)  # of what does not fit there may be none
        if written.table != "observations":
            sums += counts_add_up(frame)
    results = [
        _result("schema", schema, rows),
        dg.AssetCheckResult(
            check_name="row_count",
            passed=rows == built.rows,
            description=f"{rows} rows" if rows == built.rows else f"{rows} rows, and {built.rows} should be there",
            metadata={"rows": rows, "rows_expected": built.rows},
        ),
    ]
    return results if written.table == "observations" else [*results, _result("counts_add_up", sums, rows)]


def _result(name: str, found: list[Violation], rows: int) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"rows": rows, "failures": sum(violation.count for violation in found)}
    if found:
        cases = [f"- {markdown(str(violation))}" for violation in found[:MOST_VIOLATIONS]]
        metadata["cases"] = dg.MetadataValue.md("\n".join(cases))
    return dg.AssetCheckResult(
        check_name=name,
        passed=not found,
        description=markdown(str(found[0])) if found else f"holds for {rows} rows",
        metadata=metadata,
    )


def check_measuring(deployment: Deployment, daily: DayFile) -> list[dg.AssetCheckResult]:
    """What the flags of a day mean for the sensors, from its observations and its daily aggregates, still staged.

    That every series is complete is said by `check_complete` in full.
    """

    def found(check: Check) -> list[Finding]:
        return list(check.found(lambda: findings_of_day(check, tallies_of(deployment.data, daily.day, daily))))

    return [_of_findings(one, found(one), deployment.now()) for one in OF_A_DAY if one is not complete]


def _of_findings(check: Check, found: list[Finding], now: datetime) -> dg.AssetCheckResult:
    if found:
        return check_result(check.summary(found, now))
    return dg.AssetCheckResult(check_name=check.name, passed=True, description="no device has such a sensor")


def check_complete(daily: pd.DataFrame) -> dg.AssetCheckResult:
    """Whether every series of a day is complete, from its daily aggregates."""
    incomplete = daily[~daily["is_complete"]].sort_values(["coverage", "device", "series"], na_position="first")
    counts = ("expected", "suspect", "bad", "missing")
    rows: list[dict[str, Any]] = [
        {
            "device": row["device"],
            "series": row["series"],
            "coverage": f"{row['coverage']:.1%}" if row["expected_count"] else "–",
            "hours": f"{row['complete_hours']} of {row['hour_count']}",
            **{name: row[f"{name}_count"] for name in counts},
        }
        for row in incomplete.to_dict("records")
    ]
    columns = [dg.TableColumn(name) for name in ("device", "series", "coverage", "hours")]
    columns += [dg.TableColumn(name, "int", "observations [1]") for name in counts]
    named = some(list(map(_short, incomplete.to_dict("records"))), MOST_NAMED)
    text = f"{len(rows)} of {len(daily)} series are not complete: {named}" if rows else f"all {len(daily)} series are"
    return dg.AssetCheckResult(
        check_name=complete.name,
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={"series": len(daily), "incomplete": len(rows)}
        | ({"not_complete": table_or_note(rows, columns, "the least coverage first")} if rows else {}),
    )


def _short(row: Mapping[Hashable, Any]) -> str:
    coverage = row["coverage"] if row["expected_count"] else None
    return f"{row['device']} {row['series']} ({shortfall(coverage, row['complete_hours'], row['hour_count'])})"

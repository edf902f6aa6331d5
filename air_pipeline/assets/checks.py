"""The checks of the assets: of raw readings, of the tables of a day, of the days that should be built.

Those of a table are of what was written, read back, before it is published.

For the underlying Dagster concept, see docs.dagster.io: asset checks.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from air_pipeline.assets.metadata import table_or_note
from air_pipeline.assets.names import RAW_READINGS
from air_pipeline.collection.report import CHECKS, Verdict
from air_pipeline.deployment import Deployment, present
from air_pipeline.notifying.looking import days_built_verdict
from air_pipeline.processing.columns import TableName

if TYPE_CHECKING:
    import pandas as pd

    from air_pipeline.days.building import Built
    from air_pipeline.processing.schemas import Violation

MOST_VIOLATIONS = 20
"""Violations that a check spells out; it counts all."""
MOST_NAMED = 5
"""Series that a sentence names."""
COMPLETE = "complete"
"""The check of `daily_aggregates` that only warns."""
DAYS_BUILT = dg.AssetCheckKey(dg.AssetKey("daily_aggregates"), "days_built")


def check_specs(table: TableName) -> list[dg.AssetCheckSpec]:
    """The checks of a table.

    Those of its form are blocking, so that nothing is built upon a table that is not what it should be. `complete` is
    about what came in, which building cannot better: it warns.
    """
    specs = {
        "schema": "Types, ranges and order of rows are those of the table's one schema; no column contradicts another.",
        "row_count": "There are exactly as many rows as the settings and the slots of the day say.",
    }
    if table != "observations":
        specs["counts_add_up"] = "valid + suspect + bad = observed, and observed + missing = expected, in every row."
    blocking = [dg.AssetCheckSpec(name, asset=table, description=text, blocking=True) for name, text in specs.items()]
    if table != "daily_aggregates":
        return blocking
    text = (
        "Every series is complete: at least 75 % of its hours have at least 75 % of their observations valid."
        " What is not is published, marked; its values of the day are not to be relied on."
    )
    return [*blocking, dg.AssetCheckSpec(COMPLETE, asset=table, description=text)]


def check_staged(built: "Built") -> list[dg.AssetCheckResult]:
    """Checks what was written, by reading it back from the disk, a row group in memory at a time.

    Raises:
        TableError: it cannot be read back.
    """
    import pandas as pd

    from air_pipeline.processing.schemas import Violation, counts_add_up, key_rises, validate

    written, rows = built.written, built.written.row_count()
    schema: list[Violation] = []
    sums: list[Violation] = []
    last = None
    for group in written.tables():
        frame = group.to_pandas()
        schema += validate(written.table, frame) + key_rises(pd.concat([last, frame.head(1)]))
        last = frame.tail(1)
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


def _result(name: str, found: "list[Violation]", rows: int) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"rows": rows, "failures": sum(violation.count for violation in found)}
    if found:
        metadata["cases"] = dg.MetadataValue.md("\n".join(f"- {violation}" for violation in found[:MOST_VIOLATIONS]))
    return dg.AssetCheckResult(
        check_name=name,
        passed=not found,
        description=str(found[0]) if found else f"holds for {rows} rows",
        metadata=metadata,
    )


def check_complete(daily: "pd.DataFrame") -> dg.AssetCheckResult:
    """Whether every series of a day is complete, from its daily aggregates."""
    incomplete = daily[~daily["is_complete"]].sort_values(["coverage", "device", "series"], na_position="first")
    counts = ("expected", "suspect", "bad", "missing")
    rows: list[dict[str, Any]] = [
        {
            "device": row["device"],
            "series": row["series"],
            "coverage": f"{row['coverage']:.1%}" if row["expected_count"] else "–",
            **{name: row[f"{name}_count"] for name in counts},
        }
        for row in incomplete.to_dict("records")
    ]
    columns = [dg.TableColumn(name) for name in ("device", "series", "coverage")]
    columns += [dg.TableColumn(name, "int", "observations [1]") for name in counts]
    named = ", ".join(f"{row['device']} {row['series']} (coverage {row['coverage']})" for row in rows[:MOST_NAMED])
    more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    text = (
        f"{len(rows)} of {len(daily)} series are not complete: {named}{more}"
        if rows
        else f"all {len(daily)} series are"
    )
    return dg.AssetCheckResult(
        check_name=COMPLETE,
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={"series": len(daily), "incomplete": len(rows)}
        | ({"not_complete": table_or_note(rows, columns, "the least coverage first")} if rows else {}),
    )


def days_built_check() -> dg.AssetChecksDefinition:
    """Whether the last days are built; evaluated by the sensor `notify`, and by hand."""

    @dg.asset_check(
        asset=DAYS_BUILT.asset_key,
        name=DAYS_BUILT.name,
        description="The last seven finished days are built, two hours after each was over at the latest.",
    )
    def days_built(deployment: dg.ResourceParam[Deployment]) -> dg.AssetCheckResult:
        current = present(deployment)
        found = days_built_verdict(current, current.now())
        return dg.AssetCheckResult(
            passed=found.passed, severity=dg.AssetCheckSeverity.WARN, description=found.text, metadata={}
        )

    return days_built


def days_built_evaluation(found: Verdict) -> dg.AssetCheckEvaluation:
    """The same as an event of a sensor."""
    return dg.AssetCheckEvaluation(
        asset_key=DAYS_BUILT.asset_key,
        check_name=DAYS_BUILT.name,
        passed=found.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=found.text,
        metadata={},
    )


def readings_check_specs() -> list[dg.AssetCheckSpec]:
    """The checks of `raw_readings`."""
    return [dg.AssetCheckSpec(name, asset=RAW_READINGS, description=text) for name, text in CHECKS.items()]


def check_results(found: Iterable[Verdict]) -> Iterator[dg.AssetCheckResult]:
    """Verdicts as results of a step."""
    for verdict in found:
        yield dg.AssetCheckResult(
            check_name=verdict.check,
            passed=verdict.passed,
            severity=_severity(verdict),
            description=verdict.text,
            metadata=dict(verdict.numbers),
        )


def check_evaluations(found: Iterable[Verdict]) -> Iterator[dg.AssetCheckEvaluation]:
    """Verdicts as events of a sensor."""
    for verdict in found:
        yield dg.AssetCheckEvaluation(
            asset_key=RAW_READINGS,
            check_name=verdict.check,
            passed=verdict.passed,
            severity=_severity(verdict),
            description=verdict.text,
            metadata={name: dg.MetadataValue.int(number) for name, number in verdict.numbers.items()},
        )


def _severity(verdict: Verdict) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if verdict.grave else dg.AssetCheckSeverity.WARN

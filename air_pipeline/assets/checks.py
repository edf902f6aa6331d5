"""The checks of the assets: of raw readings, of the tables of a day, of the days that should be built.

Those of a table are of what was written, read back, before it is published.

For the underlying Dagster concept, see docs.dagster.io: asset checks.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from air_pipeline.assets.metadata import table_or_note
from air_pipeline.assets.names import RAW_READINGS
from air_pipeline.deployment import Deployment, present
from air_pipeline.health import Check, Finding, Level
from air_pipeline.health.checks import CHECKS, checks_of
from air_pipeline.health.days import complete, days_built, days_current
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.processing.columns import TableName
from air_pipeline.words import some

if TYPE_CHECKING:
    import pandas as pd

    from air_pipeline.days.building import Built
    from air_pipeline.processing.schemas import Violation

MOST_VIOLATIONS = 20
"""Violations that a check spells out; it counts all."""
MOST_NAMED = 5
"""Series that a sentence names."""
DAYS_CHECKS = [dg.AssetCheckKey(dg.AssetKey(check.asset), check.name) for check in (days_built, days_current)]
"""Those that look at all days: no part of building one."""


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
    return [*blocking, dg.AssetCheckSpec(complete.name, asset=table, description=complete.means)]


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
    named = some([f"{row['device']} {row['series']} (coverage {row['coverage']})" for row in rows], MOST_NAMED)
    text = f"{len(rows)} of {len(daily)} series are not complete: {named}" if rows else f"all {len(daily)} series are"
    return dg.AssetCheckResult(
        check_name=complete.name,
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={"series": len(daily), "incomplete": len(rows)}
        | ({"not_complete": table_or_note(rows, columns, "the least coverage first")} if rows else {}),
    )


def days_checks() -> list[dg.AssetChecksDefinition]:
    """The checks of what became of all days; evaluated by the sensor `notify`, and by hand."""
    return [_by_hand(check) for check in (days_built, days_current)]


def _by_hand(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=check.asset, name=check.name, description=check.means)
    def by_hand(deployment: dg.ResourceParam[Deployment]) -> dg.AssetCheckResult:
        seen = seen_by_dagster(present(deployment))
        return check_result(check.summary(list(check.findings(seen)), seen.now))

    return by_hand


def readings_check_specs() -> list[dg.AssetCheckSpec]:
    """The checks of `raw_readings`."""
    return [
        dg.AssetCheckSpec(check.name, asset=RAW_READINGS, description=check.means)
        for check in checks_of("raw_readings")
    ]


def check_result(found: Finding) -> dg.AssetCheckResult:
    """What a check found, as a result of a step."""
    return dg.AssetCheckResult(
        check_name=found.check,
        passed=not found.is_bad,
        severity=_severity(found),
        description=_described(found),
        metadata=dict(found.numbers),
    )


def evaluations(due: Iterable[Finding]) -> Iterator[dg.AssetCheckEvaluation]:
    """What checks found, as events of a sensor."""
    asset_of = {check.name: check.asset for check in CHECKS}
    for found in due:
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(asset_of[found.check]),
            check_name=found.check,
            passed=not found.is_bad,
            severity=_severity(found),
            description=_described(found),
            metadata={name: dg.MetadataValue.int(number) for name, number in found.numbers.items()},
        )


def _described(found: Finding) -> str:
    return f"{found.text}; {found.remedy}" if found.remedy else found.text


def _severity(found: Finding) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if found.level is Level.FAILURE else dg.AssetCheckSeverity.WARN

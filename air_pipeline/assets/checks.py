"""The checks of the assets: of raw readings, of the tables of a day, of the days that should be built.

Belongs here: which there are, and results from findings. Does not: checking the rows of a table (`table_checks`).

For the underlying Dagster concept, see docs.dagster.io: asset checks.
"""

import warnings
from collections.abc import Iterable, Iterator
from functools import partial

import dagster as dg

from air_pipeline.assets.names import RAW_READINGS
from air_pipeline.deployment import Deployment, present
from air_pipeline.environment import Environment
from air_pipeline.health import Check, Finding, Level
from air_pipeline.health.answering import objects_answering, runs_taken
from air_pipeline.health.checks import CHECKS, OF_ALL_DAYS, checks_of
from air_pipeline.health.measuring import OF_A_DAY
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.instance.handing_over import handed_over
from air_pipeline.instance.home import hands_runs_over, home_of_dagster
from air_pipeline.places import ObjectAddress
from air_pipeline.processing.columns import TableName
from air_pipeline.showing import markdown


def check_specs(table: TableName, partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetCheckSpec]:
    """The checks of a table, each with a result a day.

    Those of its form are blocking, so that nothing is built upon a table that is not what it should be. Those of what
    came in, which building cannot better, warn.
    """
    specs = {
        "schema": "Types, ranges and order of rows are those of the table's one schema; no column contradicts another.",
        "row_count": "There are exactly as many rows as the settings and the slots of the day say.",
    }
    if table != "observations":
        specs["counts_add_up"] = "valid + suspect + bad = observed, and observed + missing = expected, in every row."

    def spec(name: str, text: str, *, blocking: bool) -> dg.AssetCheckSpec:
        with warnings.catch_warnings():
            # That a check has partitions may still change in Dagster; what comes of it is held by tests.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.AssetCheckSpec(name, asset=table, description=text, blocking=blocking, partitions_def=partitions)

    blocking = [spec(name, text, blocking=True) for name, text in specs.items()]
    warning = OF_A_DAY if table == "daily_aggregates" else ()
    return [*blocking, *(spec(check.name, check.means, blocking=False) for check in warning)]


def days_checks(deployment: Deployment) -> list[dg.AssetChecksDefinition]:
    """The checks of what became of all days, and of what they need; evaluated by the sensor `notify`, and by hand.

    No part of building a day. What a deployment has not, such as an object store, is not shown as a check of it.
    """
    return [_by_hand(check) for check in (*OF_ALL_DAYS, *_of_many_machines(deployment.environment))]


def _of_many_machines(environment: Environment) -> Iterator[Check]:
    if isinstance(environment.data, ObjectAddress):
        yield objects_answering
    if hands_runs_over(home_of_dagster(environment)):
        yield runs_taken


def _by_hand(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=check.asset, name=check.name, description=check.means)
    def by_hand(
        context: dg.AssetCheckExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> dg.AssetCheckResult:
        current = present(deployment)
        look = partial(handed_over, current.environment, context.instance, current.now())
        seen = seen_by_dagster(current, look_at_launcher=look)
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
        passed=found.level is Level.OK,
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
    """As the UI reads it: Markdown."""
    return markdown(f"{found.text}; {found.remedy}" if found.remedy else found.text)


def _severity(found: Finding) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if found.level is Level.FAILURE else dg.AssetCheckSeverity.WARN

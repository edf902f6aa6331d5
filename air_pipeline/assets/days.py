"""The assets of a local day: observations, hourly and daily aggregates, a partition a date."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from air_pipeline.assets.collection import OWNER, RAW_READINGS, present
from air_pipeline.assets.tables import (
    built_metadata,
    check_complete,
    check_specs,
    check_staged,
    column_schema,
    data_version,
    table_or_note,
)
from air_pipeline.collection.report import Verdict
from air_pipeline.days.calendar import over_at
from air_pipeline.deployment import Deployment
from air_pipeline.errors import AirPipelineError
from air_pipeline.notifying.looking import BUILT_WITHIN, days_built_verdict
from air_pipeline.processing.columns import SCHEMA_VERSION, TABLES, TableName
from air_pipeline.settings import Settings
from air_pipeline.storage.parquet import DayFile, StagedDay
from air_pipeline.storage.store import StoreUnavailable

if TYPE_CHECKING:
    from air_pipeline.days.building import Built

GROUP = "days"
FORCE_TAG = "air_pipeline/force"
"""A run with this tag builds even days for which the store holds fewer polls than before."""
AGAIN_TAG = "air_pipeline/again"
"""A run gets this tag when it failed for a reason that passes: `build_days` builds its day again."""
RETRIES = 3
RETRY_AFTER_S = 10
_COUNTS = ("expected", "valid", "suspect", "bad", "missing")
_Event = dg.MaterializeResult[StagedDay] | dg.AssetCheckResult


def day_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """The local dates of the deployment's zone, from `start` on."""
    return dg.DailyPartitionsDefinition(start_date=settings.start.isoformat(), timezone=settings.timezone)


def day_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    """The three tables, each from the one before."""
    partitions = day_partitions(deployment.settings)

    def table(name: TableName, text: str, *deps: dg.AssetKey) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
        return dg.asset(
            name=name,
            deps=deps,
            partitions_def=partitions,
            io_manager_key="tables",
            group_name=GROUP,
            kinds={"parquet", "pandas"},
            owners=[OWNER],
            code_version=SCHEMA_VERSION,
            description=f"{TABLES[name].description}\n\n{text}",
            metadata={
                "dagster/column_schema": column_schema(name),
                "dagster/table_name": name,
                "dagster/storage_kind": "parquet",
                "dagster/uri": (deployment.data / name).as_uri(),
            },
            check_specs=check_specs(name),
            freshness_policy=_freshness(deployment.settings) if name == "daily_aggregates" else None,
        )

    @table(
        "observations",
        "The readings of one local date, in local time, each with a QARTOD flag: 1 good, 2 not evaluated, 3 suspect,"
        " 4 bad, 9 missing. Missed slots are rows flagged 9. A device in another zone has its own local day of the"
        " date. The day can be built once it is over for every device.",
        RAW_READINGS,
    )
    def observations(context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]) -> Iterator[_Event]:
        from air_pipeline.days.building import built_observations

        force = context.run.tags.get(FORCE_TAG) == "true"
        with (
            explained(context),
            built_observations(deployment, date.fromisoformat(context.partition_key), force=force) as built,
        ):
            yield from _checked("observations", built, _observation_metadata)

    @table(
        "hourly_aggregates",
        "An hour is a run of equal local date, hour and offset: the two 02:xx of an autumn night are two rows. An"
        " hour is complete at a coverage of 75 %. Incomplete ones are published, marked.",
    )
    def hourly_aggregates(
        context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment], observations: DayFile
    ) -> Iterator[_Event]:
        from air_pipeline.days.building import built_hourly

        day = date.fromisoformat(context.partition_key)
        with explained(context), built_hourly(deployment, day, observations) as built:
            yield from _checked("hourly_aggregates", built, _aggregate_metadata)

    @table(
        "daily_aggregates",
        "The mean of a day is the mean of its observations, not of its hourly means. A day is complete when at least"
        " 75 % of its hours are. Incomplete ones are published, marked.",
    )
    def daily_aggregates(
        context: dg.AssetExecutionContext,
        deployment: dg.ResourceParam[Deployment],
        observations: DayFile,
        hourly_aggregates: DayFile,
    ) -> Iterator[_Event]:
        from air_pipeline.days.building import built_daily

        day = date.fromisoformat(context.partition_key)
        with explained(context), built_daily(deployment, day, observations, hourly_aggregates) as built:
            yield from _checked(
                "daily_aggregates",
                built,
                _daily_metadata,
                lambda built: [check_complete(built.staged.staged.read())],
            )

    return [observations, hourly_aggregates, daily_aggregates]


def _freshness(settings: Settings) -> dg.FreshnessPolicy:
    """By when a day has been built, every day.

    Dagster looks at the last materialization of whatever day; whether it is the right one is said by `days_built`.
    Half a day leaves room for the hour by which other zones' days move against the deployment's clock.
    """
    due = (over_at(settings, settings.start) + BUILT_WITHIN).astimezone(settings.zone)
    cron = f"{due.minute} {due.hour} * * *"
    return dg.FreshnessPolicy.cron(cron, lower_bound_delta=timedelta(hours=12), timezone=settings.timezone)


DAYS_BUILT = dg.AssetCheckKey(dg.AssetKey("daily_aggregates"), "days_built")


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


@contextmanager
def explained(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Turns what can go wrong into a sentence; what may go better soon is tried again."""
    try:
        yield
    except StoreUnavailable as error:
        if context.retry_number < RETRIES:
            context.log.warning("%s Next attempt in %d s.", error, RETRY_AFTER_S)
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_AFTER_S) from error
        context.instance.add_run_tags(context.run.run_id, {AGAIN_TAG: "true"})
        raise dg.Failure(str(error), allow_retries=False) from error
    except AirPipelineError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _checked(
    table: TableName,
    built: "Built",
    describe: Callable[["Built"], dict[str, Any]],
    warn: Callable[["Built"], Iterable[dg.AssetCheckResult]] = lambda _: (),
) -> Iterator[_Event]:
    """A staged table as the step's result; one that fails its checks is not published, and what was there stays.

    What `warn` finds is reported and changes nothing.
    """
    checks = check_staged(table, built)
    failed = [check for check in checks if not check.passed]
    if failed:
        yield from checks
        found = "; ".join(f"{check.check_name}: {check.description}" for check in failed)
        raise dg.Failure(
            f"{table} was not published, as it is not what it should be ({found}); what was there before is kept",
            allow_retries=False,
        )
    yield dg.MaterializeResult(
        value=built.staged,
        metadata={**describe(built), **built_metadata(built)},
        data_version=data_version(built),
        check_results=[*checks, *warn(built)],
    )


def _observation_metadata(built: "Built") -> dict[str, Any]:
    totals = {name: sum(getattr(one, name) for one in built.counts) for name in _COUNTS}
    rows = [
        {
            "device": one.device,
            "coverage": None if one.coverage is None else f"{one.coverage:.1%}",
            **{name: getattr(one, name) for name in _COUNTS},
        }
        for one in sorted(built.counts, key=lambda one: one.coverage or 0)
    ]
    columns = [
        dg.TableColumn("device"),
        dg.TableColumn("coverage", description="valid ÷ expected, over all series"),
        *(dg.TableColumn(name, "int", "observations [1]") for name in _COUNTS),
    ]
    metadata = {
        "device_count": len(built.counts),
        **{f"{name}_count": total for name, total in totals.items()},
        "devices": table_or_note(rows, columns, "the least coverage first"),
    }
    return metadata | ({"coverage": totals["valid"] / totals["expected"]} if totals["expected"] else {})


def _aggregate_metadata(built: "Built") -> dict[str, Any]:
    """How much of the hours is complete."""
    table = built.staged.staged.read_table()
    complete = table.column("is_complete").to_pylist().count(True)
    return {
        "device_count": len(table.column("device").unique()),
        "complete_hours": complete,
        "incomplete_hours": table.num_rows - complete,
    }


def _daily_metadata(built: "Built") -> dict[str, Any]:
    frame = built.staged.staged.read()
    worst_first = frame.sort_values(["coverage", "device", "series"], na_position="last")
    rows = [
        {
            "device": row.device,
            "series": row.series,
            "mean": None if row.valid_count == 0 else f"{row.mean:.2f} {row.unit}",
            "min": None if row.valid_count == 0 else f"{row.min:.2f}",
            "max": None if row.valid_count == 0 else f"{row.max:.2f}",
            "coverage": None if row.expected_count == 0 else f"{row.coverage:.1%}",
            "complete": "yes" if row.is_complete else "no",
        }
        for row in worst_first.itertuples()
    ]
    columns = [dg.TableColumn(name) for name in ("device", "series", "mean", "min", "max", "coverage", "complete")]
    return {
        "device_count": int(frame["device"].nunique()),
        "complete_series": int(frame["is_complete"].sum()),
        "series_count": len(frame),
        "series": table_or_note(rows, columns, "the least coverage first"),
    }

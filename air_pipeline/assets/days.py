"""The assets of a local day: observations, hourly and daily aggregates, a partition a date.

For the underlying Dagster concept, see docs.dagster.io: assets.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from air_pipeline.assets.checks import check_complete, check_specs, check_staged
from air_pipeline.assets.metadata import (
    column_schema,
    daily_metadata,
    data_version,
    hourly_metadata,
    observations_metadata,
    table_metadata,
)
from air_pipeline.assets.names import DAYS, OWNER, RAW_READINGS
from air_pipeline.assets.partitions import day_partitions
from air_pipeline.days.calendar import over_at
from air_pipeline.deployment import Deployment
from air_pipeline.errors import AirPipelineError
from air_pipeline.health.days import BUILT_WITHIN
from air_pipeline.instance.runs_of_days import AGAIN_TAG, FORCE_TAG
from air_pipeline.processing.columns import SCHEMA_VERSION, TABLES, TableName
from air_pipeline.settings import Settings
from air_pipeline.storage.parquet import DayFile, StagedDay
from air_pipeline.storage.store import StoreUnavailable

if TYPE_CHECKING:
    from air_pipeline.days.building import Built

RETRIES = 3
RETRY_AFTER_S = 10
_Event = dg.MaterializeResult[StagedDay] | dg.AssetCheckResult


def day_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    """The three tables, each from the one before."""
    partitions = day_partitions(deployment.settings)

    def table(name: TableName, text: str, *deps: dg.AssetKey) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
        return dg.asset(
            name=name,
            deps=deps,
            partitions_def=partitions,
            io_manager_key="tables",
            group_name=DAYS,
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
            yield from _checked(built, observations_metadata)

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
            yield from _checked(built, hourly_metadata)

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
            yield from _checked(built, daily_metadata, lambda built: [check_complete(built.written.read())])

    return [observations, hourly_aggregates, daily_aggregates]


def _freshness(settings: Settings) -> dg.FreshnessPolicy:
    """By when a day has been built, every day.

    Dagster looks at the last materialization of whatever day; whether it is the right one is said by `days_built`.
    Half a day leaves room for the hour by which other zones' days move against the deployment's clock.
    """
    due = (over_at(settings, settings.start) + BUILT_WITHIN).astimezone(settings.zone)
    cron = f"{due.minute} {due.hour} * * *"
    return dg.FreshnessPolicy.cron(cron, lower_bound_delta=timedelta(hours=12), timezone=settings.timezone)


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
    built: "Built",
    describe: Callable[["Built"], dict[str, Any]],
    warn: Callable[["Built"], Iterable[dg.AssetCheckResult]] = lambda _: (),
) -> Iterator[_Event]:
    """A staged table as the step's result; one that fails its checks is not published, and what was there stays.

    What `warn` finds is reported and changes nothing.
    """
    checks = check_staged(built)
    failed = [check for check in checks if not check.passed]
    if failed:
        yield from checks
        found = "; ".join(f"{check.check_name}: {check.description}" for check in failed)
        raise dg.Failure(
            f"{built.written.table} was not published, as it is not what it should be ({found}); what was there before"
            " is kept",
            allow_retries=False,
        )
    yield dg.MaterializeResult(
        value=built.staged,
        metadata={**describe(built), **table_metadata(built)},
        data_version=data_version(built.metadata),
        check_results=[*checks, *warn(built)],
    )

"""The assets of a local day: observations, hourly and daily aggregates, a partition a date.

Belongs here: what they are. Does not: the steps (`day_steps`), what becomes of one that fails (`explaining`).

For the underlying Dagster concept, see docs.dagster.io: assets.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg

from air_pipeline.assets.checks import check_specs
from air_pipeline.assets.explaining import explained
from air_pipeline.assets.metadata import column_schema
from air_pipeline.assets.names import DAYS, OWNER, RAW_READINGS
from air_pipeline.assets.partitions import day_partitions
from air_pipeline.days.calendar import over_at
from air_pipeline.days.terms import check_terms
from air_pipeline.deployment import Deployment
from air_pipeline.health.days import BUILT_WITHIN
from air_pipeline.instance.runs_of_days import FORCE_TAG, TERMS_TAG
from air_pipeline.processing.columns import SCHEMA_VERSION, TABLES, TableName
from air_pipeline.settings import Settings
from air_pipeline.storage.day_files import DayFile

_Event = dg.MaterializeResult[Any] | dg.AssetCheckResult


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
                "dagster/uri": (deployment.environment.data / name).as_uri(),
            },
            check_specs=check_specs(name, partitions),
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
        yield from step("observations", context, deployment)

    @table(
        "hourly_aggregates",
        "An hour is a run of equal local date, hour and offset: the two 02:xx of an autumn night are two rows. An"
        " hour is complete at a coverage of 75 %. Incomplete ones are published, marked.",
    )
    def hourly_aggregates(
        context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment], observations: DayFile
    ) -> Iterator[_Event]:
        yield from step("hourly_aggregates", context, deployment, observations)

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
        yield from step("daily_aggregates", context, deployment, observations, hourly_aggregates)

    return [observations, hourly_aggregates, daily_aggregates]


def _freshness(settings: Settings) -> dg.FreshnessPolicy:
    """By when a day has been built, every day.

    Dagster looks at the last materialization of whatever day; whether it is the right one is said by `days_built`.
    Half a day leaves room for the hour by which other zones' days move against the deployment's clock.
    """
    due = (over_at(settings, settings.start) + BUILT_WITHIN).astimezone(settings.zone)
    cron = f"{due.minute} {due.hour} * * *"
    return dg.FreshnessPolicy.cron(cron, lower_bound_delta=timedelta(hours=12), timezone=settings.timezone)


def step(name: str, context: dg.AssetExecutionContext, deployment: Deployment, *made_from: DayFile) -> Iterator[_Event]:
    """The step of an asset of a day, for the day that is the partition."""
    # With pandas, pyarrow, pandera and what draws, a second and 130 MB: every process loads the definitions, few run
    # steps.
    from air_pipeline.assets.day_steps import STEPS, Work
    from air_pipeline.assets.kept import Kept, keep_in_run, kept_in_run

    run, day = context.run.run_id, date.fromisoformat(context.partition_key)
    is_forced = context.run.tags.get(FORCE_TAG) == "true"
    kept = keep_in_run(run, Kept(deployment, day)) if name == "observations" else kept_in_run(run)
    work = Work(deployment, day, is_forced, context.log.warning, kept=kept)
    with explained(context.log, context.retry_number, context.instance, run):
        check_terms(context.run.tags.get(TERMS_TAG), deployment)
        yield from STEPS[name](work, *made_from)

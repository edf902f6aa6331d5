"""The assets of a local day: observations, hourly and daily aggregates, a partition a date."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from air_pipeline.assets.collection import RAW_READINGS
from air_pipeline.assets.tables import built_metadata, check_specs, check_staged, column_schema, table_or_note
from air_pipeline.days.calendar import DayError
from air_pipeline.deployment import Deployment
from air_pipeline.processing.columns import TABLES, TableName
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.storage.parquet import DayFile, StagedDay, TableError
from air_pipeline.storage.store import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from air_pipeline.days.building import Built

GROUP = "days"
FORCE_TAG = "air_pipeline/force"
"""A run with this tag builds even days for which the store holds fewer polls than before."""
_RETRIES = 3
_RETRY_AFTER_S = 10


def day_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """The local dates of the deployment's zone, from `start` on."""
    return dg.DailyPartitionsDefinition(start_date=settings.start.isoformat(), timezone=settings.timezone)


def day_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The three tables, each from the one before."""
    partitions = day_partitions(settings)

    def common(table: TableName, text: str) -> dict[str, Any]:
        return {
            "name": table,
            "partitions_def": partitions,
            "io_manager_key": "tables",
            "group_name": GROUP,
            "kinds": {"parquet", "pandas"},
            "owners": ["team:air"],
            "description": f"{TABLES[table].description}\n\n{text}",
            "metadata": {"dagster/column_schema": column_schema(table), "dagster/table_name": table},
            "check_specs": check_specs(table),
        }

    @dg.asset(
        **common(
            "observations",
            "The readings of one local date, in local time, each with a QARTOD flag: 1 good, 2 not evaluated, 3 suspect,"
            " 4 bad, 9 missing. Missed slots are rows flagged 9. A device in another zone has its own local day of the"
            " date. The day can be built once it is over for every device.",
        ),
        deps=[RAW_READINGS],
    )
    def observations(
        context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> Iterator[dg.MaterializeResult[StagedDay]]:
        from air_pipeline.days.building import built_observations

        force = context.run.tags.get(FORCE_TAG) == "true"
        with (
            _explained(),
            built_observations(deployment, date.fromisoformat(context.partition_key), force=force) as built,
        ):
            yield _result("observations", built, _observation_metadata(built))

    @dg.asset(
        **common(
            "hourly_aggregates",
            "An hour is a run of equal local date, hour and offset: the two 02:xx of an autumn night are two rows. An"
            " hour is complete at a coverage of 75 %. Incomplete ones are published, marked.",
        )
    )
    def hourly_aggregates(
        context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment], observations: DayFile
    ) -> Iterator[dg.MaterializeResult[StagedDay]]:
        from air_pipeline.days.building import built_hourly

        with _explained(), built_hourly(deployment, date.fromisoformat(context.partition_key), observations) as built:
            yield _result("hourly_aggregates", built, {})

    @dg.asset(
        **common(
            "daily_aggregates",
            "The mean of a day is the mean of its observations. A day is complete when at least 75 % of its hours are.",
        )
    )
    def daily_aggregates(
        context: dg.AssetExecutionContext,
        deployment: dg.ResourceParam[Deployment],
        observations: DayFile,
        hourly_aggregates: DayFile,
    ) -> Iterator[dg.MaterializeResult[StagedDay]]:
        from air_pipeline.days.building import built_daily

        day = date.fromisoformat(context.partition_key)
        with _explained(), built_daily(deployment, day, observations, hourly_aggregates) as built:
            yield _result("daily_aggregates", built, _daily_metadata(built))

    return [observations, hourly_aggregates, daily_aggregates]


@contextmanager
def _explained() -> Iterator[None]:
    """Turns what can go wrong into a sentence; what may go better soon is tried again."""
    try:
        yield
    except StoreUnavailable as error:
        raise dg.RetryRequested(max_retries=_RETRIES, seconds_to_wait=_RETRY_AFTER_S) from error
    except (DayError, StoreError, TableError, SettingsError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _result(table: TableName, built: "Built", metadata: dict[str, Any]) -> dg.MaterializeResult[StagedDay]:
    checks = check_staged(table, built)
    return dg.MaterializeResult(
        value=built.staged, metadata={**built_metadata(built), **metadata}, check_results=checks
    )


def _observation_metadata(built: "Built") -> dict[str, Any]:
    expected, valid = (sum(getattr(one, name) for one in built.counts) for name in ("expected", "valid"))
    rows = [
        {
            "device": one.device,
            "coverage": None if one.coverage is None else f"{one.coverage:.1%}",
            "expected": one.expected,
            "valid": one.valid,
            "suspect": one.suspect,
            "bad": one.bad,
            "missing": one.missing,
        }
        for one in sorted(built.counts, key=lambda one: one.coverage or 0)
    ]
    schema = dg.TableSchema(
        [dg.TableColumn("device"), dg.TableColumn("coverage", description="valid ÷ expected, over all series")]
        + [dg.TableColumn(name, "int", "observations") for name in ("expected", "valid", "suspect", "bad", "missing")]
    )
    metadata = {
        "device_count": len(built.counts),
        "expected_count": expected,
        "valid_count": valid,
        **{f"{name}_count": sum(getattr(one, name) for one in built.counts) for name in ("suspect", "bad", "missing")},
        "devices": table_or_note(rows, schema),
    }
    return metadata | ({"coverage": valid / expected} if expected else {})


def _daily_metadata(built: "Built") -> dict[str, Any]:
    frame = built.staged.staged.read()
    means = frame.loc[frame["complete_hours"] >= 0].sort_values(["coverage", "device", "series"])
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
        for row in means.itertuples()
    ]
    schema = dg.TableSchema(
        [dg.TableColumn(name) for name in ("device", "series", "mean", "min", "max", "coverage", "complete")]
    )
    return {
        "device_count": int(frame["device"].nunique()),
        "complete_series": int(frame["is_complete"].sum()),
        "series_count": len(frame),
        "series": table_or_note(rows, schema),
    }

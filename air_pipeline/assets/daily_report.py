"""The asset `daily_report`: the page of a local day, from its tables.

For the underlying Dagster concept, see docs.dagster.io: assets.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from air_pipeline.assets.days import step
from air_pipeline.assets.names import DAYS, OWNER
from air_pipeline.assets.partitions import day_partitions
from air_pipeline.deployment import Deployment
from air_pipeline.processing.columns import SCHEMA_VERSION, TABLES
from air_pipeline.storage.pages import PAGE


def daily_report_asset(deployment: Deployment) -> dg.AssetsDefinition:
    """The page of a day, for people."""

    @dg.asset(
        name=PAGE,
        deps=list(TABLES),
        partitions_def=day_partitions(deployment.settings),
        group_name=DAYS,
        kinds={"html"},
        owners=[OWNER],
        code_version=SCHEMA_VERSION,
        description=(
            "One HTML page a local date that needs nothing besides itself: how the fleet fared, and each series of each"
            " device (of a large fleet, of the worst) with what the rules said. `air-pipeline report` opens it.\n\nIt"
            " is made from the tables of the day and the polls in the store, and shows no other day."
        ),
        metadata={"dagster/storage_kind": "html", "dagster/uri": (deployment.environment.data / PAGE).as_uri()},
    )
    def daily_report(
        context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        yield from step(PAGE, context, deployment)

    return daily_report

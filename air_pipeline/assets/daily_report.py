"""The asset `daily_report`: the page of a local day, from its tables.

For the underlying Dagster concept, see docs.dagster.io: assets.
"""

import base64
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from air_pipeline.assets.days import explained
from air_pipeline.assets.metadata import data_version
from air_pipeline.assets.names import DAYS, OWNER
from air_pipeline.assets.partitions import day_partitions
from air_pipeline.deployment import Deployment
from air_pipeline.health.page import unwell_of_day
from air_pipeline.processing.columns import SCHEMA_VERSION, TABLES
from air_pipeline.storage.commit import commit_day
from air_pipeline.storage.day_files import day_file
from air_pipeline.storage.pages import PAGE, page_file

if TYPE_CHECKING:
    from air_pipeline.reports.contents import DayReport


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
        metadata={"dagster/storage_kind": "html", "dagster/uri": (deployment.data / PAGE).as_uri()},
    )
    def daily_report(
        context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> dg.MaterializeResult[None]:
        # With pandas and what draws, a second: every process loads the definitions, few run steps.
        from air_pipeline.reports.gathering import gather
        from air_pipeline.reports.page import page_of, picture_of

        day = date.fromisoformat(context.partition_key)
        with explained(context):
            for table in TABLES:
                day_file(deployment.data, table, day).metadata()  # it must be there and be ours
            report = gather(deployment, day)
            html, picture = page_of(report, unwell_of_day(deployment, day)), picture_of(report)
            page = page_file(deployment.data, day)
            size = page.publish(html)
            if why := commit_day(deployment.data, day):  # made by hand beside others, or another run replaced one
                context.log.warning("%s is not whole, and is built again by itself: %s", day, why)
        return dg.MaterializeResult(
            metadata={
                "picture": _markdown(report, picture),
                "path": dg.MetadataValue.path(str(page.path)),
                "size_bytes": dg.MetadataValue.int(size),
                "devices_shown": dg.MetadataValue.int(len(report.devices)),
                "device_count": dg.MetadataValue.int(len(report.summaries)),
                "input_fingerprint": report.metadata.input_fingerprint,
                "rule_set_version": report.metadata.rule_set_version,
                "settings_digest": report.metadata.settings_digest,
            },
            data_version=data_version(report.metadata),
        )

    return daily_report


def _markdown(report: "DayReport", picture: bytes) -> dg.MarkdownMetadataValue:
    data = base64.b64encode(picture).decode("ascii")
    return dg.MetadataValue.md(f"![Coverage by device and hour on {report.day}](data:image/png;base64,{data})")

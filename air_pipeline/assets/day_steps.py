"""The steps that build a day: tables built, checked, and handed to be published with what is said of them; the page.

Belongs here: what needs the rows. Does not: which assets there are (`days`).

For the underlying Dagster concept, see docs.dagster.io: assets.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from air_pipeline.assets.kept import Kept
from air_pipeline.assets.metadata import data_version, table_or_note
from air_pipeline.assets.table_checks import check_complete, check_measuring, check_staged
from air_pipeline.days.ahead import Ahead
from air_pipeline.days.building import (
    Built,
    built_daily,
    built_hourly,
    built_observations,
    nothing_more,
)
from air_pipeline.days.made import MadeInMemory
from air_pipeline.deployment import Deployment
from air_pipeline.health.page import unwell_of_day
from air_pipeline.processing.columns import TABLES, TableName
from air_pipeline.reports.contents import DayReport
from air_pipeline.reports.gathering import gather
from air_pipeline.reports.page import page_of, picture_of
from air_pipeline.storage.commit import commit_day
from air_pipeline.storage.day_files import DayFile, day_file
from air_pipeline.storage.pages import PAGE, page_file
from air_pipeline.storage.parquet import StagedDay

_COUNTS = ("expected", "valid", "suspect", "bad", "missing")
DayEvent = dg.MaterializeResult[StagedDay | None] | dg.AssetCheckResult


@dataclass(frozen=True, slots=True)
class Work:
    """What a step of a day is given, whichever run it is in.

    Attributes:
        deployment: whose.
        day: the local date.
        force: whether to build even what would lose something.
        warn: told what is no failure and should be seen.
        ahead: the observations of the day, where they were read together with those of others.
        kept: what its first step keeps for the others, where it was done by the same run and process.
    """

    deployment: Deployment
    day: date
    force: bool
    warn: Callable[[str], object]
    ahead: Ahead | None = None
    kept: Kept | None = None

    def kept_of(self, observations: DayFile) -> Kept | None:
        """What is kept, if it was made with these observations.

        Raises:
            TableError: they cannot be read.
        """
        return self.kept if self.kept is not None and self.kept.is_of(observations.metadata()) else None

    def aggregates_of(self, observations: DayFile) -> MadeInMemory | None:
        """The aggregates, if they are kept; see `kept_of`."""
        kept = self.kept_of(observations)
        return None if kept is None else kept.made


def build_observations(work: Work) -> Iterator[DayEvent]:
    """The observations of the day."""
    take = nothing_more if work.kept is None else work.kept.take
    with built_observations(work.deployment, work.day, force=work.force, ahead=work.ahead, take=take) as built:
        yield from _checked(built, observations_metadata)


def build_hourly(work: Work, observations: DayFile) -> Iterator[DayEvent]:
    """Its hourly aggregates."""
    with built_hourly(work.deployment, work.day, observations, work.aggregates_of(observations)) as built:
        yield from _checked(built, hourly_metadata)


def build_daily(work: Work, observations: DayFile, hourly: DayFile) -> Iterator[DayEvent]:
    """Its daily aggregates."""
    made = work.aggregates_of(observations)
    with built_daily(work.deployment, work.day, observations, hourly, made) as built:
        yield from _checked(built, daily_metadata, lambda built: _warned(work.deployment, built))


def build_page(work: Work) -> Iterator[DayEvent]:
    """Its page, and its commit."""
    deployment, day = work.deployment, work.day
    for table in TABLES:
        day_file(deployment.data, table, day).metadata()  # it must be there and be ours
    kept = work.kept_of(day_file(deployment.data, "observations", day))
    report = gather(deployment, day, None if kept is None else kept.pages)
    html, picture = page_of(report, unwell_of_day(deployment, day)), picture_of(report)
    page = page_file(deployment.data, day)
    # In place, and committed, once Dagster knows of it: after a kill before that the day is built again, and no day is
    # built of which it has not heard.
    with page.staged(html) as size:
        yield dg.MaterializeResult(
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
    if why := commit_day(deployment.data, day):  # made by hand beside others, or another run replaced one
        work.warn(f"{day} is not whole, and is built again by itself: {why}")


def _markdown(report: DayReport, picture: bytes) -> dg.MarkdownMetadataValue:
    data = base64.b64encode(picture).decode("ascii")
    return dg.MetadataValue.md(f"![Coverage by device and hour on {report.day}](data:image/png;base64,{data})")


def _warned(deployment: Deployment, built: Built) -> list[dg.AssetCheckResult]:
    return [check_complete(built.written.read()), *check_measuring(deployment, built.written)]


STEPS: Mapping[str, Callable[..., Iterator[DayEvent]]] = {
    "observations": build_observations,
    "hourly_aggregates": build_hourly,
    "daily_aggregates": build_daily,
    PAGE: build_page,
}
"""Asset to its step, in order; it takes the work and the tables that it is handed (`MADE_FROM`)."""
MADE_FROM: Mapping[str, tuple[TableName, ...]] = {
    "observations": (),
    "hourly_aggregates": ("observations",),
    "daily_aggregates": ("observations", "hourly_aggregates"),
    PAGE: (),
}
"""Asset to the tables that its step is handed."""


def _checked(
    built: Built,
    describe: Callable[[Built], dict[str, Any]],
    warn: Callable[[Built], Iterable[dg.AssetCheckResult]] = lambda _: (),
) -> Iterator[DayEvent]:
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


def table_metadata(built: Built) -> dict[str, Any]:
    """What is said of every table: rows, inputs, rules."""
    return {
        "dagster/partition_row_count": built.written.row_count(),
        "input_polls": json.loads(built.metadata.input_fingerprint)["polls"],
        "input_fingerprint": built.metadata.input_fingerprint,
        "rule_set_version": built.metadata.rule_set_version,
        "settings_digest": built.metadata.settings_digest,
    }


def observations_metadata(built: Built) -> dict[str, Any]:
    """How the observations of each device came out."""
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


def hourly_metadata(built: Built) -> dict[str, Any]:
    """How many of the hours are complete."""
    of_devices = [rows["is_complete"].to_pylist() for _, rows in built.written.device_columns(["is_complete"])]
    complete = sum(hours.count(True) for hours in of_devices)
    return {
        "device_count": len(of_devices),
        "complete_hours": complete,
        "incomplete_hours": sum(map(len, of_devices)) - complete,
    }


def daily_metadata(built: Built) -> dict[str, Any]:
    """How each series came out."""
    frame = built.written.read()
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

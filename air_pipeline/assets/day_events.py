"""A day built within a run of many: the steps and, of each, the events that a run of its own would have.

Belongs here: what Dagster itself adds in a run of a partition, as it adds nothing of it in a run of many. Does not: the
steps (`day_steps`), which days a run builds (`automation.ranges`).

For the underlying Dagster concept, see docs.dagster.io: asset materializations.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import cast

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

from air_pipeline.assets.checks import check_specs
from air_pipeline.assets.day_steps import MADE_FROM, STEPS, DayEvent, Work
from air_pipeline.assets.kept import Kept
from air_pipeline.assets.metadata import DATA_VERSION, file_metadata
from air_pipeline.assets.names import RAW_READINGS
from air_pipeline.assets.partitions import day_partitions
from air_pipeline.days.ahead import Ahead, read_ahead
from air_pipeline.deployment import Deployment
from air_pipeline.processing.columns import SCHEMA_VERSION, TABLES
from air_pipeline.storage.day_files import DayFile
from air_pipeline.storage.pages import PAGE
from air_pipeline.storage.parquet import StagedDay

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation
_UPSTREAM: Mapping[str, tuple[str, ...]] = {
    "observations": (RAW_READINGS.to_user_string(),),
    "hourly_aggregates": ("observations",),
    "daily_aggregates": ("hourly_aggregates", "observations"),
    PAGE: ("daily_aggregates", "hourly_aggregates", "observations"),
}


class DayEvents:
    """Builds days; gives the events of each as they come."""

    def __init__(
        self, instance: dg.DagsterInstance, deployment: Deployment, *, force: bool, warn: Callable[[str], object]
    ) -> None:
        """For the days of one run; `force` and `warn` as in `Work`."""
        self._instance, self._deployment = instance, deployment
        self._force, self._warn = force, warn
        self._ahead: dict[date, Ahead | None] = {}
        partitions = day_partitions(deployment.settings)
        self._blocking: dict[tuple[str, str], bool] = {
            (table, spec.name): spec.blocking for table in TABLES for spec in check_specs(table, partitions)
        }
        readings = instance.fetch_materializations(RAW_READINGS, limit=1).records
        self._readings = str(readings[0].storage_id) if readings else "NULL"

    def build(self, days: Sequence[date]) -> Iterator[Event]:
        """Builds the first of some days; each event is to be logged before the next one is asked for.

        The others are to come: as many of them as may be are read and flagged with it.

        Raises:
            dagster.Failure: a table is not what it should be.
            AirPipelineError: the day cannot be built.
        """
        if days[0] not in self._ahead:
            self._ahead = dict.fromkeys(days)  # what is left of it is not wanted
            with suppress(Exception):  # of one of the days: each is read alone then, and says what is wrong with it
                self._ahead = dict(read_ahead(self._deployment, days))
        ahead, kept = self._ahead.pop(days[0], None), Kept(self._deployment, days[0])
        work = Work(self._deployment, days[0], self._force, self._warn, ahead, kept)
        day = _Day(work.day.isoformat(), pointers={RAW_READINGS.to_user_string(): self._readings})
        day.versions[RAW_READINGS.to_user_string()] = DATA_VERSION.value
        for asset, step in STEPS.items():
            made = step(work, *(day.files[table] for table in MADE_FROM[asset]))
            for event in made:
                yield from self._events(day, asset, event)

    def _events(self, day: "_Day", asset: str, event: DayEvent) -> Iterator[Event]:
        if isinstance(event, dg.AssetCheckResult):  # of a table that is not published
            yield self._evaluation(day, asset, event, None)
            return
        metadata = dict(event.metadata or {})
        if isinstance(event.value, StagedDay):
            day.files[asset] = event.value.publish()
            metadata |= file_metadata(day.files[asset])
        version = cast("dg.DataVersion", event.data_version).value
        yield dg.AssetMaterialization(asset, metadata=metadata, partition=day.key, tags=day.tags_of(asset, version))
        target = None if asset == PAGE else self._logged(day.key, asset)  # nothing is made from a page
        day.versions[asset] = hashlib.sha256(version.encode()).hexdigest()  # as of the one partition that is needed
        day.pointers[asset] = "NULL" if target is None else str(target.storage_id)
        for result in event.check_results or ():
            yield self._evaluation(day, asset, result, target)

    def _logged(self, day: str, asset: str) -> AssetCheckEvaluationTargetMaterializationData | None:
        """What was logged last of an asset's day."""
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[day])
        for record in self._instance.fetch_materializations(wanted, limit=1).records:
            return AssetCheckEvaluationTargetMaterializationData(
                storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
            )
        return None

    def _evaluation(
        self,
        day: "_Day",
        asset: str,
        result: dg.AssetCheckResult,
        target: AssetCheckEvaluationTargetMaterializationData | None,
    ) -> dg.AssetCheckEvaluation:
        name = str(result.check_name)
        return dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(asset),
            check_name=name,
            passed=result.passed,
            metadata=result.metadata,
            target_materialization_data=target,
            severity=result.severity,
            description=result.description,
            blocking=self._blocking[asset, name],
            partition=day.key,
        )


class _Day:
    """A day as far as it is built."""

    def __init__(self, key: str, pointers: dict[str, str]) -> None:
        self.key = key
        self.files: dict[str, DayFile] = {}
        self.versions: dict[str, str] = {}
        self.pointers = pointers

    def tags_of(self, asset: str, version: str) -> dict[str, str]:
        """What Dagster tells by whether an asset is in step with those before it."""
        tags = {"dagster/code_version": SCHEMA_VERSION}
        for upstream in _UPSTREAM[asset]:
            tags[f"dagster/input_data_version/{upstream}"] = self.versions[upstream]
            tags[f"dagster/input_event_pointer/{upstream}"] = self.pointers[upstream]
        return tags | {"dagster/data_version": version, "dagster/data_version_is_user_provided": "true"}

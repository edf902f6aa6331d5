"""Deployments in a directory of their own, with simulated devices and a past, for tests of what Dagster shows."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from air_pipeline.days.calendar import device_days
from air_pipeline.definitions import build_definitions
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Poll
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.environment import Environment, read_environment
from air_pipeline.processing.columns import TABLES
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.pages import PAGE

START = "2026-03-01"
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
"""The present, unless a test says another."""
DAY = date(2026, 3, 10)
WHOLE = (*TABLES, PAGE)
"""Everything that the job `build_day` makes."""
SMALL = {"dht22": ["temperature", "humidity"]}
"""Two series, so that a day is soon built."""


def small_device(name: str, url: str = "", **more: object) -> dict[str, object]:
    return {"id": name, "url": url or f"http://127.0.0.1:9/{name}", "sensors": SMALL, **more}


def write_settings(path: Path, devices: Iterable[Mapping[str, object]], **more: object) -> None:
    document = {"timezone": "Europe/Warsaw", "start": START, "interval": "1h", **more, "devices": list(devices)}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


class Present:
    """A clock that a test moves."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def place_in(directory: Path) -> Environment:
    return read_environment(
        {"AIR_PIPELINE_CONFIG": str(directory / "devices.yaml"), "AIR_PIPELINE_STATE": str(directory / "state")}
    )


def deployment_in(
    directory: Path, *devices: Mapping[str, object], present: Present | None = None, **more: object
) -> Deployment:
    """A deployment of small devices (`hall` if none are given) that are due every hour, with an empty store."""
    write_settings(directory / "devices.yaml", devices or [small_device("hall")], **more)
    environment = place_in(directory)
    return Deployment(environment, read_settings(environment.config), now=present or Present())


def past_polls(deployment: Deployment, day: date, *only: str) -> Iterator[Poll]:
    """The polls of a day that devices would have given."""
    for one in device_days(deployment.settings, day):
        if not only or one.device.id in only:
            yield from polls_between(one.device, Profile(one.device.id, 1), one.start, one.end)


def seed(deployment: Deployment, *days: date, only: Iterable[str] = ()) -> None:
    """Fills the store with the readings of days."""
    for day in days:
        deployment.store.write(list(past_polls(deployment, day, *only)))


@contextmanager
def real_instance(directory: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with storage of its own on disk."""
    home = directory / "dagster"
    home.mkdir()
    overrides = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(home), overrides=overrides) as instance:
        yield instance


def build(
    deployment: Deployment,
    instance: dg.DagsterInstance,
    day: date = DAY,
    tags: Mapping[str, str] | None = None,
    only: Iterable[str] = TABLES,
) -> dg.ExecuteInProcessResult:
    """Runs some assets of the job `build_day` for a day: the tables, unless others are named."""
    job = build_definitions(deployment).resolve_job_def("build_day")
    return job.execute_in_process(
        partition_key=day.isoformat(),
        instance=instance,
        raise_on_error=False,
        tags=dict(tags or {}),
        asset_selection=None if only is TABLES else [dg.AssetKey(table) for table in only],
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def run_job(
    deployment: Deployment, instance: dg.DagsterInstance, asset: str = "raw_readings"
) -> dg.ExecuteInProcessResult:
    """Materializes an unpartitioned asset by hand."""
    job = build_definitions(deployment).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        raise_on_error=False,
        asset_selection=[dg.AssetKey(asset)],
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def tick_of_build_days(deployment: Deployment, instance: dg.DagsterInstance) -> Any:
    """What a tick of the schedule that builds days comes to, as the daemon makes it."""
    repository = build_definitions(deployment).get_repository_def()
    with dg.build_schedule_context(
        instance,
        scheduled_execution_time=deployment.now(),
        resources={"deployment": deployment},
        repository_def=repository,
    ) as context:
        return repository.get_schedule_def("build_days").evaluate_tick(context)


def plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata values as Python's own."""
    return {name: value.value for name, value in metadata.items()}


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Asset to the metadata of its materialization in a run."""
    return {
        event.asset_key.to_user_string(): plain(event.materialization.metadata)
        for event in result.get_asset_materialization_events()
    }


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """`asset.check` to whether it passed in a run."""
    found = result.get_asset_check_evaluations()
    return {f"{one.asset_key.to_user_string()}.{one.check_name}": one.passed for one in found}


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Step to what the UI says of its failure."""
    texts = {}
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            said = data.user_failure_data.description if data.user_failure_data else None
            texts[event.step_key] = said or data.error.message
    return texts

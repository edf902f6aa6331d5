"""What is seen of a deployment at one moment; each part is asked for when a check first wants it, and then once."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from air_pipeline.collection.collector_state import CollectorState, collector_state, collector_states, process_state
from air_pipeline.collection.report import Report, look
from air_pipeline.days.calendar import finished_days
from air_pipeline.deployment import Deployment
from air_pipeline.environment import Environment, config_file, read_environment
from air_pipeline.health.probing import answer_within
from air_pipeline.in_force import load_settings
from air_pipeline.places import DataPlace
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.storage.binding import check_days_here, store_of
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.shelf import ShelfError, ShelfUnavailable

if TYPE_CHECKING:
    from air_pipeline.storage.influxdb_examination import Examined

WATCHED_DAYS = 7
"""Finished days that are looked at as they come; older ones are for whoever builds them, and asks `doctor`."""
STORE_WITHIN_S = 2.0
OBJECTS_WITHIN_S = 8.0
"""An object store that takes longer for one small object holds up whoever looks at many."""
EXAMINED_WITHIN_S = 2.5
"""For each of four requests at most, so that a server that hangs is told from one that is slow within ten seconds."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """How it stands with runs that workers take, on this machine or others.

    Attributes:
        broker: who hands them over, without its password; empty where nobody does who can be asked.
        silence: why it does not answer; empty while it does.
        untaken: how many were handed over a while ago, and no worker has begun them.
        since: when the first of these was.
    """

    broker: str = ""
    silence: str = ""
    untaken: int = 0
    since: datetime | None = None


def _by_nobody() -> HandedOver | None:
    """Runs are processes of who launches them."""
    return None


@dataclass(frozen=True)
class Seen:
    """One look at a deployment.

    Attributes:
        environment: where everything is.
        now: the time.
        settings: those in force; None if there are none.
        mistake: what is wrong with `devices.yaml` now.
        misset: what is wrong with the environment: then it is not known which store is meant.
        asked: the ids of the devices to ask; all if it is empty.
        most_days: how many finished days are looked at; None for all.
        failed_runs: the days whose last run failed, and which run that was; of Dagster's storage.
        reported: how collecting stands, where that is known already.
        by_dagster: whether Dagster looks, so that something is meant to run.
        may_ask: whether devices are asked though something else collects from them.
        store_silent_since: since when the store has not answered, where somebody keeps that.
        look_at_launcher: how it stands with runs that are handed over; of Dagster's storage.
    """

    environment: Environment
    now: datetime
    settings: Settings | None = None
    mistake: SettingsError | None = None
    misset: SettingsError | None = None
    asked: tuple[str, ...] = ()
    most_days: int | None = None
    failed_runs: Mapping[date, str] = field(default_factory=dict)
    reported: Report | None = None
    by_dagster: bool = False
    may_ask: bool = False
    store_silent_since: datetime | None = None
    look_at_launcher: Callable[[], HandedOver | None] = _by_nobody

    @cached_property
    def deployment(self) -> Deployment:
        """The deployment; only where there are settings."""
        if self.settings is None:
            raise self.mistake or SettingsError("there are no settings")
        return Deployment(self.environment, self.settings, self.mistake, now=lambda: self.now)

    @cached_property
    def collectors(self) -> Mapping[str, CollectorState]:
        """How each collector stands, here or by what one elsewhere tells through the store.

        Raises:
            OutboxError: the outbox cannot be read.
        """
        return self.reported.collectors if self.reported else self._collectors()

    @cached_property
    def processes(self) -> Mapping[str, CollectorState]:
        """Which collectors run, here or elsewhere, whatever an outbox here is like.

        Raises:
            SettingsError: the lock cannot be read.
        """
        if self.reported:
            return self.reported.collectors
        return self._collectors(process_state(self.environment.state))

    def _collectors(self, here: CollectorState | None = None) -> Mapping[str, CollectorState]:
        environment = self.environment
        if self.settings is None:
            return {environment.collector: here or collector_state(environment.state)}
        with closing(open_store(environment.influxdb, environment.state, STORE_WITHIN_S)) as store:
            return collector_states(environment, self.settings, store, here=here)

    def runs(self, device: str) -> bool:
        """Whether the collector of a device runs, as far as is known."""
        found = self.processes.get(self.deployment.settings.device(device).collector)
        return found is not None and found.running is not None

    @cached_property
    def report(self) -> Report:
        """Which devices are silent; what came in only where it was reported already.

        Raises:
            OutboxError: the outbox cannot be read.
        """
        if self.reported is not None:
            return self.reported
        with closing(open_store(self.environment.influxdb, self.environment.state, STORE_WITHIN_S)) as store:
            return look(self.deployment, store, epoch_ms(self.now), self.now, STORE_WITHIN_S)

    @property
    def data(self) -> DataPlace:
        """Where the days are; an object store that does not answer is asked once, and not by each check again.

        Raises:
            ShelfError: it does not answer, or refuses.
        """
        if self.objects_error:
            raise self.objects_error
        return self.environment.data

    @cached_property
    def objects_error(self) -> ShelfError | None:
        """Why the object store with the days gives no answer; None where it does, or they are in a folder."""
        place = self.environment.data
        if isinstance(place, Path):
            return None
        try:
            answer_within(OBJECTS_WITHIN_S, lambda: store_of(place))
        except TimeoutError:
            return ShelfUnavailable(
                f"{place} gives no answer within {OBJECTS_WITHIN_S:g} s; is the object store well, and reached from"
                " here?"
            )
        except ShelfError as error:
            return error
        return None

    @cached_property
    def handed_over(self) -> HandedOver | None:
        """How it stands with runs that workers take; None where none are handed over."""
        return self.look_at_launcher()

    @cached_property
    def days(self) -> list[date]:
        """The finished days that are looked at, newest first."""
        return list(islice(finished_days(self.deployment.settings, self.now), self.most_days))

    @cached_property
    def influxdb(self) -> "Examined | None":
        """What InfluxDB says of itself; None where the embedded store is meant.

        Raises:
            StoreError: it does not answer, or refuses.
        """
        from air_pipeline.storage.influxdb_examination import examine_influxdb  # others are spared it

        connection = self.environment.influxdb
        return examine_influxdb(connection, EXAMINED_WITHIN_S) if connection else None


def seen_by_dagster(
    deployment: Deployment,
    report: Report | None = None,
    failed_runs: Mapping[date, str] | None = None,
    store_silent_since: datetime | None = None,
    look_at_launcher: Callable[[], HandedOver | None] = _by_nobody,
) -> Seen:
    """What the sensors see: the deployment with the settings of now, and what they have asked already."""
    return Seen(
        deployment.environment,
        deployment.now(),
        deployment.settings,
        deployment.mistake,
        most_days=WATCHED_DAYS,
        failed_runs=failed_runs or {},
        reported=report,
        by_dagster=True,
        store_silent_since=store_silent_since,
        look_at_launcher=look_at_launcher,
    )


def seen_from_outside(
    variables: Mapping[str, str], config: Path | None = None, asked: tuple[str, ...] = (), *, may_ask: bool = False
) -> Seen:
    """What a user's variables and configuration lead to, however wrong they are; nothing of it makes this raise.

    Args:
        variables: the environment.
        config: the configuration file, if another than the environment's.
        asked: the ids of the devices to ask; all if it is empty.
        may_ask: whether to ask them though something else collects from them.

    Raises:
        SettingsError: there is no such device.
    """
    misset = None
    try:
        environment = read_environment(variables)
        environment.state.check_store(environment.store)
        check_days_here(environment.data, environment.store)  # an object store may hang: its own check says it
    except SettingsError as error:
        misset = error
        environment = read_environment(
            {
                name: value
                for name, value in variables.items()
                if not name.startswith("INFLUXDB_V2_")
                and not (name == "AIR_PIPELINE_DATA" and value.strip().startswith("s3:"))  # which needs them
            }
        )
    if config is not None:
        environment = replace(environment, config=config_file(config))
    now = datetime.now(UTC)
    try:
        loaded = load_settings(environment.config, environment.state, keep=False)
    except SettingsError as error:
        return Seen(environment, now, mistake=error, misset=misset)
    for name in asked:
        loaded.settings.device(name)
    return Seen(environment, now, loaded.settings, loaded.mistake, misset, asked, may_ask=may_ask)

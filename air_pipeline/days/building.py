"""From the store to the tables of one day, one device in memory at a time.

Each function fills a staged table and says what it put there; publishing is the caller's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import pandas as pd

from air_pipeline.days.ahead import Ahead
from air_pipeline.days.calendar import check_over
from air_pipeline.days.comparing import check_nothing_lost, check_settings_of_now
from air_pipeline.days.evidence import of_day, station_and_polls
from air_pipeline.days.former import settings_and_former
from air_pipeline.days.inputs import DayInputs, day_inputs
from air_pipeline.days.made import MadeInMemory, Packed, hour_rows
from air_pipeline.days.memory import give_back
from air_pipeline.days.presence import PresentDay
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Flag
from air_pipeline.processing.aggregates import aggregates_table, daily_aggregates, hourly_aggregates
from air_pipeline.processing.flags import flag_station
from air_pipeline.processing.observations import DeviceObservations, observations_from_table, observations_table
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.settings import Device, Settings
from air_pipeline.settings.limits import limits_to_json, series_of
from air_pipeline.storage.day_files import DayFile, DayMetadata
from air_pipeline.storage.parquet import StagedDay, stage
from air_pipeline.storage.store import ReadingStore


@dataclass(slots=True)
class DeviceCounts:
    """How the observations of one device and day came out, over all of its series."""

    device: str
    expected: int = 0
    valid: int = 0
    suspect: int = 0
    bad: int = 0
    missing: int = 0

    @property
    def coverage(self) -> float | None:
        """Valid ÷ expected; None where nothing was expected."""
        return self.valid / self.expected if self.expected else None


@dataclass(slots=True)
class Built:
    """What a staged table was given.

    Attributes:
        staged: the table, written and not yet published.
        metadata: how it was made.
        rows: how many rows it must have, counted from the settings and slots, not from the table.
        counts: device by device; for observations only.
    """

    staged: StagedDay
    metadata: DayMetadata
    rows: int = 0
    counts: list[DeviceCounts] = field(default_factory=list)

    @property
    def written(self) -> DayFile:
        """What was written, to be read back; the first use ends the writing."""
        return self.staged.written


InMemory = Callable[[Device, DeviceObservations, pd.DataFrame, DayMetadata], object]
"""Takes what is to be made of a device's day while it is in memory: its observations, the polls of its day as the store
gives them, how the table is made."""


def nothing_more(_: Device, __: DeviceObservations, ___: pd.DataFrame, ____: DayMetadata) -> None:
    """Of a device in memory, where its table is all that is wanted."""


@contextmanager
def built_observations(
    deployment: Deployment,
    day: date,
    *,
    force: bool = False,
    ahead: Ahead | None = None,
    take: InMemory = nothing_more,
) -> Iterator[Built]:
    """The observations of a day, from the store.

    Args:
        deployment: whose.
        day: the local date.
        force: whether to build even what would lose something.
        ahead: the day as it was read and flagged together with others; None: it is read now, a device at a time.
        take: called with each device that has observations, in turn.

    Raises:
        DayError: the day is not over, before `start`, or would lose something.
        StoreError: the store cannot be read.
        TableError: the table cannot be written.
        SettingsError: the days of this state directory came from another store.
    """
    check_over(deployment.settings, day, deployment.now())
    deployment.remember_store()
    inputs = day_inputs(deployment.store, settings_and_former(deployment), day) if ahead is None else ahead.inputs
    if not force:
        check_nothing_lost(deployment, inputs, day)
    metadata = _metadata(inputs)
    give_back()
    with stage(deployment.data, "observations", day, metadata) as staged:
        built = Built(staged, metadata)
        for one in inputs.devices:
            observations, polls = _read(deployment.store, one) if ahead is None else ahead.read(one)
            if not len(observations.at):
                continue
            staged.write(observations_table(observations))
            built.rows += observations.count
            built.counts.append(_counts(observations))
            take(one.device, observations, polls, metadata)
            del observations, polls
        give_back()
        yield built


def device_observations(store: ReadingStore, one: PresentDay, now: datetime | None = None) -> DeviceObservations:
    """The observations of one device's day, flagged with what the rules may see around it.

    Args:
        store: the readings.
        one: the device and its day.
        now: for a day that may not be over; see `evidence.device_station`.

    Raises:
        StoreError: the store cannot be read.
    """
    return _read(store, one, now)[0]


def _read(store: ReadingStore, one: PresentDay, now: datetime | None = None) -> tuple[DeviceObservations, pd.DataFrame]:
    station, polls = station_and_polls(store, one, now)
    return of_day(one, flag_station(station), polls)


@contextmanager
def built_hourly(
    deployment: Deployment, day: date, observed: DayFile, made: MadeInMemory | None = None
) -> Iterator[Built]:
    """The hourly aggregates of a day, from its observations.

    Args:
        deployment: whose.
        day: the local date.
        observed: its observations.
        made: the aggregates, if they were made with its observations; None: they are made from the file.

    Raises:
        TableError: the observations cannot be read or the table cannot be written.
        DayOfOtherSettings: the observations were built with other settings than there are now.
        StoreError: the store cannot be read.
    """
    metadata = observed.metadata() if made is None else made.metadata
    give_back()  # what reading the observations back took
    with stage(deployment.data, "hourly_aggregates", day, metadata) as staged:
        built = Built(staged, metadata)
        if made is not None:
            _write(built, made.hourly)
        for device, observations in _observed(deployment, observed, metadata) if made is None else ():
            staged.write(aggregates_table("hourly_aggregates", hourly_aggregates(device, observations, day)))
            built.rows += hour_rows(device, observations, day)
        yield built


@contextmanager
def built_daily(
    deployment: Deployment,
    day: date,
    observed: DayFile,
    hourly: DayFile,
    made: MadeInMemory | None = None,
) -> Iterator[Built]:
    """The daily aggregates of a day, from its observations and hourly aggregates, as `built_hourly`.

    Raises:
        TableError: these cannot be read or the table cannot be written.
        DayOfOtherSettings: the observations were built with other settings than there are now.
        StoreError: the store cannot be read.
    """
    metadata = observed.metadata() if made is None else made.metadata
    hours = {name: rows.reset_index(drop=True) for name, rows in hourly.device_frames()} if made is None else {}
    with stage(deployment.data, "daily_aggregates", day, metadata) as staged:
        built = Built(staged, metadata)
        if made is not None:
            _write(built, made.daily)
        for device, observations in _observed(deployment, observed, metadata) if made is None else ():
            frame = daily_aggregates(device, observations, hours[device.id], day)
            staged.write(aggregates_table("daily_aggregates", frame))
            built.rows += len(observations.series)
        yield built


def _write(built: Built, made: Packed) -> None:
    for rows in made:
        built.staged.write(rows)
    built.rows = made.count


def _observed(
    deployment: Deployment, observed: DayFile, metadata: DayMetadata
) -> Iterator[tuple[Device, DeviceObservations]]:
    """Each device as it was asked then, with its observations."""
    settings = settings_and_former(deployment)
    check_settings_of_now(deployment.store, settings, metadata, observed.day)
    for name, rows in observed.device_tables():
        device = _then(settings, metadata, name)
        yield device, observations_from_table(rows, device.zone)


def _then(settings: Settings, made: DayMetadata, name: str) -> Device:
    """A device as it was when it was asked for what its observations were built with."""
    return settings.known[name].asked_for(series_of(made.limits).get(name, ()))


def _metadata(inputs: DayInputs) -> DayMetadata:
    return DayMetadata(
        settings_digest=inputs.settings_digest,
        input_fingerprint=inputs.fingerprint,
        rule_set_version=inputs.rule_set_version,
        rules=RULE_BITS,
        limits=limits_to_json(one.device for one in inputs.devices),
        holdings=inputs.holdings,
    )


def _counts(observations: DeviceObservations) -> DeviceCounts:
    of_flag = np.bincount(observations.flags.to_numpy("int64").ravel(), minlength=max(Flag) + 1).tolist()

    return DeviceCounts(
        device=observations.device,
        expected=observations.count,
        valid=of_flag[Flag.GOOD] + of_flag[Flag.NOT_EVALUATED],
        suspect=of_flag[Flag.SUSPECT],
        bad=of_flag[Flag.BAD],
        missing=of_flag[Flag.MISSING],
    )

"""Why an observation is flagged as it is: by the limits that its day was built with, and by those of now.

Belongs here: which limits count, what is known of the poll. Does not: what the rules say (`processing.explaining`).
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from air_pipeline.days.calendar import device_day
from air_pipeline.days.evidence import device_station
from air_pipeline.days.presence import PresentDay, present_alone
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import problems_from_json
from air_pipeline.processing.columns import RULE_SET_VERSION
from air_pipeline.processing.explaining import Judged, explain
from air_pipeline.processing.local_time import day_window, epoch_ms, from_epoch_ms
from air_pipeline.processing.observations import NOT_ASKED
from air_pipeline.processing.station import Station
from air_pipeline.settings import Device
from air_pipeline.settings.calibration import CALIBRATED
from air_pipeline.settings.limits import limits_to_json, with_limits_of
from air_pipeline.storage.day_files import DayMetadata, day_file
from air_pipeline.times import TimeError


@dataclass(frozen=True, slots=True)
class PollSaid:
    """The poll of the slot.

    Attributes:
        outcome: what became of it.
        duration_ms: how long it took.
        came: what came in place of the value, where that was no number.
        reason: why it could not be used.
    """

    outcome: str
    duration_ms: float | None
    came: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One observation, and why it is flagged as it is.

    Attributes:
        device: its id.
        series: the series.
        unit: of the value.
        observed_at: the slot, in the device's zone.
        poll: None where there was none.
        built: whether the day is built; `judged` is then by the limits that it was built with.
        judged: what the rules say.
        rule_set: the version of the rules that the day was built by; what is said is said by the rules of now.
        judged_now: what they say by the limits of now, where these are others.
    """

    device: str
    series: str
    unit: str
    observed_at: datetime
    poll: PollSaid | None
    built: bool
    judged: Judged
    rule_set: str = RULE_SET_VERSION
    judged_now: Judged | None = None

    @property
    def of_other_rules(self) -> bool:
        """Whether the day was built by another version of the rules: its flag may be another than what is said here."""
        return self.rule_set != RULE_SET_VERSION

    def to_json(self) -> dict[str, Any]:
        """As in JSON."""
        return {**asdict(self), "observed_at": self.observed_at.isoformat(), "of_other_rules": self.of_other_rules}


def explanation(deployment: Deployment, device: Device, series: str, moment: datetime) -> Explanation:
    """Why the observation of the slot at a moment, or the last before it on that day, is flagged as it is.

    Raises:
        TimeError: there is no such slot.
        StoreError: the store cannot be read.
        TableError: the day's file cannot be read.
        ProcessingError: the store holds what cannot be flagged.
    """
    day = moment.astimezone(device.zone).date()
    shown = moment.astimezone(device.zone).isoformat(sep=" ", timespec="seconds")
    own_day = device_day(deployment.settings, device, *map(epoch_ms, day_window(day, device.zone)))
    one = present_alone(deployment.store, deployment.settings, own_day)
    if one is None:
        raise TimeError(f"{device.id} was not expected on {day}; give another --at")
    if series not in one.device.units:
        why = "was not calibrated, or not asked" if series.endswith(CALIBRATED) else "was not asked"
        raise TimeError(f"{device.id} {why} for {series} on {day}; give another --at")
    file = day_file(deployment.data, "observations", day)
    made = file.metadata(of_any_columns=True) if file.exists else None
    then = replace(one, device=with_limits_of(one.device, made.limits if made else ""))
    station = device_station(deployment.store, then, None if made else deployment.now())
    at = station.slots.at
    place = int(np.searchsorted(at, epoch_ms(moment), side="right")) - 1
    if place < 0 or at[place] < one.start:
        raise TimeError(f"{device.id} was due in no slot of that day up to {shown}; give a later --at")
    return _explained(deployment, one, station, made, series, place)


def _explained(
    deployment: Deployment, one: PresentDay, station: Station, made: DayMetadata | None, series: str, place: int
) -> Explanation:
    if series not in station.device.units:  # calibrated since
        day = from_epoch_ms(one.start).astimezone(one.device.zone).date()
        raise TimeError(f"{day} was built without {series}; build it again: air-pipeline build --from {day} --to {day}")
    slot = int(station.slots.at[place])
    judged, now = explain(station, series, place), None
    if judged.flag == NOT_ASKED:
        why = "was not asked for" if series in one.device.uncalibrated_units else "has no"
        raise TimeError(f"{one.device.id} {why} {series} in that slot; give another --at")
    if limits_to_json([station.device]) != limits_to_json([one.device]):
        now = explain(device_station(deployment.store, one), series, place)
    return Explanation(
        device=one.device.id,
        series=series,
        unit=one.device.units[series],
        observed_at=from_epoch_ms(slot).astimezone(one.device.zone),
        poll=_poll(deployment, one.device, series, slot),
        built=made is not None,
        judged=judged,
        rule_set=made.rule_set_version if made else RULE_SET_VERSION,
        judged_now=now,
    )


def _poll(deployment: Deployment, device: Device, series: str, slot: int) -> PollSaid | None:
    polls = deployment.store.polls(device.id, slot, slot + 1)
    if polls.empty:
        return None
    poll = polls.iloc[0]
    took = None if np.isnan(poll["duration_ms"]) else float(poll["duration_ms"])
    for problem in problems_from_json(poll["problems"] or None):
        if problem.series == series:
            return PollSaid(str(poll["outcome"]), took, problem.value, problem.reason)
    return PollSaid(str(poll["outcome"]), took)

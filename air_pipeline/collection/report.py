"""What came in: polls by device and outcome, and the devices that gave no reading lately.

Belongs here: asking the store and the collectors. Does not: whether that is well (`health`), how Dagster is told
(`assets`, `automation`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from air_pipeline.collection.collector_state import CollectorState, collector_states
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Outcome
from air_pipeline.processing.local_time import epoch_ms, span_ms
from air_pipeline.settings import Device, Settings
from air_pipeline.storage.store import ReadingStore, StoreError

SHORTEST_WINDOW = timedelta(minutes=5)
SLOTS_IN_WINDOW = 3
"""A device is well if it gave a reading within five minutes, or within three of its slots if those take longer."""
SLEEPS_IN_WINDOW = 2
"""One that sleeps is well if it gave a reading within twice the time for which it sleeps."""
SHORTEST_WAIT_S = 0.1
"""What the store is given for a question even where the time for all of them is over."""
COMMITTED_WITHIN_S = 1.0
"""From the deadline of a poll to the moment from which it is in the outbox at the latest, with a margin."""

OutcomeCounts = Mapping[str, Mapping[str, int]]
"""Device to outcome to number of polls."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """One device in the last few minutes.

    Attributes:
        device: its id.
        polls: how many polls the store has of it.
        readings: how many of them gave a reading.
        outcome: the commonest other outcome; empty if there is none.
    """

    device: str
    polls: int
    readings: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Report:
    """How collecting stood at one moment.

    Attributes:
        since: begin of the time that `counts` is about, ms UTC.
        until: its end, not included.
        counts: what came in.
        unwell: the devices that gave no reading lately, though they should have.
        expected: how many devices should have.
        collectors: how each collector stands, by its name.
        store_error: why the store did not answer; then `counts` and `unwell` are empty and say nothing.
    """

    since: int
    until: int
    counts: OutcomeCounts
    unwell: tuple[DeviceState, ...]
    expected: int
    collectors: Mapping[str, CollectorState]
    store_error: str = ""

    @property
    def outcomes(self) -> dict[str, int]:
        """Outcome to number of polls, over all devices; every outcome is there."""
        return {
            outcome.value: sum(by_outcome.get(outcome, 0) for by_outcome in self.counts.values()) for outcome in Outcome
        }

    @property
    def pending(self) -> int:
        """The polls that wait in any outbox."""
        return sum(one.outbox.pending for one in self.collectors.values())

    @property
    def quarantined(self) -> int:
        """Those that the store will never take."""
        return sum(one.outbox.quarantined for one in self.collectors.values())

    @property
    def polls(self) -> int:
        """All polls."""
        return sum(self.outcomes.values())

    @property
    def readings(self) -> int:
        """The polls that gave a reading."""
        return sum(number for outcome, number in self.outcomes.items() if Outcome(outcome).has_reading)


def look(
    deployment: Deployment,
    store: ReadingStore,
    since: int,
    now: datetime,
    timeout_s: float = 30.0,
    *,
    all_done: bool = False,
) -> Report:
    """Looks at the store and the collectors.

    What still waits in the outbox is left for the next report: `until` is the first slot that may be incomplete.

    Args:
        deployment: whose.
        store: its store; where it does not answer, the report says so.
        since: begin of what is counted, ms UTC.
        now: the time.
        timeout_s: how long the store has, for all that it is asked.
        all_done: whether every poll that was begun has ended, so that there is nothing to wait for.

    Raises:
        OutboxError: the outbox cannot be read.
    """
    collectors = collector_states(deployment.environment, deployment.settings, store)
    now_ms = epoch_ms(now)
    devices = [device for device in deployment.settings.devices if device.is_polled_at(now_ms)]
    slowest_s = max((device.timeout_s for device in devices), default=0.0)
    until = now_ms + 1 if all_done else now_ms - round((slowest_s + COMMITTED_WITHIN_S) * 1000)
    until = min([until, *(one.outbox.oldest for one in collectors.values() if one.outbox.oldest is not None)])
    counts: OutcomeCounts = {}
    unwell: list[DeviceState] = []
    store_error = ""
    end = time.monotonic() + timeout_s
    try:
        counts = store.outcome_counts(since, until, timeout_s) if since < until else {}
        unwell = _unwell(store, devices, until, end)
    except StoreError as error:
        counts, store_error = {}, str(error)
    return Report(
        since=since,
        until=max(since, until),
        counts=counts,
        unwell=tuple(unwell),
        expected=len(devices),
        collectors=collectors,
        store_error=store_error,
    )


def _window(device: Device) -> timedelta:
    if device.sleeps is not None:
        return SLEEPS_IN_WINDOW * device.sleeps
    return max(SHORTEST_WINDOW, SLOTS_IN_WINDOW * timedelta(milliseconds=device.interval_ms))


def _unwell(store: ReadingStore, devices: list[Device], until: int, end: float) -> list[DeviceState]:
    """The devices without a reading in their window before `until`; `end` (monotonic) bounds the wait for the store."""
    states = []
    for window, group in groupby(sorted(devices, key=_window), _window):
        left_s = max(end - time.monotonic(), SHORTEST_WAIT_S)
        counts = store.outcome_counts(until - span_ms(window), until, left_s)
        for device in group:
            by_outcome = counts.get(device.id, {})
            readings = sum(number for outcome, number in by_outcome.items() if Outcome(outcome).has_reading)
            if not readings and not _may_sleep_yet(store, device, until):
                commonest = max(by_outcome, key=lambda outcome: by_outcome[outcome], default="")
                states.append(DeviceState(device.id, sum(by_outcome.values()), readings, commonest))
    return states


def _may_sleep_yet(store: ReadingStore, device: Device, until: int) -> bool:
    """Whether a device that sleeps was first polled so lately that it may not have been awake since."""
    if device.sleeps is None:
        return False
    first = store.first_poll(device.id)
    return first is None or first > until - span_ms(_window(device))


def silent_devices(report: Report, settings: Settings, now: datetime) -> tuple[DeviceState, ...]:
    """The devices that are not well, but for those that a collector which has just started did not come to yet."""
    started = {
        name
        for name, one in report.collectors.items()
        if one.running and 0 <= now.timestamp() - one.running.since < SHORTEST_WINDOW.total_seconds()
    }
    young = {device.id for device in settings.devices if device.collector in started}
    return tuple(state for state in report.unwell if state.polls or state.device not in young)

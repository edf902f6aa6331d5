"""How collecting stands: what came in, which devices are not well, and the checks that follow. Without Dagster.

Belongs here: looking, and judging what was seen. Does not: how Dagster is told (`assets`, `automation`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby

from air_pipeline.collection.lease import Holder, holder
from air_pipeline.collection.outbox import Outbox, OutboxStatus
from air_pipeline.collection.schedule import polled_between
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Outcome
from air_pipeline.settings import Device
from air_pipeline.storage.store import ReadingStore, StoreError

MOST_DEVICES = 20
"""Devices named in a report; what is reported every five minutes must stay small."""
SHORTEST_WINDOW = timedelta(minutes=5)
SLOTS_IN_WINDOW = 3
"""A device is well if it gave a reading within five minutes, or within three of its slots if those take longer."""
SHORTEST_WAIT_S = 0.1
"""What the store is given for a question even where the time for all of them is over."""
COMMITTED_WITHIN_S = 1.0
"""From the deadline of a poll to the moment from which it is in the outbox at the latest, with a margin."""
LONGEST_WAIT = timedelta(minutes=2)
"""An outbox drains if nothing has waited in it for longer than two attempts at a store that is there."""

Counts = Mapping[str, Mapping[str, int]]
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
        outbox: how delivery stands.
        collector: the collector that runs, if one does.
        notes: device to what it sends that the settings do not know.
        store_error: why the store did not answer; then `counts` and `unwell` are empty and say nothing.
    """

    since: int
    until: int
    counts: Counts
    unwell: tuple[DeviceState, ...]
    expected: int
    outbox: OutboxStatus
    collector: Holder | None
    notes: Mapping[str, str]
    store_error: str = ""

    @property
    def outcomes(self) -> dict[str, int]:
        """Outcome to number of polls, over all devices; every outcome is there."""
        return {
            outcome.value: sum(by_outcome.get(outcome, 0) for by_outcome in self.counts.values()) for outcome in Outcome
        }

    @property
    def polls(self) -> int:
        """All polls."""
        return sum(self.outcomes.values())

    @property
    def readings(self) -> int:
        """The polls that gave a reading."""
        return sum(number for outcome, number in self.outcomes.items() if Outcome(outcome).has_reading)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    Attributes:
        check: its name.
        passed: whether all is well.
        text: what was found, and what to do if it is not well.
        grave: whether readings are being lost or are about to be.
        numbers: what was counted, by the same names each time.
    """

    check: str
    passed: bool
    text: str
    grave: bool = False
    numbers: Mapping[str, int] = field(default_factory=dict)


def look(
    deployment: Deployment,
    store: ReadingStore,
    since: int,
    now: datetime,
    timeout_s: float = 30.0,
    *,
    all_done: bool = False,
) -> Report:
    """Looks at the store, the outbox and the lock.

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
    box = Outbox(deployment.environment.state.outbox)
    status, notes = box.status(), box.notes()
    box.close()
    now_ms = round(now.timestamp() * 1000)
    devices = [device for device in deployment.settings.devices if is_polled(device, now_ms)]
    slowest_s = max((device.timeout_s for device in devices), default=0.0)
    until = now_ms + 1 if all_done else now_ms - round((slowest_s + COMMITTED_WITHIN_S) * 1000)
    if status.oldest is not None:
        until = min(until, status.oldest)
    counts: Counts = {}
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
        outbox=status,
        collector=holder(deployment.environment.state),
        notes={name: text for name, text in notes.items() if any(device.id == name for device in devices)},
        store_error=store_error,
    )


def is_polled(device: Device, now_ms: int) -> bool:
    """Whether a device is to be polled at a time, ms UTC."""
    since, until = polled_between(device)
    return since <= now_ms < until


def _window(device: Device) -> timedelta:
    return max(SHORTEST_WINDOW, SLOTS_IN_WINDOW * timedelta(milliseconds=device.interval_ms))


def _unwell(store: ReadingStore, devices: list[Device], until: int, end: float) -> list[DeviceState]:
    """The devices without a reading in their window before `until`; `end` (monotonic) bounds the wait for the store."""
    states = []
    for window, group in groupby(sorted(devices, key=_window), _window):
        left_s = max(end - time.monotonic(), SHORTEST_WAIT_S)
        counts = store.outcome_counts(until - round(window.total_seconds() * 1000), until, left_s)
        for device in group:
            by_outcome = counts.get(device.id, {})
            readings = sum(number for outcome, number in by_outcome.items() if Outcome(outcome).has_reading)
            if not readings:
                commonest = max(by_outcome, key=lambda outcome: by_outcome[outcome], default="")
                states.append(DeviceState(device.id, sum(by_outcome.values()), readings, commonest))
    return states


def verdicts(deployment: Deployment, report: Report, now: datetime) -> list[Verdict]:
    """What the checks of `raw_readings` find in a report; what only the store could say is left out if it is away."""
    found = [
        _collector_running(deployment, report),
        *([] if report.store_error else [_devices_reporting(report, now)]),
        _outbox_draining(report, now),
        _quarantine_empty(report),
        _configuration_valid(deployment),
        _documents_known(report),
    ]
    counted = {
        "collector_running": {"collectors": int(report.collector is not None)},
        "devices_reporting": {"devices": report.expected, "not_reporting": len(report.unwell)},
        "outbox_draining": {"pending": report.outbox.pending, "failures": report.outbox.failures},
        "quarantine_empty": {"quarantined": report.outbox.quarantined},
        "configuration_valid": {"devices_configured": len(deployment.settings.devices)},
        "documents_known": {"devices_with_unknowns": len(report.notes)},
    }
    return [replace(verdict, numbers=counted[verdict.check]) for verdict in found]


CHECKS: Mapping[str, str] = {
    "collector_running": "A collector runs. Without one no slot is polled.",
    "devices_reporting": "Every device gave a reading in the last five minutes (three slots, if those take longer).",
    "outbox_draining": "What is polled reaches the store. While it does not, polls wait in the outbox; none is lost.",
    "quarantine_empty": "There is no poll that the store will not take, so none was set aside.",
    "configuration_valid": "devices.yaml is valid. While it is not, the last valid one is in force.",
    "documents_known": "Devices send nothing that devices.yaml and the catalogue do not know.",
}
"""The checks of `raw_readings`: name to what it means that it passes."""


def _collector_running(deployment: Deployment, report: Report) -> Verdict:
    if report.collector is not None:
        since = datetime.fromtimestamp(report.collector.since, deployment.settings.zone)
        text = f"process {report.collector.pid}, since {since.isoformat(timespec='seconds')}"
        return Verdict("collector_running", passed=True, text=text)
    if deployment.settings.collector == "external":
        remedy = "devices.yaml says `collector: external`, so start `air-pipeline collect`"
    else:
        remedy = "the sensor `collect` starts one at its next tick; if not, see collector.log in the state directory"
    return Verdict("collector_running", passed=False, text=f"no collector runs: {remedy}", grave=True)


def silent_devices(report: Report, now: datetime) -> tuple[DeviceState, ...]:
    """The devices that are not well, but for those that a collector which has just started did not come to yet."""
    collector = report.collector
    if collector and now.timestamp() - collector.since < SHORTEST_WINDOW.total_seconds():
        return tuple(state for state in report.unwell if state.polls)
    return report.unwell


def _devices_reporting(report: Report, now: datetime) -> Verdict:
    name, unwell = "devices_reporting", silent_devices(report, now)
    if not unwell and report.unwell:
        return Verdict(name, passed=True, text="the collector has just started")
    if not unwell:
        return Verdict(name, passed=True, text=f"{report.expected} of {report.expected} devices gave readings")
    named = ", ".join(f"{s.device} ({s.outcome or 'not polled'})" for s in unwell[:MOST_DEVICES])
    more = f" and {len(unwell) - MOST_DEVICES} more" if len(unwell) > MOST_DEVICES else ""
    text = (
        f"{len(unwell)} of {report.expected} devices gave no reading lately: {named}{more}; ask one: air-pipeline poll"
    )
    return Verdict(name, passed=False, text=text, grave=len(unwell) == report.expected)


def _outbox_draining(report: Report, now: datetime) -> Verdict:
    status, name = report.outbox, "outbox_draining"
    waited = timedelta(seconds=now.timestamp() - status.oldest / 1000) if status.oldest is not None else timedelta()
    if waited <= LONGEST_WAIT:
        return Verdict(name, passed=True, text=f"{status.pending} polls wait")
    reason = status.error or "no collector delivers them"
    text = f"{status.pending} polls wait, the oldest for {str(waited).split('.')[0]}: {reason}"
    return Verdict(name, passed=False, text=text, grave=True)


def _quarantine_empty(report: Report) -> Verdict:
    number = report.outbox.quarantined
    if not number:
        return Verdict("quarantine_empty", passed=True, text="nothing was set aside")
    text = f"the store will not take {number} polls; see why: air-pipeline outbox; again: air-pipeline outbox --release"
    return Verdict("quarantine_empty", passed=False, text=text)


def _configuration_valid(deployment: Deployment) -> Verdict:
    if deployment.mistake is None:
        return Verdict("configuration_valid", passed=True, text="devices.yaml is valid")
    text = f"the last valid configuration is in force until this is put right:\n{deployment.mistake}"
    return Verdict("configuration_valid", passed=False, text=text)


def _documents_known(report: Report) -> Verdict:
    if not report.notes:
        return Verdict("documents_known", passed=True, text="everything that devices send is known")
    named = "\n".join(f"{name}: {text}" for name, text in sorted(report.notes.items())[:MOST_DEVICES])
    return Verdict("documents_known", passed=False, text=named)

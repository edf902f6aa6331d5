"""What a collector tells of itself: whether it runs, what waits, what it noted of the devices.

Belongs here: the one function that everybody asks who wants to know, so that its source can change. Does not: what is
made of the answer (`health`).
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

from air_pipeline.collection.lease import Holder, holder, lease_holds
from air_pipeline.collection.outbox import existing_outbox
from air_pipeline.collection.outbox_status import OutboxStatus
from air_pipeline.collection.recorder import Recording, recording
from air_pipeline.collection.setting_aside import Aside
from air_pipeline.devices.polls import Poll
from air_pipeline.state import StateDirectory

_TAKES_EVERYTHING = Recording()
NOTHING_WAITS = OutboxStatus(pending=0, oldest=None, quarantined=0, failures=0, retry_at=0.0, error="")


@dataclass(frozen=True, slots=True)
class CollectorState:
    """How a collector stands.

    Attributes:
        running: the process that collects, if one does.
        is_wanted: whether Dagster wants one now.
        has_begun: whether anything was ever collected.
        outbox: how delivery stands.
        recording: how the disk takes what is polled.
        reasons: why the newest of the polls that the store will never take were set aside.
        notes: device to what it sends that the settings do not know.
        newest: device to its last poll among the newest of those that wait; where they were asked for.
        asides: outboxes that were damaged, and what was saved of them.
    """

    running: Holder | None = None
    is_wanted: bool = False
    has_begun: bool = False
    outbox: OutboxStatus = NOTHING_WAITS
    recording: Recording = _TAKES_EVERYTHING
    reasons: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    newest: Mapping[str, Poll] = field(default_factory=dict)
    asides: tuple[Aside, ...] = ()


MOST_REASONS = 3


def process_state(state: StateDirectory) -> CollectorState:
    """The same without what is in the outbox, for which it need not be readable.

    Raises:
        SettingsError: the lock cannot be read.
    """
    begun = state.outbox.exists()
    return CollectorState(holder(state), lease_holds(state), has_begun=begun, recording=recording(state))


def collector_state(state: StateDirectory, *, newest: int = 0) -> CollectorState:
    """How the collector of a state directory stands; nothing is made.

    Args:
        state: the directory.
        newest: how many of the newest polls that wait are looked through for the last of each device.

    Raises:
        OutboxError: the outbox cannot be read.
        SettingsError: the lock cannot be read.
    """
    found = process_state(state)
    box = existing_outbox(state.outbox)
    if box is None:
        return found
    with closing(box):
        return replace(
            found,
            outbox=box.status(),
            reasons=tuple(box.reasons(MOST_REASONS)),
            notes=box.notes(),
            newest=box.newest(newest) if newest else {},
            asides=tuple(box.asides()),
        )

"""What a collector tells of itself: whether it runs, what waits, what it noted of the devices.

Belongs here: the one function that everybody asks who wants to know, so that its source can change. Does not: what is
made of the answer (`health`).
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from air_pipeline.collection.lease import Holder, holder, lease_holds
from air_pipeline.collection.outbox import OutboxStatus, Quarantined, existing_outbox
from air_pipeline.devices.polls import Poll
from air_pipeline.state import StateDirectory

NOTHING_WAITS = OutboxStatus(pending=0, oldest=None, quarantined=0, failures=0, retry_at=0.0, error="")


@dataclass(frozen=True, slots=True)
class CollectorState:
    """How a collector stands.

    Attributes:
        running: the process that collects, if one does.
        is_wanted: whether Dagster wants one now.
        has_begun: whether anything was ever collected.
        outbox: how delivery stands.
        quarantine: the newest of the polls that the store will never take.
        notes: device to what it sends that the settings do not know.
        newest: device to its last poll among the newest of those that wait; where they were asked for.
    """

    running: Holder | None = None
    is_wanted: bool = False
    has_begun: bool = False
    outbox: OutboxStatus = NOTHING_WAITS
    quarantine: tuple[Quarantined, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    newest: Mapping[str, Poll] = field(default_factory=dict)


def collector_state(state: StateDirectory, *, quarantined: int = 3, newest: int = 0) -> CollectorState:
    """How the collector of a state directory stands; nothing is made.

    Args:
        state: the directory.
        quarantined: how many of the polls in quarantine are read.
        newest: how many of the newest polls that wait are looked through for the last of each device.

    Raises:
        OutboxError: the outbox cannot be read.
    """
    running, is_wanted = holder(state), lease_holds(state)
    box = existing_outbox(state.outbox)
    if box is None:
        return CollectorState(running, is_wanted)
    with closing(box):
        return CollectorState(
            running,
            is_wanted,
            has_begun=True,
            outbox=box.status(),
            quarantine=tuple(box.quarantined(quarantined)),
            notes=box.notes(),
            newest=box.newest(newest) if newest else {},
        )

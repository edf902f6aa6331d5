"""A poll on its way: begun at its slot, asked, brought back.

Belongs here: what is known of it meanwhile. Does not: when it is begun and what becomes of it (`collector`).
"""

import math
from dataclasses import dataclass
from typing import Protocol

from air_pipeline.collection.outbox_rows import Row
from air_pipeline.devices.answers import Answer
from air_pipeline.devices.steps import Steps
from air_pipeline.settings import Device


class Asking(Protocol):
    """One GET that can be ended from outside; `devices.client.Exchange` is one."""

    @property
    def needs_thread(self) -> bool:
        """Whether one of its steps may take long by itself."""
        ...

    def steps(self) -> Steps[Answer]:
        """Asks, in steps between which it waits for its device."""
        ...

    def abort(self) -> None:
        """Makes `run` end soon."""
        ...

    def timed_out(self) -> Answer:
        """What it amounts to at its deadline."""
        ...


@dataclass(slots=True, eq=False)
class InFlight:
    """A poll that was begun: until its worker is done, its device is asked nothing else."""

    device: Device
    slot: int
    exchange: Asking
    late_s: float  # from the slot to the moment at which it was begun
    series: tuple[str, ...] | None  # what it is asked for, where that is to be said
    begun: float  # elapsed time, as all that follows
    asked: float = math.inf  # when a worker took it up
    recorded: bool = False

    def since_slot_s(self, now: float) -> float:
        """From the slot until now, whatever the clock does meanwhile."""
        return self.late_s + now - self.begun

    def ends(self, now: float) -> float:
        """Its deadline; as long as no worker has taken it up, the earliest that it can be."""
        return min(self.asked, now) + self.device.timeout_s


@dataclass(frozen=True, slots=True)
class Finished:
    """A poll as it goes to the recorder, with what is new of its device: None where nothing is."""

    row: Row
    rejected: str | None = None
    notes: str | None = None
    identity: str | None = None

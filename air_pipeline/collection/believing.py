"""Whether the clock is believed: decided from values alone.

A machine without a battery comes back from a power cut with a clock that is minutes or fifty years behind, and is put
right minutes later, or never. What it stamped meanwhile would be written over true readings, or into 1970. So, as long
as the kernel does not say that a service keeps the clock, slots are held where what was collected contradicts it.

Belongs here: the decision. Does not: asking the kernel (`clock`), keeping and telling what was decided (`holding`).
"""

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from math import isfinite

from air_pipeline.settings import ALWAYS, NEVER
from air_pipeline.storage.store import EARLIEST_MS, LATEST_MS

HOLD_S = 600.0
"""Slots are held for so long at most: then a reading at a wrong time is worth more than none."""
FAR_MS = 86_400_000
"""A clock that is further ahead of the newest slot than this is doubted: a machine was rarely off for longer."""
CORRECTED_MS = 60_000
"""A clock that is kept is corrected by less: a last slot further ahead was begun by a wrong one."""
OLD_CLOCK_MS = 3_600_000
"""So far behind comes back what saves its time hourly (fake-hwclock) or oftener (systemd-timesyncd): once slots are
held no longer, a device waits for its own last slot if that is nearer, so that true readings are not written over."""


class Reason(StrEnum):
    """What contradicts the clock."""

    BEHIND = "behind"
    AHEAD = "ahead"
    BEFORE_START = "before_start"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A clock that is not believed.

    Attributes:
        reason: what contradicts it.
        against: the time that does, ms UTC: the newest slot that was begun, or `start`.
        sure: the newest slot that was begun by a clock that was believed, ms UTC; None if there was none.
        offset_ms: from the time since boot to the clock: another one tells that the clock was stepped.
        boot: in which boot of the machine.
        since_s: when it was first doubted, in seconds since boot.
        is_over: whether slots are held no longer, and follow it as it is.
    """

    reason: Reason
    against: int
    sure: int | None
    offset_ms: int
    boot: str
    since_s: float
    is_over: bool = False

    @property
    def until_s(self) -> float:
        """Until when slots are held at most, in seconds since boot."""
        return self.since_s + HOLD_S

    def clock_at(self, running_s: float) -> int:
        """What the doubted clock says so many seconds after boot, ms UTC."""
        return self.offset_ms + round(running_s * 1000)

    def to_text(self) -> str:
        """The doubt as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "Doubt | None":
        """The inverse of `to_text`; None for whatever else."""
        try:
            row = json.loads(text)
            found = cls(
                Reason(row["reason"]),
                int(row["against"]),
                None if row["sure"] is None else int(row["sure"]),
                int(row["offset_ms"]),
                str(row["boot"]),
                float(row["since_s"]),
                bool(row["is_over"]),
            )
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        times = (found.against, found.offset_ms, found.sure or 0)
        return found if isfinite(found.since_s) and all(EARLIEST_MS <= one <= LATEST_MS for one in times) else None


@dataclass(frozen=True, slots=True)
class Moment:
    """What a decision is made from.

    Attributes:
        clock_ms: what the clock says, ms UTC.
        running_s: seconds since boot.
        boot: which boot.
        is_kept: whether the clock is kept; None where the kernel does not say.
        newest: the newest slot that any device has begun, ms UTC.
        start: before it nothing is collected, ms UTC.
        longest_ms: the longest interval of a device.
    """

    clock_ms: int
    running_s: float
    boot: str
    is_kept: bool | None
    newest: int | None
    start: int
    longest_ms: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What holds at a moment.

    Attributes:
        doubt: why the clock is not believed; None if it is.
        earliest: no slot before it is begun, ms UTC.
        latest: nor one after it.
        forget_after: a device's last slot after this, ms UTC, was begun by a wrong clock and binds no longer.
    """

    doubt: Doubt | None
    earliest: int = ALWAYS
    latest: int = NEVER
    forget_after: int = NEVER

    @property
    def is_holding(self) -> bool:
        """Whether no slot is begun."""
        return self.doubt is not None and not self.doubt.is_over

    def may_begin(self, slot: int) -> bool:
        """Whether a slot may be begun, as far as the clock is concerned."""
        return not self.is_holding and self.earliest <= slot <= self.latest


def decide(now: Moment, before: Doubt | None) -> Decision:
    """Whether slots may be begun, and which last slots are forgotten.

    Args:
        now: what is known.
        before: the doubt of the last decision, which may be one of an earlier process or boot.
    """
    if now.is_kept:
        return Decision(None, forget_after=now.clock_ms + CORRECTED_MS)
    mine = before if before and before.boot == now.boot and before.since_s <= now.running_s else None
    sure = mine.sure if mine else now.newest
    earliest, latest = _bounds(now, sure)
    contradicted = _contradiction(now, sure)
    offset = now.clock_ms - round(now.running_s * 1000)
    if mine and abs(offset - mine.offset_ms) <= CORRECTED_MS and (contradicted or mine.reason is Reason.BEHIND):
        # The same clock still. One that has caught up with the newest slot is as wrong as it was, but can harm nothing.
        doubt = replace(mine, is_over=mine.is_over or not contradicted or now.running_s >= mine.until_s)
    elif contradicted is None:  # somebody has put it right
        return Decision(None, earliest, latest, now.clock_ms + CORRECTED_MS if mine and mine.is_over else NEVER)
    elif mine:
        over = mine.is_over or now.running_s >= mine.until_s
        doubt = Doubt(*contradicted, sure, offset, now.boot, mine.since_s, over)
    else:
        doubt = Doubt(*contradicted, sure, offset, now.boot, now.running_s)
    if not doubt.is_over:
        return Decision(doubt, earliest, latest)
    return Decision(doubt, forget_after=now.clock_ms + OLD_CLOCK_MS)


def _bounds(now: Moment, sure: int | None) -> tuple[int, int]:
    """The slots that nothing contradicts."""
    if sure is None:
        return now.start, NEVER
    return max(now.start, sure - now.longest_ms), sure + FAR_MS


def _contradiction(now: Moment, sure: int | None) -> tuple[Reason, int] | None:
    """What contradicts the clock, and the time that does; what was collected says more than what was set."""
    if sure is not None and now.clock_ms < sure - now.longest_ms:
        return Reason.BEHIND, sure
    if sure is not None and now.clock_ms > sure + FAR_MS:
        return Reason.AHEAD, sure
    if now.clock_ms < now.start:
        return Reason.BEFORE_START, now.start
    return None

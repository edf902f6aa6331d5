"""The slots in which a device was expected, whatever became of them.

Belongs here: the grid of slots of the past, by the intervals that were in force. Does not: when to poll next
(`collection`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from air_pipeline.devices.polls import Outcome
from air_pipeline.settings import NEVER

Instants = npt.NDArray[np.int64]

_AWAKE = [outcome.value for outcome in Outcome if outcome.is_answer]


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedSlots:
    """The slots of one device in a period.

    Attributes:
        at: the slots, ms since 1970 UTC, rising.
        interval_ms: the interval in force at each, in ms.
    """

    at: Instants
    interval_ms: Instants

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def joined(cls, parts: Iterable["ExpectedSlots"]) -> "ExpectedSlots":
        """Those of several periods, one after the other."""
        empty = np.empty(0, np.int64)
        every = [cls(empty, empty), *parts]
        return cls(np.concatenate([part.at for part in every]), np.concatenate([part.interval_ms for part in every]))

    def of(self, places: Instants) -> "ExpectedSlots":
        """Some of them, by their places, which rise."""
        return self if len(places) == len(self) else ExpectedSlots(self.at[places], self.interval_ms[places])


def expected_slots(
    start: int,
    end: int,
    *,
    polls: pd.DataFrame,
    readings: pd.DataFrame,
    opening_interval_ms: int,
    expected_from: int,
    expected_until: int = NEVER,
    sleeps: bool = False,
) -> ExpectedSlots:
    """The slots in [start, end) in which a device was expected.

    They are the multiples, on the UTC clock, of the interval in force, which each poll states from its slot until the
    next poll; and whatever other slots were polled or read, so that every reading inside the limits is kept and
    observed + missing = expected always. From a poll `ended`, which is no slot, until the next poll none is expected.
    Of a device that sleeps those alone are expected in which it was awake, as its answer shows.

    Args:
        start: ms since 1970 UTC.
        end: ms since 1970 UTC; not included.
        polls: the device's polls as stores return them: index `observed_at` (UTC), `outcome`, `interval_s` (NaN:
            unsaid).
        readings: its readings as stores return them; only the index matters.
        opening_interval_ms: in force before the first of `polls`: what the last poll before it said (the store's
            `before`), else the configured interval.
        expected_from: no slot is expected before (see `Device.expected_between`).
        expected_until: no slot is expected from here on.
        sleeps: whether the device sleeps between its measurements.
    """
    start, end = max(start, expected_from), min(end, expected_until)
    polled = index_ms(polls)
    changes, intervals = _interval_changes(polled, polls["interval_s"].to_numpy(), opening_interval_ms)
    at = np.concatenate([*_multiples(changes, intervals, start, end)])
    if (ended := (polls["outcome"] == Outcome.ENDED).to_numpy(dtype=bool)).any():
        last = np.searchsorted(polled, at, side="right") - 1
        at = at[(last < 0) | ~ended[last]]
        polled = polled[~ended]
    if sleeps:
        at, polled = at[:0], index_ms(polls)[polls["outcome"].isin(_AWAKE).to_numpy(dtype=bool)]
    for others in (polled, index_ms(readings)):
        inside = others[(others >= start) & (others < end)]
        if not np.array_equal(inside, at):  # they are equal on a day without a gap
            at = np.union1d(at, inside)
    return ExpectedSlots(at, intervals[np.searchsorted(changes, at, side="right") - 1])


def index_ms(frame: pd.DataFrame) -> Instants:
    """The instants of a frame with a tz-aware index, in ms since 1970 UTC."""
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex):
        if len(index):
            raise TypeError(f"an index of instants is needed, not {index.dtype}")
        return np.empty(0, np.int64)
    return index.as_unit("ms").asi8


def _interval_changes(
    polled: Instants, interval_s: npt.NDArray[np.float64], opening_interval_ms: int
) -> tuple[Instants, Instants]:
    """From when which interval is in force; the first from before all time."""
    said = interval_s > 0
    since, interval_ms = polled[said], np.maximum(np.rint(interval_s[said] * 1000), 1).astype(np.int64)
    before = np.concatenate([[opening_interval_ms], interval_ms[:-1]]) if len(interval_ms) else interval_ms
    changed = interval_ms != before
    changes = np.concatenate([[np.iinfo(np.int64).min], since[changed]]).astype(np.int64)
    return changes, np.concatenate([[opening_interval_ms], interval_ms[changed]]).astype(np.int64)


def _multiples(changes: Instants, intervals: Instants, start: int, end: int) -> Iterator[Instants]:
    until = np.append(changes[1:], end)
    for since, before, interval in zip(changes.tolist(), until.tolist(), intervals.tolist(), strict=True):
        first = -(-max(since, start) // interval) * interval
        yield np.arange(first, min(before, end), interval, dtype=np.int64)

"""The protocol of a reading store, and the ways in which a store can fail.

Belongs here: what every store promises. Does not: how one of them does it. Nothing here or in the stores imports pandas
before rows are read, so that the collector stays small.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple, Protocol

from air_pipeline.devices.polls import Poll
from air_pipeline.errors import AirPipelineError

if TYPE_CHECKING:
    import pandas as pd

# InfluxDB keeps ns in 64 bits; in ms that is the years 1677 to 2262.
EARLIEST_MS = -9_223_372_036_000
LATEST_MS = 9_223_372_036_000


class StoreError(AirPipelineError):
    """A store could not do what was asked.

    The message is for a person: what happened, at which store, what to do.
    """


class StoreUnavailable(StoreError):
    """The store is away, slow or overloaded: the same request may succeed later.

    Attributes:
        retry_after_s: how long the store asks to be left alone, if it said so.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreRefused(StoreError):
    """The store refuses this caller (token, rights, organization, bucket): the points are fine, the set-up is not."""


class PollsRejected(StoreError):
    """The store will not take some of these polls, whenever it is asked (400, 413, 422).

    Where it says so, `refused_before` is the time (ms UTC) before which it takes none.
    """

    def __init__(self, message: str, refused_before: int | None = None) -> None:
        super().__init__(message)
        self.refused_before = refused_before


@dataclass(frozen=True, slots=True)
class Summary:
    """What a store holds of one device in an interval; two summaries that differ mean that its content changed.

    Attributes:
        polls: how many polls.
        duration_ms: the sum of their durations; durations are whole ms, so that the sum is exact in any order.
        values: how many values, over all series.
    """

    polls: int
    duration_ms: float
    values: int


@dataclass(frozen=True, slots=True)
class Latest:
    """The last that is known of one device.

    Attributes:
        poll: its last poll; `values` are those of that very slot (empty unless the outcome is `ok` or `partial`).
        reading_at: the slot of its last reading, in ms UTC; None if there is none.
        values: the values of its last reading.
    """

    poll: Poll
    reading_at: int | None
    values: Mapping[str, float]


class Before(NamedTuple):
    """What the last poll of a device before a time says.

    Attributes:
        slot: its slot, in ms UTC.
        interval_s: the interval in force, in seconds.
        is_ended: whether nothing was expected any more from it on.
    """

    slot: int
    interval_s: float
    is_ended: bool


class Asked(NamedTuple):
    """The series that a device was asked for, as far as polls say so.

    Attributes:
        before: those of the last poll before an interval that says so: they hold in it until something else is said.
        within: those that any poll in the interval says.
    """

    before: frozenset[str] | None = None
    within: frozenset[str] = frozenset()


class Told(NamedTuple):
    """What a collector told of itself; what its fields mean is said by whoever tells (`collection.telling`).

    Attributes:
        collector: its name.
        at: when, ms UTC, by its own clock.
        fields: numbers and texts.
    """

    collector: str
    at: int
    fields: Mapping[str, float | str]


class LateMark(NamedTuple):
    """That readings of a day reached the store so late, or were replaced, that it may be built without them.

    Attributes:
        collector: who marked it.
        at: when, ms UTC; each mark of a collector has a later one than those before.
        day: the UTC date.
    """

    collector: str
    at: int
    day: date


def late_mark(collector: str, at: int, day: object) -> LateMark | None:
    """A mark as it was stored; None for what names no day that there are readings of, whoever left it there."""
    with suppress(TypeError, ValueError):
        if _FIRST_YEAR <= (of := date.fromisoformat(day)).year <= _LAST_YEAR:  # type: ignore[arg-type] # is told
            return LateMark(collector, at, of)
    return None


_FIRST_YEAR, _LAST_YEAR = 1900, 2199
FirstPoll = Callable[[str, int], int | None]
"""`ReadingStore.first_poll`, or who remembers what that said."""


class ReadingStore(Protocol):
    """A store of polls and readings. Safe from several threads.

    Times are integer ms since 1970 UTC; intervals are half-open, [start, end). Every method raises `StoreUnavailable`,
    `StoreRefused` or `StoreError`; an empty result always means that there is nothing.
    """

    @property
    def identity(self) -> str:
        """Which store this is, without secrets: the same text for the same data."""
        ...

    def write(self, polls: Sequence[Poll]) -> None:
        """Stores polls with their values; all of them are there when it returns. Twice is the same as once.

        Where a poll of our own has the slot, one that was imported is not shown, whichever came first. Of two others
        the later one is shown, and nothing of the earlier: no values where it has no
        reading, no status where it had no answer, no body where nothing was rejected. (InfluxDB merges points field by
        field: a series that only the earlier of two readings has stays there.)

        Raises:
            PollsRejected: some of the polls will never be taken; which of the others were is open.
        """
        ...

    def readings(self, device: str, start: int, end: int, polls: "pd.DataFrame | None" = None) -> "pd.DataFrame":
        """The readings of one device: a column of float64 a series (sorted by name; NaN: no value), a row a slot.

        The index `observed_at` is UTC in ms, unique and rising. Where the polls of the same interval are known already,
        the store need not be asked again which of them have no reading.
        """
        ...

    def polls(self, device: str, start: int, end: int) -> "pd.DataFrame":
        """The polls of one device: `outcome`, `problems` (str), `duration_ms`, `http_status`, `interval_s` (float64).

        And `body`, `series`, `cycle` and `identity` (str or missing). The index is as for readings.
        """
        ...

    def latest(self, start: int = EARLIEST_MS, end: int = LATEST_MS) -> dict[str, Latest]:
        """The last poll in an interval, and the last reading, of every device that has a poll in it."""
        ...

    def outcome_counts(self, start: int, end: int, timeout_s: float = 30.0) -> dict[str, dict[str, int]]:
        """Device to outcome to number of polls; only what is not zero."""
        ...

    def summaries(self, start: int, end: int) -> dict[str, Summary]:
        """Device to summary, for every device with a poll or a value in the interval."""
        ...

    def first_poll(self, device: str, since: int = EARLIEST_MS) -> int | None:
        """The slot of the first poll from a time on."""
        ...

    def first_polls(self, start: int, end: int, device: str | None = None) -> dict[str, int]:
        """Device to the slot of its first poll in the interval, for every device with one; of one device or all."""
        ...

    def emptied(self, start: int, end: int, device: str | None = None) -> dict[str, tuple[int, ...]]:
        """Device to the slots, rising, in which a value came as an empty text, as after a restart.

        A slot too many is no harm: whoever looks closer sees it.
        """
        ...

    def before(self, device: str, time: int) -> Before | None:
        """What the last poll of a device before a time says; None if there is none."""
        ...

    def asked(self, start: int, end: int, device: str | None = None) -> dict[str, Asked]:
        """Device to what polls say that it was asked for in the interval; of one device or all.

        Devices of which nothing was said up to its end are left out.
        """
        ...

    def identities(self) -> dict[str, str]:
        """Device to what it said last which one it is, for every device of which a poll says so."""
        ...

    def stated(self, device: str, start: int, end: int) -> frozenset[str]:
        """The series of which polls of a device in the interval have a value or a problem."""
        ...

    def nearest_stated(self, device: str, time: int, *, earlier: bool) -> frozenset[str]:
        """Those of the last poll before a time, or of the first from it on, that has a value or a problem at all."""
        ...

    def imports(self, start: int, end: int) -> dict[str, dict[str, Summary]]:
        """Device to import to what the store holds of it in the interval: a part of what `summaries` counts."""
        ...

    def delete_import(self, device: str, import_id: str, start: int, end: int) -> None:
        """Deletes what came with one import; twice is the same as once."""
        ...

    def delete(self, device: str, start: int, end: int) -> None:
        """Deletes the polls and values of one device in the interval, for good; twice is the same as once."""
        ...

    def tell(self, told: Told) -> None:
        """Stores what a collector tells of itself.

        Raises:
            PollsRejected: it will never be taken.
        """
        ...

    def last_told(self) -> dict[str, Told]:
        """Collector to what it told last."""
        ...

    def mark_late(self, collector: str, days: Iterable[date]) -> None:
        """Marks UTC dates, each by a time that is later than those of all marks of the collector before."""
        ...

    def late_marks(self, passed: Mapping[str, int], collector: str | None = None) -> list[LateMark]:
        """The marks that are later than what was passed of their collector; all of a collector that is not named.

        Of one collector alone, where it is given.

        Marks are never deleted: who reads them remembers how far.
        """
        ...

    def flux(self, query: str) -> "pd.DataFrame":
        """The rows of a free-form Flux query, `_time` as UTC; a store that speaks no Flux raises `StoreError`."""
        ...

    def close(self) -> None:
        """Frees connections."""
        ...

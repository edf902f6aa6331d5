"""The local day as an axis: elapsed hours, labelled with what the local clock shows, and its changes in words.

Belongs here: ticks, labels and sentences about the clock. Does not: when days and hours begin
(`processing.local_time`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from zoneinfo import ZoneInfo

from air_pipeline.processing.local_time import LocalHour, epoch_ms, from_epoch_ms, local_hours

_HOUR = timedelta(hours=1)
_LABEL_EVERY_H = 4


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on the axis: elapsed hours since the start of the day, and what the clock shows there."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class ClockChange:
    """The clock was put forward or back.

    Attributes:
        at: elapsed hours since the start of the day.
        before: what the clock would have shown, such as `03:00`.
        after: what it showed instead.
        forward: whether it was put forward.
    """

    at: float
    before: str
    after: str
    forward: bool


@dataclass(frozen=True)
class DayClock:
    """One local day of one zone: [start, end), UTC."""

    start: datetime
    end: datetime
    timezone: str

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the day."""
        return ZoneInfo(self.timezone)

    @cached_property
    def hours(self) -> tuple[LocalHour, ...]:
        """The hour rows of the day."""
        return local_hours(self.start, self.end, self.zone)

    @property
    def elapsed_hours(self) -> float:
        """How long the day is."""
        return (self.end - self.start) / _HOUR

    @cached_property
    def changes(self) -> tuple[ClockChange, ...]:
        """Where the clock was put forward or back, at the very start of the day or inside it."""
        before = local_hours(self.start - _HOUR, self.start, self.zone)[-1]
        found = []
        for hour in self.hours:
            would_be = before.local_start + before.elapsed
            if hour.local_start != would_be:
                found.append(
                    ClockChange(
                        (hour.start_utc - self.start) / _HOUR,
                        f"{would_be:%H:%M}",
                        f"{hour.local_start:%H:%M}",
                        forward=hour.local_start > would_be,
                    )
                )
            before = hour
        return tuple(found)

    @property
    def notice(self) -> str:
        """What is unusual about this day's clock, as a sentence; empty on other days."""
        if not self.changes:
            return ""
        changes = " and ".join(
            f"the clock was put {'forward' if one.forward else 'back'} at {one.before} to {one.after}"
            for one in self.changes
        )
        return f"{self.elapsed_hours:g}-hour day: {changes}."

    @property
    def labels(self) -> tuple[str, ...]:
        """A short label for each hour row: the clock's hour, or `:30` for one that begins at half past."""
        return tuple(_label(hour) for hour in self.hours)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Every fourth hour on the clock, each showing of an hour that came twice, and the end of the day."""
        times = Counter((hour.local_start.date(), hour.local_start.hour) for hour in self.hours)
        ticks = []
        for hour, label in zip(self.hours, self.labels, strict=True):
            on_the_hour = hour.local_start.minute == 0 and hour.local_start.hour % _LABEL_EVERY_H == 0
            twice = times[hour.local_start.date(), hour.local_start.hour] > 1
            if on_the_hour or twice:
                ticks.append(Tick((hour.start_utc - self.start) / _HOUR, label))
        return (*ticks, Tick(self.elapsed_hours, "24"))

    def at(self, milliseconds: int) -> str:
        """What the local clock shows at an instant (ms since 1970 UTC); with the offset where the clock was changed."""
        local = from_epoch_ms(milliseconds).astimezone(self.zone)
        text = local if self.changes else local.replace(tzinfo=None)
        return text.isoformat(timespec="seconds").partition("T")[2]

    @property
    def span_ms(self) -> tuple[int, int]:
        """The day in ms since 1970 UTC."""
        return epoch_ms(self.start), epoch_ms(self.end)


def apart(places: Sequence[int], least: int) -> list[int]:
    """Where the labels of ticks stand, so that those of an hour that came twice do not touch."""
    moved = list(places)
    for number, (one, other) in enumerate(pairwise(places)):
        short = max(least - (other - one), 0) // 2
        moved[number] -= short
        moved[number + 1] += short
    return moved


def _label(hour: LocalHour) -> str:
    return f"{hour.local_start:%H}" if not hour.local_start.minute else f":{hour.local_start:%M}"

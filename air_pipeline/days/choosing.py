"""Which days to build, of those that can be: pure functions of what was compared, what runs and what failed.

Belongs here: the decision. Does not: comparing (`comparing`), the schedule that asks for it (`automation`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from air_pipeline.storage.day_files import DayMetadata
from air_pipeline.words import some_days

RECENT_DAYS = 3
"""Compared with the store at every tick."""
MOST_RUNS = 24
"""Started by one tick, those that are under way included: about what two cores build until the next one."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A day that was compared with the store.

    Attributes:
        day: the local date.
        wanted: whether it is missing, or was built from something else.
        fingerprint: of what it would be built from now.
        warning: why it is left alone though something changed; empty if nothing of the kind.
        built: how it was built, if it is.
    """

    day: date
    wanted: bool
    fingerprint: str
    warning: str = ""
    built: DayMetadata | None = None


@dataclass(slots=True)
class Decision:
    """What a tick makes of the days.

    Attributes:
        chosen: the days to build now, newest first.
        under_way: days that are queued or running.
        failed: days that failed on what they would be built from again.
        kept: days that are left as they are, as something of them would be lost.
        settled: days that were compared and of which nothing more is wanted now.
        warnings: what to say of days that are left alone though something changed.
    """

    chosen: list[Candidate] = field(default_factory=list)
    under_way: list[date] = field(default_factory=list)
    failed: list[date] = field(default_factory=list)
    kept: list[date] = field(default_factory=list)
    settled: list[date] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def seen(self) -> set[date]:
        """Every day that was come to."""
        return {*self.under_way, *self.settled, *(candidate.day for candidate in self.chosen)}

    def __str__(self) -> str:
        """In words."""
        current = len(self.settled) - len(self.failed) - len(self.warnings)
        text = f"{current} days were compared and are built from what there is now"
        if self.under_way:
            text += f"; queued or running: {some_days(self.under_way, _MOST_NAMED)}"
        if self.failed:
            text += f"; left alone until something changes, as they failed: {some_days(self.failed, _MOST_NAMED)}"
        return "; ".join([text, *self.warnings])


_MOST_NAMED = 5


def days_to_compare(finished: Iterable[date], built: Collection[date], *others: Collection[date]) -> Iterator[date]:
    """The days to compare with the store, newest first.

    Args:
        finished: all days that can be built, newest first.
        built: those that have a file.
        others: those for which readings were delivered late, those that it is time to compare.
    """
    for number, day in enumerate(finished):
        if number < RECENT_DAYS or day not in built or any(day in some for some in others):
            yield day


def days_to_build(
    days: Iterable[date],
    compare: Callable[[date], Candidate],
    under_way: Collection[date],
    has_failed: Callable[[Candidate], bool],
    came_out_otherwise: Callable[[Candidate], bool] = lambda _: False,
) -> Decision:
    """The days to build now.

    In the order given, bounded, none that is queued or running, none that failed on what it would be built from again,
    none that was built from just that and is still what came of it.
    """
    decision = Decision()
    most = max(MOST_RUNS - len(under_way), 1)
    for day in days:
        if len(decision.chosen) == most:
            break
        if day in under_way:
            decision.under_way.append(day)
            continue
        candidate = compare(day)
        if candidate.warning:
            decision.warnings.append(candidate.warning)
            decision.kept.append(day)
        if not candidate.wanted:
            decision.settled.append(day)
        elif has_failed(candidate):
            decision.settled.append(day)
            decision.failed.append(day)
        elif came_out_otherwise(candidate):
            decision.settled.append(day)
            decision.warnings.append(_OTHERWISE.format(day=day))
        else:
            decision.chosen.append(candidate)
    return decision


_OTHERWISE = (
    "{day} was built from just this and came out otherwise, so it is not built once more: whoever built it has other"
    " settings or another version than what compares it; restart `air-pipeline up`, or whatever runs Dagster"
)


def touched_days(mark: date, reach: tuple[timedelta, timedelta]) -> list[date]:
    """The local dates that readings of a UTC date can change, in any zone, as far as rules reach."""
    before, after = reach
    first, last = mark - _DAY - _whole_days(after), mark + _DAY + _whole_days(before)
    return [first + number * _DAY for number in range((last - first).days + 1)]


def _whole_days(span: timedelta) -> timedelta:
    return -(-span // _DAY) * _DAY


def unsettled_marks(
    marks: Collection[date], reach: tuple[timedelta, timedelta], finished: Collection[date], decision: Decision
) -> set[date]:
    """The marks of late readings that are kept: a day that they touch is not known to be built with them."""
    open_days = set(finished).difference(decision.settled)
    return {mark for mark in marks if open_days.intersection(touched_days(mark, reach))}

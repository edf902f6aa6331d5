"""What is not well with a deployment, and what to do: one vocabulary for `doctor`, Dagster's checks, messages and docs.

Belongs here: checks, each a function from what is seen to findings, and what a finding is. Does not: how findings are
shown (`cli`, `assets`) or told (`notifying`), what only Dagster's storage knows (`instance.checks`).

A check is one function under `@check`, and its name in the list of `checks`; everybody who shows, tells or documents
checks takes it from there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from air_pipeline.errors import AirPipelineError
from air_pipeline.words import some, some_days

if TYPE_CHECKING:  # what is seen is seen with the words of this module
    from air_pipeline.health.seen import Seen

MOST_NAMED = 20
"""Subjects that a summary names; what is said often must stay small."""
LONGEST_TEXT = 200
"""Characters that a summary says of each of several subjects."""

_NO_NUMBERS: Mapping[str, int] = MappingProxyType({})


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    """Readings are being lost or are about to be, or nothing can go on."""
    UNKNOWN = "unknown"
    """Nothing can be said now: what was found before still stands."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found of one subject.

    Attributes:
        check: its name.
        subject: the device, date or part that was looked at; empty where the check has but one.
        level: how bad it is.
        text: what was found, in words.
        remedy: what to do, in words; empty where nothing is to be done.
        numbers: what was counted, by the same names each time.
        patience: how long it must last before anybody is told.
        since: since when it has lasted, where that is known.
    """

    check: str
    subject: str
    level: Level
    text: str
    remedy: str = ""
    numbers: Mapping[str, int] = field(default_factory=lambda: _NO_NUMBERS)
    patience: timedelta = timedelta()
    since: datetime | None = None

    @property
    def is_bad(self) -> bool:
        """Whether something is not well."""
        return self.level in {Level.WARNING, Level.FAILURE}

    def is_due(self, now: datetime) -> bool:
        """Whether it has lasted for long enough to count, as far as that is known."""
        return self.since is None or now - self.since >= self.patience


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that can be well or not.

    Attributes:
        name: the same for everybody; for ever, as histories are kept under it.
        asset: under which it is shown in Dagster; empty where it is not.
        means: what it means that it passes.
        remedy: what to do when it does not; `{subject}` is whose, `{first}` and `{last}` are the ends of several.
        look: gives findings of what is seen, at least one.
        title: what `doctor` calls the thing; with `{subject}` it shows a line for each.
        many: what several subjects that are not well have in common: `3 of 7 …`.
        bad: what a message says of a subject that is not well; nobody is told where it is empty.
        good: what a message says when it is well again.
        well: what is true where several subjects are all well.
    """

    name: str
    asset: str
    means: str
    remedy: str
    look: Callable[["Seen"], Iterable[Finding]]
    title: str
    many: str = ""
    bad: str = ""
    good: str = ""
    well: str = ""

    def findings(self, seen: "Seen") -> Iterator[Finding]:
        """What it finds, with what to do about whatever is not well; what cannot be told is a finding too."""
        yield from self.found(lambda: self.look(seen))

    def found(self, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
        """What a look finds, as this check says it.

        Whatever goes wrong in a look, one that cannot be made hides no other.
        """
        try:
            for found in look():
                remedy = found.remedy or (self._remedy(found.subject) if found.is_bad else "")
                yield replace(found, check=self.name, remedy=remedy)
        except Exception as error:  # noqa: BLE001 - it is told, and the other checks go on
            said = " ".join(str(error).split())
            kind = "" if isinstance(error, AirPipelineError) and said else f"{type(error).__name__} "
            yield Finding(self.name, "", Level.UNKNOWN, f"cannot be told: {kind}{said}".strip())

    def summary(self, found: Sequence[Finding], now: datetime) -> Finding:
        """All that it found as one finding: of the worst level, with the numbers of all added up.

        What has not lasted for long enough counts as well; what cannot be told only where nothing else was found.
        """
        known = [one for one in found if one.level is not Level.UNKNOWN]
        if not known:
            return found[0] if found else Finding(self.name, "", Level.UNKNOWN, "there is nothing to look at")
        names = dict.fromkeys(chain.from_iterable(one.numbers for one in known))
        numbers = {name: sum(one.numbers.get(name, 0) for one in known) for name in names}
        bad = [one for one in known if one.is_bad and one.is_due(now)]
        if not bad:
            return Finding(self.name, "", Level.OK, self._well(known), numbers=numbers)
        if len(known) == 1 and not bad[0].subject:
            return replace(bad[0], numbers=numbers)
        level = Level.FAILURE if any(one.level is Level.FAILURE for one in bad) else Level.WARNING
        said = some(list(_named(bad)), MOST_NAMED)
        text = " ".join(filter(None, [f"{len(bad)} of {len(known)}", self.many]))
        remedy = bad[0].remedy if len(bad) == 1 else self._remedy("", *sorted(one.subject for one in bad))
        return Finding(self.name, "", level, f"{text}: {said}", remedy, numbers)

    def _well(self, known: Sequence[Finding]) -> str:
        if len(known) == 1 and not known[0].subject:
            return known[0].text
        young = [replace(one, text="") for one in known if one.is_bad]
        if young:
            looked_at = f"{len(known) - len(young)} of {len(known)} that were looked at"
            return f"well: {looked_at}; not for long otherwise: {some(list(_named(young)), MOST_NAMED)}"
        return self.well or f"well: {len(known)} of {len(known)} that were looked at"

    def _remedy(self, subject: str, *several: str) -> str:
        first, last = (several[0], several[-1]) if several else (subject, subject)
        return self.remedy.format(subject=subject, first=first, last=last).strip()


def _named(found: Sequence[Finding]) -> Iterator[str]:
    """Subjects with what was found; days of which nothing more is said as one where they follow each other."""
    days: list[date] = []
    for one in found:
        day = _day(one.subject)
        if day is None or one.text:
            yield f"{one.subject} ({_short(one.text)})" if one.text else one.subject
        else:
            days.append(day)
    if days:
        yield some_days(days, MOST_NAMED)


def _day(subject: str) -> date | None:
    try:
        day = date.fromisoformat(subject)
    except ValueError:
        return None
    return day if day.isoformat() == subject else None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"


def check(
    *,
    means: str,
    remedy: str,
    title: str,
    asset: str = "",
    many: str = "",
    bad: str = "",
    good: str = "",
    well: str = "",
) -> Callable[[Callable[["Seen"], Iterable[Finding]]], Check]:
    """Makes a function that looks the check of its name; see `Check`."""

    def made(look: Callable[["Seen"], Iterable[Finding]]) -> Check:
        return Check(look.__name__, asset, means, remedy, look, title, many, bad, good, well)

    return made


def fine(text: str, subject: str = "", numbers: Mapping[str, int] = _NO_NUMBERS) -> Finding:
    """That all is well with a subject."""
    return Finding("", subject, Level.OK, text, numbers=numbers)


def warning(text: str, remedy: str = "", subject: str = "", numbers: Mapping[str, int] = _NO_NUMBERS) -> Finding:
    """That something is not well with it."""
    return Finding("", subject, Level.WARNING, text, remedy, numbers)


def failure(text: str, remedy: str = "", subject: str = "", numbers: Mapping[str, int] = _NO_NUMBERS) -> Finding:
    """That readings are being lost, or nothing can go on."""
    return Finding("", subject, Level.FAILURE, text, remedy, numbers)


def unknown(text: str, remedy: str = "", subject: str = "") -> Finding:
    """That nothing can be said."""
    return Finding("", subject, Level.UNKNOWN, text, remedy)

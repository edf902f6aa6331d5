"""What is to be told now: from what is known, what holds now, the settings and the time. Pure.

Belongs here: lasting, quiet hours, once per change, once a day. Does not: words (`messages`), files (`telling`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from air_pipeline.health import Finding, Level
from air_pipeline.settings.notify import Notify

Key = tuple[str, str]
"""A check and its subject: a device, a date, or "" where the check has but one."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What holds at one moment.

    Attributes:
        holds: everything that was looked at, and what is not well with it; None: nothing. What is no longer in here
            (a device that was taken out of the settings) is forgotten without a word.
        unknown: the checks of which nothing can be said now: there everything stays as it was.
    """

    holds: Mapping[Key, Finding | None]
    unknown: frozenset[str] = frozenset()

    @property
    def unwell(self) -> dict[Key, Finding]:
        """What is not well, the grave first."""
        found = [(key, finding) for key, finding in self.holds.items() if finding is not None]
        return dict(sorted(found, key=lambda one: (one[1].level is not Level.FAILURE, one[0])))


@dataclass(frozen=True, slots=True)
class Watched:
    """Something that is not well, or was when it was last told.

    Attributes:
        since: when it was first seen so, UTC.
        told: whether it was told.
        well: since when it is well again, UTC; only of what was told.
    """

    since: datetime
    told: bool = False
    well: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be told of one check and subject.

    Attributes:
        key: of what.
        finding: what is not well with it; None: it is well again.
        since: when it was first seen not well.
        until: since when it is well again.
    """

    key: Key
    finding: Finding | None
    since: datetime
    until: datetime | None = None


def decide(
    watched: Mapping[Key, Watched], sight: Sight, rules: Notify, zone: ZoneInfo, now: datetime
) -> tuple[list[Change], dict[Key, Watched]]:
    """The changes to tell now, the grave first and good news last, and what is watched from now on."""
    quiet = is_quiet(rules, zone, now)
    changes: list[Change] = []
    after: dict[Key, Watched] = {}
    for key in {**watched, **sight.unwell}:
        before = watched.get(key)
        if key in sight.holds:
            change, entry = _step(key, before, sight.holds[key], rules, now, quiet=quiet)
            if change:
                changes.append(change)
        else:
            entry = before if key[0] in sight.unknown else None
        if entry:
            after[key] = entry
    return sorted(changes, key=_rank), after


def _step(
    key: Key, before: Watched | None, finding: Finding | None, rules: Notify, now: datetime, *, quiet: bool
) -> tuple[Change | None, Watched | None]:
    """What one look at one thing leads to; a clock that was set back makes nothing wait for longer than it should."""
    if finding is not None:
        entry = Watched(now) if before is None else replace(before, since=min(before.since, now), well=None)
        may = not quiet or (finding.level is Level.FAILURE and rules.in_quiet_hours == "grave")
        if entry.told or not has_lasted(entry, finding, rules, now) or not may:
            return None, entry
        return Change(key, finding, entry.since), replace(entry, told=True)
    if before is None or not before.told:
        return None, None
    well = now if before.well is None else min(before.well, now)
    if quiet or now - well < rules.wait:
        return None, replace(before, well=well)
    return Change(key, None, before.since, well), None


def has_lasted(entry: Watched, finding: Finding, rules: Notify, now: datetime) -> bool:
    """Whether something is not well for long enough to be told."""
    return now - entry.since >= max(rules.wait, finding.patience)


def _rank(change: Change) -> tuple[int, Key]:
    if change.finding is None:
        return 2, change.key
    return int(change.finding.level is not Level.FAILURE), change.key


def is_quiet(rules: Notify, zone: ZoneInfo, now: datetime) -> bool:
    """Whether it is quiet now."""
    return rules.is_quiet(now.astimezone(zone).time())


def digest_due(last: date | None, rules: Notify, zone: ZoneInfo, now: datetime) -> tuple[bool, date | None]:
    """Whether the digest is due, and the local date of the last one after that.

    It comes once on every local date, at its time or as soon after it as may be told: a time that the clock skips means
    as much later, one that it shows twice the first. Where there was none before, it begins with the next time.
    """
    if rules.digest is None:
        return False, last
    today = now.astimezone(zone).date()
    reached = now >= datetime.combine(today, rules.digest, zone).astimezone(UTC)
    if last is None:
        return False, today if reached else today - timedelta(days=1)
    last = min(last, today)
    due = reached and last < today and not is_quiet(rules, zone, now)
    return due, today if due else last

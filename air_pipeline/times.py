"""Times as people give them: dates, local clock times, and so long ago.

Belongs here: from a text to an instant. Does not: how days and hours lie on the UTC clock (`processing.local_time`).
"""

import re
import reprlib
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.local_time import first_instant

Time = str | date | datetime | timedelta
"""A time as people give it: `2026-11-21`, `2026-11-21T08:00`, `-7d`, `now`, `today` or `yesterday` (their first
instants), or Python's own; without a zone it is local."""

_RELATIVE = re.compile(r"-([0-9]+)(m|h|d|w)")
_DATES_AGO = "dw"
_DAYS_AGO = {"today": 0, "yesterday": 1}
_FIRST_YEAR, _LAST_YEAR = 1900, 2199
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_TIMES = "write it as 2026-11-21, 2026-11-21T08:00, -7d or yesterday"
_DATES = "write it as 2026-11-21, -7d or yesterday"


class TimeError(AirPipelineError, ValueError):
    """A time that cannot be understood; the message says how to write one."""

    exit_status = 2


def instant(time: Time, zone: ZoneInfo, now: datetime) -> datetime:
    """The instant that a time means, in UTC: a date is its first instant in the zone, a timedelta is added to now.

    A local time that the clock showed twice means the first of the two; one that it skipped means as much later as the
    clock was put forward. Times are those of the years 1900 to 2199 in the zone.

    Raises:
        TimeError: it is none.
    """
    return _instant(time, zone, now, "a time", _TIMES)


def local_date(time: Time, zone: ZoneInfo, now: datetime) -> date:
    """The date in the zone at a time; so many days ago (`-7d`) counts dates, and no hours: days may have 23 or 25.

    Raises:
        TimeError: it is none; the message shows how to write dates.
    """
    meant = time
    if isinstance(time, str) and (relative := _RELATIVE.fullmatch(time)) and relative[2] in _DATES_AGO:
        with suppress(OverflowError, ValueError):
            meant = now.astimezone(zone).date() - int(relative[1]) * _UNITS[relative[2]]
    at = _instant(meant, zone, now, "a date", _DATES).astimezone(zone)
    with suppress(_Unreadable):
        meant = _parse(meant, now.astimezone(zone)) if isinstance(meant, str) else meant
    # A date that is said is that date, also one that the zone skipped: devices elsewhere have it.
    return meant if isinstance(meant, date) and not isinstance(meant, datetime) else at.date()


def interval(start: Time, end: Time | None, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """The stretch of time [start, end) that two times mean, in UTC; without an end it goes up to now.

    Raises:
        TimeError: one of them is none, it begins in the future, or it is empty.
    """
    since = instant(start, zone, now)
    until = now.astimezone(UTC) if end is None else instant(end, zone, now)
    if since > now:
        raise TimeError(f"{local_text(since, zone)} ({zone.key}) is in the future: nothing has been read yet")
    if since >= until:
        span = f"from {local_text(since, zone)} to {local_text(until, zone)} ({zone.key})"
        raise TimeError(f"the time {span} is empty; put the earlier one first")
    return since, until


def local_text(moment: datetime, zone: ZoneInfo) -> str:
    """An instant as the clock in the zone shows it, to the minute or, where it has them, to its seconds."""
    local = moment.astimezone(zone).replace(tzinfo=None, microsecond=0)
    return local.isoformat(sep=" ", timespec="seconds" if local.second else "minutes")


def _instant(time: Time, zone: ZoneInfo, now: datetime, wanted: str, examples: str) -> datetime:
    written = reprlib.repr(time) if isinstance(time, str) else str(time)
    try:
        meant = _meaning(time, zone, now)
        is_known = _FIRST_YEAR <= meant.astimezone(zone).year <= _LAST_YEAR
    except (OverflowError, ValueError):  # Python has no such date, or no number of so many digits
        is_known = False
    except _Unreadable:
        raise TimeError(f"{written} is not {wanted}; {examples}") from None
    if not is_known:
        raise TimeError(f"{written} is out of bounds; {examples}, in the years 1900 to 2199")
    return meant


class _Unreadable(Exception):
    """A text that is no time."""


def _meaning(time: Time, zone: ZoneInfo, now: datetime) -> datetime:
    if isinstance(time, str):
        time = _parse(time, now.astimezone(zone))
    if isinstance(time, timedelta):
        return (now + time).astimezone(UTC)
    if isinstance(time, datetime):
        return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
    return first_instant(time, zone)


def _parse(text: str, now: datetime) -> date | datetime | timedelta:
    """What a text says; `now` is in the zone."""
    if text == "now":
        return now
    if text in _DAYS_AGO:
        return now.date() - timedelta(days=_DAYS_AGO[text])
    if relative := _RELATIVE.fullmatch(text):
        return -int(relative[1]) * _UNITS[relative[2]]
    for parse in (date.fromisoformat, datetime.fromisoformat):
        with suppress(ValueError):
            return parse(text)
    raise _Unreadable

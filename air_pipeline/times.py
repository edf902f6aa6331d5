"""Times as people give them: dates, local clock times, and so long ago.

Belongs here: from a text to an instant. Does not: how days and hours lie on the UTC clock (`processing.local_time`).
"""

import re
import reprlib
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from air_pipeline.processing.local_time import first_instant

Time = str | date | datetime | timedelta
"""A time as people give it: `2026-11-21`, `2026-11-21T08:00`, `-7d`, or Python's own; without a zone it is local."""

_RELATIVE = re.compile(r"-([0-9]+)(m|h|d|w)")
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_EXAMPLES = "write it as 2026-11-21, 2026-11-21T08:00 or -7d"
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class TimeError(ValueError):
    """A time that cannot be understood; the message says how to write one."""


def instant(time: Time, zone: ZoneInfo, now: datetime) -> datetime:
    """The instant that a time means: a date is its first instant in the zone, a timedelta is added to now.

    A local time that the clock showed twice means the first of the two; one that it skipped means as much later as the
    clock was put forward. Times are those of the years 1900 to 2199.

    Raises:
        TimeError: it is none.
    """
    if isinstance(time, str):
        time = _parse(time)
    try:
        if isinstance(time, timedelta):
            meant = now + time
        elif isinstance(time, datetime):
            meant = (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
        else:
            meant = first_instant(time, zone)
    except (OverflowError, ValueError):
        raise TimeError(f"{time} is out of bounds; {_EXAMPLES}") from None
    if not _EARLIEST <= meant < _LATEST:
        raise TimeError(f"{time} is out of bounds; {_EXAMPLES}")
    return meant


def _parse(text: str) -> date | datetime | timedelta:
    if relative := _RELATIVE.fullmatch(text):
        try:
            return -int(relative[1]) * _UNITS[relative[2]]
        except (OverflowError, ValueError):
            raise TimeError(f"{reprlib.repr(text)} is out of bounds; {_EXAMPLES}") from None
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            return parse(text)
        except ValueError:
            continue
    raise TimeError(f"{reprlib.repr(text)} is not a time; {_EXAMPLES}")

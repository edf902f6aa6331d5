"""A date or a time of the clock at a device, as settings say it.

Belongs here: from what is written to an instant. Does not: what such times mean to an entry (`marks`, `calibration`).
"""

from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

from air_pipeline.processing.local_time import epoch_ms, first_instant
from air_pipeline.settings.values import shown

_FIRST_YEAR, _LAST_YEAR = 1970, 2199


def _moment(value: object) -> date | datetime:
    found: date | datetime | None = None
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            found = found or parse(value if isinstance(value, str) else "")
        except ValueError:
            continue
    if found is None:
        raise ValueError(f"{shown(value)} is not a time; write it as 2026-11-21T08:00 or 2026-11-21")
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise ValueError(f"{shown(value)} is out of bounds; write a time of the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return found


Moment = Annotated[date | datetime, BeforeValidator(_moment)]


def instant_of(moment: date | datetime, zone: ZoneInfo) -> int:
    """The instant that is meant, in ms UTC: the first of a date; by the clock in the zone where it has no offset."""
    if not isinstance(moment, datetime):
        return epoch_ms(first_instant(moment, zone))
    return epoch_ms(moment if moment.tzinfo else moment.replace(tzinfo=zone))

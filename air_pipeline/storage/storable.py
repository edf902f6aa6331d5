"""What every store can keep: polls that no store could keep, or that two would keep differently, are refused here.

Belongs here: the limits that all stores share. Does not: how a store writes what is within them.
"""

import math
from collections.abc import Iterable
from functools import lru_cache

from air_pipeline.devices.polls import Poll, series_to_json
from air_pipeline.storage.store import EARLIEST_MS, LATEST_MS, PollsRejected

# InfluxDB drops a field called time without a word and has columns name and tags in its CSV; the others are the key.
_RESERVED = frozenset({"time", "name", "tags", "device", "observed_at"})

EMPTY_VALUE = '"value":""'
"""How a value that came as an empty text stands in the problems of a poll (`devices.polls.problems_to_json`)."""


def require_storable(polls: Iterable[Poll]) -> None:
    """Says which poll cannot be kept, and why.

    Raises:
        PollsRejected: a number is not finite, a name is empty, reserved or not printable, a slot is out of range.
    """
    for poll in polls:
        mistake = _mistake(poll)
        if mistake:
            raise PollsRejected(f"The poll of device {poll.device!r} at {poll.observed_at} is not storable: {mistake}.")


def air_values(poll: Poll) -> dict[str, float]:
    """The values that are stored with a poll: those of a reading, −0.0 as 0.0."""
    if not poll.outcome.has_reading:
        return {}
    return {series: number(value) for series, value in poll.values.items()}


def number(value: float) -> float:
    """A number as it is stored: a Python float (numpy's have another repr), −0.0 as 0.0."""
    return float(value) + 0.0


def text(value: str) -> str:
    r"""A text as it is stored: what UTF-8 cannot hold (a lone surrogate out of a device's JSON) becomes `\udXXX`."""
    return value.encode("utf-8", "backslashreplace").decode()


def body_text(poll: Poll) -> str | None:
    """The body as it is stored; an empty one is none."""
    return text(poll.body) if poll.body else None


def series_text(poll: Poll) -> str | None:
    """The names of the series that it was asked for as they are stored; None where it does not say them."""
    return series_to_json(poll.series)


def identity_text(poll: Poll) -> str | None:
    """What the device says which one it is, as it is stored; None where nothing is said of it, or without a reading."""
    return text(poll.identity) if poll.identity and poll.outcome.has_reading else None


def cycle_text(poll: Poll) -> str | None:
    """The mark of the measuring cycle as it is stored; None where there is none, or no reading to be of it."""
    return text(poll.cycle) if poll.cycle and poll.outcome.has_reading else None


def _within(time: int) -> int:
    return min(max(time, EARLIEST_MS), LATEST_MS + 1)


def _mistake(poll: Poll) -> str | None:
    if not _is_name(poll.device):
        return "the name of the device is empty or has characters that cannot be kept"
    if poll.import_id is not None and not _is_name(poll.import_id):
        return "the id of its import is empty or has characters that cannot be kept"
    if not EARLIEST_MS <= poll.observed_at <= LATEST_MS:
        return "the slot is outside the years 1677 to 2262"
    for name, value in (("duration_ms", poll.duration_ms), ("interval_s", poll.interval_s)):
        if not math.isfinite(value):
            return f"{name} is {value}"
    for series in (*poll.values, *(poll.series or ())):
        if series in _RESERVED or not _is_name(series):
            return f"{series!r} cannot be the name of a series"
    for series, value in poll.values.items():
        if not math.isfinite(value):
            return f"{series} is {value}"
    return None


@lru_cache(maxsize=8192)
def _is_name(name: str) -> bool:
    # A backslash means something else before each other character in line protocol.
    return bool(name) and name.isprintable() and "\\" not in name


def within_time(start: int, end: int) -> tuple[int, int]:
    """An interval in ms, cut to the times that a store can hold."""
    return _within(start), _within(end)

"""The words of polling as types: outcome, problem, poll.

Belongs here: what a poll is and how it travels between the rooms. Does not: how it is made (`client`, `document`) or
kept (`collection`, `storage`).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, float] = MappingProxyType({})

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Outcome(StrEnum):
    """What became of one poll."""

    OK = "ok"
    PARTIAL = "partial"
    REJECTED = "rejected"
    HTTP_ERROR = "http_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    TOO_LARGE = "too_large"
    SKIPPED = "skipped"
    IMPORTED = "imported"
    """Not polled by a collector of ours: values that came from elsewhere, as good as `ok` (see `importing`)."""
    ENDED = "ended"
    """No slot: from here on nothing is expected of the device, until its next poll."""

    @property
    def has_reading(self) -> bool:
        """Whether values were stored with the poll."""
        return self in {Outcome.OK, Outcome.PARTIAL, Outcome.IMPORTED}

    @property
    def has_status(self) -> bool:
        """Whether there was an answer, which may have had a status."""
        return self in {Outcome.OK, Outcome.PARTIAL, Outcome.REJECTED, Outcome.HTTP_ERROR, Outcome.TOO_LARGE}

    @property
    def is_answer(self) -> bool:
        """Whether the device was awake, and said something."""
        return self.has_status or self.has_reading


OF_SLOTS = tuple(outcome for outcome in Outcome if outcome is not Outcome.ENDED)
"""What can become of the poll of a slot."""


class Flag(IntEnum):
    """QARTOD quality flags (IOOS, Manual for Real-Time Oceanographic Data Quality Control Flags, 2020)."""

    GOOD = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    BAD = 4
    MISSING = 9


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that was asked for and not stored.

    Attributes:
        series: which one, such as `dht22_humidity`.
        value: what the device sent, as it came in (shortened to 100 characters); None where it sent nothing.
        flag: what the observation will be flagged: 9 where the device said nothing, 4 where it said something unusable.
        reason: why, in words.
    """

    series: str
    value: str | None
    flag: Flag
    reason: str


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What a device was asked for at a time.

    Attributes:
        series: the names of the series.
        is_said: whether a poll says so; else they are those that the nearest poll has something of, or the settings'.
    """

    series: Collection[str]
    is_said: bool = False


@dataclass(frozen=True, slots=True)
class Poll:
    """One attempt to read a device in one slot.

    Attributes:
        device: id of the device.
        observed_at: the slot, in ms since 1970 UTC.
        outcome: what became of it.
        duration_ms: from the slot to the end of the answer (or of the waiting for it), whole ms.
        interval_s: the interval in force, in seconds.
        http_status: of the answer, if there was one.
        values: series to number, for outcomes `ok` and `partial`.
        problems: the values asked for and not stored.
        body: the start of a rejected document that differs from the last rejected one.
        series: the names of the series that it was asked for, where they differ from those said last; None: the same.
        cycle: the mark of the measuring cycle that its values are of, where the kind of device has one.
        identity: which device it is by its own word, where that is not what was said last; None: the same.
        import_id: of the import that it came with; None: it is our own.
    """

    device: str
    observed_at: int
    outcome: Outcome
    duration_ms: float
    interval_s: float
    http_status: int | None = None
    values: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    problems: tuple[Problem, ...] = ()
    body: str | None = None
    series: tuple[str, ...] | None = None
    cycle: str | None = None
    identity: str | None = None
    import_id: str | None = None

    @property
    def problems_json(self) -> str:
        """The problems as stored: an empty text, or a JSON list of `{series, value, flag, reason}`."""
        return problems_to_json(self.problems)


def problems_to_json(problems: tuple[Problem, ...]) -> str:
    """An empty text for no problems, else a JSON list of objects with `series`, `value`, `flag` and `reason`."""
    if not problems:
        return ""
    rows = [{"series": p.series, "value": p.value, "flag": int(p.flag), "reason": p.reason} for p in problems]
    return _json(rows)


def problems_from_json(text: str | None) -> tuple[Problem, ...]:
    """The inverse of `problems_to_json`; None counts as no problems."""
    if not text:
        return ()
    return tuple(Problem(row["series"], row["value"], Flag(row["flag"]), row["reason"]) for row in json.loads(text))


def series_to_json(series: tuple[str, ...] | None) -> str | None:
    """The names of series as stored: a JSON list."""
    return None if series is None else _json(series)


def series_from_json(text: object) -> tuple[str, ...] | None:
    """The inverse of `series_to_json`; None where it is no text, as stores and frames have it where nothing was said.

    Raises:
        ValueError: it is none of ours.
    """
    if not isinstance(text, str) or not text:
        return None
    names = json.loads(text)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"no list of series: {text[:100]!r}")
    return tuple(names)


def poll_to_json(poll: Poll) -> str:
    """A poll as one line of JSON, whatever store it will go to."""
    row: dict[str, object] = {
        "device": poll.device,
        "observed_at": poll.observed_at,
        "outcome": poll.outcome.value,
        "duration_ms": poll.duration_ms,
        "interval_s": poll.interval_s,
        "http_status": poll.http_status,
        "values": dict(poll.values),
        "problems": poll.problems_json,
        "body": poll.body,
    }
    if poll.series is not None:
        row["series"] = poll.series
    if poll.cycle is not None:
        row["cycle"] = poll.cycle
    if poll.identity is not None:
        row["identity"] = poll.identity
    return _json(row)


def poll_from_json(text: str) -> Poll:
    """The inverse of `poll_to_json`."""
    row: dict[str, Any] = json.loads(text)
    row["outcome"] = Outcome(row["outcome"])
    if not isinstance(row["values"], dict):  # a proxy takes a text as well
        raise TypeError("its values are no mapping")
    row["values"] = MappingProxyType(row["values"])
    row["problems"] = problems_from_json(row["problems"])
    if isinstance(names := row.get("series"), list):
        row["series"] = tuple(names)
    return Poll(**row)

"""Rows of the outbox, each read by itself: one that cannot be read is nobody else's trouble.

Belongs here: what a row is as a poll, and why it is none. Does not: SQL (`outbox`).
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from air_pipeline.devices.polls import Outcome, Poll, poll_from_json, poll_to_json
from air_pipeline.errors import AirPipelineError
from air_pipeline.storage.store import EARLIEST_MS, LATEST_MS

LARGEST_BYTES = 4_000_000
"""A document has 64 KiB at most, and what is made of it is not a hundred times as long."""
_NUMBER = (int, float)
_MOST_KNOWN = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """A poll as the outbox keeps it."""

    observed_at: int
    text: str


def encoded(poll: Poll) -> Row:
    """A poll as the outbox keeps it.

    Raises:
        UnicodeEncodeError: there is something in it that no file takes.
    """
    text = poll_to_json(poll)
    text.encode()
    return Row(poll.observed_at, text)


@dataclass(frozen=True, slots=True)
class Pending:
    """A poll that the store does not have yet, with its number and text in the outbox.

    Both together are its identity: in another file, put in this one's place meanwhile, its number is another poll's.
    """

    number: int
    poll: Poll
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """What waits at one end of the outbox.

    Attributes:
        polls: in the order in which they came in, or the other way round.
        unreadable: the numbers of the rows among them that cannot be read, and why.
        is_all: whether nothing else waits.
    """

    polls: list[Pending]
    unreadable: dict[int, str]
    is_all: bool


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A poll that the store will never take, or a row that cannot be read; and why.

    Attributes:
        number: of the row.
        device: its device; empty if that cannot be read.
        observed_at: its slot, ms UTC; None if that cannot be read.
        poll: None if it cannot be read.
        reason: in words.
    """

    number: int
    device: str
    observed_at: int | None
    poll: Poll | None
    reason: str


class RowUnreadable(AirPipelineError):
    """A row is no poll that this program knows; the message says why."""


def poll_of(raw: bytes | str | None) -> Poll:
    """The poll that a row holds.

    Args:
        raw: its text as the file has it; None where it is longer than any poll.

    Raises:
        RowUnreadable: it holds none.
    """
    if raw is None:
        raise RowUnreadable("it is longer than a poll can be")
    try:
        poll = poll_from_json(raw.decode() if isinstance(raw, bytes) else raw)
    except KeyError as error:
        raise RowUnreadable(f"it has no {error.args[0]}") from error
    except TypeError as error:
        raise RowUnreadable(_unknown_field(raw) or f"it is no poll ({error})") from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise RowUnreadable(f"it is no poll ({error})") from error
    if odd := [name for name, kinds in _KINDS.items() if not _is(getattr(poll, name), kinds)]:
        raise RowUnreadable(f"its {', '.join(odd)} cannot be right")
    if not all(isinstance(name, str) and _is(value, _NUMBER) for name, value in poll.values.items()):
        raise RowUnreadable("its values are no numbers")
    if not all(
        isinstance(one.series, str) and isinstance(one.reason, str) and _is(one.value, (str, type(None)))
        for one in poll.problems
    ):
        raise RowUnreadable("its problems cannot be right")
    if not all(isinstance(name, str) for name in poll.series or ()):
        raise RowUnreadable("the series that it was asked for cannot be right")
    return poll


class PollsCame(threading.Event):
    """Set whenever polls were committed; it knows those that were encoded last, which costs less than to read them."""

    def __init__(self) -> None:
        super().__init__()
        self._known: OrderedDict[bytes | None, Poll] = OrderedDict()

    def encoded(self, poll: Poll) -> Row:
        """See `encoded`; known until it is read, or many others came."""
        row = encoded(poll)
        self._known[row.text.encode()] = poll
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return row

    def poll_of(self, raw: bytes | None) -> Poll:
        """See `poll_of`."""
        return self._known.pop(raw, None) or poll_of(raw)


_KINDS: Mapping[str, tuple[type, ...]] = {
    "device": (str,),
    "observed_at": (int,),
    "outcome": (Outcome,),
    "duration_ms": _NUMBER,
    "interval_s": _NUMBER,
    "http_status": (int, type(None)),
    "body": (str, type(None)),
    "series": (tuple, type(None)),
    "cycle": (str, type(None)),
    "identity": (str, type(None)),
}


def _is(value: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):  # which Python counts among the integers
        return False
    if isinstance(value, int) and int in kinds:
        return abs(value) < 2**63
    return isinstance(value, kinds)


def _unknown_field(raw: bytes | str) -> str:
    """What a row of another version has that a poll of this one has not."""
    row = json.loads(raw)
    unknown = sorted(set(row) - {*_KINDS, "values", "problems"}) if isinstance(row, dict) else []
    return f"it has {', '.join(map(repr, unknown[:3]))}, which this version does not know" if unknown else ""


def quarantined_of(number: int, observed_at: object, raw: bytes | None, reason: bytes) -> Quarantined:
    """A row of the quarantine, whether it can be read or not."""
    try:
        poll = poll_of(raw)
    except RowUnreadable:
        slot = observed_at if isinstance(observed_at, int) and EARLIEST_MS <= observed_at <= LATEST_MS else None
        return Quarantined(number, "", slot, None, text_of(reason))
    return Quarantined(number, poll.device, poll.observed_at, poll, text_of(reason))


def text_of(raw: bytes) -> str:
    """A text as far as it is one."""
    return raw.decode(errors="replace")

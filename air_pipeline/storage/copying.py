"""Readings from one store into another, UTC day by UTC day.

Belongs here: copying polls with their values and making sure that both stores then hold the same. Does not: who may
collect meanwhile, and which store a deployment uses afterwards (`collection.moving`).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Any

import pandas as pd

from air_pipeline.devices.polls import Outcome, Poll, problems_from_json, series_from_json
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.storage.fields import POLL_COLUMNS
from air_pipeline.storage.store import ReadingStore, StoreError, Summary

_DAY_MS = 86_400_000
_POLLS_AT_ONCE = 5_000


class CopyError(StoreError):
    """The two stores cannot be made to hold the same; the message says of which device and day."""


@dataclass(frozen=True, slots=True)
class CopiedDay:
    """What became of one UTC day.

    Attributes:
        day: the date, UTC.
        polls: how many polls were written; 0 where the store held all of them already.
        left: how many days are to come.
    """

    day: date
    polls: int
    left: int


def span_of(store: ReadingStore) -> tuple[int, int] | None:
    """The UTC days from the first poll of a store to its last, as [start, end) in ms UTC; None if it is empty.

    Raises:
        StoreError: it cannot say.
    """
    latest = store.latest()
    if not latest:
        return None
    first = min(first for device in latest if (first := store.first_poll(device)) is not None)
    last = max(max(one.poll.observed_at, one.reading_at or 0) for one in latest.values())
    return _midnight(first), _midnight(last) + _DAY_MS


def _midnight(time: int) -> int:
    return time // _DAY_MS * _DAY_MS


def copy_readings(
    origin: ReadingStore,
    target: ReadingStore,
    start: int,
    end: int,
    *,
    growing: bool = False,
    mark: Callable[[date], None] = lambda _: None,
) -> Iterator[CopiedDay]:
    """Copies the polls of every device in [start, end) with their values, oldest day first.

    What both stores summarize alike is taken to be the same, as it is for built days, and left out: an interrupted copy
    is finished by starting it again. One day of one device is in memory at a time. Before anything is written, what the
    target holds already is looked at: if it is not from `origin`, nothing is.

    Args:
        origin: the store to read.
        target: the store to write.
        start: ms UTC.
        end: ms UTC.
        growing: whether polls may come into `origin` meanwhile; days to which some came are for the next time.
        mark: told of each UTC date before something of it is written.

    Raises:
        CopyError: the target holds other polls of a device, or afterwards a day is not the same in both stores.
        StoreError: one of them cannot be read or written.
    """
    _require_nothing_else(origin, target, start, end)
    for edges, held in _days(origin, start, end):
        differing = _differing(held, target.summaries(*edges))
        day = from_epoch_ms(edges[0]).date()
        if differing:
            mark(day)
        copied = {device: copy_device(origin, target, device, *edges) for device in differing}
        if differing:
            now = origin.summaries(*edges) if growing else held
            settled = {device: copied.get(device, there) for device, there in held.items() if now.get(device) == there}
            _require_same(origin, target, day, settled, target.summaries(*edges))
        left = -(-(end - edges[1]) // _DAY_MS)
        yield CopiedDay(day, sum(one.polls for one in copied.values()), left)


def _days(store: ReadingStore, start: int, end: int) -> Iterator[tuple[tuple[int, int], Mapping[str, Summary]]]:
    """The UTC days of a store in [start, end), each cut to it, with what is held in it.

    From a day without a poll on it goes to the next that has one: a clock that was wrong may have left some in 1970.
    """
    midnight = _midnight(start)
    while midnight < end:
        edges = max(start, midnight), min(end, midnight + _DAY_MS)
        if held := store.summaries(*edges):
            yield edges, held
            midnight += _DAY_MS
            continue
        firsts = [store.first_poll(device, edges[1]) for device in store.latest(edges[1], end)]
        midnight = _midnight(min((first for first in firsts if first is not None), default=end + _DAY_MS))


def _differing(held: Mapping[str, Summary], there: Mapping[str, Summary]) -> dict[str, Summary]:
    """The devices that the other store does not hold alike, with what it holds of them."""
    nothing = Summary(polls=0, duration_ms=0.0, values=0)
    return {device: there.get(device, nothing) for device in held if there.get(device) != held[device]}


def _require_nothing_else(origin: ReadingStore, target: ReadingStore, start: int, end: int) -> None:
    """Makes sure that what the target holds of these devices came from the same polls."""
    span = span_of(target)
    if span is None:
        return
    for edges, held in _days(target, max(start, span[0]), min(end, span[1])):
        for device, there in _differing(origin.summaries(*edges), held).items():
            if there.polls and _others(origin, target, device, *edges):
                day = from_epoch_ms(edges[0]).date()
                raise CopyError(
                    f"{target.identity} holds other polls of device {device!r} on {day} (UTC), from somewhere else, so"
                    " nothing was copied. Copy into a bucket that holds nothing of this device: set INFLUXDB_V2_BUCKET"
                    " to another one."
                )


def _others(origin: ReadingStore, target: ReadingStore, device: str, start: int, end: int) -> bool:
    """Whether the target has polls of a device that are not those of the origin."""
    there = target.polls(device, start, end)[["outcome", "duration_ms"]]
    here = origin.polls(device, start, end)[["outcome", "duration_ms"]]
    return not there.equals(here.reindex(there.index))


def _require_same(
    origin: ReadingStore, target: ReadingStore, day: date, held: Mapping[str, Summary], there: Mapping[str, Summary]
) -> None:
    for device, other in _differing(held, there).items():
        raise CopyError(
            f"After copying, {target.identity} holds {_words(other)} of device {device!r} on {day} (UTC) and "
            f"{origin.identity} {_words(held[device])}: something else has written there meanwhile. Set"
            " INFLUXDB_V2_BUCKET to a bucket that holds nothing of this device, and copy again."
        )


def _words(summary: Summary) -> str:
    return f"{summary.polls} polls with {summary.values} values"  # noqa: PD011 - not of pandas


def copy_device(
    origin: ReadingStore, target: ReadingStore, device: str, start: int, end: int, name: str | None = None
) -> Summary:
    """Copies the polls of one device in [start, end), ms UTC, and what is shown with them; what that amounts to.

    Args:
        origin: where they are.
        target: where they are written.
        device: whose.
        start: ms UTC.
        end: ms UTC, excluded.
        name: the device that they are written as, if it is another.

    Raises:
        CopyError: there is something of it that air_pipeline did not write.
        StoreError: one of the stores cannot be read or written.
    """
    readings = origin.readings(device, start, end)
    polls = origin.polls(device, start, end)  # after the readings: none of those is then without its poll
    alone = readings.index.difference(polls.index)
    if len(alone):
        raise CopyError(
            f"{origin.identity} holds values of device {device!r} at {alone[0].isoformat()} without a poll, so "
            "something other than air_pipeline wrote them: delete them there, or copy what is before and what is after."
        )
    stored = stored_polls(name or device, polls, readings)
    values = 0
    while some := list(islice(stored, _POLLS_AT_ONCE)):
        target.write(some)
        values += sum(len(poll.values) for poll in some)
    return Summary(len(polls), float(polls["duration_ms"].sum()), values)


def stored_polls(device: str, polls: pd.DataFrame, readings: pd.DataFrame) -> Iterator[Poll]:
    """The polls of one device, from the frames of `ReadingStore`: writing them makes another store hold the same.

    Raises:
        CopyError: a poll is not one that air_pipeline wrote.
    """
    slots = polls.index.astype("int64").tolist()
    series = list(readings.columns)
    columns = (polls[name].tolist() for name in POLL_COLUMNS)
    values = readings.reindex(polls.index).to_numpy().tolist()
    for slot, row, *fields in zip(slots, values, *columns, strict=True):
        try:
            poll = _poll(device, slot, dict(zip(POLL_COLUMNS, fields, strict=True)))
        except (KeyError, TypeError, ValueError) as error:
            raise CopyError(
                f"The poll of device {device!r} at {slot} is not one that air_pipeline wrote: {error!r}."
            ) from error
        reading = {name: value for name, value in zip(series, row, strict=True) if not math.isnan(value)}
        yield replace(poll, values=reading if poll.outcome.has_reading else {})


def _poll(device: str, slot: int, fields: Mapping[str, Any]) -> Poll:
    """A poll, without its values, from its stored fields."""
    status, body = fields["http_status"], fields["body"]
    cycle, identity, imported = (fields[name] for name in ("cycle", "identity", "import"))
    return Poll(
        device=device,
        observed_at=slot,
        outcome=Outcome(fields["outcome"]),
        duration_ms=fields["duration_ms"],
        interval_s=fields["interval_s"],
        http_status=None if math.isnan(status) else int(status),
        problems=problems_from_json(fields["problems"]),
        body=body if isinstance(body, str) else None,  # a missing text is NaN in the frame
        series=series_from_json(fields["series"]),
        cycle=cycle if isinstance(cycle, str) else None,
        identity=identity if isinstance(identity, str) else None,
        import_id=imported if isinstance(imported, str) else None,
    )

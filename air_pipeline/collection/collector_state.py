"""How a collector stands: whether it runs, what waits, what it noted of the devices.

Belongs here: the one function that everybody asks who wants to know, from the files of a collector that runs here or
from what one tells through the store that runs elsewhere. Does not: when it tells (`telling`), what is made of the
answer (`health`).
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from air_pipeline.collection.lease import Holder, holder, lease_holds
from air_pipeline.collection.outbox import Outbox, existing_outbox
from air_pipeline.collection.outbox_status import OutboxStatus
from air_pipeline.collection.recorder import Recording, recording
from air_pipeline.collection.setting_aside import Aside
from air_pipeline.devices.polls import Poll
from air_pipeline.state import StateDirectory
from air_pipeline.storage.store import ReadingStore, StoreError, Told

SILENT_AFTER_S = 75.0
"""A collector elsewhere that has told nothing for so long does not run, or does not reach the store."""
MOST_AHEAD_S = 3600.0
"""Clocks differ; a word of a time further ahead says nothing of now: it would be believed until then."""
MOST_REASONS = 3
_LONGEST_TEXT = 2_000
_LONGEST_NOTES = 20_000
"""Characters, of all devices together: the store takes 64 KiB a field."""

_Json = TypeVar("_Json", dict[str, Any], list[Any])
_Made = TypeVar("_Made", Recording, Aside)

_TAKES_EVERYTHING = Recording()
NOTHING_WAITS = OutboxStatus(pending=0, oldest=None, quarantined=0, failures=0, retry_at=0.0, error="")


@dataclass(frozen=True, slots=True)
class CollectorState:
    """How a collector stands.

    Attributes:
        running: the process that collects, if one does.
        is_wanted: whether Dagster wants one now.
        has_begun: whether anything was ever collected.
        outbox: how delivery stands.
        recording: how the disk takes what is polled.
        reasons: why the newest of the polls that the store will never take were set aside.
        notes: device to what it sends that the settings do not know.
        newest: device to its last poll among the newest of those that wait; where they were asked for.
        asides: outboxes that were damaged, and what was saved of them.
        told_by: the name of the collector elsewhere that told this; empty where it was looked at here.
        told_at: when it told, ms UTC; None if nobody did.
        settings: tells the settings of that one from others.
        version: of the program there.
        unanswered: why the store did not say what a collector elsewhere told, where that was wanted.
    """

    running: Holder | None = None
    is_wanted: bool = False
    has_begun: bool = False
    outbox: OutboxStatus = NOTHING_WAITS
    recording: Recording = _TAKES_EVERYTHING
    reasons: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    newest: Mapping[str, Poll] = field(default_factory=dict)
    asides: tuple[Aside, ...] = ()
    told_by: str = ""
    told_at: int | None = None
    settings: str = ""
    version: str = ""
    unanswered: str = ""


def process_state(state: StateDirectory) -> CollectorState:
    """The same without what is in the outbox, for which it need not be readable.

    Raises:
        SettingsError: the lock cannot be read.
    """
    begun = state.outbox.exists()
    return CollectorState(holder(state), lease_holds(state), has_begun=begun, recording=recording(state))


def collector_state(state: StateDirectory, store: ReadingStore | None = None, *, newest: int = 0) -> CollectorState:
    """How a collector stands; nothing is made.

    Args:
        state: the directory of one that runs here.
        store: where one that runs elsewhere tells of itself, if that counts where none runs here. The polls that wait
            in an outbox here are told before those elsewhere: nobody delivers them.
        newest: how many of the newest polls that wait here are looked through for the last of each device.

    Raises:
        OutboxError: the outbox cannot be read.
        SettingsError: the lock cannot be read.
    """
    found = _here(state, newest)
    if store is None or found.running is not None:
        return found
    try:
        told = max(store.last_told().values(), key=lambda told: told.at, default=None)
    except StoreError as error:
        return replace(found, unanswered=str(error))
    if told is None:
        return found
    elsewhere = _told_state(told, time.time())
    if elsewhere.running is None and found.has_begun:
        return found
    return replace(elsewhere, outbox=found.outbox) if found.outbox.pending else elsewhere


def _here(state: StateDirectory, newest: int) -> CollectorState:
    found = process_state(state)
    box = existing_outbox(state.outbox)
    if box is None:
        return found
    with closing(box):
        return of_outbox(found, box, newest)


def of_outbox(found: CollectorState, box: Outbox, newest: int = 0) -> CollectorState:
    """A collector's state with what is in its outbox; who has that open already asks here.

    Raises:
        OutboxError: the outbox cannot be read.
    """
    return replace(
        found,
        outbox=box.status(),
        reasons=tuple(box.reasons(MOST_REASONS)),
        notes=box.notes(),
        newest=box.newest(newest) if newest else {},
        asides=tuple(box.asides()),
    )


def told_fields(state: CollectorState) -> dict[str, float | str]:
    """What the collector of this process tells of itself: numbers and short texts."""
    box = state.outbox
    numbers = {"pending": box.pending, "quarantined": box.quarantined, "failures": box.failures, "pid": os.getpid()}
    numbers |= {} if box.oldest is None else {"oldest_ms": box.oldest}
    numbers |= {} if state.running is None else {"since_ms": round(state.running.since * 1000)}
    texts = {
        "error": box.error[:_LONGEST_TEXT],
        "reasons": json.dumps([reason[:_LONGEST_TEXT] for reason in state.reasons]),
        "notes": json.dumps(_first(state.notes, _LONGEST_NOTES)),
        "recording": json.dumps(asdict(replace(state.recording, refused=state.recording.refused[:_LONGEST_TEXT]))),
        "asides": json.dumps([asdict(one) for one in state.asides[:MOST_REASONS]]),
    }
    return {name: float(number) for name, number in numbers.items()} | texts


def _first(notes: Mapping[str, str], most: int) -> dict[str, str]:
    """As many of the notes as have room, by device."""
    some = {}
    for device, note in sorted(notes.items()):
        most -= len(device) + len(note)
        if most < 0:
            break
        some[device] = note
    return some


def _told_state(told: Told, now: float) -> CollectorState:
    """What a collector elsewhere told; what another version told otherwise is left at what says nothing."""
    fields = told.fields

    def number(name: str) -> int:
        value = fields.get(name, 0.0)
        return 0 if isinstance(value, str) else int(value)

    def text(name: str) -> str:
        return str(fields.get(name, ""))

    runs = -MOST_AHEAD_S < now - told.at / 1000 < SILENT_AFTER_S
    box = OutboxStatus(
        pending=number("pending"),
        oldest=number("oldest_ms") if "oldest_ms" in fields else None,
        quarantined=number("quarantined"),
        failures=number("failures"),
        retry_at=0.0,
        error=text("error"),
    )
    notes = _read(text("notes"), {})
    return CollectorState(
        running=Holder(number("pid"), number("since_ms") / 1000, leased=False) if runs else None,
        has_begun=True,
        outbox=box,
        recording=_made(Recording, _read(text("recording"), {})) or _TAKES_EVERYTHING,
        reasons=tuple(map(str, _read(text("reasons"), []))),
        notes={str(device): str(note) for device, note in notes.items()},
        asides=tuple(one for said in _read(text("asides"), []) if (one := _made(Aside, said)) is not None),
        told_by=told.collector,
        told_at=told.at,
        settings=text("settings"),
        version=text("version"),
    )


def _read(text: str, otherwise: _Json) -> _Json:
    try:
        read = json.loads(text)
    except ValueError:
        return otherwise
    return read if isinstance(read, type(otherwise)) else otherwise


def _made(kind: type[_Made], fields: object) -> _Made | None:
    try:
        return kind(**fields) if isinstance(fields, dict) else None
    except TypeError:  # another version's
        return None

"""How each collector stands: whether it runs, what waits, what it noted of the devices.

Belongs here: the functions that everybody asks who wants to know, from the files of a collector that runs here or from
what one tells through the store that runs elsewhere. Does not: when it tells (`telling`), what is made of the answer
(`health`).
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
from air_pipeline.collection.share import SILENT_AFTER_S, read_share
from air_pipeline.devices.polls import Poll
from air_pipeline.environment import Environment
from air_pipeline.settings import Settings
from air_pipeline.state import StateDirectory
from air_pipeline.storage.store import ReadingStore, StoreError, Told

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
        shares: tells what device is whose, by its settings, from what others think.
        host: the name of the machine there.
        waits: device to why it is not begun yet.
        waits_since: since when one waits, seconds UTC; 0 where none does.
        rival: another process that collects by the same name, in words; empty where none was noticed.
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
    shares: str = ""
    host: str = ""
    waits: Mapping[str, str] = field(default_factory=dict)
    waits_since: float = 0.0
    rival: str = ""
    unanswered: str = ""


def process_state(state: StateDirectory) -> CollectorState:
    """The same without what is in the outbox, for which it need not be readable.

    Raises:
        SettingsError: the lock cannot be read.
    """
    kept = read_share(state)
    return CollectorState(
        holder(state),
        lease_holds(state),
        has_begun=state.outbox.exists(),
        recording=recording(state),
        waits=kept.waits,
        waits_since=kept.since,
        rival=kept.rival,
    )


def collector_states(
    environment: Environment,
    settings: Settings,
    store: ReadingStore,
    *,
    newest: int = 0,
    here: CollectorState | None = None,
) -> dict[str, CollectorState]:
    """How each collector stands that devices name: the one here by its files, the others by what they told.

    And any other that runs, or left polls in the outbox here.

    Args:
        environment: of what is here.
        settings: those in force, which name collectors.
        store: where the others tell of themselves; not asked where there can be none.
        newest: as in `collector_state`.
        here: how the one here stands, where that was looked at already.

    Raises:
        OutboxError: the outbox cannot be read.
        SettingsError: the lock cannot be read.
    """
    here = here or collector_state(environment.state, newest=newest)
    own = environment.collector if here.running is None else here.running.name
    is_external = settings.collector == "external"
    found: dict[str, CollectorState] = {}
    told: Mapping[str, Told] = {}
    unanswered = ""
    if settings.collectors != (own,) or (is_external and here.running is None):
        try:
            told = store.last_told()
        except StoreError as error:
            unanswered = str(error)
    for name in settings.collectors:
        if name != own:
            found[name] = told_state(told[name]) if name in told else CollectorState(unanswered=unanswered)
        else:
            found[name] = _merged(here, told.get(name), unanswered) if is_external else here
    if own not in found and (here.running is not None or here.outbox.pending):
        found[own] = here
    others = {name: told_state(one) for name, one in told.items() if name not in found}
    return found | {name: one for name, one in others.items() if one.running is not None}


def collector_state(state: StateDirectory, *, newest: int = 0) -> CollectorState:
    """How the collector of a state directory stands; nothing is made.

    Args:
        state: the directory.
        newest: how many of the newest polls that wait here are looked through for the last of each device.

    Raises:
        OutboxError: the outbox cannot be read.
        SettingsError: the lock cannot be read.
    """
    found = process_state(state)
    box = existing_outbox(state.outbox)
    if box is None:
        return found
    with closing(box):
        return of_outbox(found, box, newest)


def _merged(here: CollectorState, told: Told | None, unanswered: str) -> CollectorState:
    """How one stands that may run here or elsewhere; polls that wait here come first: nobody delivers them."""
    if here.running is not None or (told is None and not unanswered):
        return here
    if told is None:
        return replace(here, unanswered=unanswered)
    elsewhere = told_state(told)
    if elsewhere.running is None and here.has_begun:
        return here
    return replace(elsewhere, outbox=here.outbox) if here.outbox.pending else elsewhere


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
    numbers |= {"waits_since_ms": round(state.waits_since * 1000)} if state.waits else {}
    texts = {
        "error": box.error[:_LONGEST_TEXT],
        "reasons": json.dumps([reason[:_LONGEST_TEXT] for reason in state.reasons]),
        "notes": json.dumps(_first(state.notes, _LONGEST_NOTES)),
        "recording": json.dumps(asdict(replace(state.recording, refused=state.recording.refused[:_LONGEST_TEXT]))),
        "asides": json.dumps([asdict(one) for one in state.asides[:MOST_REASONS]]),
    }
    texts |= {"waits": json.dumps(_first(state.waits, _LONGEST_NOTES))} if state.waits else {}
    texts |= {"rival": state.rival[:_LONGEST_TEXT]} if state.rival else {}
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


def told_state(told: Told) -> CollectorState:
    """What a collector elsewhere told; what another version told otherwise is left at what says nothing."""
    fields = told.fields

    def number(name: str) -> int:
        value = fields.get(name, 0.0)
        return 0 if isinstance(value, str) else int(value)

    def text(name: str) -> str:
        return str(fields.get(name, ""))

    runs = -MOST_AHEAD_S < time.time() - told.at / 1000 < SILENT_AFTER_S
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
        running=Holder(number("pid"), number("since_ms") / 1000, leased=False, name=told.collector) if runs else None,
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
        shares=text("shares"),
        host=text("host"),
        waits={str(device): str(why) for device, why in _read(text("waits"), {}).items()},
        waits_since=number("waits_since_ms") / 1000,
        rival=text("rival"),
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

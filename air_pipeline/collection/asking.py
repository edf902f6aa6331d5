"""Asking devices by hand, without storing: one GET each, or the last poll while a collector holds the lock.

Devices of other collectors are not asked from here, unless somebody wants it.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from time import monotonic, time

from air_pipeline.collection.collector_state import collector_states
from air_pipeline.collection.lease import asking_by_hand, holder
from air_pipeline.collection.outbox import existing_outbox
from air_pipeline.collection.schedule import slot_at
from air_pipeline.devices.answers import Answer
from air_pipeline.devices.assemble import make_poll
from air_pipeline.devices.client import exchange_with, within
from air_pipeline.devices.document import other_identity, read_document
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.environment import Environment
from air_pipeline.settings import Device, Settings
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import Latest, StoreError

_AT_ONCE = 64
_STORE_WITHIN_S = 10.0
_WAITING_LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a device after asking.

    Attributes:
        device: the device.
        poll: the poll; None if a collector runs and no poll of it is known, or if there was no time to ask.
        live: whether the device was asked now; else it is the last poll of the running collector.
        reason: what went wrong, in words; empty if nothing did.
        notes: what it sends that the settings do not know.
        store_error: why the store did not say what the running collector stored: what waits in the outbox is known.
        answer: what came, if it was asked now.
        identity: which device answers by its own word, if it was asked now and says so, or if it is another one.
    """

    device: Device
    poll: Poll | None
    live: bool
    reason: str = ""
    notes: tuple[str, ...] = ()
    store_error: str = ""
    answer: Answer | None = None
    identity: str = ""


def ask_devices(
    environment: Environment,
    settings: Settings,
    devices: Sequence[Device],
    *,
    may_ask: bool = False,
    longest_s: float = math.inf,
    within_s: float = math.inf,
) -> list[Asked]:
    """Asks each device once, unless a collector runs: a device gets one request at a time, ever.

    Who else asks by hand is waited for, and a collector that starts meanwhile waits.

    Args:
        environment: whose collector.
        settings: those in force, which say who collects.
        devices: whom to ask.
        may_ask: whether they are asked though something else collects from them; else their last polls are looked up.
        longest_s: how long one, or the store, may take, if its own timeout is longer.
        within_s: after so many seconds no more are asked.

    Raises:
        OutboxError: a collector runs and its outbox cannot be read.
    """
    is_ours = settings.collector != "external"
    asked = [one for one in devices if may_ask or (is_ours and one.collector == environment.collector)]
    answered: dict[str, Asked] = {}
    with asking_by_hand(environment.state):
        if asked and holder(environment.state) is None:
            end = monotonic() + within_s
            bound = bound_to(environment)
            with ThreadPoolExecutor(min(len(asked), _AT_ONCE)) as pool:
                ask = partial(ask_device, longest_s=longest_s, end=end)
                for one in pool.map(lambda device: ask(device, bound_to=bound.get(device.id, "")), asked):
                    answered[one.device.id] = one
    if rest := [device for device in devices if device.id not in answered]:
        polls = _last_polls(environment, settings, rest, min(longest_s, _STORE_WITHIN_S))
        answered |= {one.device.id: one for one in polls}
    return [answered[device.id] for device in devices]


def bound_to(environment: Environment) -> dict[str, str]:
    """Device to which one it is by its own word, as the collector here remembers it.

    Raises:
        OutboxError: the outbox cannot be read.
    """
    box = existing_outbox(environment.state.outbox)
    if box is None:
        return {}
    with closing(box):
        return box.remembered("identity")


def ask_device(device: Device, longest_s: float = math.inf, end: float = math.inf, bound_to: str = "") -> Asked:
    """Asks one device once, for `longest_s` at most; not at all after `end` (monotonic).

    Another one than it is bound to, or than the settings say, is rejected.
    """
    began = monotonic()
    if began > end:
        return Asked(device, None, live=True, reason="there was no time left to ask it")
    slot = slot_at(int(time() * 1000), device.interval_ms)
    timeout_s = min(device.timeout_s, longest_s)
    answer = within(exchange_with(device, timeout_s), timeout_s)
    poll, document = make_poll(device, slot, answer, round((monotonic() - began) * 1000), bound_to)
    reason = answer.reason or (document.rejection if document else "")
    notes, identity = (document.notes, document.identity) if document else ((), "")
    return Asked(device, poll, live=True, reason=reason, notes=notes, answer=answer, identity=identity)


def _last_polls(
    environment: Environment, settings: Settings, devices: Sequence[Device], within_s: float
) -> list[Asked]:
    """What the running collectors know: what they stored, and what waits here."""
    until = int(time() * 1000) + max((device.interval_ms for device in devices), default=0) + 1
    stored: Mapping[str, Latest] = {}
    store_error = ""
    with closing(open_store(environment.influxdb, environment.state, within_s)) as store:
        newest = max(_WAITING_LOOKED_AT, 2 * len(devices))
        collectors = collector_states(environment, settings, store, newest=newest)
        store_error = next((one.unanswered for one in collectors.values() if one.unanswered), "")
        try:
            stored = {} if store_error else store.latest(end=until)
        except StoreError as error:
            store_error = str(error)
    newest_polls = [poll for one in collectors.values() for poll in one.newest.values()]
    waiting = {poll.device: poll for poll in newest_polls if poll.observed_at < until}
    found = []
    for device in devices:
        polls = [waiting[device.id]] if device.id in waiting else []
        polls += [stored[device.id].poll] if device.id in stored and _is_of_collector(stored[device.id].poll) else []
        poll = max(polls, key=lambda poll: poll.observed_at, default=None)
        note = collectors[device.collector].notes.get(device.id, "")
        identity = other_identity(note)
        reason = note if identity and poll is not None else _reason(poll, device)
        of_device = () if identity else tuple(note.splitlines())
        found.append(Asked(device, poll, False, reason, of_device, store_error, identity=identity))  # noqa: FBT003 -- live
    return found


def _is_of_collector(poll: Poll) -> bool:
    """Whether a device was asked; what was imported says nothing of how it answers."""
    return poll.outcome not in {Outcome.IMPORTED, Outcome.ENDED}


_REASONS: Mapping[Outcome, str] = {
    Outcome.REJECTED: "its document could not be used",
    Outcome.TIMEOUT: "no complete answer within its timeout",
    Outcome.UNREACHABLE: "refused, not found, or broken off",
    Outcome.TOO_LARGE: "the document is too long",
    Outcome.SKIPPED: "still busy with an earlier slot",
}


def _reason(poll: Poll | None, device: Device) -> str:
    """What went wrong in a poll that was stored, as far as that says."""
    if poll is None or poll.outcome.has_reading:
        return ""
    if poll.body is not None:
        return read_document(poll.body.encode(), device).rejection or _REASONS[Outcome.REJECTED]
    if poll.outcome is Outcome.HTTP_ERROR:
        if poll.http_status in {None, HTTPStatus.OK}:
            return "the answer is not HTTP as it should be"
        return f"the device answered with status {poll.http_status}"
    return _REASONS[poll.outcome]

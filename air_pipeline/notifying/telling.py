"""One round: what is to be told now is remembered, sent, and struck off once it has arrived.

Belongs here: the file `notified.json` in the state directory, back-off, the time that a round may take. Does not: what
is told (`deciding`) and how one attempt goes (`sending`).

A message is in the file, with its id and with everybody who is to have it, before it is sent for the first time, and is
struck off for each of them when it has arrived: what is killed in between is sent again under the same id.
"""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from air_pipeline.collection.clock import SystemClock
from air_pipeline.notifying.deciding import Change, Key, Sight, Watched, decide, digest_due, has_lasted
from air_pipeline.notifying.messages import Message, change_message, digest_message
from air_pipeline.notifying.sending import Channel, SendError
from air_pipeline.settings.notify import Notify
from air_pipeline.state import StateDirectory

SEND_WITHIN_S = 25.0
"""What a round may take; Dagster gives up a tick after 60 seconds."""
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
SET_S = 5.0
"""The clock was set, not slewed, when it is so far from where it would be by the time since boot."""
KEPT = timedelta(days=7)
"""How long a message that nobody takes is tried again."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A channel that did not take the last message.

    Attributes:
        attempts: how many failed since the last that did not.
        retry_at: no attempt before this time, UTC.
        error: why the last one failed.
    """

    attempts: int
    retry_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message and the channels that do not have it yet."""

    message: Message
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered from round to round.

    Attributes:
        watched: what is not well, or was when it was last told.
        digest: the local date of the last digest.
        outgoing: what is to be sent, oldest first.
        failing: channel to how it fails.
        boot: in which boot of the machine that was.
        offset_s: from the time since boot to the clock: another one tells that the clock was set.
    """

    watched: Mapping[Key, Watched] = field(default_factory=dict)
    digest: date | None = None
    outgoing: tuple[Outgoing, ...] = ()
    failing: Mapping[str, Failing] = field(default_factory=dict)
    boot: str = ""
    offset_s: float = 0.0

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(
            {
                "watched": [
                    {"check": check, "subject": subject, "since": _text(w.since), "told": w.told, "well": _text(w.well)}
                    for (check, subject), w in self.watched.items()
                ],
                "digest": self.digest.isoformat() if self.digest else None,
                "outgoing": [{"message": o.message.to_body(), "channels": list(o.channels)} for o in self.outgoing],
                "failing": {
                    name: {"attempts": f.attempts, "retry_at": _text(f.retry_at), "error": f.error}
                    for name, f in self.failing.items()
                },
                "boot": self.boot,
                "offset_s": self.offset_s,
            },
            ensure_ascii=False,
            indent=1,
        )

    @classmethod
    def from_text(cls, text: str) -> "State":
        """The inverse of `to_text`; a ValueError, TypeError, KeyError or AttributeError where it is not one of ours."""
        read: dict[str, Any] = json.loads(text)
        return cls(
            watched={
                (one["check"], one["subject"]): Watched(
                    _instant(one["since"]),
                    bool(one["told"]),
                    _instant(one["well"]) if one["well"] else None,
                )
                for one in read["watched"]
            },
            digest=date.fromisoformat(read["digest"]) if read["digest"] else None,
            outgoing=tuple(
                Outgoing(Message.from_body(one["message"]), tuple(one["channels"])) for one in read["outgoing"]
            ),
            failing={
                name: Failing(int(one["attempts"]), _instant(one["retry_at"]), str(one["error"]))
                for name, one in read["failing"].items()
            },
            boot=str(read.get("boot", "")),
            offset_s=float(read.get("offset_s", 0.0)),
        )


def _instant(text: str) -> datetime:
    """The inverse of `_text`; a ValueError for a time that does not say where."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    return instant


def _text(instant: datetime | None) -> str | None:
    return instant.astimezone(UTC).isoformat() if instant else None


def read_state(directory: StateDirectory) -> State:
    """What is remembered in a state directory; nothing where there is no file, or one that is not ours.

    Raises:
        SettingsError: what stands there cannot be read.
    """
    try:
        return State.from_text(directory.read(directory.notified, errors="replace"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return State()


def rename_subject(directory: StateDirectory, subject: str, name: str | None) -> None:
    """What is remembered of a device is that of another name from now on; without one it is forgotten.

    Raises:
        SettingsError, OSError: it cannot be written.
    """
    state = read_state(directory)
    watched = {
        (check, name if known == subject and name else known): seen
        for (check, known), seen in state.watched.items()
        if known != subject or name
    }
    if watched != state.watched:
        directory.write(directory.notified, replace(state, watched=watched).to_text())


def tell(
    directory: StateDirectory,
    rules: Notify,
    ways: Sequence[Channel],
    sight: Sight,
    summary: Callable[[], Sequence[str]],
    zone: ZoneInfo,
    now: datetime,
    deployment: str,
) -> str:
    """One round; gives what became of it, in words.

    Args:
        directory: the state directory.
        rules: when something is told.
        ways: everybody who is told.
        sight: what holds now.
        summary: gives the paragraphs of a digest; asked when one is due.
        zone: the deployment's.
        now: the time.
        deployment: what messages call it.

    Raises:
        OSError: the state cannot be read or written; then nothing was sent.
    """
    before = read_state(directory)
    clock = SystemClock()
    moved = with_the_clock(before, clock.boot(), clock.time() - clock.monotonic())
    state = due(moved, rules, [way.name for way in ways], sight, summary, zone, now, deployment)
    if state != before:
        directory.write(directory.notified, state.to_text())
    arrived = 0
    for name, attempt in _attempts(state, ways, now):
        state = outcome(state, name, attempt, now)
        directory.write(directory.notified, state.to_text())
        arrived += not attempt.error
    said = [f"{len(sight.unwell)} not well", f"{arrived} messages sent"]
    said += [f"{f.error}; again from {f.retry_at:%H:%M:%S} UTC" for f in state.failing.values()]
    return "; ".join(said)


def with_the_clock(state: State, boot: str, offset_s: float) -> State:
    """The state with its times set as the clock was since the last round, so that nothing has lasted for longer by it.

    Args:
        state: of the last round.
        boot: this boot; what happened to the clock while the machine was off cannot be told.
        offset_s: from the time since boot to the clock.
    """
    if state.boot != boot:
        return replace(state, boot=boot, offset_s=offset_s)
    if abs(offset_s - state.offset_s) <= SET_S:
        return state
    by = timedelta(seconds=offset_s - state.offset_s)

    def moved(message: Message) -> Message:
        return replace(message, at=(datetime.fromisoformat(message.at) + by).isoformat())

    return replace(
        state,
        watched={
            key: replace(one, since=one.since + by, well=one.well and one.well + by)
            for key, one in state.watched.items()
        },
        outgoing=tuple(replace(one, message=moved(one.message)) for one in state.outgoing),
        failing={name: replace(one, retry_at=one.retry_at + by) for name, one in state.failing.items()},
        offset_s=offset_s,
    )


def due(
    state: State,
    rules: Notify,
    names: Sequence[str],
    sight: Sight,
    summary: Callable[[], Sequence[str]],
    zone: ZoneInfo,
    now: datetime,
    deployment: str,
) -> State:
    """The state with the messages that are to be sent from now on, and without those that are given up."""
    changes, watched = decide(state.watched, sight, rules, zone, now)
    digest, last = digest_due(state.digest, rules, zone, now)
    new = []
    if changes:
        new.append(change_message(uuid4().hex, changes, zone, now, deployment))
    if digest:
        unwell = [
            Change(key, finding, watched[key].since)
            for key, finding in sight.unwell.items()
            if has_lasted(watched[key], finding, rules, now)
        ]
        new.append(digest_message(uuid4().hex, summary(), unwell, zone, now, deployment))
    kept = [
        replace(one, channels=tuple(name for name in one.channels if name in names))
        for one in state.outgoing
        if now - datetime.fromisoformat(one.message.at) < KEPT
    ]
    return State(
        watched=watched,
        digest=last,
        outgoing=tuple(one for one in (*kept, *(Outgoing(message, tuple(names)) for message in new)) if one.channels),
        failing={name: failing for name, failing in state.failing.items() if name in names},
        boot=state.boot,
        offset_s=state.offset_s,
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of sending a message to a channel; no error: it arrived."""

    message: str
    error: str = ""


def outcome(state: State, name: str, attempt: Attempt, now: datetime) -> State:
    """The state after an attempt."""
    failing = dict(state.failing)
    if attempt.error:
        attempts = failing[name].attempts + 1 if name in failing else 1
        pause = min(FIRST_RETRY * 2 ** min(attempts - 1, 10), LONGEST_RETRY)
        failing[name] = Failing(attempts, now + pause, attempt.error)
        return replace(state, failing=failing)
    failing.pop(name, None)
    left = [
        replace(one, channels=tuple(other for other in one.channels if other != name))
        if one.message.id == attempt.message
        else one
        for one in state.outgoing
    ]
    return replace(state, failing=failing, outgoing=tuple(one for one in left if one.channels))


def _attempts(state: State, ways: Sequence[Channel], now: datetime) -> Iterator[tuple[str, Attempt]]:
    """Sends what is due, every channel in a thread of its own, and gives each attempt as it ends.

    A channel's messages go in order, up to the first that is not taken. What has not ended in time counts as failed:
    its thread is left to end by itself, and begins nothing more.
    """
    wanted = {
        way.name: [one.message for one in state.outgoing if way.name in one.channels]
        for way in ways
        if way.name not in state.failing or _is_due(state.failing[way.name], now)
    }
    busy = {name: messages for name, messages in wanted.items() if messages}
    ended: queue.Queue[tuple[str, Attempt]] = queue.Queue()
    over = threading.Event()
    for way in ways:
        if way.name in busy:
            arguments = (way, busy[way.name], ended, over)
            threading.Thread(target=_send_all, args=arguments, name=way.name, daemon=True).start()
    end = time.monotonic() + SEND_WITHIN_S
    left = {name: len(messages) for name, messages in busy.items()}
    while left:
        try:
            name, attempt = ended.get(timeout=max(end - time.monotonic(), 0.0))
        except queue.Empty:
            break
        left[name] = 0 if attempt.error else left[name] - 1
        if not left[name]:
            del left[name]
        yield name, attempt
    over.set()
    for name in left:
        yield name, Attempt("", f"{name} took longer than {SEND_WITHIN_S:g} s")


def _send_all(
    way: Channel, messages: Sequence[Message], ended: "queue.Queue[tuple[str, Attempt]]", over: threading.Event
) -> None:
    for message in messages:
        if over.is_set():
            return
        try:
            way.send(message)
        except SendError as error:
            ended.put((way.name, Attempt(message.id, str(error))))
            return
        except Exception as error:  # noqa: BLE001 -- a mistake of ours must not look like silence; it is tried again
            ended.put((way.name, Attempt(message.id, f"{way.name} failed ({type(error).__name__})")))
            return
        ended.put((way.name, Attempt(message.id)))


def _is_due(failing: Failing, now: datetime) -> bool:
    """Whether a channel may be tried again; a clock that was set back makes nobody wait for longer than it should."""
    return not now < failing.retry_at <= now + LONGEST_RETRY

"""The recorder: the one thread through which what is polled goes to the disk, as fast as the disk is.

Belongs here: what is committed when, what waits in memory while the disk refuses, what is lost then. Does not: the
tables (`outbox`), polling, which never waits for a disk (`collector`).
"""

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import TracebackType
from typing import Self

from air_pipeline.boottime import boottime
from air_pipeline.collection.outbox import Outbox, OutboxError
from air_pipeline.collection.outbox_rows import PollsCame, Row
from air_pipeline.collection.reserve import Reserve
from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.records import read_record, write_record
from air_pipeline.showing import plain
from air_pipeline.state import StateDirectory

log = logging.getLogger(__name__)

GATHER_S = 0.1
"""Answers are gathered for so long before they are committed together; the promise is 200 ms."""
BEGIN_WITHIN_S = 0.05
"""So long a slot is held up by remembering that it was begun; then its devices are asked all the same."""
RETRY_S = 5.0
"""A disk that refuses is tried again so often; meanwhile polls are kept in memory."""
MOST_BYTES = 64 * 1024 * 1024
"""Of polls in memory, about 90,000 of a station; beyond, the oldest are dropped."""
BATCH = 2_000
TELL_EVERY_S = 60.0
LAST_TRIES_S = 3.0
FORGET_AFTER_S = 86_400.0
"""What was dropped is told for a day."""
_ROW_BYTES = 160  # of a row beside its text
_REASON_BYTES = 170  # twice as many, where all of them have to be escaped, fit into the record


class PollsLost(AirPipelineError):
    """The collector had to end while the disk refused; the message says how many polls of which time are lost."""


@dataclass(frozen=True, slots=True)
class Recording:
    """How the disk takes what is polled.

    Attributes:
        refused: why it takes nothing now; empty while it does.
        waiting: polls that wait in memory because of that.
        dropped: polls that were dropped, as memory is bounded or the process had to end.
        first: the first of their slots, ms UTC.
        last: the last of them.
        at: when the last was dropped, seconds UTC.
        unconfirmed: slots that were begun before the disk had taken that down.
    """

    refused: str = ""
    waiting: int = 0
    dropped: int = 0
    first: int = 0
    last: int = 0
    at: float = 0.0
    unconfirmed: int = 0

    @property
    def lost(self) -> str:
        """What was dropped, in words."""
        first, last = (f"{from_epoch_ms(slot):%Y-%m-%d %H:%M:%S}" for slot in (self.first, self.last))
        return f"{self.dropped} polls of the slots from {first} to {last} UTC are lost"

    @property
    def and_lost(self) -> str:
        """The same as the end of a sentence; empty where nothing was dropped."""
        return f"; {self.lost}" if self.dropped else ""


def recording(state: StateDirectory) -> Recording:
    """How the disk took what was polled, as the collector saw it last."""
    try:
        return Recording(**(read_record(state.recording) or {}))
    except (OSError, TypeError):  # it cannot be read, or is of another version
        return Recording()


class Recorder:
    """Takes begun slots, polls and notes from one thread, at once, and commits them in its own.

    Used as a context: it is the last to end, and does so when everything is on the disk. Whoever waits for polls to be
    there waits for `polls_came`.
    """

    def __init__(
        self,
        state: StateDirectory,
        most_bytes: int = MOST_BYTES,
        watch: Callable[[Sequence[Row]], None] | None = None,
    ) -> None:
        """Reads what was begun, rejected and noted before.

        Args:
            state: where the outbox is.
            most_bytes: of polls in memory.
            watch: is told what was committed, in the recorder's own thread.

        Raises:
            OutboxError: the outbox cannot be read.
        """
        self._state = state
        self._reserve = Reserve(state.reserve)
        self._outbox = self._open()
        self.last_slots = self._outbox.last_slots()
        self.last_rejected = self._outbox.remembered("rejected")
        self.notes = self._outbox.notes()
        self.identities = self._outbox.remembered("identity")
        self._most_bytes = most_bytes
        self._watch = watch
        self.polls_came = PollsCame()
        self._now = replace(recording(state), refused="", waiting=0, unconfirmed=0)
        self._told: Recording | None = None
        self._tell_at = self._reserve_at = 0.0
        lock = threading.Lock()
        self._work_came = threading.Condition(lock)
        self._work_done = threading.Condition(lock)
        self._begun: dict[str, int] = {}
        self._kept: dict[tuple[str, str], str] = {}
        self._rows: deque[Row] = deque()
        self._writing: list[Row] = []
        self._bytes = 0
        self._due = float("inf")
        self._begins = self._tried = 0
        self._looks = self._looked = 0
        self._ends = False
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_refused(self) -> bool:
        """Whether the disk took nothing when it was last tried."""
        return bool(self._now.refused)

    @property
    def unconfirmed(self) -> int:
        """How many slots were begun before the disk had taken that down."""
        return self._now.unconfirmed

    def begin(self, slots: Mapping[str, int]) -> None:
        """Remembers the slot that each of these devices begins; returns when that is written, or after a moment.

        Only while it is not written, the end of the process may have a slot asked twice.
        """
        with self._work_came:
            self._begun.update(slots)
            is_behind = self._tried < self._begins  # it is busy with an earlier one: then nobody waits again
            self._begins += 1
            mine = self._begins
            self._work_came.notify()
            if not is_behind:
                self._work_done.wait_for(lambda: self._tried >= mine, BEGIN_WITHIN_S)
            if self._begun:
                self._now = replace(self._now, unconfirmed=self._now.unconfirmed + len(slots))

    def record(self, rows: Iterable[Row]) -> None:
        """Takes polls in; they are committed within `GATHER_S`, as far as the disk allows."""
        with self._work_came:
            for row in rows:
                self._rows.append(row)
                self._bytes += _size(row)
            self._bound()
            self._gather()

    def keep(self, device: str, **what: str) -> None:
        """Remembers something of a device, by the names of `outbox.Remembering`, when it next commits."""
        with self._work_came:
            self._kept.update({(device, column): value for column, value in what.items()})
            self._gather()

    def flush(self, within_s: float = RETRY_S) -> bool:
        """Commits now what was taken in; whether all of it is on the disk."""
        with self._work_came:
            self._looks += 1
            look, begin = self._looks, self._begins
            self._work_came.notify()
            self._work_done.wait_for(lambda: self._looked >= look and self._tried >= begin, within_s)
            return not (self._begun or self._rows or self._kept or self._writing)

    def close(self, within_s: float = LAST_TRIES_S) -> None:
        """Commits everything and ends; while the disk refuses, it is tried for so long.

        Raises:
            PollsLost: it refused to the end.
        """
        if self._ends:
            return
        end = boottime() + within_s
        while not self.flush(max(end - boottime(), 0.1)) and boottime() < end:
            time.sleep(0.2)
        with self._work_came:
            self._ends = True
            self._work_came.notify()
        self._thread.join(LAST_TRIES_S)
        with self._work_came:
            self._rows.extendleft(reversed(self._writing))
            lost = len(self._rows)
            for _ in range(lost):
                self._drop()
        self._tell()
        self._outbox.close()
        if lost:
            raise PollsLost(f"the collector ends while the disk refuses ({self._now.refused}): {self._now.lost}")

    def _open(self) -> Outbox:
        try:
            return Outbox(self._state.outbox)
        except OutboxError:
            if not self._reserve.free():
                raise
            return Outbox(self._state.outbox)

    def _work(self) -> None:
        while self._wait():
            self._write_begun()
            self._write_rest()
            self._tell()
            if boottime() >= self._reserve_at and not self._now.refused:
                self._reserve_at = boottime() + TELL_EVERY_S
                self._reserve.make()

    def _gather(self) -> None:
        if self._due == float("inf"):
            self._due = boottime() + GATHER_S
            self._work_came.notify()

    def _wait(self) -> bool:
        """Waits until something is to be written; False when that was all."""
        with self._work_came:
            while not (self._tried < self._begins or self._looked < self._looks or boottime() >= self._due):
                if self._ends:
                    return False
                # Where something is due, by a time that also goes by while the machine is suspended.
                self._work_came.wait(None if self._due == float("inf") else min(self._due - boottime(), 1.0))
            return not self._ends

    def _write_begun(self) -> None:
        with self._work_came:
            begun, number = dict(self._begun), self._begins
        is_written = not begun or self._does(partial(self._outbox.begin, begun))
        with self._work_came:
            if is_written:
                self._begun = {name: slot for name, slot in self._begun.items() if begun.get(name) != slot}
            if begun and is_written and self._now.refused:  # it may take the rest as well
                self._due = 0.0
            self._tried = number
            self._work_done.notify_all()

    def _write_rest(self) -> None:
        """Commits what is due, in portions; what is refused goes back to where it was."""
        with self._work_came:
            looks = self._looks
            is_due = self._looked < looks or boottime() >= self._due
        while is_due:
            with self._work_came:
                rows = [self._rows.popleft() for _ in range(min(BATCH, len(self._rows)))]
                kept = dict(self._kept)
                self._writing = rows
            is_written = self._does(partial(self._write, rows, kept))
            with self._work_came:
                self._writing = []
                if is_written:
                    self._bytes -= sum(map(_size, rows))
                    self._kept = {which: text for which, text in self._kept.items() if kept.get(which) != text}
                    self._taken(len(rows))
                else:
                    self._rows.extendleft(reversed(rows))
                    self._bound()
                is_due = is_written and bool(self._rows) and len(rows) == BATCH
                if self._rows or self._kept:
                    self._due = boottime() + (GATHER_S if is_written else RETRY_S)
                else:
                    self._due = float("inf")
        with self._work_came:
            self._looked = looks
            self._work_done.notify_all()

    def _write(self, rows: list[Row], kept: Mapping[tuple[str, str], str]) -> None:
        if rows:
            self._outbox.add_encoded(rows)
            self.polls_came.set()
            if self._watch is not None:
                self._watch(rows)
        for (device, column), text in kept.items():
            self._outbox.remember(device, **{column: text})

    def _does(self, write: Callable[[], None]) -> bool:
        """Whether the disk takes it; if that is for want of room, with what was kept in reserve."""
        for is_last in (False, True):
            try:
                write()
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the one who writes
                reason = str(error) if isinstance(error, OutboxError) else f"{type(error).__name__}: {error}"
                if is_last or not self._reserve.free():
                    self._refused(reason)
                    return False
                log.warning("the disk is full: the room kept in reserve is given to the outbox (%s)", reason)
            else:
                return True
        return False

    def _refused(self, reason: str) -> None:
        with self._work_came:
            self._now = now = replace(self._now, refused=_short(reason))
            waiting = len(self._rows) + len(self._writing)
        if boottime() >= self._tell_at:
            self._tell_at = boottime() + TELL_EVERY_S
            log.error("%d polls wait in memory, as the disk refuses them: %s%s", waiting, reason, now.and_lost)

    def _taken(self, polls: int) -> None:
        if self._now.refused and (polls or not self._rows):
            log.info("the disk takes polls again%s", self._now.and_lost)
            self._now = replace(self._now, refused="")
            self._tell_at = 0.0

    def _bound(self) -> None:
        while self._bytes > self._most_bytes and self._rows:
            self._drop()

    def _drop(self) -> None:
        """Lets the oldest go, and keeps count."""
        row = self._rows.popleft()
        self._bytes -= _size(row)
        now, at = self._now, time.time()
        if not 0 <= at - now.at < FORGET_AFTER_S:
            now = replace(now, dropped=0)
        first, last = (now.first, now.last) if now.dropped else (row.observed_at,) * 2
        self._now = replace(
            now,
            dropped=now.dropped + 1,
            first=min(first, row.observed_at),
            last=max(last, row.observed_at),
            at=at,
        )

    def _tell(self) -> None:
        """Says how it stands to whoever looks, where the disk takes that."""
        with self._work_came:
            now = replace(self._now, waiting=len(self._rows) if self._now.refused else 0)
        if now != self._told:
            try:
                write_record(self._state.recording, asdict(now))
                self._told = now
            except OSError:  # it is in the log
                pass


def _short(reason: str) -> str:
    """As much of a reason as the record takes, whatever letters the path in it is written in."""
    return plain(reason).encode()[:_REASON_BYTES].decode(errors="ignore")


def _size(row: Row) -> int:
    return sys.getsizeof(row.text) + _ROW_BYTES

"""A collector tells of itself through the store, so that whoever looks needs no file of it.

Belongs here: when it is told. Does not: what is told (`collector_state`), how a store keeps it (`storage`).
"""

import hashlib
import logging
import secrets
import socket
from functools import cache
from importlib.metadata import version

from air_pipeline.collection.clock import Clock, SystemClock
from air_pipeline.collection.collector_state import CollectorState, of_outbox, process_state, told_fields
from air_pipeline.collection.outbox import Outbox
from air_pipeline.collection.share import SILENT_AFTER_S, Share
from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.local_time import utc_text
from air_pipeline.state import StateDirectory
from air_pipeline.storage.store import ReadingStore, StoreError, Told

log = logging.getLogger(__name__)

TELL_EVERY_S = 30.0
LOOK_EVERY_S = 5.0
"""So often at most it is looked whether there is something new to tell, but for its share, which another waits for."""


class Teller:
    """Tells of one collector, in the thread that delivers.

    What the store does not take is told at the next time; that it takes nothing is said by the delivery.
    """

    def __init__(
        self, state: StateDirectory, store: ReadingStore, outbox: Outbox, share: Share, clock: Clock | None = None
    ) -> None:
        """Tells nothing yet.

        Args:
            state: of the collector.
            store: where to.
            outbox: that of the collector, with marks of late readings.
            share: that of the collector, which has its name.
            clock: a test's own, or that of the machine.
        """
        self._state, self._store, self._outbox = state, store, outbox
        self._share = share
        self._clock = clock or SystemClock()
        self._look_at = self._tell_at = self._clock.monotonic()
        self._known: tuple[object, ...] | None = None
        self._shares = ""
        self._token = secrets.token_hex(8)  # tells this process from all others, wherever they run
        self._before: Told | None = None
        self._has_told = False
        self._met_at = 0.0
        self._said = ""

    def step(self) -> None:
        """Tells, if it is time to or something has changed that somebody waits for."""
        now, shares = self._clock.monotonic(), self._share.told
        if now < self._look_at and shares == self._shares:
            return
        self._look_at, self._shares = now + LOOK_EVERY_S, shares
        try:
            self._tell_marks()
            state = of_outbox(process_state(self._state), self._outbox)
            if now >= self._tell_at or (*_news(state), shares) != self._known:
                self._tell(state, shares, now)
                self._known, self._tell_at = (*_news(state), shares), now + TELL_EVERY_S
            self._said = ""
        except AirPipelineError as error:  # of the store, or a locked outbox: said once, and tried again
            if (said := str(error)) != self._said:
                log.warning("what this collector tells of itself cannot be stored now: %s", said)
            self._said = said

    def _tell_marks(self) -> None:
        if marks := self._outbox.late_marks():
            self._store.mark_late(self._share.name, marks)
            self._outbox.forget_late(marks)  # a day that was marked anew meanwhile stays marked

    def _tell(self, state: CollectorState, shares: str, now: float) -> None:
        self._meet(now)
        fields = told_fields(state)
        fields |= {"settings": _settings_digest(self._state), "shares": shares, "version": _version()}
        fields |= {"host": socket.gethostname(), "token": self._token}
        self._store.tell(Told(self._share.name, round(self._clock.time() * 1000), fields))
        self._has_told = True

    def _meet(self, now: float) -> None:
        """Looks whether another process has told by the same name since this one did: not one of before."""
        try:
            last = self._store.last_told().get(self._share.name)
        except StoreError:  # this token may not read, say
            return
        if last is not None and last.fields.get("token") != self._token:
            if self._has_told and last != self._before:
                self._met_at = now
                self._share.meets(_who(last))
            self._before = last
        if now - self._met_at >= SILENT_AFTER_S:
            self._share.meets("")


@cache
def _version() -> str:
    return version("air-pipeline")


def _who(told: Told) -> str:
    pid, since_ms = (told.fields.get(name) for name in ("pid", "since_ms"))
    since = f", since {utc_text(round(since_ms))}" if isinstance(since_ms, int | float) else ""
    process = f"process {pid:.0f}" if isinstance(pid, int | float) else "a process"
    return f"{process} on {told.fields.get('host', 'another machine')}{since}"


def _settings_digest(state: StateDirectory) -> str:
    """Tells the settings in force from others; marks by hand are no business of a collector."""
    return hashlib.sha256(state.read(state.last_valid).encode()).hexdigest()[:16]


def _news(state: CollectorState) -> tuple[object, ...]:
    """What is told at once when it changes; how many polls wait changes all the time."""
    box, recording = state.outbox, state.recording
    return (
        box.error,
        box.quarantined,
        recording.refused,
        recording.dropped,
        state.notes,
        state.asides,
        state.waits,
        state.rival,
    )

"""A collector tells of itself through the store, so that whoever looks needs no file of it.

Belongs here: when it is told. Does not: what is told (`collector_state`), how a store keeps it (`storage`).
"""

import hashlib
import logging
from importlib.metadata import version

from air_pipeline.collection.clock import Clock, SystemClock
from air_pipeline.collection.collector_state import CollectorState, of_outbox, process_state, told_fields
from air_pipeline.collection.outbox import Outbox
from air_pipeline.errors import AirPipelineError
from air_pipeline.state import StateDirectory
from air_pipeline.storage.store import ReadingStore, Told

log = logging.getLogger(__name__)

MAIN = "main"
"""The name of a collector."""
TELL_EVERY_S = 30.0
LOOK_EVERY_S = 5.0
"""How often it is looked whether there is something new to tell."""


class Teller:
    """Tells of one collector, in the thread that delivers.

    What the store does not take is told at the next time; that it takes nothing is said by the delivery.
    """

    def __init__(self, state: StateDirectory, store: ReadingStore, outbox: Outbox, clock: Clock | None = None) -> None:
        """Tells nothing yet.

        Args:
            state: of the collector.
            store: where to.
            outbox: that of the collector, with marks of late readings.
            clock: a test's own, or that of the machine.
        """
        self._state, self._store, self._outbox = state, store, outbox
        self._clock = clock or SystemClock()
        self._look_at = self._tell_at = self._clock.monotonic()
        self._known: CollectorState | None = None
        self._said = ""

    def step(self) -> None:
        """Tells, if it is time to or something has changed that somebody waits for."""
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        try:
            self._tell_marks()
            state = of_outbox(process_state(self._state), self._outbox)
            if now >= self._tell_at or self._known is None or _news(state) != _news(self._known):
                self._tell(state)
                self._known, self._tell_at = state, now + TELL_EVERY_S
            self._said = ""
        except AirPipelineError as error:  # of the store, or a locked outbox: said once, and tried again
            if (said := str(error)) != self._said:
                log.warning("what this collector tells of itself cannot be stored now: %s", said)
            self._said = said

    def _tell_marks(self) -> None:
        if marks := self._outbox.late_marks():
            self._store.mark_late(MAIN, marks)
            self._outbox.forget_late(marks)  # a day that was marked anew meanwhile stays marked

    def _tell(self, state: CollectorState) -> None:
        fields = told_fields(state)
        fields |= {"settings": _settings_digest(self._state), "version": version("air-pipeline")}
        self._store.tell(Told(MAIN, round(self._clock.time() * 1000), fields))


def _settings_digest(state: StateDirectory) -> str:
    """Tells the settings in force from others; marks by hand are no business of a collector."""
    return hashlib.sha256(state.read(state.last_valid).encode()).hexdigest()[:16]


def _news(state: CollectorState) -> tuple[object, ...]:
    """What is told at once when it changes; how many polls wait changes all the time."""
    box, recording = state.outbox, state.recording
    return box.error, box.quarantined, recording.refused, recording.dropped, state.notes, state.asides

"""From the outbox to the store: in batches, with backoff that survives restarts, bisection and quarantine."""

import logging
from collections.abc import Sequence

from air_pipeline.collection.clock import Clock, SystemClock
from air_pipeline.collection.outbox import Outbox, Pending
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.storage.store import PollsRejected, ReadingStore, StoreError, StoreUnavailable

log = logging.getLogger(__name__)

BATCH = 2_000
"""Polls a request: two lines each keep below InfluxDB's advised 5,000 lines."""
LATE_AFTER_S = 6 * 3600.0
"""Later than this, the day of a reading may have been built without it."""
LONGEST_WAIT_S = 60.0
"""A store that is back gets its readings within a minute."""


class Delivery:
    """Delivers one outbox to one store; for one thread."""

    def __init__(self, outbox: Outbox, store: ReadingStore, clock: Clock | None = None) -> None:
        self._outbox = outbox
        self._store = store
        self._clock = clock or SystemClock()
        status = outbox.status()
        self._failures = status.failures
        # A clock that was set back must not hold delivery up for longer than the longest wait.
        self._retry_at = min(status.retry_at, self._clock.time() + LONGEST_WAIT_S)

    def step(self) -> float:
        """Delivers one batch, if the store may be asked.

        Returns:
            After how many seconds there is something to do: 0 when more is pending; a second when nothing is.
        """
        wait = self._retry_at - self._clock.time()
        if wait > 0:
            return wait
        batch = self._outbox.pending(BATCH)
        if not batch:
            return 1.0
        try:
            self._deliver(batch)
        except StoreError as error:
            return self._wait(error)
        if self._failures:
            log.info("the store takes readings again")
            self._failures = 0
            self._outbox.attempted(failures=0, retry_at=0.0, error="")
        return 0.0

    def _deliver(self, batch: Sequence[Pending]) -> None:
        """Writes a batch; where the store will not take it, finds out which polls it means and sets those aside."""
        try:
            self._store.write([pending.poll for pending in batch])
        except PollsRejected as error:
            if len(batch) == 1:
                poll = batch[0].poll
                log.error(
                    "%s at %d is set aside, as the store will not take it: %s", poll.device, poll.observed_at, error
                )
                self._outbox.quarantine(batch[0], str(error))
                return
            middle = len(batch) // 2
            self._deliver(batch[:middle])
            self._deliver(batch[middle:])
            return
        self._mark_late(batch)
        self._outbox.delivered(batch)

    def _mark_late(self, batch: Sequence[Pending]) -> None:
        """Makes sure that days which may be built already are looked at again."""
        recent = (self._clock.time() - LATE_AFTER_S) * 1000
        late = {p.poll.observed_at for p in batch if p.poll.observed_at < recent}
        if late:
            self._outbox.mark_late({from_epoch_ms(slot).date() for slot in late})

    def _wait(self, error: StoreError) -> float:
        self._failures += 1
        wait = min(2.0 ** min(self._failures - 1, 10), LONGEST_WAIT_S)
        if isinstance(error, StoreUnavailable) and error.retry_after_s is not None:
            wait = min(max(wait, error.retry_after_s), LONGEST_WAIT_S)
        self._retry_at = self._clock.time() + wait
        self._outbox.attempted(failures=self._failures, retry_at=self._retry_at, error=str(error))
        log.warning("readings wait in the outbox, next attempt in %.0f s: %s", wait, error)
        return wait

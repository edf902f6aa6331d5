"""From the outbox to the store: in batches, with backoff that survives restarts, bisection and quarantine."""

import logging
import random
from collections.abc import Callable, Sequence

from air_pipeline.collection.clock import Clock, SystemClock
from air_pipeline.collection.outbox import Outbox
from air_pipeline.collection.outbox_rows import Pending
from air_pipeline.devices.polls import Poll
from air_pipeline.processing.local_time import from_epoch_ms, utc_text
from air_pipeline.storage.store import PollsRejected, ReadingStore, StoreError, StoreRefused, StoreUnavailable

log = logging.getLogger(__name__)

BATCH = 2_000
"""Polls a request: two lines each keep below InfluxDB's advised 5,000 lines."""
LATE_AFTER_S = 6 * 3600.0
"""Later than this, the day of a reading may have been built without it."""
LONGEST_WAIT_S = 60.0
"""A store that is back gets its readings within a minute."""
LONGEST_ASKED_FOR_S = 900.0
"""A store that asks to be left alone (`Retry-After`) is, for so long at most; a restart waits for a minute of it."""
GATHER_S = 0.2
"""Polls that come one by one go to the store together."""
IDLE_S = 60.0
"""Nothing is left to do until somebody says that there is."""
_PROBES = 16


class Delivery:
    """Delivers one outbox to one store; for one thread.

    Args:
        outbox: whose polls.
        store: where to.
        clock: a test's own, or that of the machine.
        is_given_up: whether somebody else may deliver by now; then nothing more is let go of, as that one has it too.
    """

    def __init__(
        self,
        outbox: Outbox,
        store: ReadingStore,
        clock: Clock | None = None,
        is_given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._clock = clock or SystemClock()
        self._is_given_up = is_given_up
        self._newest_is_next = False
        self._taken: Poll | None = None  # the last that the store took
        status = outbox.status()
        self._failures = status.failures
        # The wall clock may have been set since: it holds delivery up for no longer than the longest wait.
        self._retry_at = self._clock.monotonic() + min(status.retry_at - self._clock.time(), LONGEST_WAIT_S)

    @property
    def is_held_up(self) -> bool:
        """Whether the store is left alone until the next attempt."""
        return self._retry_at > self._clock.monotonic()

    def step(self) -> float:
        """Delivers one batch, if the store may be asked; of a long queue, the oldest and the newest in turn.

        Returns:
            After how many seconds there is something to do: 0 when more is pending.
        """
        if self._is_given_up():
            return IDLE_S
        wait = self._retry_at - self._clock.monotonic()
        if wait > 0:
            return wait
        batch = self._outbox.batch(BATCH, newest=self._newest_is_next)
        if batch.unreadable:
            for reason in sorted(set(batch.unreadable.values())):
                log.error("what cannot be read in the outbox is set aside: %s", reason)
            self._outbox.quarantine_unreadable(batch.unreadable)
        if not batch.polls:
            return 0.0 if batch.unreadable else IDLE_S
        self._newest_is_next = not self._newest_is_next
        try:
            self._deliver(batch.polls)
        except StoreError as error:
            return self._wait(error)
        if self._failures:
            log.info("the store takes readings again")
            self._failures = 0
            self._outbox.attempted(failures=0, retry_at=0.0, error="")
        return IDLE_S if batch.is_all else 0.0

    def _deliver(self, batch: Sequence[Pending]) -> None:
        """Writes a batch; where the store will not take it, finds out which polls it means and sets those aside."""
        try:
            self._write(batch)
        except PollsRejected as error:
            before = error.refused_before or 0
            if before > self._clock.time() * 1000:  # its clock has run away from ours
                before = 0
            if old := [one for one in batch if one.poll.observed_at < before]:
                self._set_aside_old(old, error)
                if others := [one for one in batch if one.poll.observed_at >= before]:
                    self._deliver(others)
            else:
                self._require_that_some_are_taken(batch, error)
                self._divide(batch, error)

    def _set_aside_old(self, some: Sequence[Pending], error: PollsRejected) -> None:
        if self._is_given_up():
            return
        first, last = (utc_text(limit(one.poll.observed_at for one in some)) for limit in (min, max))
        log.error(
            "%d polls from %s to %s are set aside, as the store keeps none so old: %s", len(some), first, last, error
        )
        self._outbox.quarantine(some, str(error))

    def _divide(self, rejected: Sequence[Pending], error: PollsRejected) -> None:
        if len(rejected) == 1:
            poll = rejected[0].poll
            log.error("%s at %d is set aside, as the store will not take it: %s", poll.device, poll.observed_at, error)
            self._outbox.quarantine(rejected, str(error))
            return
        middle = len(rejected) // 2
        for half in (rejected[:middle], rejected[middle:]):
            try:
                self._write(half)
            except PollsRejected as again:
                self._divide(half, again)

    def _write(self, batch: Sequence[Pending]) -> None:
        if self._is_given_up():
            return
        self._store.write([pending.poll for pending in batch])
        if self._is_given_up():
            return
        self._taken = batch[-1].poll
        self._mark_late(batch)
        self._outbox.delivered(batch)

    def _require_that_some_are_taken(self, rejected: Sequence[Pending], error: PollsRejected) -> None:
        """Makes sure that it is these polls: a store, or what stands before it, may say so of everything.

        Raises:
            StoreRefused: it takes none, not even one that it took before.
        """
        # Any will do.
        some = random.sample(rejected, min(_PROBES, len(rejected)))  # nosec B311
        for poll in (*([self._taken] if self._taken else []), *(pending.poll for pending in some)):
            try:
                self._store.write([poll])
            except PollsRejected:
                continue
            self._taken = poll
            return
        raise StoreRefused(f"none of {len(rejected)} polls is taken, so it is not the polls: {error}")

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
            wait = min(max(wait, error.retry_after_s), LONGEST_ASKED_FOR_S)
        self._retry_at = self._clock.monotonic() + wait
        self._outbox.attempted(failures=self._failures, retry_at=self._clock.time() + wait, error=str(error))
        log.warning("readings wait in the outbox, next attempt in %.0f s: %s", wait, error)
        return wait

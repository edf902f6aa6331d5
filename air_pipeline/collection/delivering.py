"""Delivery beside polling: a thread of its own, for as long as somebody collects.

Belongs here: the thread, its failures and its end. Does not: what a delivery is (`delivery`).
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from air_pipeline.collection.clock import SystemClock
from air_pipeline.collection.delivery import Delivery
from air_pipeline.collection.outbox import Outbox, OutboxError
from air_pipeline.collection.salvage import Salvage
from air_pipeline.collection.share import Share
from air_pipeline.collection.telling import Teller
from air_pipeline.environment import Environment
from air_pipeline.errors import AirPipelineError
from air_pipeline.storage.opening import open_store

log = logging.getLogger(__name__)

LAST_DELIVERY_S = 5.0
"""How long the end goes on delivering; what the store did not take by then stays in the outbox."""
LOOK_AFTER_S = 30.0
"""How often the outbox is looked after."""
_LONGEST_PAUSE_S = 1.0
_BEGIN_ANEW_S = 10.0


@contextmanager
def delivering(environment: Environment, share: Share | None = None) -> Iterator[None]:
    """Delivers the outbox to the store in a thread of its own, for whoever holds the collector's lock.

    At the end, waits a little for what is left, and then until nothing is being written any more: who takes the lock
    next delivers the same.

    Args:
        environment: whose outbox, and which store.
        share: that of the collector which tells of itself through the store; None: nothing is told.

    Raises:
        SettingsError: the state directory was moved to another store before the lock was taken.
    """
    environment.state.check_store(environment.store)
    stop, given_up = threading.Event(), threading.Event()
    thread = threading.Thread(target=_deliver, args=(environment, stop, given_up, share), name="delivery", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LAST_DELIVERY_S)
        given_up.set()
        thread.join()


def _deliver(environment: Environment, stop: threading.Event, given_up: threading.Event, share: Share | None) -> None:
    while True:
        try:
            with (
                closing(Outbox(environment.state.outbox)) as outbox,
                closing(open_store(environment.influxdb, environment.state)) as store,
            ):
                teller = Teller(environment.state, store, outbox, share) if share else None
                _deliver_until(stop, Delivery(outbox, store, is_given_up=given_up.is_set), outbox, teller)
        except Exception as error:
            # Whatever it is, polling goes on and nothing is lost: the readings wait in the outbox for the next try.
            words = str(error) if isinstance(error, AirPipelineError) else f"{type(error).__name__}: {error}"
            traceback = None if isinstance(error, AirPipelineError) else error
            what = "delivery failed; readings stay in the outbox, next attempt in %.0f s: %s"
            log.error(what, _BEGIN_ANEW_S, words, exc_info=traceback)
            _remember(environment, f"delivery itself failed: {words}")
            stop.wait(_BEGIN_ANEW_S)
        if stop.is_set():
            return


def _remember(environment: Environment, error: str) -> None:
    # Whatever goes wrong here: without this thread nothing is ever delivered.
    with suppress(Exception), closing(Outbox(environment.state.outbox)) as outbox:
        failures = outbox.status().failures + 1
        outbox.attempted(failures=failures, retry_at=time.time() + _BEGIN_ANEW_S, error=error)


def _deliver_until(stop: threading.Event, delivery: Delivery, outbox: Outbox, teller: Teller | None) -> None:
    clock, salvage = SystemClock(), Salvage(outbox)
    look_after_at = clock.monotonic()
    while not stop.is_set():
        wait = delivery.step()
        if teller and not delivery.is_held_up:
            teller.step()
        with suppress(OutboxError):  # it is locked or the disk is full: there is time, and delivery says so itself
            if salvage.step():
                wait = 0.0
            if clock.monotonic() >= look_after_at:
                look_after_at = clock.monotonic() + LOOK_AFTER_S
                outbox.look_after()
        stop.wait(min(wait, _LONGEST_PAUSE_S))
    while delivery.step() == 0.0:
        pass

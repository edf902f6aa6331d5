"""Delivery beside polling: a thread of its own, for as long as somebody collects.

Belongs here: the thread, its failures and its end. Does not: what a delivery is (`delivery`).
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from air_pipeline.collection.clock import SystemClock
from air_pipeline.collection.delivery import GATHER_S, Delivery
from air_pipeline.collection.outbox import Outbox, OutboxError
from air_pipeline.collection.outbox_rows import PollsCame
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
_LONGEST_PAUSE_S = 10.0
"""How often it is looked for what came in unseen, such as by a command: whoever commits polls here says so at once."""
_BEGIN_ANEW_S = 10.0


@contextmanager
def delivering(
    environment: Environment, polls_came: PollsCame | None = None, share: Share | None = None
) -> Iterator[None]:
    """Delivers the outbox to the store in a thread of its own, for whoever holds the collector's lock.

    At the end, waits a little for what is left, and then until nothing is being written any more: who takes the lock
    next delivers the same.

    Args:
        environment: whose outbox, and which store.
        polls_came: is set whenever polls were committed to the outbox.
        share: that of the collector which tells of itself through the store; None: nothing is told.

    Raises:
        SettingsError: the state directory was moved to another store before the lock was taken.
    """
    environment.state.check_store(environment.store)
    stop, given_up, polls_came = threading.Event(), threading.Event(), polls_came or PollsCame()
    thread = threading.Thread(
        target=_deliver, args=(environment, stop, polls_came, given_up, share), name="delivery", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        polls_came.set()
        thread.join(LAST_DELIVERY_S)
        given_up.set()
        thread.join()


def _deliver(
    environment: Environment,
    stop: threading.Event,
    polls_came: PollsCame,
    given_up: threading.Event,
    share: Share | None,
) -> None:
    while True:
        try:
            with (
                closing(Outbox(environment.state.outbox, read=polls_came.poll_of)) as outbox,
                closing(open_store(environment.influxdb, environment.state)) as store,
            ):
                teller = Teller(environment.state, store, outbox, share) if share else None
                delivery = Delivery(outbox, store, is_given_up=given_up.is_set)
                _deliver_until(stop, polls_came, delivery, outbox, teller)
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


def _deliver_until(
    stop: threading.Event, polls_came: threading.Event, delivery: Delivery, outbox: Outbox, teller: Teller | None
) -> None:
    clock, salvage = SystemClock(), Salvage(outbox)
    salvage_at = look_after_at = clock.monotonic()
    while not stop.is_set():
        polls_came.clear()
        wait = delivery.step()
        if teller and not delivery.is_held_up:
            teller.step()
        with suppress(OutboxError):  # it is locked or the disk is full: there is time, and delivery says so itself
            if clock.monotonic() >= salvage_at:
                if salvage.step():
                    wait = 0.0
                else:
                    salvage_at = clock.monotonic() + _LONGEST_PAUSE_S
            if clock.monotonic() >= look_after_at:
                look_after_at = clock.monotonic() + LOOK_AFTER_S
                outbox.look_after()
        if delivery.is_held_up:
            stop.wait(min(wait, _LONGEST_PAUSE_S))
        elif polls_came.wait(min(wait, _LONGEST_PAUSE_S)):
            stop.wait(GATHER_S)
    while delivery.step() == 0.0:
        pass

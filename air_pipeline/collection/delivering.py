"""Delivery beside polling: a thread of its own, for as long as somebody collects.

Belongs here: the thread, its failures and its end. Does not: what a delivery is (`delivery`).
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from air_pipeline.collection.delivery import Delivery
from air_pipeline.collection.outbox import Outbox
from air_pipeline.environment import Environment
from air_pipeline.storage.opening import open_store

log = logging.getLogger(__name__)

LAST_DELIVERY_S = 5.0
"""How long the end waits for the store; what it does not take stays in the outbox."""
_LINGER_S = 0.2
_BEGIN_ANEW_S = 10.0


@contextmanager
def delivering(environment: Environment) -> Iterator[None]:
    """Delivers the outbox to the store in a thread of its own; at the end, waits a little for what is left."""
    stop = threading.Event()
    thread = threading.Thread(target=_deliver, args=(environment, stop), name="delivery", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LAST_DELIVERY_S)


def _deliver(environment: Environment, stop: threading.Event) -> None:
    while True:
        try:
            with (
                closing(Outbox(environment.state.outbox)) as outbox,
                closing(open_store(environment.influxdb, environment.state)) as store,
            ):
                _deliver_until(stop, Delivery(outbox, store))
        except Exception:
            # Whatever it is, polling goes on and nothing is lost: the readings wait in the outbox for the next try.
            log.exception("delivery failed; readings stay in the outbox, next attempt in %.0f s", _BEGIN_ANEW_S)
            stop.wait(_BEGIN_ANEW_S)
        if stop.is_set():
            return


def _deliver_until(stop: threading.Event, delivery: Delivery) -> None:
    while not stop.wait(_LINGER_S):
        wait = delivery.step()
        if wait > _LINGER_S:
            stop.wait(min(wait, 1.0) - _LINGER_S)
    while delivery.step() == 0:
        pass

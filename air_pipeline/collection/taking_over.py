"""A thread that looks whether devices that wait may be begun; it costs nothing while none does.

Belongs here: when it is looked. Does not: what is decided (`share`).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from air_pipeline.collection.looking import look_again
from air_pipeline.collection.share import Share
from air_pipeline.environment import Environment
from air_pipeline.storage.opening import open_store

STORE_WITHIN_S = 2.0
LOOK_EVERY_S = 2.0


@contextmanager
def taking_over(share: Share, environment: Environment, wake: Callable[[], None]) -> Iterator[None]:
    """Looks beside polling while the block lasts: at once when a share changes, then as long as a device waits.

    Args:
        share: whose devices.
        environment: which store is asked.
        wake: is called after each look, to have taken up at once what changed.
    """
    stop = threading.Event()

    def is_over() -> bool:
        share.wake.wait(LOOK_EVERY_S if share.waits else None)
        share.wake.clear()
        return stop.is_set()

    def run() -> None:
        with closing(open_store(environment.influxdb, environment.state, STORE_WITHIN_S)) as store:

            def look() -> None:
                share.look(store)
                wake()

            look_again(look, is_over, "it cannot be looked now whether devices that wait may be begun")

    thread = threading.Thread(target=run, name="share", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        share.wake.set()

"""Looking again and again beside polling: none of it may hold up a slot, and none of it ends by what it runs into.

Belongs here: the loop. Does not: the threads, and what is looked at (`process`, `taking_over`).
"""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


def look_again(look: Callable[[], None], is_over: Callable[[], bool], failing: str) -> None:
    """Looks until it is over; whatever a look raises is logged, once while it is the same.

    Args:
        look: one look.
        is_over: waits for the next one; whether there is none any more.
        failing: what cannot be done where a look raises, for the log.
    """
    said = ""
    while not is_over():
        try:
            look()
        except Exception as error:  # whatever it is, it is looked again
            if repr(error) != said:
                log.exception(failing)
            said = repr(error)

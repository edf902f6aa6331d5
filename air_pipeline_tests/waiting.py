"""Waiting for what is to happen: for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import Any

WITHIN_S = 300.0
"""After so long a test gives up. It promises nothing: it ends a test that would hang, however slow the machine is."""
_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.1


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Waits until a condition holds and gives what it gave."""
    end, pause = time.monotonic() + WITHIN_S, _FIRST_PAUSE_S
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {WITHIN_S:g} s in vain for {what}"
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
    return found

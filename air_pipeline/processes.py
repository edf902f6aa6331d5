"""Processes that this program starts of itself: their end.

Belongs here: what every kind of child has in common. Does not: which children there are.
"""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """In a child: asks the kernel for a signal when the parent ends without having stopped it (prctl(2), Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)

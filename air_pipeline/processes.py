"""Processes that this program starts of itself: their end, and whose the files are that they make.

Belongs here: what every kind of child has in common. Does not: which children there are.
"""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from air_pipeline.places import DataPlace

_PR_SET_PDEATHSIG = 1


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """In a child: asks the kernel for a signal when the parent ends without having stopped it (prctl(2), Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def keep_to_this_user(state: Path, data: DataPlace) -> None:
    """From now on what this process and its children make is for this user alone, whatever the umask was.

    Tables and pages elsewhere than in the state directory are no secret: their directory is made before, as the umask
    says, and what is published in it has that directory's rights (`replacing.staged_file`).
    """
    if isinstance(data, Path) and not data.is_relative_to(state):
        with suppress(OSError):  # said when something is to be written there
            data.mkdir(parents=True, exist_ok=True)
    os.umask(0o077)

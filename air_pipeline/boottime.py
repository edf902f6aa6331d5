"""Time that goes by whatever is done to the clock: durations, deadlines and leases are on it.

Belongs here: CLOCK_BOOTTIME, which goes on while the machine is suspended, and which start of the machine it counts
from. Does not: the time of day, of which slots are made (`collection.clock`).
"""

import time
from functools import cache
from pathlib import Path

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux alone has it
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boottime() -> float:
    """Seconds since the machine was started, suspended ones included; never stepped."""
    return time.clock_gettime(_CLOCK)


def until_multiple_of(seconds: float) -> float:
    """How long it is, in seconds, until `boottime` is a multiple of some.

    Threads that look for something now and then do it at one moment then: the processor's caches have what they need.
    """
    return seconds - boottime() % seconds


@cache
def boot_id() -> str:
    """Which start of the machine `boottime` counts from; empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""

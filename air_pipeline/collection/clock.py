"""The clock of a collector, so that a test can hold it; and what the kernel says of it."""

import ctypes
import sys
import time
from functools import cache
from typing import Protocol

from air_pipeline.boottime import boot_id, boottime

_STA_UNSYNC = 0x0040  # adjtimex(2)
_STATUS_AT = 5 * ctypes.sizeof(ctypes.c_long)  # after modes (padded), offset, freq, maxerror, esterror
_TIMEX_BYTES = 512  # more than struct timex has anywhere


class Clock(Protocol):
    """The time of day and the time that goes by, in seconds."""

    def time(self) -> float:
        """Seconds since 1970 UTC; may be stepped by the system."""
        ...

    def is_kept(self) -> bool | None:
        """Whether the kernel says that a service keeps the wall time; None if it does not say."""
        ...

    def boot(self) -> str:
        """Which boot of the machine this is; empty where that is not known."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, those included in which the machine was suspended; never stepped."""
        ...


class SystemClock:
    """The clock of the machine."""

    def time(self) -> float:
        """Seconds since 1970 UTC."""
        return time.time()

    def is_kept(self) -> bool | None:
        """What the kernel says."""
        return kernel_synchronized()

    def boot(self) -> str:
        """The kernel's name for this boot."""
        return boot_id()

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return boottime()


def kernel_synchronized() -> bool | None:
    """Whether the kernel's clock is kept by a service (adjtimex(2), STA_UNSYNC); None if the kernel does not say."""
    if sys.platform != "linux":
        return None
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: only asks
    if _c_library().adjtimex(buffer) < 0:
        return None
    return not ctypes.c_int.from_buffer(buffer, _STATUS_AT).value & _STA_UNSYNC


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)

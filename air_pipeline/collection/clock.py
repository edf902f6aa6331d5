"""The clock of a collector, so that a test can hold it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall and monotonic time, in seconds."""

    def time(self) -> float:
        """Seconds since 1970 UTC; may be stepped by the system."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never stepped."""
        ...


class SystemClock:
    """The clock of the machine."""

    def time(self) -> float:
        """Seconds since 1970 UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

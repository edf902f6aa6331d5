"""The clock of a collector, so that a test can hold it."""

import time
from typing import Protocol

from air_pipeline.boottime import boottime


class Clock(Protocol):
    """The time of day and the time that goes by, in seconds."""

    def time(self) -> float:
        """Seconds since 1970 UTC; may be stepped by the system."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, those included in which the machine was suspended; never stepped."""
        ...


class SystemClock:
    """The clock of the machine."""

    def time(self) -> float:
        """Seconds since 1970 UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return boottime()

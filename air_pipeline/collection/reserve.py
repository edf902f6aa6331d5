"""Room on the disk that is given to the outbox when there is none left.

Belongs here: a file that takes up space until it is needed. Does not: when that is (`recorder`).
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

RESERVE_BYTES = 8 * 1024 * 1024
"""Some fifteen thousand polls of a station: of ten devices every 10 s, four hours."""
ROOM_TIMES = 4
"""It is made while so many times its size is free, so that it is not what fills the disk."""


class Reserve:
    """The file; every method does what it can and raises nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> None:
        """Takes the room, if it is not taken yet and there is plenty."""
        with suppress(OSError):
            if self._path.exists() or shutil.disk_usage(self._path.parent).free < ROOM_TIMES * RESERVE_BYTES:
                return
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            except OSError:
                self._path.unlink()
            finally:
                os.close(descriptor)

    def free(self) -> bool:
        """Gives the room back, where the disk has less than that left; whether it did."""
        with suppress(OSError):
            if shutil.disk_usage(self._path.parent).free < RESERVE_BYTES:
                self._path.unlink()
                return True
        return False

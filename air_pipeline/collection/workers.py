"""Threads that ask devices: as many as the devices' slowness needs, no more than there are devices."""

import logging
import queue
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

Task = Callable[[], None]

FIRST = 16
"""Threads that answer a burst from quick devices; more would only compete for the interpreter."""
GROWTH = 16
BUSY = 0.7
"""Above this share of a core the interpreter itself is the limit, and more threads do not help."""
LOOK_EVERY_S = 0.02
IDLE_S = 30.0


class Workers:
    """A pool of daemon threads that grows while tasks wait for devices, not for the processor.

    A thread that hangs in a name look-up holds up nobody: the others go on, and the process ends without it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._looked = (0.0, 0.0)

    def submit(self, task: Task) -> None:
        """Runs a task as soon as a thread is free; tasks do not raise."""
        self._tasks.put(task)
        if self._threads < min(FIRST, self.limit) and self._tasks.qsize() > self._idle:
            self._start()

    def backlog(self) -> int:
        """How many tasks have no thread yet."""
        return self._tasks.qsize()

    def grow(self) -> None:
        """To be called every `LOOK_EVERY_S` while there is a backlog: adds threads if those there are all wait."""
        wall, cpu = time.monotonic(), time.process_time()
        looked_wall, looked_cpu = self._looked
        if wall - looked_wall < LOOK_EVERY_S:
            return
        self._looked = (wall, cpu)
        if wall - looked_wall < 5 * LOOK_EVERY_S and (cpu - looked_cpu) / (wall - looked_wall) < BUSY:
            for _ in range(min(GROWTH, self.backlog(), self.limit - self._threads)):
                self._start()

    def _start(self) -> None:
        with self._lock:
            self._threads += 1
        threading.Thread(target=self._work, name="poll", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                task = self._tasks.get(timeout=IDLE_S)
            except queue.Empty:
                task = None
            with self._lock:
                self._idle -= 1
                if task is None and self._threads > FIRST:
                    self._threads -= 1
                    return
            if task is not None:
                task()

"""Threads that ask devices: as many as the devices' slowness needs."""

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
REFUSED_S = 1.0
"""A machine that gives no more threads is asked again so often."""


class Workers:
    """A pool of daemon threads that grows while tasks wait for devices, not for the processor.

    A thread is started for a task that waits, so there are never more than tasks at one time; where the machine gives
    no more of them, tasks wait for those there are. A thread that hangs in a name look-up holds up nobody: the others
    go on, and the process ends without it.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._looked = (0.0, 0.0)
        self._refused_until = 0.0

    def submit(self, task: Task) -> None:
        """Runs a task as soon as a thread is free; tasks do not raise."""
        self._tasks.put(task)
        if self._threads < FIRST and self._tasks.qsize() > self._idle:
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
        if not self._threads or (
            wall - looked_wall < 5 * LOOK_EVERY_S and (cpu - looked_cpu) / (wall - looked_wall) < BUSY
        ):
            for _ in range(min(GROWTH, self.backlog() - self._idle)):
                self._start()

    def _start(self) -> None:
        if time.monotonic() < self._refused_until:
            return
        with self._lock:
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="poll", daemon=True).start()
        except (RuntimeError, MemoryError) as error:
            with self._lock:
                self._threads -= 1
            if not self._refused_until:
                log.error(
                    "the machine gives no more threads (%s), so devices wait for the %d there are and miss slots;"
                    " see TasksMax of the unit, or the container's limit of pids",
                    error,
                    self._threads,
                )
            self._refused_until = time.monotonic() + REFUSED_S

    def _work(self) -> None:
        try:
            while (task := self._next()) is not None:
                task()
        finally:
            with self._lock:
                self._threads -= 1

    def _next(self) -> Task | None:
        """The next task of a thread; None when it is needed no more."""
        while True:
            with self._lock:
                self._idle += 1
            try:
                return self._tasks.get(timeout=IDLE_S)
            except queue.Empty:
                if self._threads > FIRST:
                    return None
            finally:
                with self._lock:
                    self._idle -= 1

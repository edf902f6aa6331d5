"""Many exchanges in one thread: each goes on when its socket can, and none waits for another.

Belongs here: the thread, and whose turn it is. Does not: what is done in a turn (`devices.steps`), threads for what
takes long by itself (`workers`).
"""

import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial

from air_pipeline.boottime import boottime
from air_pipeline.collection.readiness import Readiness, readiness
from air_pipeline.devices.steps import POLLED, Steps

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How often it is looked for what has waited too long: whoever began it ends it before, so this is for the worst."""
BEGIN_FOR_S = 0.1
"""So long new ones are begun before it is looked what has come for others: a slow machine is no device's fault."""
IDLE_S = 30.0
"""A thread that has had nothing to do for so long ends."""


@dataclass(slots=True, eq=False)
class _Taken:
    """Something whose steps are taken, and what it waits for."""

    steps: Steps[None]
    connection: socket.socket | None = None
    file: int = -1
    events: int = 0
    until: float = 0.0


class Exchanges:
    """A daemon thread that takes the steps of whatever it is given."""

    def __init__(self) -> None:
        """Starts no thread as long as there is nothing to do."""
        self._new: deque[Steps[None]] = deque()
        self._lock = threading.Lock()
        self._is_running = False
        self._is_asleep = False
        self._is_refused = False
        self._waker: socket.socket | None = None

    def submit(self, some: Iterable[Steps[None]]) -> None:
        """Begins these as soon as the thread is there; their steps do not raise. May be called by any thread."""
        self._new.extend(some)
        with self._lock:
            if not self._is_running:
                self._start()
            elif self._is_asleep and self._waker is not None:
                self._is_asleep = False
                with suppress(BlockingIOError):  # it has been woken often enough
                    self._waker.send(b"x")

    def _start(self) -> None:
        try:
            self._is_running = True
            threading.Thread(target=self._work, name="exchanges", daemon=True).start()
            self._is_refused = False
        except (RuntimeError, MemoryError) as error:
            self._is_running = False
            if not self._is_refused:
                log.error("the machine gives no thread to ask devices in (%s); see TasksMax of the unit", error)
            self._is_refused = True

    def _work(self) -> None:
        waiting: dict[int, _Taken] = {}
        try:
            waker, woken = socket.socketpair()
            waker.settimeout(0)
            with waker, woken, closing(readiness()) as sockets:
                sockets.register(woken.fileno(), POLLED[selectors.EVENT_READ])
                with self._lock:
                    self._waker = waker
                self._take_turns(sockets, waiting, woken)
        except Exception:  # such as no more descriptors: the next slot tries again
            log.exception("devices cannot be asked now")
        finally:
            with self._lock:
                self._is_running, self._waker = False, None
            for one in waiting.values():
                one.steps.close()

    def _take_turns(self, sockets: Readiness, waiting: dict[int, _Taken], woken: socket.socket) -> None:
        turn = partial(_take, sockets, waiting)
        looked = used = boottime()
        while True:
            self._is_asleep = True  # before it is looked whether there is something new
            ready = sockets.poll(0.0 if self._new else LOOK_EVERY_S if waiting else IDLE_S)
            self._is_asleep = False
            # What is to be sent goes first, so that reading the answers of some holds up few requests.
            ready.sort(key=lambda one: one[1], reverse=True)
            self._begin(turn)
            for file, _ in ready:
                if file in waiting:
                    turn(waiting[file])
                elif file == woken.fileno():  # and none that another process has inherited
                    woken.recv(4096)
            now = boottime()
            if now - looked >= LOOK_EVERY_S:
                looked = now
                for one in [one for one in waiting.values() if one.until < now]:
                    turn(one)
            if ready or waiting:
                used = now
            elif now - used > IDLE_S and self._ends():
                return

    def _ends(self) -> bool:
        with self._lock:
            if self._new:
                return False
            self._is_running, self._waker = False, None
            return True

    def _begin(self, turn: Callable[[_Taken], None]) -> None:
        until = boottime() + BEGIN_FOR_S
        while self._new and boottime() < until:
            turn(_Taken(self._new.popleft()))


def _take(sockets: Readiness, waiting: dict[int, _Taken], one: _Taken) -> None:
    """Takes the next step of one, and sees that it is taken again when its socket can."""
    try:
        wait = next(one.steps)
        if one.connection is not wait.socket:
            _forget(sockets, waiting, one)
            one.connection, one.file = wait.socket, wait.socket.fileno()
            sockets.register(one.file, POLLED[wait.events])
            waiting[one.file] = one
        elif one.events != wait.events:
            sockets.modify(one.file, POLLED[wait.events])
        one.events, one.until = wait.events, wait.until
    except StopIteration:
        _forget(sockets, waiting, one)
    except Exception as error:  # there is no waiting for that socket
        log.exception("an exchange cannot go on")
        _forget(sockets, waiting, one)
        with suppress(Exception):
            one.steps.throw(error)
        one.steps.close()


def _forget(sockets: Readiness, waiting: dict[int, _Taken], one: _Taken) -> None:
    if waiting.pop(one.file, None) and one.connection and one.connection.fileno() >= 0:
        sockets.unregister(one.file)  # as it is still open

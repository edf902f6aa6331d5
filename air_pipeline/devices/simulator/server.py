"""Simulated devices behind a real HTTP port: one thread, raw sockets, so that a thousand devices cost little.

Belongs here: connections, timers, the count of requests. Does not: what is answered (`faults`, `firmware`) and when it
goes wrong (`script`).
"""

import heapq
import resource
import selectors
import signal
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import FrameType, TracebackType
from typing import Any, Self

from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.simulator.faults import Fault, Reply, reply_at
from air_pipeline.devices.simulator.script import Flaky, Script
from air_pipeline.devices.simulator.speaking import path_of
from air_pipeline.devices.simulator.weather import Profile

BACKLOG = 8192
MAX_REQUEST_BYTES = 16 * 1024
KEPT_ARRIVALS = 100_000
_ABRUPTLY = struct.pack("ii", 1, 0)  # SO_LINGER that makes close a reset
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a device has been asked.

    Attributes:
        times_ms: when each request came, in ms of the simulator's clock (the last 100,000).
        most_at_once: the largest number of requests that were under way together.
        open_now: how many are under way now.
    """

    times_ms: list[int]
    most_at_once: int
    open_now: int


@dataclass(slots=True)
class _Unit:
    """A simulated device."""

    profile: Profile
    fault: Fault | None = None
    times_ms: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT_ARRIVALS))
    open_now: int = 0
    most_at_once: int = 0


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    received: bytes = b""
    unit: _Unit | None = None
    reply: Reply | None = None
    sent: int = 0
    watched: int = 0
    closed: bool = False


class Simulator:
    """Devices behind one port, each under `/<device>` and the path of its kind; a single one also under that alone.

    A context manager runs it in a thread of its own; `run` serves in the calling thread until `stop`.
    """

    def __init__(
        self,
        devices: Iterable[str | Profile] = ("living-room",),
        *,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        script: Script | None = None,
        flaky: Flaky | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Listens at once; answers once it runs.

        Args:
            devices: ids, or profiles where one wants to say more.
            seed: of the weather, for devices given by id.
            host: where to listen.
            port: 0 takes a free one.
            script: faults with times; those that count from the start count from now.
            flaky: devices that fail now and then.
            clock: gives seconds since 1970 UTC: what is measured follows it; delays are real.

        Raises:
            OSError: if the port is taken.
        """
        profiles = [Profile(device, seed) if isinstance(device, str) else device for device in devices]
        self._units = {profile.device: _Unit(profile) for profile in profiles}
        self._script = script or Script()
        self._flaky = flaky
        self._clock = clock
        self._started_s = clock()
        self._paths: dict[bytes, tuple[_Unit, bool]] = {}
        for name, unit in self._units.items():
            for below in (f"/{name}", "") if len(self._units) == 1 else (f"/{name}",):
                self._paths[f"{below}{path_of(unit.profile.kind)}".encode()] = unit, False
                if stream := KINDS[unit.profile.kind].stream_path:
                    self._paths[f"{below}{stream}".encode()] = unit, True
        self._lock = threading.Lock()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_count = 0
        self._connections: set[_Connection] = set()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._listener = socket.create_server((host, port), backlog=BACKLOG)
        self._listener.settimeout(0)
        self._host = host
        self.port: int = self._listener.getsockname()[1]
        self._waker, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.run, name="simulator", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._thread:
            self._thread.join()

    def url(self, device: str) -> str:
        """Where a device is asked.

        Raises:
            KeyError: if there is no such device.
        """
        profile = self._units[device].profile
        path = KINDS[profile.kind].path or path_of(profile.kind)
        return f"http://{self._host}:{self.port}/{profile.device}{path}"

    def set_fault(self, device: str, fault: str | Fault | None, **options: Any) -> None:  # noqa: ANN401
        """From now on something is wrong with a device, whatever the script says; None: no longer.

        Raises:
            ValueError: if there is no such fault or option.
        """
        if isinstance(fault, str):
            fault = Fault(fault, options, self._clock())
        self._units[device].fault = fault

    def requests(self, device: str) -> Traffic:
        """What the device has been asked so far."""
        unit = self._units[device]
        with self._lock:
            return Traffic(list(unit.times_ms), unit.most_at_once, unit.open_now)

    def stop(self) -> None:
        """Makes `run` end soon; may be called from another thread or from a signal handler."""
        self._stopping = True
        with suppress(OSError):
            self._waker.send(b"x")

    def run(self) -> None:
        """Serves until `stop`, then closes everything."""
        try:
            while not self._stopping:
                wait = max(self._timers[0][0] - time.monotonic(), 0.0) if self._timers else None
                for key, events in self._selector.select(wait):
                    self._serve(key, events)
                self._run_timers()
        finally:
            for connection in list(self._connections):
                self._close(connection)
            self._selector.close()
            for end in (self._listener, self._waker, self._woken):
                end.close()

    def _serve(self, key: selectors.SelectorKey, events: int) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif isinstance(key.data, _Connection) and not key.data.closed:
            if events & selectors.EVENT_READ:
                self._receive(key.data)
            elif key.data.reply:
                self._send(key.data)

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:  # no descriptors left: some come back as others hang up
                time.sleep(0.01)
                return
            accepted.settimeout(0)
            connection = _Connection(accepted)
            self._connections.add(connection)
            self._receive(connection)

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(MAX_REQUEST_BYTES)
        except BlockingIOError:
            self._watch(connection, selectors.EVENT_READ)
            return
        except OSError:
            data = b""
        if not data or len(connection.received) > MAX_REQUEST_BYTES:
            self._close(connection)
        elif connection.unit is None:
            connection.received += data
            if b"\r\n\r\n" in connection.received:
                self._answer(connection)
            else:
                self._watch(connection, selectors.EVENT_READ)

    def _answer(self, connection: _Connection) -> None:
        _, _, rest = connection.received.partition(b" ")
        unit, is_stream = self._paths.get(rest.partition(b" ")[0].partition(b"?")[0], (None, False))
        if unit is None:
            connection.reply = Reply(_NOT_FOUND)
            self._send(connection)
            return
        now = self._clock()
        connection.unit = unit
        with self._lock:
            unit.times_ms.append(round(now * 1000))
            unit.open_now += 1
            unit.most_at_once = max(unit.most_at_once, unit.open_now)
        connection.reply = self._reply(unit, now, is_stream=is_stream)
        if connection.reply.delay_s:
            self._watch(connection, selectors.EVENT_READ)
            self._later(connection.reply.delay_s, connection)
        else:
            self._send(connection)

    def _reply(self, unit: _Unit, now_s: float, *, is_stream: bool) -> Reply:
        device = unit.profile.device
        fault = unit.fault or self._script.fault_at(device, now_s, self._started_s)
        booted_at = self._script.booted_at(device, now_s, self._started_s)
        if fault and fault.name == "boot":
            booted_at = fault.since_s
        if booted_at is not None:
            unit.profile = replace(unit.profile, booted_at=booted_at)
        if fault is None and self._flaky:
            fault = self._flaky.fault_at(device, now_s)
        return reply_at(unit.profile, now_s, fault, is_stream=is_stream)

    def _send(self, connection: _Connection) -> None:
        reply = connection.reply
        if reply is None or connection.closed:
            return
        dripping = reply.drip_from is not None and connection.sent >= reply.drip_from
        end = connection.sent + 1 if dripping else reply.drip_from or len(reply.data)
        try:
            connection.sent += connection.socket.send(reply.data[connection.sent : end])
        except BlockingIOError:
            self._watch(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
            return
        except OSError:
            self._close(connection)
            return
        if connection.sent >= len(reply.data):
            self._finish(connection, reply)
        elif connection.sent >= (reply.drip_from or len(reply.data)) or dripping:
            self._watch(connection, selectors.EVENT_READ)
            self._later(reply.drip_s, connection)
        else:
            self._watch(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _finish(self, connection: _Connection, reply: Reply) -> None:
        if reply.hang:
            self._watch(connection, selectors.EVENT_READ)
            return
        if reply.reset:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPTLY)
        self._close(connection)

    def _later(self, seconds: float, connection: _Connection) -> None:
        self._timer_count += 1
        due = time.monotonic() + seconds
        heapq.heappush(self._timers, (due, self._timer_count, lambda: self._send(connection)))

    def _watch(self, connection: _Connection, events: int) -> None:
        if connection.watched == 0:
            self._selector.register(connection.socket, events, connection)
        elif connection.watched != events:
            self._selector.modify(connection.socket, events, connection)
        connection.watched = events

    def _close(self, connection: _Connection) -> None:
        if connection.closed:
            return
        connection.closed = True
        self._connections.discard(connection)
        if connection.watched:
            self._selector.unregister(connection.socket)
        connection.socket.close()
        if connection.unit is not None:
            with self._lock:
                connection.unit.open_now -= 1


def serve_forever(simulator: Simulator) -> None:
    """Serves in the calling thread, which has to be the main one, until SIGTERM or SIGINT."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a thousand devices may hang at once

    def end(_: int, __: FrameType | None) -> None:
        simulator.stop()

    former = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        simulator.run()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)

"""One bounded GET, told as a value: whatever a device or its network does, an `Answer` comes of it.

Belongs here: the connection, its limits and its outcomes. Does not: the bytes of a request and an answer (`target`,
`response`), what a body says (`document`), when to ask and how long to wait (`collection`).

What the table of outcomes leaves open is decided here and in `response`:

- an answer that is not HTTP, header lines that are none, too long or too many, contradicting lengths: `http_error`;
- a chunked body that ends early, a TLS handshake that fails, a URL that cannot be asked: `unreachable`; so is whatever
  the kernel says of the way (no route, no network, a firewall, no more sockets), but for silence: `timeout`;
- a body that its own Content-Encoding does not fit: `rejected`.
"""

import errno
import math
import os
import re
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from time import thread_time
from typing import Any
from urllib.parse import urlsplit

from air_pipeline.boottime import boottime
from air_pipeline.devices.answers import Answer, Failure, failed
from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.kinds.kind import Wanted
from air_pipeline.devices.login import Challenges, without_login
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.response import Response, body_so_far, read_response
from air_pipeline.devices.sockets import addresses_of, is_address, require_connected, shut_down
from air_pipeline.devices.steps import Steps, Wait, take
from air_pipeline.devices.target import Target, target_of
from air_pipeline.settings import NO_ACCESS, Access, Device
from air_pipeline.tls import trusted

_challenges = Challenges()
NEXT_ADDRESS_S = 0.25
"""So long an address is waited for before the next one is tried (RFC 8305, 5: connection attempt delay)."""
_STREAM_SHARE = 0.8
_LOOK_SHARE = 10
"""After a look at what has come of a stream, so many times what that took goes by before the next."""
_GRACE_S = 0.05
_AT_ONCE = 64 * 1024
_BLANK = re.compile(rb"\n\r?\n")
_LOOKS = 16
"""So often an answer is looked at whenever a blank line has come; then when there is twice as much, and at its end."""


class Exchange:
    """One GET, which another thread may end at any time.

    The deadline is the caller's, as nothing ends the look-up of a name: he waits as long as he likes and then calls
    `abort`. Without that, it ends `timeout_s` after it began, but for that look-up. It holds one file descriptor.
    """

    def __init__(
        self, url: str, timeout_s: float, access: Access = NO_ACCESS, has_all: Callable[[bytes], bool] | None = None
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: what to fetch, `http` or `https`.
            timeout_s: how long it may take, in seconds.
            access: who asks, and what else is sent.
            has_all: of an answer without an end, whether what has come has all that is wanted: then it is over. It is
                too once `_STREAM_SHARE` of the time is, with whatever has come.
        """
        self._has_all = has_all
        self.url = url
        self._access = access
        self._timeout_s = timeout_s
        self._deadline = self._stream_ends = math.inf
        self._status: int | None = None
        self._lock = threading.Lock()
        self._aborted = False
        self._looked_up_s: float | None = None
        self._looking_since: float | None = None
        self._socket: socket.socket | None = None
        self.sent_at = math.inf
        """When the request was on its way, by `boottime`."""

    @property
    def needs_thread(self) -> bool:
        """Whether a step may take long by itself: a name is looked up, or TLS agrees on keys."""
        try:
            target = target_of(self.url)
        except ValueError:
            return False
        return target.is_secure or not is_address(target.host)

    def run(self) -> Answer:
        """Asks once and closes the connection. Blocks; raises nothing; aborted or late is a `timeout`."""
        return take(self.steps())

    def steps(self) -> Steps[Answer]:
        """The same in steps, for a thread that has others to take meanwhile."""
        self._deadline = boottime() + self._timeout_s
        self._stream_ends = self._deadline - (1 - _STREAM_SHARE) * self._timeout_s
        try:
            answer = yield from self._ask()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in the layers below is one failed poll
            answer = failed(error, self._status)
        finally:
            self._release()
        # What comes late is judged by the clock.
        late = self._aborted or boottime() >= self._deadline
        return self.timed_out() if late else answer

    def abort(self) -> None:
        """Makes it end soon, whatever it waits for; a look-up of a name is given up as soon as it returns."""
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                shut_down(self._socket)

    def timed_out(self) -> Answer:
        """What an aborted exchange amounts to, also while its thread still ends.

        Where the look-up of the name took most of the time, that is what it says.
        """
        if self._looking_since is not None and self._looked_up_s is None:
            reason = f"{Failure.LOOK_UP}, more than {self._timeout_s:g} s"
        elif (looked_up_s := self._looked_up_s or 0.0) > self._timeout_s / 2:
            reason = f"{Failure.LOOK_UP}, {looked_up_s:.1f} of {self._timeout_s:g} s"
        else:
            reason = f"no complete answer within {self._timeout_s:g} s"
        return Answer(Outcome.TIMEOUT, self._status, reason=reason)

    def _ask(self) -> Steps[Answer]:
        target = target_of(self.url)
        user = self._access.user
        if user is None:
            return (yield from self._ask_once(target, self._access.headers))
        if self._access.in_query:
            target = target.asked_by(user, self._access.password)
            return _of_login((yield from self._ask_once(target, self._access.headers)))
        # A challenge is answered once in the same poll, on a connection of its own; the next poll answers it at once.
        for is_last in (False, True):
            said = _challenges.authorization(self.url, user, self._access.password, target.path)
            headers = {**self._access.headers, **({"Authorization": said} if said else {})}
            answer = yield from self._ask_once(target, headers)
            if answer.status != HTTPStatus.UNAUTHORIZED or is_last:
                break
            if not _challenges.take(self.url, user, answer.challenges):
                return replace(answer, reason=f"{answer.reason}; it wants a login of another kind than basic or digest")
        return _of_login(answer)

    def _ask_once(self, target: Target, headers: Mapping[str, str]) -> Steps[Answer]:
        request = target.request(headers)
        connection = yield from self._connect(target)
        if target.is_secure:
            connection = yield from self._secured(connection, target.host)
        with suppress(BrokenPipeError):  # who hangs up before all of it has come may have answered
            yield from self._send(connection, request)
        self.sent_at = boottime()
        if self._has_all is None:
            response = yield from self._receive(connection, target)
        else:
            response = yield from self._receive_stream(connection, target, self._has_all)
        self._release()
        assert response.answer is not None  # noqa: S101 # nosec B101 - of what is over there is one
        return response.answer

    def _connect(self, target: Target) -> Steps[socket.socket]:
        """Opens a connection, known to `abort` before it connects.

        Of several addresses one is tried after the other: each has a moment first, then those that were silent have
        their share of the time that is left. An attempt is closed before the next begins.

        Raises:
            OSError: if no address of the host answers, or the exchange was aborted.
        """
        failure: OSError = OSError(f"{target.host} has no address")
        addresses = self._addresses(target.host, target.port)
        if len(addresses) > 1:
            silent = []
            for number, one in enumerate(addresses):
                try:
                    return (yield from self._connected(one, len(addresses) - number, NEXT_ADDRESS_S))
                except (TimeoutError, BlockingIOError):
                    silent.append(one)
                except OSError as error:
                    failure = error
            addresses = silent
        for number, one in enumerate(addresses):
            try:
                return (yield from self._connected(one, len(addresses) - number))
            except OSError as error:
                failure = error
        raise failure

    def _addresses(self, host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
        self._looking_since = boottime()
        addresses = addresses_of(host, port)
        self._looked_up_s = boottime() - self._looking_since
        return addresses

    def _connected(
        self, to: tuple[socket.AddressFamily, Any], shares: int, longest_s: float = math.inf
    ) -> Steps[socket.socket]:
        family, address = to
        now = boottime()
        until = now + min((self._deadline - now) / shares, longest_s)
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(0)
            self._hold(connection)
            try:
                connection.connect(address)
            except BlockingIOError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
                yield from self._wait(connection, selectors.EVENT_WRITE, until)
            require_connected(connection)
        except OSError:
            self._release()
            connection.close()  # where it was aborted before
            raise
        return connection

    def _secured(self, connection: socket.socket, host: str) -> Steps[ssl.SSLSocket]:
        with self._lock:  # which takes the number away from the socket
            secure = trusted().wrap_socket(
                connection, server_hostname=host.partition("%")[0], do_handshake_on_connect=False
            )
            self._socket = secure
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLError as error:
                yield from self._wait_as_tls(secure, error)
            else:
                return secure

    def _send(self, connection: socket.socket, request: bytes) -> Steps[None]:
        while request:
            try:
                request = request[connection.send(request) :]
            except BlockingIOError:
                yield from self._wait(connection, selectors.EVENT_WRITE)
            except ssl.SSLError as error:
                yield from self._wait_as_tls(connection, error)

    def _receive(self, connection: socket.socket, target: Target) -> Steps[Response]:
        received, looks, needs = bytearray(), 0, 0
        yield from self._wait(connection, selectors.EVENT_READ)
        while True:
            try:
                data = connection.recv(_AT_ONCE)
            except (BlockingIOError, ssl.SSLWantReadError):
                yield from self._wait(connection, selectors.EVENT_READ)
                continue
            except ssl.SSLError as error:
                yield from self._wait_as_tls(connection, error)
                continue
            received += data
            may_be_all = looks <= _LOOKS and _BLANK.search(received, max(len(received) - len(data) - 2, 0))
            if data and len(received) < needs and not may_be_all:
                continue
            response = read_response(bytes(received), target.where, is_over=not data)
            self._status = response.status
            if response.answer is not None:
                return response
            looks = _LOOKS + 1 if response.needs else looks + 1
            needs = response.needs or 2 * len(received)

    def _receive_stream(
        self, connection: socket.socket, target: Target, has_all: Callable[[bytes], bool]
    ) -> Steps[Response]:
        """What comes of an answer that may have no end, until it has all that is wanted, or most of the time is over.

        Every look is at all of it, and all other devices wait meanwhile: looking takes a part of the time, however
        small the pieces are that it comes in.
        """
        received, looked, look_at, so_far = bytearray(), 0, -math.inf, b""
        while True:
            is_over = is_all_read = False
            try:
                data = connection.recv(_AT_ONCE)
                received += data
                is_over = not data
            except (BlockingIOError, ssl.SSLWantReadError):
                is_all_read = True
            except ssl.SSLError as error:
                yield from self._wait_as_tls(connection, error)
                continue
            is_new = len(received) > looked
            next_look = min(look_at if is_new else math.inf, self._stream_ends if is_new or so_far else math.inf)
            if is_over or boottime() >= next_look or len(received) > 2 * looked + _AT_ONCE:
                began = thread_time()
                response = read_response(bytes(received), target.where, is_over=is_over)
                self._status = response.status
                if response.answer is not None:
                    return response
                so_far = body_so_far(bytes(received))
                if so_far and (has_all(so_far) or boottime() >= self._stream_ends):
                    return Response(self._status, Answer(None, self._status, so_far))
                looked, look_at = len(received), boottime() + _LOOK_SHARE * (thread_time() - began)
            elif is_all_read:
                yield from self._wait_for_more(connection, next_look)

    def _wait_for_more(self, connection: socket.socket, until: float) -> Steps[None]:
        """Waits for what comes next of an answer; that nothing has come until a time is an error at the deadline."""
        try:
            yield from self._wait(connection, selectors.EVENT_READ, until)
        except TimeoutError:
            if boottime() >= self._deadline:
                raise

    def _wait_as_tls(self, connection: socket.socket, error: ssl.SSLError) -> Steps[None]:
        if isinstance(error, ssl.SSLWantReadError):
            yield from self._wait(connection, selectors.EVENT_READ)
        elif isinstance(error, ssl.SSLWantWriteError):
            yield from self._wait(connection, selectors.EVENT_WRITE)
        else:
            raise error

    def _wait(self, connection: socket.socket, events: int, until: float = math.inf) -> Steps[None]:
        until = min(until, self._deadline)
        yield Wait(connection, events, until)
        if self._aborted:
            raise OSError("aborted")
        if boottime() >= until:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    def _hold(self, connection: socket.socket) -> None:
        with self._lock:
            if self._aborted:
                raise OSError("aborted")
            self._socket = connection

    def _release(self) -> None:
        # Under the lock: its number may be another file's as soon as it is closed, which an abort must not meet.
        with self._lock:
            held, self._socket = self._socket, None
            if held is not None:
                held.close()


def _of_login(answer: Answer) -> Answer:
    """An answer to who said who asks: a refusal is one of that."""
    if answer.status != HTTPStatus.UNAUTHORIZED:
        return answer
    return replace(answer, reason=f"{answer.reason}; it does not take this user and password")


def exchange_with(device: Device, timeout_s: float | None = None) -> Exchange:
    """The GET that a device of its kind is asked by; within a time of its own, or another one.

    Who asks by the address is told to the device as who asks by `auth` is: only if it wants to know, and in its way.
    """
    kind = KINDS[device.kind]
    url, login = without_login(device.url)
    access = device.access
    if login is not None:
        access = Access(*login, access.headers, kind.login_in_query)
    is_stream = bool(kind.stream_path) and urlsplit(device.url).path.endswith(kind.stream_path)
    wanted = Wanted(device.parameters, device.payload_key)
    has_all = (lambda body: kind.has_all(body, wanted)) if is_stream else None
    return Exchange(url, device.timeout_s if timeout_s is None else timeout_s, access, has_all)


def within(exchange: Exchange, timeout_s: float) -> Answer:
    """Asks, and never takes longer than `timeout_s` seconds, whatever hangs: name look-up, headers, body, TLS.

    For callers without a watchdog of their own: it starts a thread for the exchange, and leaves it behind where a name
    look-up hangs.
    """
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(exchange.run()), name="get", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if answers:
        return answers[0]
    exchange.abort()
    thread.join(_GRACE_S)
    return exchange.timed_out()

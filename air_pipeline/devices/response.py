"""What a device has sent so far, read: an answer, or how much more has to come.

Belongs here: from bytes to an answer, by the parser of the standard library; the limits of a body. Does not: the
connection that they come by (`client`).
"""

import http.client
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Self
from urllib.parse import urljoin

from air_pipeline.devices.answers import Answer, failed
from air_pipeline.devices.polls import Outcome
from air_pipeline.showing import plain, without_secrets

MAX_BODY_BYTES = 64 * 1024
"""Longest document that is read, after decompression: a station's has 400 bytes."""
_MAX_ENCODED_BYTES = 4 * MAX_BODY_BYTES
"""Of a body that comes in pieces or compressed."""
_MAX_HEAD_BYTES = 256 * 1024
_MAX_LINES = 4096
"""Of a head and the pieces of a body together: each costs some µs, for which all other devices wait."""
_MAX_STREAMS = 16
"""So many compressed streams, and ways to compress, one after the other: each may be next to nothing."""
_LONGEST_KNOWN = 1024
_BLANK = re.compile(rb"\n\r?\n")
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_WITHOUT_HEAD = -15


@dataclass(frozen=True, slots=True)
class Response:
    """What has come.

    Attributes:
        status: the HTTP status; None as long as it has not come.
        answer: what it amounts to; None as long as that is not known.
        needs: so many bytes have to be there before it can be; 0 where that is not known.
    """

    status: int | None = None
    answer: Answer | None = None
    needs: int = 0


def read_response(received: bytes, where: str, *, is_over: bool) -> Response:
    """Reads what has come so far; what is wrong with it is an answer too.

    Args:
        received: from the first byte on.
        where: the URL that was asked.
        is_over: whether nothing more comes.
    """
    try:
        head = _head_of(received, is_over=is_over)
    except _NotYetError:
        endless = http.client.HTTPException("its header lines have no end")
        return Response() if len(received) < _MAX_HEAD_BYTES else Response(answer=failed(endless, None))
    except http.client.HTTPException as error:
        return Response(answer=failed(error, None))
    if head.status != HTTPStatus.OK:
        answer = Answer(Outcome.HTTP_ERROR, head.status, b"", _of_status(head, where), head.server, head.challenges)
        return Response(head.status, answer)
    most = _MAX_ENCODED_BYTES if head.encodings else MAX_BODY_BYTES + 1
    ends = head.ends + (most if head.length is None else min(head.length, most))
    if not (head.is_chunked or is_over) and len(received) < ends:
        return Response(head.status, needs=ends)
    try:
        body = _in_one(received, most, is_over=is_over) if head.is_chunked else received[head.ends : ends]
        if head.length is not None and len(received) < ends:
            raise http.client.IncompleteRead(body)
        body = _decoded(body, head.encodings)
    except _NotYetError:
        if len(received) < head.ends + _MAX_ENCODED_BYTES:
            return Response(head.status)
        return Response(head.status, _TOO_LARGE)
    except (http.client.HTTPException, zlib.error) as error:
        return Response(head.status, failed(error, head.status))
    return Response(head.status, _TOO_LARGE if len(body) > MAX_BODY_BYTES else Answer(None, head.status, body))


def body_so_far(received: bytes) -> bytes:
    """What has come of the body of an answer that is not over; nothing where it is compressed, or no good answer."""
    try:
        head = _head_of(received, is_over=False)
    except (_NotYetError, http.client.HTTPException):
        return b""
    if head.status != HTTPStatus.OK or head.encodings:
        return b""
    rest = received[head.ends :]
    return b"".join(_pieces(rest)) if head.is_chunked else rest


def _pieces(rest: bytes) -> Iterator[bytes]:
    """The pieces of a body that comes in such, as far as they have come."""
    at = 0
    while found := _PIECE.match(rest, at):
        end = found.end() + int(found[1], 16)
        yield rest[found.end() : end]
        at = end + 2 * rest.startswith(b"\r\n", end)


_PIECE = re.compile(rb"([0-9A-Fa-f]{1,6})(?:;[^\r\n]*)?\r\n")

_TOO_LARGE = Answer(
    Outcome.TOO_LARGE, HTTPStatus.OK.value, reason=f"the document is longer than {MAX_BODY_BYTES // 1024} KiB"
)


class _NotYetError(Exception):
    """More has to come."""


class _SoFar(io.BytesIO):
    """What has come, as the file that a response is read from: at its end it is not over."""

    def __init__(self, received: bytes, *, is_over: bool) -> None:
        super().__init__(received)
        self._is_over = is_over
        self._lines = 0

    def makefile(self, *_: object) -> Self:
        """Itself."""
        return self

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line that has come to its end, or to `size`."""
        line = super().readline(size)
        self._lines += max(line.count(b"\r"), 1)  # at which the parser of header lines ends one, too
        if self._lines > _MAX_LINES:
            raise http.client.HTTPException(f"it has more than {_MAX_LINES} lines or pieces")
        if not (self._is_over or line.endswith(b"\n") or len(line) == size):
            raise _NotYetError
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        """So many bytes."""
        data = super().read(size)
        if not self._is_over and (size is None or len(data) < size):
            raise _NotYetError
        return data


class _Response(http.client.HTTPResponse):
    """Header lines that cannot be read are an error: the length of the body may have been among them."""

    def __init__(self, file: _SoFar) -> None:
        super().__init__(file)  # type: ignore[arg-type] # which is a socket for as much as is asked of it
        self.begin()

    def begin(self) -> None:
        """Reads status and headers."""
        super().begin()
        if self.msg.defects or (self.msg.get_payload() and not self.msg.is_multipart()):
            raise http.client.HTTPException("a header line has no name")
        lengths = {one.strip() for one in ",".join(self.msg.get_all("Content-Length") or ()).split(",")}
        if len(lengths) > 1:
            raise http.client.HTTPException(f"Content-Length is said twice: {', '.join(sorted(lengths))}")


@dataclass(frozen=True, slots=True)
class _Head:
    """Status and headers of a response, which ends at a byte; what is not said of its body is None, or nothing."""

    ends: int
    status: int
    length: int | None
    is_chunked: bool
    encodings: Sequence[str]
    challenges: tuple[str, ...]
    server: str
    location: str | None


def _head_of(received: bytes, *, is_over: bool) -> _Head:
    blank = _BLANK.search(received, 0, _LONGEST_KNOWN)
    known = _known_head(received[: blank.end()]) if blank else None
    return known or _read_head(received, is_over=is_over)


@lru_cache(maxsize=1024)
def _known_head(head: bytes) -> _Head | None:
    """A device says the same again and again: its head is read once, which is a quarter of the cost of a GET."""
    try:
        return _read_head(head, is_over=False)
    except (_NotYetError, http.client.HTTPException):  # told by who has all of it
        return None


def _read_head(received: bytes, *, is_over: bool) -> _Head:
    file = _SoFar(received, is_over=is_over)
    response = _Response(file)
    encodings = (one.strip().lower() for one in (response.getheader("Content-Encoding") or "").split(","))
    return _Head(
        file.tell(),
        response.status,
        response.length,
        bool(response.chunked),
        tuple(one for one in encodings if one in _WINDOWS),
        tuple(response.msg.get_all("WWW-Authenticate") or ()),
        response.getheader("Server") or "",
        response.getheader("Location"),
    )


def _in_one(received: bytes, most: int, *, is_over: bool) -> bytes:
    """A body that comes in pieces, as far as `most`."""
    return _Response(_SoFar(received, is_over=is_over)).read(most)


def _decoded(body: bytes, encodings: Sequence[str]) -> bytes:
    """A body as it was before it was compressed, as far as its limit.

    Raises:
        zlib.error: it is not what it says.
    """
    if len(encodings) > _MAX_STREAMS:
        raise zlib.error(f"it is compressed {len(encodings)} times")
    for encoding in reversed(encodings):
        body = _decompressed(body, _WINDOWS[encoding])
    return body


def _decompressed(body: bytes, window: int) -> bytes:
    """A body decompressed, as far as its limit; what follows one compressed stream is another.

    Raises:
        zlib.error: it is not what it says.
    """
    decoded = b""
    for _ in range(_MAX_STREAMS):
        stream = zlib.decompressobj(window)
        try:
            decoded += stream.decompress(body, _MAX_ENCODED_BYTES + 1)
        except zlib.error:
            if decoded:  # what follows is nothing
                return decoded
            if window != _WINDOWS["deflate"]:
                raise
            return _decompressed(body, _WITHOUT_HEAD)  # as some servers send it
        body = stream.unused_data
        if not body or len(decoded) > _MAX_ENCODED_BYTES:
            return decoded
    raise zlib.error(f"it comes in more than {_MAX_STREAMS} compressed streams")


def _of_status(head: _Head, where: str) -> str:
    said = f"the device answered with status {head.status}"
    if not head.location:
        return said
    try:
        leads_to = urljoin(where, head.location)
    except ValueError:  # it is no address
        leads_to = head.location
    return f"{said} and leads to {plain(without_secrets(leads_to))[:200]}"

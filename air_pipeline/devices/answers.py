"""What comes of one GET: a document, or what went wrong in words for people.

Belongs here: the answer as a value, and the table from errors of the network to outcomes. Does not: the exchange
(`client`), what a document says (`document`).
"""

import http.client
import socket
import ssl
import zlib
from dataclasses import dataclass
from enum import StrEnum

from air_pipeline.devices.polls import Outcome
from air_pipeline.showing import plain, without_secrets_in


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one GET.

    Attributes:
        outcome: None for a complete answer with status 200, whose body is to be read; else what went wrong.
        status: the HTTP status, if one came.
        body: the decompressed body; empty unless `outcome` is None.
        reason: a short sentence for logs and people; empty where all is well.
        server: what answered, by its own word, where it is no document.
        challenges: what a login has to be, where one is wanted.
    """

    outcome: Outcome | None
    status: int | None
    body: bytes = b""
    reason: str = ""
    server: str = ""
    challenges: tuple[str, ...] = ()


def failed(error: Exception, status: int | None) -> Answer:
    """What an error of the layers below amounts to: the first row of the table with its kind decides."""
    for kinds, outcome, failure in _FAILURES:
        if isinstance(error, kinds):
            return Answer(outcome, status, reason=f"{failure}: {_short(error)}")
    return Answer(Outcome.UNREACHABLE, status, reason=f"the request failed: {_short(error)}")


class Failure(StrEnum):
    """What goes wrong on the way to a device, as the reason of an answer begins."""

    NAME = "the name of the device is not known"
    CERTIFICATE = "the certificate of the device is not valid"
    TLS = "no TLS connection came about"
    TIMEOUT = "the device did not answer in time"
    CLOSED = "the device closed the connection without an answer"
    CUT = "the answer ended before its announced length"
    REFUSED = "the device refused the connection"
    BROKEN = "the connection broke"
    NO_WAY = "there is no way to the device"
    LOOK_UP = "looking up the name of the device took too long"
    ENCODING = "the body is not encoded as it says"
    NOT_HTTP = "the answer is not HTTP as it should be"


_FAILURES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Outcome, Failure], ...] = (
    (socket.gaierror, Outcome.UNREACHABLE, Failure.NAME),
    (ssl.SSLCertVerificationError, Outcome.UNREACHABLE, Failure.CERTIFICATE),
    (ssl.SSLError, Outcome.UNREACHABLE, Failure.TLS),
    ((TimeoutError, BlockingIOError), Outcome.TIMEOUT, Failure.TIMEOUT),
    (http.client.RemoteDisconnected, Outcome.UNREACHABLE, Failure.CLOSED),
    (http.client.IncompleteRead, Outcome.UNREACHABLE, Failure.CUT),
    (ConnectionRefusedError, Outcome.UNREACHABLE, Failure.REFUSED),
    (ConnectionError, Outcome.UNREACHABLE, Failure.BROKEN),
    (zlib.error, Outcome.REJECTED, Failure.ENCODING),
    (OSError, Outcome.UNREACHABLE, Failure.NO_WAY),
    (http.client.HTTPException, Outcome.HTTP_ERROR, Failure.NOT_HTTP),
)


def _short(error: BaseException) -> str:
    """What an error says for a person, without the objects of the layers that raised it."""
    match error:
        case ssl.SSLCertVerificationError():
            text = error.verify_message
        case ssl.SSLError() if error.reason:
            text = error.reason.replace("_", " ").lower()
        case http.client.IncompleteRead():
            text = "no more came"
        case http.client.BadStatusLine() if not isinstance(error, ConnectionError):
            text = f"it begins with {str(error.args[0]).strip()[:40]!r}"
        case OSError() if error.strerror:
            text = error.strerror
        case _:
            text = f"{error}"
    return plain(without_secrets_in(" ".join(text.split())))[:200] or type(error).__name__

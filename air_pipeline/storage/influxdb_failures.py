"""What InfluxDB, or the way to it, answers, made into the errors of a reading store: one table, used everywhere.

| what happens | error |
|---|---|
| no connection, broken off, no answer in time | `StoreUnavailable` |
| 408, 429, 5xx | `StoreUnavailable`, with `Retry-After` |
| 401, 403, 404 | `StoreRefused` |
| 400, 413, 422 to a write | `PollsRejected` |
| 400, 413, 422 to a query | `StoreError` |
| an answer that is not InfluxDB's (a login page, a TLS port, a redirect) | `StoreRefused`, whatever its status |
| 204 to a write, by a server of which nothing says that it is InfluxDB | `StoreRefused` |
| an answer that is not at its end in time, or too long | `StoreUnavailable` |
"""

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from functools import wraps
from http import HTTPStatus
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.store import PollsRejected, StoreError, StoreRefused, StoreUnavailable

_BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_UNFIT = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})

_LOWER_BOUND = re.compile(r"Retention Policy Lower Bound at ([0-9T:.-]+Z)")

# Of an answer that is quoted in an error.
_QUOTED_CHARACTERS = 300


class Doing(Enum):
    """What was asked of the server."""

    WRITE = "write to"
    READ = "read"
    MAKE = "make"
    DELETE = "delete from"
    FLUX = "run this Flux query"


class BucketMissing(StoreRefused):
    """There is no such bucket, or none that this token may see: the server says the same of both."""


def unreachable(connection: InfluxConnection, error: Exception) -> StoreUnavailable:
    """The error for a request that got no answer."""
    return StoreUnavailable(
        f"InfluxDB at {connection.url} gives no answer ({_reason(error)}): is it running, and is INFLUXDB_V2_URL right?"
    )


def too_late(connection: InfluxConnection, within_s: float) -> StoreUnavailable:
    """The error for an answer that was begun, and not at its end in time."""
    return StoreUnavailable(
        f"InfluxDB at {connection.url} did not answer within {within_s:g} s: is it overloaded, and is INFLUXDB_V2_URL"
        " right?"
    )


def too_long(connection: InfluxConnection, most_bytes: int) -> StoreUnavailable:
    """The error for an answer without end."""
    return StoreUnavailable(
        f"InfluxDB at {connection.url} gave more than {most_bytes // 1_000_000} MB in one answer: ask for a shorter"
        " time, or see what answers there."
    )


def unknown_server(connection: InfluxConnection) -> StoreRefused:
    """The error for whoever says that it has written, and may be anybody."""
    return StoreRefused(
        f"What answers at {connection.url} does not say that it is InfluxDB (no header X-Influxdb-Version or -Build,"
        " and /health does not name it), so nothing is believed to be stored: correct INFLUXDB_V2_URL, or let the proxy"
        " pass that header on."
    )


def refusal(
    connection: InfluxConnection,
    doing: Doing,
    status: int,
    headers: Mapping[str, str] | None = None,
    body: bytes | str | None = None,
) -> StoreError:
    """The error for an answer that is not what was asked for.

    Args:
        connection: which server; its token is not in the message.
        doing: what was asked.
        status: the HTTP status.
        headers: of the answer, case-insensitive.
        body: of the answer.
    """
    words = _words(body)
    asked = doing.value if doing is Doing.FLUX else f"{doing.value} bucket '{connection.bucket}'"
    if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        said = words if words is not None else "no reason given"
        return StoreUnavailable(
            f"InfluxDB at {connection.url} cannot {asked} now ({status}): {said}.",
            _seconds(headers.get("Retry-After") if headers else None),
        )
    if words is None and status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # 413 is often a proxy's, and true
        return StoreRefused(
            f"{connection.url} does not answer as InfluxDB 2 does ({status}): correct "
            "INFLUXDB_V2_URL (http or https, host, port), or see what answers there."
        )
    if status in _UNFIT:
        if doing is Doing.WRITE:
            message = f"InfluxDB at {connection.url} will not take these polls ({status}): {words}."
            return PollsRejected(message, _lower_bound(words or ""))
        return StoreError(f"InfluxDB at {connection.url} cannot {asked} ({status}): {words}.")
    return _refused(connection, doing, asked, status, words or "")


def _lower_bound(words: str) -> int | None:
    """The time in ms before which a bucket keeps nothing, where the server names it."""
    if found := _LOWER_BOUND.search(words):
        with contextlib.suppress(ValueError):
            return epoch_ms(datetime.fromisoformat(found[1]))
    return None


def no_bucket(connection: InfluxConnection) -> BucketMissing:
    """The error for a bucket that is not there, or not for this token."""
    return BucketMissing(
        f"InfluxDB at {connection.url} has no bucket '{connection.bucket}' in organization '{connection.org}' that "
        "this token may use, and the token may not make one: make the bucket, give the token rights to read and write "
        "it, or correct INFLUXDB_V2_BUCKET."
    )


def _refused(connection: InfluxConnection, doing: Doing, asked: str, status: int, words: str) -> StoreError:
    place = f"bucket '{connection.bucket}' of organization '{connection.org}'"
    if status == HTTPStatus.UNAUTHORIZED:
        if connection.token_file is not None:
            return StoreRefused(
                f"InfluxDB at {connection.url} refuses the token (401): put one into {connection.token_file} that may "
                f"read and write {place}; it is read again without a restart."
            )
        return StoreRefused(
            f"InfluxDB at {connection.url} refuses the token (401): set INFLUXDB_V2_TOKEN to one that may read and "
            f"write {place}, and start air-pipeline again (a token in INFLUXDB_V2_TOKEN_FILE needs no restart)."
        )
    if status == HTTPStatus.FORBIDDEN:
        return StoreRefused(
            f"InfluxDB at {connection.url} does not let this token {asked} (403): give it the right to, or set "
            f"INFLUXDB_V2_TOKEN (or _TOKEN_FILE) to one that may read and write {place}."
        )
    if status == HTTPStatus.NOT_FOUND and "organization" in words:
        return StoreRefused(
            f"InfluxDB at {connection.url} has no organization '{connection.org}' (404): correct INFLUXDB_V2_ORG."
        )
    if status == HTTPStatus.NOT_FOUND and "bucket" in words:
        if doing is Doing.FLUX:  # the query names its own buckets
            return StoreRefused(f"InfluxDB at {connection.url} cannot run this Flux query (404): {words}.")
        return no_bucket(connection)
    return StoreRefused(f"InfluxDB at {connection.url} refuses to {asked} ({status}): {words}.")


def _words(body: bytes | str | None) -> str | None:
    """What InfluxDB says in its JSON; None if it is not its JSON."""
    with contextlib.suppress(ValueError, TypeError):
        answer = json.loads(body or "")
        if isinstance(answer, dict):
            said = answer.get("message") or answer.get("error")
            if isinstance(said, str):
                return said[:_QUOTED_CHARACTERS].rstrip(".")
    return None


def _seconds(retry_after: str | None) -> float | None:
    # InfluxDB sends seconds; the dates that HTTP allows as well are taken as none.
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, float(retry_after or ""))
    return None


def _reason(error: BaseException) -> str:
    """The innermost cause, which is what a person can use: `Connection refused`, not the pool that met it."""
    while inner := [e for e in (getattr(error, "reason", None), *error.args) if isinstance(e, BaseException)]:
        error = inner[0]
    said = str(error).rpartition(": ")[2] or type(error).__name__
    return said[:_QUOTED_CHARACTERS]


class _Connected(Protocol):
    _connection: InfluxConnection


_Store = TypeVar("_Store", bound=_Connected)
_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")


def of_influxdb(
    read: Callable[Concatenate[_Store, _Arguments], _Result],
) -> Callable[Concatenate[_Store, _Arguments], _Result]:
    """Makes an answer of another form than InfluxDB's, which no reader of it foresees, an error of the store."""

    @wraps(read)
    def guarded(store: _Store, /, *arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        try:
            return read(store, *arguments, **named)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise refusal(store._connection, Doing.READ, HTTPStatus.OK) from error  # noqa: SLF001 - one of its methods

    return guarded

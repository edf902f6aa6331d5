"""InfluxQL over `/query`: small results as JSON; rows, as the server makes them, in MessagePack.

MessagePack takes the server two thirds of the time of CSV, and says what CSV does not: that a statement failed, and of
each part whether another follows, so that an answer which is cut anywhere is known for one. Bind parameters (`$device`)
carry what users name; only integers and quoted identifiers are put into the text of a query.
"""

import json
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from numbers import Integral
from typing import TYPE_CHECKING, Any

import msgpack

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.fields import POLL_TEXTS
from air_pipeline.storage.influxdb_exchange import Begun, Exchange
from air_pipeline.storage.influxdb_failures import Doing, no_bucket, refusal
from air_pipeline.storage.storable import within_time
from air_pipeline.storage.store import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from air_pipeline.storage.message_pack import Column, Stream

# Of several queries the one that fails says only this, and those after it nothing; asked alone, it says why.
_NOT_EXECUTED = "not executed"

# The answer to a query in all, beyond its first silence: a device-day at 1 Hz is 11 MB and takes a second.
LONGEST_S = 600.0
_LONGEST_ANSWER = 1_000_000_000


def identifier(name: str) -> str:
    """A name as InfluxQL quotes it."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def field(name: str) -> str:
    """A field of polls as queries name it, whatever else is called so: a tag, or one of another kind years ago."""
    return f"{identifier(name)}::{'string' if name in POLL_TEXTS else 'field'}"


class Field(StrEnum):
    """Fields of polls as queries name them."""

    OUTCOME = field("outcome")
    PROBLEMS = field("problems")
    SERIES = field("series")
    IDENTITY = field("identity")
    DURATION_MS = field("duration_ms")
    INTERVAL_S = field("interval_s")


DEVICES = 'SHOW TAG VALUES FROM poll WITH KEY = "device"'
"""The query for the names of all devices, as points with a `value`."""
_TAGS = "SHOW TAG KEYS FROM air, poll"
# Statements that begin with SHOW know no retention policy: of a bucket a/b, last points are asked for instead.
_LAST_OF_DEVICES = f"SELECT last({Field.OUTCOME}) FROM poll GROUP BY device"  # noqa: S608
_LAST_OF_SERIES = "SELECT *::field FROM air, poll GROUP BY * ORDER BY time DESC LIMIT 1"
_OURS = {"device", "import"}
OWN = "\"import\"::tag = ''"
"""The condition that a point was not imported."""
_TAGS_HOLD_S = 60.0
_JSON, _MESSAGE_PACK = "application/json", "application/x-msgpack"


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a result: a point is a mapping from column to value, without what is null; `time` in ms."""

    tags: Mapping[str, str]
    points: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some points.

    Attributes:
        columns: `time` first, then fields: numbers, or whatever their values are, with None where there is none.
        imports: of each point the import that it came with, None or "" if it is ours; empty where nothing was imported.
    """

    columns: "Mapping[str, Column]"
    imports: Sequence[str | None] = ()

    @property
    def count(self) -> int:
        """How many points."""
        return len(self.times)

    @property
    def times(self) -> "Column":
        """Of the points, in ms."""
        return next(iter(self.columns.values()))


class InfluxQL:
    """Queries to one server. Safe from several threads."""

    def __init__(
        self,
        connection: InfluxConnection,
        exchange: Exchange,
        silence_s: float,
        longest_s: float = LONGEST_S,
        *,
        of_all: bool = False,
    ) -> None:
        """Asks nothing yet.

        Args:
            connection: server, token and bucket.
            exchange: with that server.
            silence_s: how long an answer may be silent; the first one is waited for no longer than the exchange says.
            longest_s: how long it may take in all.
            of_all: whether points are meant whatever tags they have, as who imports means them; else only ours.
        """
        self._connection = connection
        self._exchange = exchange
        self._silence_s = silence_s
        self._longest_s = longest_s
        self._of_all = of_all
        self._is_there = False
        self._others: tuple[str, ...] = ()
        self._has_imports = False
        self._others_until = 0.0

    def statements(
        self, queries: Sequence[str], parameters: Mapping[str, object], timeout_s: float | None = None
    ) -> list[list[Series]]:
        """The series of each query, by one request, as JSON.

        Raises:
            StoreError: as in the table of `influxdb_failures`; `BucketMissing` where there is no such bucket.
        """
        if not queries:
            return []
        others = self._tags_of_others(timeout_s)
        asked = [self._of_ours(_LAST_OF_DEVICES if self._policy and one == DEVICES else one, others) for one in queries]
        found = self._results(asked, parameters, timeout_s)
        return [_as_values(one) if self._policy and query == DEVICES else one
                for query, one in zip(queries, found, strict=True)]  # fmt: skip

    def look_around(self) -> None:
        """Asks what every query needs to know, once a minute: for who is about to send several at the same time.

        Raises:
            StoreError: as `statements`.
        """
        self._tags_of_others(None)

    def has_imports(self, *, of_now: bool = False) -> bool:
        """Whether something was imported here: as far as is known, or as it is now."""
        if of_now and not self._has_imports:
            self._others_until = 0.0
            self._tags_of_others(None)
        return self._has_imports

    @property
    def _policy(self) -> str:
        return self._connection.bucket.partition("/")[2]

    def _tags_of_others(self, timeout_s: float | None) -> tuple[str, ...]:
        """The tags that are not ours: points that have one are of somebody else, whatever device they name."""
        if self._of_all:
            return ()
        if time.monotonic() >= self._others_until:
            [found] = self._results([_LAST_OF_SERIES if self._policy else _TAGS], {}, timeout_s)
            if self._policy:
                tags = {tag for series in found for tag, value in series.tags.items() if value}
            else:
                tags = {str(point["tagKey"]) for series in found for point in series.points}
            self._others = tuple(sorted(tags - _OURS))
            self._has_imports = "import" in tags
            self._others_until = time.monotonic() + _TAGS_HOLD_S
        return self._others

    def _of_ours(self, query: str, others: Sequence[str]) -> str:
        own = "".join(f"{identifier(tag)}::tag = '' AND " for tag in others)
        return query.replace(" WHERE ", f" WHERE {own}", 1)

    def _results(
        self, queries: Sequence[str], parameters: Mapping[str, object], timeout_s: float | None
    ) -> list[list[Series]]:
        with self._begin(";".join(queries), parameters, _JSON, timeout_s) as begun:
            answer = b"".join(self._parts(begun))
        try:
            results = json.loads(answer)["results"]
            found = [[_series(series) for series in result.get("series", [])] for result in results]
        except (KeyError, TypeError, ValueError) as error:
            raise refusal(self._connection, Doing.READ, HTTPStatus.OK) from error
        for query, result in zip(queries, results, strict=False):
            if result.get("error") == _NOT_EXECUTED and len(queries) > 1:
                self._results([query], parameters, timeout_s)
            self._require_complete(result)
        if len(found) != len(queries):
            raise StoreError(f"InfluxDB at {self._connection.url} answers {len(found)} of {len(queries)} queries.")
        return found

    @contextmanager
    def rows(
        self, measurement: str, fields: str, condition: str, parameters: Mapping[str, object]
    ) -> Iterator[Iterator[Rows]]:
        """The points of a measurement with some fields (as InfluxQL writes them), rising by `time`, in ms.

        They come as the server makes them, which it does from here on, whatever else is asked meanwhile.

        Raises:
            StoreError: now or while they are read; as in the table of `influxdb_failures`, `BucketMissing` where there
                is no such bucket, `StoreUnavailable` if not all that was asked for has come.
        """
        others, has_imports = self._tags_of_others(None), self._has_imports
        tag = ', "import"::tag' if has_imports else ""
        # An import that is not known of yet is not taken for ours.
        own = "" if has_imports or self._of_all else f"{OWN} AND "
        query = self._of_ours(f"SELECT {fields}{tag} FROM {measurement} WHERE {own}{condition}", others)  # noqa: S608 - quoted
        with self._begin(query, parameters, _MESSAGE_PACK) as begun:
            rows = self._rows(self._parts(begun))
            yield map(_without_tag, rows) if has_imports else rows

    def _rows(self, answer: Iterable[bytes]) -> Iterator[Rows]:
        from air_pipeline.storage.message_pack import Stream  # with numpy, and the collector asks for no rows

        stream, is_whole = Stream(answer), None
        try:
            while stream.goes_on():
                is_whole = False
                for key in stream.fields():
                    if key != "results":
                        self._require_success({key: stream.value()})
                        continue
                    for _ in stream.items():
                        is_whole = yield from self._result(stream)
        except msgpack.OutOfData:
            is_whole = False
        except (AttributeError, LookupError, TypeError, ValueError, msgpack.UnpackException) as error:
            raise refusal(self._connection, Doing.READ, HTTPStatus.OK) from error
        if is_whole is None:  # InfluxDB says also that there is nothing
            raise refusal(self._connection, Doing.READ, HTTPStatus.OK)
        if not is_whole:
            raise StoreUnavailable(
                f"InfluxDB at {self._connection.url} ends an answer before it has given all that was asked for:"
                " try again."
            )

    def _result(self, stream: "Stream") -> Generator[Rows, None, bool]:
        """The rows of a result, and whether no more of it follow."""
        said, has_series = {}, False
        for key in stream.fields():
            if key == "series":
                has_series = True
                for _ in stream.items():
                    yield from _rows_of(stream)
            else:
                said[key] = stream.value()
        self._require_success(said)
        if not has_series:
            raise ValueError("a result without series")
        return not said.get("partial")

    def numbers(self, measurement: str, point: Mapping[str, Any]) -> dict[str, float]:
        """The numbers of a point by field, in order.

        Raises:
            StoreError: one of them is a text, so somebody else wrote it.
        """
        numbers = {name: value for name, value in sorted(point.items()) if name != "time"}
        for name, value in numbers.items():
            if isinstance(value, str):
                raise self.of_somebody_else(measurement, name, value)
        return {name: float(value) for name, value in numbers.items()}

    def of_somebody_else(self, measurement: str, field: str, value: object) -> StoreError:
        """The error for a field that holds values of another kind than ours."""
        kind = "text" if isinstance(value, str) else "value"
        return StoreError(
            f"Bucket '{self._connection.bucket}' at {self._connection.url} holds something in {measurement} that "
            f"air_pipeline did not write: its field {field} holds the {kind} {str(value)[:100]!r}. Delete it, or have"
            " the other program write elsewhere."
        )

    def require_there(self) -> None:
        """Makes sure, once, that anybody answers: a large answer may take minutes to begin, and this one does not.

        Raises:
            StoreUnavailable: nobody does.
        """
        if not self._is_there:
            self._exchange.request("GET", "/health")
            self._is_there = True

    def _begin(
        self, query: str, parameters: Mapping[str, object], accept: str, timeout_s: float | None = None
    ) -> Begun:
        database, policy = self._connection.bucket.partition("/")[0], self._policy
        form = {"db": database, "epoch": "ms", "q": query, "params": json.dumps(parameters)}
        if policy:
            form["rp"] = policy
        if accept == _MESSAGE_PACK:  # sent as it is made, not when all of it is
            form["chunked"] = "true"
        self.require_there()
        return self._exchange.begin(
            "POST",
            "/query",
            data=form,
            # Compressing takes the server as long as the rest of the answer.
            headers={"Accept": accept, "Accept-Encoding": "identity"},
            silence_s=min(self._silence_s, timeout_s or self._silence_s),
            within_s=timeout_s or self._longest_s,
            most_bytes=_LONGEST_ANSWER,
        )

    def _parts(self, begun: Begun) -> Iterator[bytes]:
        """The body of an answer that is what was asked for."""
        if begun.status != HTTPStatus.OK:
            answer = begun.answer()
            raise refusal(self._connection, Doing.READ, answer.status, answer.headers, answer.body)
        yield from begun.parts()

    def _require_complete(self, result: Mapping[str, Any]) -> None:
        self._require_success(result)
        if result.get("partial") or any(series.get("partial") for series in result.get("series", [])):
            raise StoreError(f"InfluxDB at {self._connection.url} cuts results short: raise its max-row-limit.")

    def _require_success(self, result: Mapping[str, Any]) -> None:
        said = result.get("error")
        # SHOW says the one of a database that is not there, SELECT the other.
        if said is not None and str(said).startswith(("default retention policy not set", "database not found")):
            raise no_bucket(self._connection)
        if said is not None:
            place = f"bucket '{self._connection.bucket}' of InfluxDB at {self._connection.url}"
            raise StoreError(f"A query of {place} failed: {said}.")


def during(start: int, end: int) -> str:
    """The condition that a point is in an interval, in ms."""
    first, last = within_time(start, end)
    return f"time >= {int(first)}ms AND time < {int(last)}ms"


def _rows_of(stream: "Stream") -> Iterator[Rows]:
    """The rows of a series, some at a time."""
    names: Sequence[str] = ()
    for key in stream.fields():
        if key == "columns":
            names = stream.value()
            if names[:1] != ("time",) or not all(isinstance(name, str) for name in names):
                raise ValueError("rows without times or names")
        elif key == "values":
            for columns in stream.rows(len(names)):
                rows = Rows(dict(zip(names, columns, strict=True)))
                some = rows.times if isinstance(rows.times, Sequence) else rows.times[:1]  # numpy's are all of one kind
                if not all(isinstance(at, Integral) for at in some):
                    raise ValueError("rows without times")
                yield rows
        else:
            stream.value()


def _without_tag(rows: Rows) -> Rows:
    """Rows whose last column is the tag `import`, with that apart."""
    *columns, (_, imports) = rows.columns.items()
    return Rows(dict(columns), list(imports))


def _as_values(result: Sequence[Series]) -> list[Series]:
    names = tuple({"value": series.tags["device"]} for series in result if series.tags.get("device"))
    return [Series({}, names)] if names else []


def _series(series: Mapping[str, Any]) -> Series:
    points = (
        {column: value for column, value in zip(series["columns"], row, strict=True) if value is not None}
        for row in series["values"]
    )
    return Series(tags=series.get("tags", {}), points=tuple(points))

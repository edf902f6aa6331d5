"""InfluxQL over `/query`, which reads a device-day three times as fast as Flux: requests, results as JSON or CSV.

The CSV of InfluxDB 2.9 is silent about every failure (no bucket, no right, a failed statement: 200 and an empty body),
so `csv` is only to be trusted against counts that `statements` read first. Bind parameters (`$device`) carry what
users name; only integers and quoted identifiers are put into the text of a query.
"""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests
import urllib3

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb_failures import Doing, no_bucket, refusal, unreachable
from air_pipeline.storage.storable import within_time
from air_pipeline.storage.store import StoreError

# Of several queries the one that fails says only this, and those after it nothing; asked alone, it says why.
_NOT_EXECUTED = "not executed"


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a result: a point is a mapping from column to value, without what is null; `time` in ms."""

    tags: Mapping[str, str]
    points: tuple[Mapping[str, Any], ...]


class InfluxQL:
    """Requests to one server. Safe from several threads: each has a connection of its own, kept for the next."""

    def __init__(self, connection: InfluxConnection, timeout_s: float, read_timeout_s: float) -> None:
        """Connects at the first request.

        Args:
            connection: server, token and bucket.
            timeout_s: for a connection to be made, and for answers to other requests than queries.
            read_timeout_s: for each stretch of silence of a query.
        """
        self._connection = connection
        self._timeout_s = timeout_s
        self._read_timeout_s = read_timeout_s
        self._idle: deque[requests.Session] = deque()  # whose ends may be used from any thread

    def statements(
        self, queries: Sequence[str], parameters: Mapping[str, object], timeout_s: float | None = None
    ) -> list[list[Series]]:
        """The series of each query, by one request, as JSON.

        Raises:
            StoreError: as in the table of `influxdb_failures`; `BucketMissing` where there is no such bucket.
        """
        if not queries:
            return []
        answer = self._ask(";".join(queries), parameters, "application/json", timeout_s)
        try:
            results = json.loads(answer)["results"]
            found = [[_series(series) for series in result.get("series", [])] for result in results]
        except (KeyError, TypeError, ValueError) as error:
            raise refusal(self._connection, Doing.READ, HTTPStatus.OK) from error
        for query, result in zip(queries, results, strict=False):
            if result.get("error") == _NOT_EXECUTED and len(queries) > 1:
                self.statements([query], parameters, timeout_s)
            self._require_complete(result)
        if len(found) != len(queries):
            raise StoreError(f"InfluxDB at {self._connection.url} answers {len(found)} of {len(queries)} queries.")
        return found

    def csv(self, measurement: str, fields: Sequence[str], condition: str, parameters: Mapping[str, object]) -> bytes:
        """The points of a measurement, rising by `time` (ms), as CSV: columns name, tags, time and the fields.

        An empty text and none are the same here. See the module for how far to trust it.
        """
        query = f"SELECT {', '.join(map(identifier, fields))} FROM {measurement} WHERE {condition}"  # noqa: S608 - quoted
        return self._ask(query, parameters, "application/csv")

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:  # noqa: ANN401 - those of requests
        """Any request to the server, whatever its status.

        Raises:
            StoreUnavailable: no answer.
        """
        try:
            session = self._idle.pop()
        except IndexError:
            session = requests.Session()
            session.trust_env = False  # a .netrc would replace the token
        headers = {"Authorization": f"Token {self._connection.token}", **arguments.pop("headers", {})}
        arguments.setdefault("timeout", self._timeout_s)
        try:
            return session.request(
                method, self._connection.url.rstrip("/") + path, headers=headers, allow_redirects=False, **arguments
            )
        except requests.RequestException as error:
            raise unreachable(self._connection, error) from error
        finally:
            self._idle.append(session)

    def close(self) -> None:
        """Frees the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _ask(self, query: str, parameters: Mapping[str, object], accept: str, timeout_s: float | None = None) -> bytes:
        database, _, policy = self._connection.bucket.partition("/")
        form = {"db": database, "epoch": "ms", "q": query, "params": json.dumps(parameters)}
        if policy:
            form["rp"] = policy
        response = self.request(
            "POST",
            "/query",
            data=form,
            # Compressing takes the server twice as long as the rest of the answer.
            headers={"Accept": accept, "Accept-Encoding": "identity"},
            timeout=urllib3.Timeout(total=timeout_s, connect=self._timeout_s, read=self._read_timeout_s),
        )
        if response.status_code != HTTPStatus.OK:
            raise refusal(self._connection, Doing.READ, response.status_code, response.headers, response.content)
        return response.content

    def _require_complete(self, result: Mapping[str, Any]) -> None:
        said = result.get("error")
        if said is not None and str(said).startswith("database not found"):
            raise no_bucket(self._connection)
        if said is not None:
            place = f"bucket '{self._connection.bucket}' of InfluxDB at {self._connection.url}"
            raise StoreError(f"A query of {place} failed: {said}.")
        if result.get("partial") or any(series.get("partial") for series in result.get("series", [])):
            raise StoreError(f"InfluxDB at {self._connection.url} cuts results short: raise its max-row-limit.")


def during(start: int, end: int) -> str:
    """The condition that a point is in an interval, in ms."""
    first, last = within_time(start, end)
    return f"time >= {int(first)}ms AND time < {int(last)}ms"


def identifier(name: str) -> str:
    """A name as InfluxQL quotes it."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _series(series: Mapping[str, Any]) -> Series:
    points = (
        {column: value for column, value in zip(series["columns"], row, strict=True) if value is not None}
        for row in series["values"]
    )
    return Series(tags=series.get("tags", {}), points=tuple(points))

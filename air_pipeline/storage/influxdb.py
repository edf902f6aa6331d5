"""The reading store in InfluxDB 2: measurements `air` and `poll`, tag `device`, times in ms.

Belongs here: which points and queries stand for the store's promises. Does not: the syntax of points
(`line_protocol`), the transport and CSV of queries (`influxql`, `flux_csv`), the meaning of failures
(`influxdb_failures`).
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.flux_csv import flux_frame
from air_pipeline.storage.frames import POLL_NUMBERS, POLL_TEXTS, polls_frame, readings_frame
from air_pipeline.storage.influxdb_failures import BucketMissing, Doing, no_bucket, refusal, unreachable
from air_pipeline.storage.influxql import InfluxQL, Series
from air_pipeline.storage.latest import latest_of
from air_pipeline.storage.line_protocol import poll_lines
from air_pipeline.storage.storable import require_storable, within_time
from air_pipeline.storage.store import Latest, StoreRefused, StoreUnavailable, Summary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from urllib3 import HTTPResponse

# The server's documentation advises 5,000 lines a request; more gain nothing.
_LINES_A_REQUEST = 5_000

# What is read at once: 86,400 slots of 13 series are 8 MB of CSV.
_DAY_MS = 86_400_000

# Asking for the last point of a device takes some 10 ms a year, of all devices at once as much as this many.
_DEVICES_BY_NAME = 500

_Result = TypeVar("_Result")


class InfluxStore:
    """The reading store in one bucket, which is made, with infinite retention, when it is missing and the token may.

    Safe from several threads. See `ReadingStore` for what the methods promise.
    """

    def __init__(self, connection: InfluxConnection, timeout_s: float = 10.0, read_timeout_s: float = 120.0) -> None:
        """Connects at the first use.

        Args:
            connection: server, token, organization and bucket.
            timeout_s: for a connection to be made, and for the answer to a write.
            read_timeout_s: for the answer to a query; the summaries of a thousand devices can take many seconds.

        Raises:
            StoreRefused: the token has characters that no token has.
        """
        if not (connection.token.isascii() and connection.token.isprintable()):  # libraries would quote it in an error
            raise StoreRefused("INFLUXDB_V2_TOKEN has characters that no token has, such as the end of a line.")
        self._connection = connection
        self._timeout_s = timeout_s
        self._read_timeout_s = read_timeout_s
        self._queries = InfluxQL(connection, timeout_s, read_timeout_s)
        self._writer: InfluxDBClient | None = None
        self._one_writer = threading.Lock()

    @property
    def identity(self) -> str:
        """The word influxdb, the URL without a user's name, the organization and the bucket."""
        url = urlsplit(self._connection.url)
        place = url._replace(netloc=url.netloc.rpartition("@")[2], path=url.path.rstrip("/"), query="", fragment="")
        return f"influxdb {place.geturl()} {self._connection.org} {self._connection.bucket}"

    def write(self, polls: Sequence[Poll]) -> None:
        """Stores polls, some 2,500 a request; see `ReadingStore.write`."""
        require_storable(polls)
        lines = [line for poll in polls for line in poll_lines(poll)]
        for first in range(0, len(lines), _LINES_A_REQUEST):
            self._in_bucket(partial(self._post, "\n".join(lines[first : first + _LINES_A_REQUEST])))

    def readings(self, device: str, start: int, end: int) -> "pd.DataFrame":
        """The readings of one device; see `ReadingStore.readings`."""
        table = self._points("air", device, start, end)
        return readings_frame(
            table["time"].to_numpy(), {name: _numbers(table[name]) for name in table.column_names if name != "time"}
        )

    def polls(self, device: str, start: int, end: int) -> "pd.DataFrame":
        """The polls of one device; see `ReadingStore.polls`."""
        table = self._points("poll", device, start, end, fields=(POLL_NUMBERS, POLL_TEXTS))
        present = set(table.column_names)
        return polls_frame(
            table["time"].to_numpy(),
            {name: _numbers(table[name]) for name in POLL_NUMBERS if name in present},
            {name: table[name].to_pylist() for name in POLL_TEXTS if name in present},
        )

    def latest(self) -> dict[str, Latest]:
        """The last poll and the last reading of every device; see `ReadingStore.latest`.

        One request looks at the last day; devices that were silent in it are asked for by name.
        """
        recently = f"time >= {time.time_ns() // 1_000_000 - _DAY_MS}ms GROUP BY device ORDER BY time DESC LIMIT 1"
        *recent, names = self._ask(
            f"SELECT *::field FROM poll WHERE {recently}",  # noqa: S608
            f"SELECT *::field FROM air WHERE {recently}",  # noqa: S608
            'SHOW TAG VALUES FROM poll WITH KEY = "device"',
        )
        devices = [point["value"] for series in names for point in series.points]
        polls, readings = map(_of_devices, recent)
        polls |= self._last("poll", [device for device in devices if device not in polls])
        readings |= self._last("air", [device for device in devices if device not in readings])
        found = {}
        for device, fields in polls.items():
            values = readings.get(device, {})
            numbers = {name: float(value) for name, value in sorted(values.items()) if name != "time"}
            found[device] = latest_of(device, fields["time"], fields, values.get("time"), numbers)
        return found

    def outcome_counts(self, start: int, end: int, timeout_s: float = 30.0) -> dict[str, dict[str, int]]:
        """Device to outcome to number of polls; see `ReadingStore.outcome_counts`."""
        # An outcome is a field, which InfluxQL does not group by: a query each, in one request.
        queries = [
            f"SELECT count(outcome) AS polls FROM poll WHERE outcome = '{outcome.value}' AND {_during(start, end)} "  # noqa: S608
            "GROUP BY device"
            for outcome in Outcome
        ]
        counts: dict[str, dict[str, int]] = {}
        for outcome, result in zip(Outcome, self._ask(*queries, timeout_s=timeout_s), strict=True):
            for device, point in _of_devices(result).items():
                counts.setdefault(device, {})[outcome.value] = point["polls"]
        return counts

    def summaries(self, start: int, end: int) -> dict[str, Summary]:
        """Device to summary, in one request; see `ReadingStore.summaries`."""
        polls, values = map(
            _of_devices,
            self._ask(
                "SELECT count(outcome) AS polls, sum(duration_ms) AS duration_ms FROM poll "  # noqa: S608
                f"WHERE {_during(start, end)} GROUP BY device",
                f"SELECT count(*::field) FROM air WHERE {_during(start, end)} GROUP BY device",  # noqa: S608
            ),
        )
        return {
            device: Summary(
                polls=polls.get(device, {}).get("polls", 0),
                duration_ms=float(polls.get(device, {}).get("duration_ms", 0.0)),
                values=sum(count for name, count in values.get(device, {}).items() if name != "time"),
            )
            for device in sorted({*polls, *values})
        }

    def first_poll(self, device: str) -> int | None:
        """The slot of the first poll ever."""
        point = self._point("SELECT first(outcome) FROM poll WHERE device = $device", device)
        return None if point is None else int(point["time"])

    def interval_before(self, device: str, time: int) -> float | None:
        """The interval, in seconds, that the last poll before a time says."""
        _, end = within_time(time, time)
        query = f"SELECT last(interval_s) AS interval_s FROM poll WHERE device = $device AND time < {end}ms"  # noqa: S608
        point = self._point(query, device)
        return None if point is None else float(point["interval_s"])

    def flux(self, query: str) -> "pd.DataFrame":
        """The rows of a Flux query as one frame, with its columns `result` and `table`; see `ReadingStore.flux`."""
        from influxdb_client.domain.dialect import Dialect

        client = self._client(self._read_timeout_s)
        dialect = Dialect(header=True, annotations=["datatype"])  # type: ignore[no-untyped-call]
        try:
            ask = partial(client.query_api().query_raw, query, dialect=dialect)
            status, answer = self._answered(Doing.FLUX, ask)
        finally:
            _close(client)
        if answer.strip() and not answer.startswith(b"#datatype"):
            raise refusal(self._connection, Doing.FLUX, status)
        return flux_frame(answer)

    def close(self) -> None:
        """Closes the connections; the next call opens new ones."""
        self._queries.close()
        with self._one_writer:
            writer, self._writer = self._writer, None
        if writer is not None:
            _close(writer)

    def _post(self, lines: str) -> None:
        # What the client's synchronous WriteApi calls, which shows no status and fails on pages that are not UTF-8.
        from influxdb_client.service.write_service import WriteService

        with self._one_writer:
            writer = self._writer = self._writer or self._client(self._timeout_s)
        post = partial(
            WriteService(writer.api_client).post_write,  # type: ignore[no-untyped-call]
            self._connection.org,
            self._connection.bucket,
            lines,
            precision="ms",
            content_type="text/plain; charset=utf-8",
            _preload_content=False,
        )
        status, body = self._answered(Doing.WRITE, post)
        # A login page answers 200 to everything: what it took must not leave the outbox.
        if status != HTTPStatus.NO_CONTENT:
            raise refusal(self._connection, Doing.WRITE, status, body=body)

    def _answered(self, doing: Doing, request: Callable[[], "HTTPResponse"]) -> tuple[int, bytes]:
        """Status and body of a request of the client, with its two families of errors made into ours."""
        import urllib3
        from influxdb_client.rest import ApiException

        try:
            answer = request()
            body = answer.data
        except ApiException as error:
            if not error.status:  # a certificate that is not trusted comes so
                raise unreachable(self._connection, error) from error
            raise refusal(self._connection, doing, error.status, error.headers, error.body) from error
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(self._connection, error) from error
        return answer.status, body

    def _client(self, timeout_s: float) -> "InfluxDBClient":
        from influxdb_client.client.influxdb_client import InfluxDBClient

        wait = (round(self._timeout_s * 1000), round(timeout_s * 1000))
        return InfluxDBClient(self._connection.url, self._connection.token, org=self._connection.org, timeout=wait)

    def _ask(
        self, *queries: str, parameters: Mapping[str, object] | None = None, timeout_s: float | None = None
    ) -> list[list[Series]]:
        return self._in_bucket(lambda: self._queries.statements(queries, parameters or {}, timeout_s))

    def _point(self, query: str, device: str) -> Mapping[str, Any] | None:
        """The only point of a query about one device."""
        (result,) = self._ask(query, parameters={"device": device})
        return result[0].points[0] if result else None

    def _last(self, measurement: str, devices: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Device to its last point, however long ago; what has none is left out."""
        query = f"SELECT *::field FROM {measurement}{{}} ORDER BY time DESC LIMIT 1"  # noqa: S608
        if len(devices) > _DEVICES_BY_NAME:
            (result,) = self._ask(query.format(" GROUP BY device"))
            return _of_devices(result)
        named = {f"device{n}": device for n, device in enumerate(devices)}
        results = self._ask(*(query.format(f" WHERE device = ${name}") for name in named), parameters=named)
        return {device: result[0].points[0] for device, result in zip(devices, results, strict=True) if result}

    def _points(
        self,
        measurement: str,
        device: str,
        start: int,
        end: int,
        fields: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> "pa.Table":
        """The points of one device, rising by `time`; all fields as numbers, or the named numbers and texts.

        Raises:
            StoreUnavailable: the server gave less than it counted.
        """
        import pyarrow as pa

        empty = pa.table({"time": pa.array([], pa.int64())})
        days = self._days(measurement, device, start, end, fields)
        return pa.concat_tables([empty, *days], promote_options="default")

    def _days(
        self,
        measurement: str,
        device: str,
        start: int,
        end: int,
        fields: tuple[Sequence[str], Sequence[str]] | None,
    ) -> "Iterator[pa.Table]":
        parameters = {"device": device}
        (result,) = self._ask(
            f"SELECT count(*::field) FROM {measurement} WHERE device = $device AND {_during(start, end)} "  # noqa: S608
            "GROUP BY time(1d) fill(none)",
            parameters=parameters,
        )
        for point in result[0].points if result else ():
            first = max(start, point["time"])
            last = min(end, point["time"] + _DAY_MS)
            counts = {name.removeprefix("count_"): n for name, n in point.items() if name != "time" and n}
            numbers, texts = fields or (sorted(counts), ())
            numbers = [name for name in numbers if name in counts]
            texts = [name for name in texts if name in counts]
            condition = f"device = $device AND {_during(first, last)}"
            table = self._queries.table(measurement, numbers, texts, condition, parameters)
            self._require_all(table, {name: counts[name] for name in numbers}, device)
            yield table

    def _require_all(self, table: "pa.Table", counts: Mapping[str, int], device: str) -> None:
        """More than was counted has come in since; less means that the answer was cut, which CSV does not say."""
        for name, expected in counts.items():
            found = len(table) - table[name].null_count
            if found < expected:
                raise StoreUnavailable(
                    f"InfluxDB at {self._connection.url} counts {expected} values of {name} of device {device!r} and "
                    f"gives {found}: try again."
                )

    def _in_bucket(self, action: Callable[[], _Result]) -> _Result:
        try:
            return action()
        except BucketMissing:
            self._make_bucket()
            return action()

    def _make_bucket(self) -> None:
        found = self._queries.request("GET", "/api/v2/orgs", params={"org": self._connection.org})
        if found.status_code != HTTPStatus.OK:
            raise refusal(self._connection, Doing.MAKE, found.status_code, found.headers, found.content)
        organizations = found.json()["orgs"]
        if not organizations:  # hidden from tokens of a single bucket
            raise no_bucket(self._connection)
        bucket = {"orgID": organizations[0]["id"], "name": self._connection.bucket, "retentionRules": []}
        made = self._queries.request("POST", "/api/v2/buckets", json=bucket)
        if made.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise no_bucket(self._connection)
        # 422: another process has made it meanwhile.
        if made.status_code not in (HTTPStatus.CREATED, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise refusal(self._connection, Doing.MAKE, made.status_code, made.headers, made.content)


def _during(start: int, end: int) -> str:
    first, last = within_time(start, end)
    return f"time >= {int(first)}ms AND time < {int(last)}ms"


def _of_devices(result: Sequence[Series]) -> dict[str, Mapping[str, Any]]:
    """Device to the only point of its series; points without a device are not ours."""
    return {device: series.points[0] for series in result if (device := series.tags.get("device"))}


def _numbers(column: "pa.ChunkedArray[pa.DoubleScalar]") -> "npt.NDArray[np.float64]":
    numbers: npt.NDArray[np.float64] = column.to_numpy()  # null becomes NaN
    return numbers


def _close(client: "InfluxDBClient") -> None:
    client.api_client.rest_client.pool_manager.clear()  # which the client's own close leaves open
    client.close()  # type: ignore[no-untyped-call]

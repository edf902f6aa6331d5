"""The reading store in InfluxDB 2: measurements `air` and `poll`, tag `device`, times in ms.

Belongs here: which queries stand for the store's promises. Does not: the syntax of points (`line_protocol`), exchanges
over HTTP (`influxdb_exchange`), queries (`influxql`, `influxdb_client_requests`), points as frames (`influxdb_points`,
`flux_csv`), the meaning of failures (`influxdb_failures`).
"""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage import influxdb_imports
from air_pipeline.storage.influxdb_bucket import BucketLook, Compared
from air_pipeline.storage.influxdb_exchange import Exchange
from air_pipeline.storage.influxdb_failures import BucketMissing, Doing, no_bucket, of_influxdb, refusal
from air_pipeline.storage.influxdb_told import ToldInInfluxDB
from air_pipeline.storage.influxql import DEVICES, LONGEST_S, OWN, Field, InfluxQL, Series, during
from air_pipeline.storage.latest import LastPoints, latest_of, settled
from air_pipeline.storage.line_protocol import poll_lines
from air_pipeline.storage.stated import asked_of, between_of, nearest, series_of_problems
from air_pipeline.storage.storable import EMPTY_VALUE, require_storable, within_time
from air_pipeline.storage.store import EARLIEST_MS, LATEST_MS, Asked, Before, Latest, StoreRefused, Summary

if TYPE_CHECKING:
    import pandas as pd

    from air_pipeline.storage.influxdb_points import Points

# The server's documentation advises 5,000 lines a request; more gain nothing.
_LINES_A_REQUEST = 5_000

_DAY_MS = 86_400_000

# Asking for the last point of a device takes some 10 ms a year, of all devices at once as much as this many.
_DEVICES_BY_NAME = 500

_EVER = during(EARLIEST_MS, LATEST_MS)
# Of a request that deletes: the years 1678 to 2261 are what the server's nanoseconds hold.
_EARLIEST_MS, _LATEST_MS = -9_214_560_000_000, 9_214_646_400_000


class InfluxStore(ToldInInfluxDB):
    """The reading store in one bucket, which the first write makes, with infinite retention, where the token may.

    Safe from several threads. See `ReadingStore` for what the methods promise.
    """

    def __init__(
        self,
        connection: InfluxConnection,
        timeout_s: float = 10.0,
        read_timeout_s: float = 120.0,
        longest_s: float = LONGEST_S,
    ) -> None:
        """Connects at the first use.

        Args:
            connection: server, token, organization and bucket.
            timeout_s: for a connection to be made, and for the answer to a write.
            read_timeout_s: for the answer to a query; the summaries of a thousand devices can take many seconds.
            longest_s: for such an answer to its end.

        Raises:
            StoreRefused: the token has characters that no token has.
        """
        super().__init__()
        self._connection = connection
        self._timeout_s = timeout_s
        self._read_timeout_s = read_timeout_s
        self._exchange = Exchange(connection, timeout_s)
        self._queries = InfluxQL(connection, self._exchange, read_timeout_s, longest_s)
        self._look = BucketLook(connection, self._exchange)
        self._is_compared = False

    @property
    def identity(self) -> str:
        """The word influxdb, the URL without a user's name, the organization and the bucket."""
        url = urlsplit(self._connection.url)
        place = url._replace(netloc=url.netloc.rpartition("@")[2], path=url.path.rstrip("/"), query="", fragment="")
        return f"influxdb {place.geturl()} {self._connection.org} {self._connection.bucket}"

    def write(self, polls: Sequence[Poll]) -> None:
        """Stores polls, some 2,500 a request; see `ReadingStore.write`."""
        require_storable(polls)
        self._compare(polls)
        lines = [line for poll in polls for line in poll_lines(poll)]
        for first in range(0, len(lines), _LINES_A_REQUEST):
            self._write_lines(lines[first : first + _LINES_A_REQUEST])

    @of_influxdb
    def readings(self, device: str, start: int, end: int, polls: "pd.DataFrame | None" = None) -> "pd.DataFrame":
        """The readings of one device; see `ReadingStore.readings`."""
        return self._points.readings(device, start, end, polls)

    @of_influxdb
    def polls(self, device: str, start: int, end: int) -> "pd.DataFrame":
        """The polls of one device; see `ReadingStore.polls`."""
        return self._points.polls(device, start, end)

    @of_influxdb
    def latest(self, start: int = EARLIEST_MS, end: int = LATEST_MS) -> dict[str, Latest]:
        """The last poll and the last reading of every device; see `ReadingStore.latest`."""
        found = settled(lambda: self._last_points(start, end), time.time_ns() // 1_000_000)
        return {
            device: latest_of(device, poll["time"], poll, values.get("time"), self._queries.numbers("air", values))
            for device, (poll, values) in found.items()
        }

    def _last_points(self, start: int, end: int) -> LastPoints:
        """One request looks at the last day; devices that were silent in it are asked for by name."""
        today = max(start, min(time.time_ns() // 1_000_000, end) - _DAY_MS)
        recently = f"{during(today, end)} GROUP BY device ORDER BY time DESC LIMIT 1"
        *recent, names = self._ask(
            f"SELECT *::field FROM poll WHERE {recently}",  # noqa: S608
            f"SELECT *::field FROM air WHERE {recently}",  # noqa: S608
            DEVICES,
        )
        devices = [point["value"] for series in names for point in series.points]
        polls, readings = map(_of_devices, recent)
        polls |= self._last("poll", [device for device in devices if device not in polls], during(start, end))
        readings |= self._last("air", [device for device in devices if device not in readings], during(start, end))
        if polls and self._queries.has_imports():
            polls, readings = self._own_first("poll", polls), self._own_first("air", readings)
        return {device: (fields, readings.get(device, {})) for device, fields in polls.items()}

    def _own_first(self, measurement: str, last: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """Device to its last point: where one of ours and one that was imported share its time, ours."""
        times = [point["time"] for point in last.values()]
        span = during(min(times), max(times) + 1) if times else ""
        own = self._last(measurement, list(last), f"{OWN} AND {span}") if times else {}
        return {**last, **{device: point for device, point in own.items() if point["time"] == last[device]["time"]}}

    @of_influxdb
    def outcome_counts(self, start: int, end: int, timeout_s: float = 30.0) -> dict[str, dict[str, int]]:
        """Device to outcome to number of polls; see `ReadingStore.outcome_counts`."""
        # An outcome is a field, which InfluxQL does not group by: a query each, in one request.
        queries = [
            f"SELECT count({Field.OUTCOME}) AS polls FROM poll WHERE {Field.OUTCOME} = '{outcome.value}' "  # noqa: S608
            f"AND {during(start, end)} GROUP BY device"
            for outcome in Outcome
        ]
        counts: dict[str, dict[str, int]] = {}
        for outcome, result in zip(Outcome, self._ask(*queries, timeout_s=timeout_s), strict=True):
            for device, point in _of_devices(result).items():
                counts.setdefault(device, {})[outcome.value] = point["polls"]
        for device, less in self._hidden(start, end).items():
            counts[device] = dict(Counter(counts[device]) - less.outcomes)
        return counts

    @of_influxdb
    def summaries(self, start: int, end: int) -> dict[str, Summary]:
        """Device to summary, in one request; see `ReadingStore.summaries`."""
        polls, values = map(
            _of_devices,
            self._ask(
                f"SELECT count({Field.OUTCOME}) AS polls, sum({Field.DURATION_MS}) AS duration_ms FROM poll "  # noqa: S608
                f"WHERE {during(start, end)} GROUP BY device",
                f"SELECT count(*::field) FROM air WHERE {during(start, end)} GROUP BY device",  # noqa: S608
            ),
        )
        found = {
            device: Summary(
                polls=polls.get(device, {}).get("polls", 0),
                duration_ms=float(polls.get(device, {}).get("duration_ms", 0.0)),
                values=sum(count for name, count in values.get(device, {}).items() if name != "time"),
            )
            for device in sorted({*polls, *values})
        }
        for device, less in self._hidden(start, end).items():
            found[device] = less.taken_from(found[device])
        return found

    def _hidden(self, start: int, end: int) -> dict[str, influxdb_imports.Hidden]:
        """Device to what is not to be counted of its imports, as polls of our own have their slots."""
        return influxdb_imports.hidden_of_devices(self._ask, start, end) if self._has_imports() else {}

    def _has_imports(self) -> bool:
        try:
            return self._queries.has_imports(of_now=True)
        except BucketMissing:
            return False

    @of_influxdb
    def first_poll(self, device: str, since: int = EARLIEST_MS) -> int | None:
        """The slot of the first poll from a time on."""
        query = f"SELECT first({Field.OUTCOME}) FROM poll WHERE device::tag = $device AND {during(since, LATEST_MS)}"  # noqa: S608
        point = self._point(query, device)
        return None if point is None else int(point["time"])

    @of_influxdb
    def first_polls(self, start: int, end: int, device: str | None = None) -> dict[str, int]:
        """Device to the slot of its first poll in the interval; see `ReadingStore.first_polls`."""
        query = f"SELECT first({Field.OUTCOME}) FROM poll WHERE {during(start, end)}"  # noqa: S608
        return {name: int(points[0]["time"]) for name, points in self._of_some(query, device).items()}

    @of_influxdb
    def emptied(self, start: int, end: int, device: str | None = None) -> dict[str, tuple[int, ...]]:
        """Device to the slots in which a value came as an empty text; see `ReadingStore.emptied`."""
        query = f"SELECT {Field.PROBLEMS} FROM poll WHERE {Field.PROBLEMS} =~ /{EMPTY_VALUE}/ AND {during(start, end)}"  # noqa: S608
        found = self._of_some(query, device).items()
        return {name: tuple(int(point["time"]) for point in points) for name, points in found}

    @of_influxdb
    def before(self, device: str, time: int) -> Before | None:
        """What the last poll of a device before a time says; see `ReadingStore.before`."""
        _, end = within_time(time, time)
        last = f"device::tag = $device AND time < {end}ms ORDER BY time DESC LIMIT 1"
        point = self._point(f"SELECT {Field.INTERVAL_S}, {Field.OUTCOME} FROM poll WHERE {last}", device)  # noqa: S608
        if point is None:
            return None
        if self._queries.has_imports():  # of one slot, ours
            own = self._point(f"SELECT {Field.INTERVAL_S}, {Field.OUTCOME} FROM poll WHERE {OWN} AND {last}", device)  # noqa: S608
            point = own if own and own["time"] == point["time"] else point
        return Before(int(point["time"]), float(point["interval_s"]), point["outcome"] == Outcome.ENDED.value)

    @of_influxdb
    def asked(self, start: int, end: int, device: str | None = None) -> dict[str, Asked]:
        """Device to what polls say that it was asked for; see `ReadingStore.asked`."""
        first, _ = within_time(start, end)
        before = self._of_some(f'SELECT last({Field.SERIES}) AS "series" FROM poll WHERE time < {first}ms', device)  # noqa: S608
        within = self._of_some(f"SELECT {Field.SERIES} FROM poll WHERE {during(start, end)}", device)  # noqa: S608
        return asked_of(*([(d, p["series"]) for d, ps in said.items() for p in ps] for said in (before, within)))

    @of_influxdb
    def identities(self) -> dict[str, str]:
        """Device to what it said last which one it is; see `ReadingStore.identities`."""
        (result,) = self._ask(f"SELECT last({Field.IDENTITY}) AS identity FROM poll WHERE {_EVER} GROUP BY device")  # noqa: S608
        return {device: str(point["identity"]) for device, point in _of_devices(result).items()}

    @of_influxdb
    def stated(self, device: str, start: int, end: int) -> frozenset[str]:
        """The series of which polls of a device have a value or a problem; see `ReadingStore.stated`."""
        span = f"WHERE device::tag = $device AND {during(start, end)}"
        values, problems = self._ask(
            f"SELECT count(*::field) FROM air {span}",  # noqa: S608
            f"SELECT distinct({Field.PROBLEMS}) AS problems FROM poll {span}",  # noqa: S608
            parameters={"device": device},
        )
        counts = values[0].points[0] if values else {}
        hidden = self._hidden(start, end) if self._queries.has_imports() else {}
        less = hidden[device].series if device in hidden else {}
        there = {name.removeprefix("count_") for name in counts if name != "time"}
        there = {name for name in there if counts[f"count_{name}"] > less.get(name, 0)}
        return series_of_problems(point["problems"] for series in problems for point in series.points) | there

    @of_influxdb
    def nearest_stated(self, device: str, time: int, *, earlier: bool) -> frozenset[str]:
        """The series of the nearest poll that has a value or a problem; see `ReadingStore.nearest_stated`."""
        edge, _ = within_time(time, time)
        where, order = ("<", "DESC") if earlier else (">=", "ASC")
        of_device, near = f"device::tag = $device AND time {where} {edge}ms", f"ORDER BY time {order} LIMIT 1"
        air = self._point(f"SELECT *::field FROM air WHERE {of_device} {near}", device)  # noqa: S608
        values = air and (air["time"], [name for name, value in air.items() if name != "time" and value is not None])
        first, last = between_of(values or None, earlier=earlier)
        closer = f"{of_device} AND {during(first, last + 1)} AND {Field.PROBLEMS} != ''"
        poll = self._point(f"SELECT {Field.PROBLEMS} FROM poll WHERE {closer} {near}", device)  # noqa: S608
        problems = poll and (poll["time"], series_of_problems([poll["problems"]]))
        return nearest([values or None, problems or None], earlier=earlier)

    @of_influxdb
    def imports(self, start: int, end: int) -> dict[str, dict[str, Summary]]:
        """Device to import to summary; see `ReadingStore.imports`."""
        return influxdb_imports.found(self._ask, start, end) if self._has_imports() else {}

    def delete_import(self, device: str, import_id: str, start: int, end: int) -> None:
        """Deletes what came with one import; see `ReadingStore.delete_import`."""
        self._delete(f'device="{device}" AND import="{import_id}"', start, end)

    def delete(self, device: str, start: int, end: int) -> None:
        """Deletes the polls and values of one device; see `ReadingStore.delete`."""
        self._delete(f'device="{device}"', start, end)

    def _delete(self, which: str, start: int, end: int) -> None:
        first, end = within_time(start, end)
        span = {"start": _rfc3339(first), "stop": _rfc3339(end - 1)}  # the server counts its stop in
        place = {"org": self._connection.org, "bucket": self._connection.bucket}
        for measurement in ("air", "poll"):  # values first: none is ever without its poll
            asked = span | {"predicate": f'_measurement="{measurement}" AND {which}'}
            answer = self._exchange.request("POST", "/api/v2/delete", params=place, json=asked)
            if answer.status != HTTPStatus.NO_CONTENT:
                raise refusal(self._connection, Doing.DELETE, answer.status, answer.headers, answer.body)

    @of_influxdb
    def flux(self, query: str) -> "pd.DataFrame":
        """The rows of a Flux query as one frame, with its columns `result` and `table`; see `ReadingStore.flux`."""
        from air_pipeline.storage.flux_csv import flux_frame  # with pandas, as `_points`
        from air_pipeline.storage.influxdb_client_requests import flux_csv  # 0.25 s and 40 MB, for this alone

        self._queries.require_there()
        return flux_frame(
            flux_csv(self._connection, self._exchange.token.now(), query, self._timeout_s, self._read_timeout_s)
        )

    def close(self) -> None:
        """Closes the connections; the next call opens new ones."""
        self._exchange.close()

    @property
    def _points(self) -> "Points":
        """What makes frames."""
        # With pandas and pyarrow, 0.5 s and 100 MB: the collector is spared them.
        from air_pipeline.storage.influxdb_points import Points

        return Points(self._queries, self._look.require_makeable)

    def _ask(
        self, *queries: str, parameters: Mapping[str, object] | None = None, timeout_s: float | None = None
    ) -> list[list[Series]]:
        try:
            return self._queries.statements(queries, parameters or {}, timeout_s)
        except BucketMissing:  # nothing is made by a read
            self._look.require_makeable()
            return [[] for _ in queries]

    def _point(self, query: str, device: str) -> Mapping[str, Any] | None:
        """The only point of a query about one device."""
        (result,) = self._ask(query, parameters={"device": device})
        return result[0].points[0] if result else None

    def _of_some(self, query: str, device: str | None) -> dict[str, tuple[Mapping[str, Any], ...]]:
        """Device to its points of a query that ends in a condition: of one device, or of all."""
        which = "" if device is None else " AND device::tag = $device"
        (result,) = self._ask(
            f"{query}{which} GROUP BY device", parameters={} if device is None else {"device": device}
        )
        return {name: series.points for series in result if (name := series.tags.get("device"))}

    def _last(self, measurement: str, devices: Sequence[str], condition: str) -> dict[str, Mapping[str, Any]]:
        """Device to its last point under a condition, however long ago; what has none is left out."""
        query = f"SELECT *::field FROM {measurement} WHERE {condition}{{}} ORDER BY time DESC LIMIT 1"  # noqa: S608
        if len(devices) > _DEVICES_BY_NAME:
            (result,) = self._ask(query.format(" GROUP BY device"))
            return _of_devices(result)
        named = {f"device{n}": device for n, device in enumerate(devices)}
        results = self._ask(*(query.format(f" AND device = ${name}") for name in named), parameters=named)
        return {device: result[0].points[0] for device, result in zip(devices, results, strict=True) if result}

    def _write_lines(self, lines: Sequence[str]) -> None:
        """Writes points into the bucket; the first write makes it."""
        some = "\n".join(lines).encode()
        try:
            self._exchange.write(some)
        except BucketMissing:
            self._make_bucket()
            self._exchange.write(some)

    def _compare(self, polls: Sequence[Poll]) -> None:
        """Makes sure, once, that what is written is what is read: by ids, else by a poll that is read back."""
        if self._is_compared or not polls:
            return
        if self._look.compare() is not Compared.SAME:
            some = polls[-1:]
            self._write_lines([line for poll in some for line in poll_lines(poll)])
            at = some[0].observed_at
            query = f"SELECT {Field.OUTCOME} FROM poll WHERE device::tag = $device AND {during(at, at + 1)}"  # noqa: S608
            try:
                [found] = self._queries.statements([query], {"device": some[0].device})
            except StoreRefused:  # a token that may not read delivers
                pass
            else:
                if not found:
                    raise self._look.elsewhere()
        self._is_compared = True

    def _make_bucket(self) -> None:
        found = self._exchange.request("GET", "/api/v2/orgs", params={"org": self._connection.org})
        if found.status != HTTPStatus.OK:
            raise refusal(self._connection, Doing.MAKE, found.status, found.headers, found.body)
        try:
            organizations = [str(one["id"]) for one in json.loads(found.body)["orgs"]]
        except (KeyError, TypeError, ValueError) as error:
            raise refusal(self._connection, Doing.MAKE, found.status) from error
        if not organizations:  # hidden from tokens of a single bucket
            raise no_bucket(self._connection)
        bucket = {"orgID": organizations[0], "name": self._connection.bucket, "retentionRules": []}
        made = self._exchange.request("POST", "/api/v2/buckets", json=bucket)
        if made.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise no_bucket(self._connection)
        # 422: another process has made it meanwhile.
        if made.status not in (HTTPStatus.CREATED, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise refusal(self._connection, Doing.MAKE, made.status, made.headers, made.body)


def _rfc3339(time: int) -> str:
    """A time in ms UTC, as requests have it; cut to the years that they know."""
    return from_epoch_ms(min(max(time, _EARLIEST_MS), _LATEST_MS)).isoformat(timespec="milliseconds")


def _of_devices(result: Sequence[Series]) -> dict[str, Mapping[str, Any]]:
    """Device to the only point of its series; points without a device are not ours."""
    return {device: series.points[0] for series in result if (device := series.tags.get("device"))}

"""What goes through InfluxData's own client: writes and Flux queries.

Belongs here: the client, and its two families of errors made into ours. Does not: what is written (`line_protocol`),
the rows of an answer (`flux_csv`).
"""

import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.dialect import Dialect
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb_failures import Doing, refusal, unreachable


class ClientRequests:
    """Requests to one server. Safe from several threads."""

    def __init__(self, connection: InfluxConnection, timeout_s: float, read_timeout_s: float) -> None:
        """Connects at the first request.

        Args:
            connection: server, token, organization and bucket.
            timeout_s: for a connection to be made, and for the answer to a write.
            read_timeout_s: for the answer to a query.
        """
        self._connection = connection
        self._timeout_s = timeout_s
        self._read_timeout_s = read_timeout_s
        self._writer: InfluxDBClient | None = None
        self._one_writer = threading.Lock()

    def write(self, lines: str) -> None:
        """Writes lines of points into the bucket; all of them are there when it returns.

        Raises:
            StoreError: as in the table of `influxdb_failures`.
        """
        # What the client's synchronous WriteApi calls, which shows no status and fails on pages that are not UTF-8.
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

    def flux(self, query: str) -> bytes:
        """The answer to a Flux query as CSV with the annotation `datatype`.

        Raises:
            StoreError: as in the table of `influxdb_failures`.
        """
        client = self._client(self._read_timeout_s)
        dialect = Dialect(header=True, annotations=["datatype"])  # type: ignore[no-untyped-call]
        try:
            ask = partial(client.query_api().query_raw, query, dialect=dialect)
            status, answer = self._answered(Doing.FLUX, ask)
        finally:
            _close(client)
        if answer.strip() and not answer.startswith(b"#datatype"):
            raise refusal(self._connection, Doing.FLUX, status)
        return answer

    def close(self) -> None:
        """Closes the connections; the next write opens new ones."""
        with self._one_writer:
            writer, self._writer = self._writer, None
        if writer is not None:
            _close(writer)

    def _answered(self, doing: Doing, request: Callable[[], HTTPResponse]) -> tuple[int, bytes]:
        """Status and body of a request of the client, with its two families of errors made into ours."""
        try:
            answer = request()
            body = answer.data
        except ApiException as error:
            if not error.status:  # a certificate that is not trusted comes so
                raise unreachable(self._connection, error) from error
            raise refusal(self._connection, doing, error.status, error.headers, error.body) from error
        except HTTPError as error:
            raise unreachable(self._connection, error) from error
        return answer.status, body

    def _client(self, timeout_s: float) -> InfluxDBClient:
        wait = (round(self._timeout_s * 1000), round(timeout_s * 1000))
        return InfluxDBClient(self._connection.url, self._connection.token, org=self._connection.org, timeout=wait)


def _close(client: InfluxDBClient) -> None:
    client.api_client.rest_client.pool_manager.clear()  # which the client's own close leaves open
    client.close()  # type: ignore[no-untyped-call]

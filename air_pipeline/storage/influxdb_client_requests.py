"""What goes through InfluxData's own client: Flux queries.

Belongs here: the client, and its two families of errors made into ours. Does not: the rows of an answer (`flux_csv`).
"""

from functools import partial

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.dialect import Dialect
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb_failures import Doing, refusal, unreachable


def flux_csv(connection: InfluxConnection, token: str, query: str, timeout_s: float, read_timeout_s: float) -> bytes:
    """The answer to a Flux query as CSV with the annotation `datatype`.

    Args:
        connection: server and organization.
        token: to enter with.
        query: in Flux.
        timeout_s: for a connection to be made.
        read_timeout_s: for each stretch of silence.

    Raises:
        StoreError: as in the table of `influxdb_failures`.
    """
    wait = (round(timeout_s * 1000), round(read_timeout_s * 1000))
    client = InfluxDBClient(connection.url, token, org=connection.org, timeout=wait)
    dialect = Dialect(header=True, annotations=["datatype"])  # type: ignore[no-untyped-call]
    ask = partial(client.query_api().query_raw, query, dialect=dialect)
    try:
        answer = ask()
        body: bytes = answer.data
    except ApiException as error:
        if not error.status:  # a certificate that is not trusted comes so
            raise unreachable(connection, error) from error
        raise refusal(connection, Doing.FLUX, error.status, error.headers, error.body) from error
    except HTTPError as error:
        raise unreachable(connection, error) from error
    finally:
        client.api_client.rest_client.pool_manager.clear()  # which the client's own close leaves open
        client.close()  # type: ignore[no-untyped-call]
    if body.strip() and not body.startswith(b"#datatype"):
        raise refusal(connection, Doing.FLUX, answer.status)
    return body

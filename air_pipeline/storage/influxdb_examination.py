"""What an InfluxDB says of itself, of a bucket and of a token's rights, found without writing a point.

Belongs here: the few requests that tell. Does not: what is made of the answers (`health`).
"""

import json
import time
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb_bucket import BucketLook, Compared
from air_pipeline.storage.influxdb_exchange import Answer, Exchange
from air_pipeline.storage.influxdb_failures import BucketMissing, Doing, no_bucket, refusal
from air_pipeline.storage.influxql import DEVICES, InfluxQL
from air_pipeline.storage.store import PollsRejected, StoreRefused


@dataclass(frozen=True, slots=True)
class Examined:
    """What a server says that takes this token for this bucket.

    Attributes:
        version: of the server; empty if it does not say.
        bucket_there: whether the bucket exists; a missing one is made at the first write, where the token may.
        retention_s: how long it keeps points, 0 for ever; None if the server does not say.
        ahead_s: how far the server's clock is ahead of this machine's, to about a second; None if it does not say.
        is_compared: whether the bucket that is read is known to be the one that is written.
    """

    version: str
    bucket_there: bool
    retention_s: int | None
    ahead_s: float | None
    is_compared: bool = True


def examine_influxdb(connection: InfluxConnection, timeout_s: float) -> Examined:
    """Asks whether the token may write (by a write of nothing) and read, and what the bucket is.

    Args:
        connection: server, token, organization and bucket.
        timeout_s: for each of at most seven answers.

    Raises:
        StoreError: it is away, or refuses the token, the right, the organization or the bucket.
    """
    with closing(Exchange(connection, timeout_s)) as server:
        place = {"org": connection.org, "bucket": connection.bucket, "precision": "ms"}
        before = time.time()
        written = server.request("POST", "/api/v2/write", params=place, data=b"")
        ahead = _ahead_s(written, (before + time.time()) / 2)
        version = written.headers.get("X-Influxdb-Version", "")
        if written.status == HTTPStatus.NO_CONTENT:
            server.require_influxdb(written)
        else:
            error = refusal(connection, Doing.WRITE, written.status, written.headers, written.body)
            if isinstance(error, BucketMissing) and _sees_organization(server, connection):
                return Examined(version, bucket_there=False, retention_s=None, ahead_s=ahead)
            if not isinstance(error, PollsRejected):  # for being empty: then the token was taken
                raise error
        compared = BucketLook(connection, server).compare()
        found = server.request("GET", "/api/v2/buckets", params={"org": connection.org, "name": connection.bucket})
        buckets = _listed(connection, found, "buckets") if found.status == HTTPStatus.OK else None
        if buckets == []:  # it may write there, and not see it
            refused = refusal(connection, Doing.READ, HTTPStatus.FORBIDDEN, body='{"message": "no right to read"}')
            raise StoreRefused(f"{refused} It could not be compared whether what is read is what is written.")
        queries = InfluxQL(connection, server, timeout_s)
        queries.statements([DEVICES], {}, timeout_s)
        kept = None if buckets is None else _retention_s(buckets[0])
        return Examined(version, True, kept, ahead, is_compared=compared is Compared.SAME)  # noqa: FBT003


def _sees_organization(server: Exchange, connection: InfluxConnection) -> bool:
    """Whether the token is one of the whole organization, which may make a bucket; hidden from tokens of a bucket."""
    found = server.request("GET", "/api/v2/orgs", params={"org": connection.org})
    if found.status != HTTPStatus.OK:
        raise no_bucket(connection)
    return bool(_listed(connection, found, "orgs"))


def _listed(connection: InfluxConnection, answer: Answer, what: str) -> list[Any]:
    """What an answer lists.

    Raises:
        StoreRefused: it is not InfluxDB's.
    """
    try:
        listed = json.loads(answer.body)[what]
    except (KeyError, TypeError, ValueError) as error:
        raise refusal(connection, Doing.READ, answer.status) from error
    return listed if isinstance(listed, list) else []


def _retention_s(bucket: Any) -> int | None:  # noqa: ANN401 - whatever the server says
    try:
        return max((int(rule["everySeconds"]) for rule in bucket.get("retentionRules", [])), default=0)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _ahead_s(answer: Answer, now: float) -> float | None:
    try:
        return parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5 - now
    except (KeyError, ValueError):
        return None

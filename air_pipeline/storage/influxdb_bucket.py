"""Whether the bucket that is read is the one that is written, and what a bucket that is not there means.

Writes name a bucket; reads name a database and a retention policy, which mappings of the server (DBRP) lead to one:
another bucket where somebody has mapped it so, where the name is an id, or for `x/autogen` beside `x`. A token sees the
mappings to buckets that it may read: one that sees its bucket and no mapping to it is led elsewhere.

Belongs here: asking the server where its mappings lead, without writing or making anything. Does not: points.
"""

import json
import re
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb_exchange import Exchange
from air_pipeline.storage.influxdb_failures import Doing, no_bucket, refusal
from air_pipeline.storage.store import StoreRefused

_ID = re.compile(r"[0-9a-f]{16}")


class Compared(Enum):
    """What came of comparing."""

    SAME = "the bucket that is read is the one that is written"
    UNKNOWN = "the server does not say where reads of this bucket lead"
    MISSING = "there is no such bucket yet"


@dataclass(frozen=True, slots=True)
class BucketLook:
    """Looks at one bucket, as far as the token sees."""

    connection: InfluxConnection
    exchange: Exchange

    def compare(self) -> Compared:
        """Compares the bucket that is written with the one that is read, by their ids.

        Raises:
            StoreRefused: they are two, or the name is the id of a bucket.
            StoreUnavailable: nobody answers.
        """
        name = self.connection.bucket
        found = self._listed("/api/v2/buckets", "buckets", name=name)
        if found is None:
            return Compared.UNKNOWN
        if not found:
            named = self._listed("/api/v2/buckets", "buckets", id=name) if _ID.fullmatch(name) else None
            if named:
                raise StoreRefused(
                    f"INFLUXDB_V2_BUCKET is {name}, the id of a bucket, by which nothing can be read: write its name,"
                    f" {named[0].get('name')}."
                )
            return Compared.MISSING
        database, _, policy = name.partition("/")
        mapped = self._listed("/api/v2/dbrps", "content", db=database)
        if mapped is None:
            return Compared.UNKNOWN
        read = [one for one in mapped if (one.get("retention_policy") == policy if policy else one.get("default"))]
        if not read or any(one.get("bucketID") != found[0].get("id") for one in read):
            raise self.elsewhere()
        return Compared.SAME

    def elsewhere(self) -> StoreRefused:
        """The error for readings that are read from another bucket than they are written to."""
        name = self.connection.bucket
        return StoreRefused(
            f"InfluxDB at {self.connection.url} reads another bucket where '{name}' is asked for, as a DBRP mapping of"
            " its name leads elsewhere: remove that mapping (influx v1 dbrp list), or set INFLUXDB_V2_BUCKET to another"
            " bucket, with a name of its own."
        )

    def require_makeable(self) -> None:
        """Makes sure that a bucket which reads do not find is one that the first write makes.

        Raises:
            StoreRefused: it is not, and why.
        """
        if self._listed("/api/v2/buckets", "buckets", name=self.connection.bucket):
            raise StoreRefused(
                f"InfluxDB at {self.connection.url} finds no bucket '{self.connection.bucket}' to read, though it is"
                f" there in organization '{self.connection.org}': the token is of another organization, or may not read"
                f" it. Set INFLUXDB_V2_TOKEN to one that was made in '{self.connection.org}' and may read it."
            )
        organization = self.exchange.request("GET", "/api/v2/orgs", params={"org": self.connection.org})
        if organization.status != HTTPStatus.OK:
            headers, body = organization.headers, organization.body
            raise refusal(self.connection, Doing.READ, organization.status, headers, body)
        if not self._listed("/api/v2/orgs", "orgs"):  # hidden from tokens of a single bucket
            raise no_bucket(self.connection)

    def _listed(self, path: str, what: str, **parameters: str) -> list[dict[str, Any]] | None:
        """What the server lists; None where it does not say, as another version or to a token that may not ask."""
        answer = self.exchange.request("GET", path, params={"org": self.connection.org, **parameters})
        if answer.status == HTTPStatus.NOT_FOUND and what == "buckets":
            return []
        try:
            listed = json.loads(answer.body)[what] if answer.status == HTTPStatus.OK else None
        except (KeyError, TypeError, ValueError):
            return None
        return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else None

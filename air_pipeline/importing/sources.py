"""A source, whatever it is → rows.

Belongs here: which reader reads it, and where a bucket is. Does not: reading.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from air_pipeline.environment import Environment
from air_pipeline.importing.bucket import read_bucket
from air_pipeline.importing.home_assistant import read_statistics
from air_pipeline.importing.mapping import Meaning
from air_pipeline.importing.rows import ImportFailed, Notes, Rows
from air_pipeline.importing.tables import read_tables
from air_pipeline.settings import InfluxConnection, SettingsError

_MOST_NAMED = 3


def read_source(
    meaning: Meaning,
    paths: Sequence[Path],
    bucket: str | None,
    environment: Environment,
    span: tuple[int, int],
    told: Callable[[int, int], None],
) -> tuple[Rows, Notes, Meaning, str]:
    """The rows of files or of a bucket; what was not understood; what columns mean; where it was, for people.

    Args:
        meaning: of the columns.
        paths: the files.
        bucket: of InfluxDB, if it is one.
        environment: whose InfluxDB it is, where the mapping does not say.
        span: from when until when it is wanted, ms UTC; files are read whole.
        told: how much of how much is read.

    Raises:
        ImportFailed, StoreError: it cannot be read.
        SettingsError: it is not said where it is.
    """
    if meaning.origin == "influxdb":
        if paths:
            raise SettingsError(f"{meaning.name} is of a bucket: name it with --bucket, and no files")
        connection = _connection(meaning, bucket, environment)
        rows, notes = read_bucket(connection, meaning, span, told)
        return rows, notes, meaning, f"bucket {connection.bucket} of {connection.url}"
    if bucket is not None:
        raise SettingsError(f"{meaning.name} is of files: name those, and no --bucket")
    if not paths:
        raise SettingsError("name the files to import")
    if meaning.origin == "home-assistant":
        rows, notes, meaning = read_statistics(paths, meaning, told)
    else:
        rows, notes = read_tables(paths, meaning, told)
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return rows, notes, meaning, ", ".join(path.name for path in paths[:_MOST_NAMED]) + more


def _connection(meaning: Meaning, bucket: str | None, environment: Environment) -> InfluxConnection:
    said, ours = meaning.said.influxdb, environment.influxdb
    name = bucket or said.bucket
    if name is None:
        raise SettingsError("name the bucket to import with --bucket")
    url, org = said.url or (ours and ours.url), said.org or (ours and ours.org)
    token = _token(meaning, said.token) if said.token else ours and ours.token
    if not (url and org and token):
        raise SettingsError(
            f"where bucket {name} is, {meaning.name} does not say, nor does the environment; write influxdb:"
            " {url: http://localhost:8086, org: home, token: $OLD_TOKEN} in the mapping, or set INFLUXDB_V2_URL,"
            " _TOKEN, _ORG and _BUCKET"
        )
    if ours and (url.rstrip("/"), name) == (ours.url, ours.bucket) and said.measurement in {"air", "poll"}:
        raise ImportFailed(f"bucket {name} is the one that readings go to: there is nothing to import")
    return InfluxConnection(url.rstrip("/"), token, org, name)


def _token(meaning: Meaning, said: str) -> str:
    """What the variable holds that the mapping names: a token does not stand in files."""
    if not said.startswith("$"):
        raise SettingsError(f"{meaning.name}: influxdb.token: name a variable that holds it, as token: $OLD_TOKEN")
    token = os.environ.get(said[1:], "").strip()
    if not token:
        raise SettingsError(f"environment: {said[1:]} is not set, and {meaning.name} says that it holds the token")
    return token

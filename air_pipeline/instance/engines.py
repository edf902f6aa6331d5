"""One engine, and of that one connection, a database of Dagster's event log, for as long as a process builds days.

Dagster's storage in files makes an engine of SQLAlchemy for each connection, four an event. What an engine has compiled
of SQL goes with it: that was half of what an event costs. With the last connection SQLite ends its journal, which a
process that builds waits for the disk for, six times as often as for what it commits.

For the underlying Dagster concept, see docs.dagster.io: the Dagster instance.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import sqlalchemy
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy.pool import NullPool, QueuePool


class _KeptPool(QueuePool):
    """A pool whose connection stays when its engine is disposed of, as Dagster's storage does after each use."""

    def dispose(self) -> None:
        """Nothing."""

    def recreate(self) -> "_KeptPool":
        """Itself."""
        return self

    def close(self) -> None:
        """Closes the connection."""
        super().dispose()


@contextmanager
def kept_engines() -> Iterator[None]:
    """While the block lasts the storage takes, in this process, the engine that it made of a database before."""
    engines: dict[str, sqlalchemy.Engine] = {}

    def engine_of(
        url: str,
        *,
        poolclass: type[NullPool],  # noqa: ARG001 - always this one, which keeps no connection
        connect_args: dict[str, float],
    ) -> sqlalchemy.Engine:
        if url not in engines:
            engines[url] = sqlalchemy.create_engine(url, poolclass=_KeptPool, pool_size=1, connect_args=connect_args)
        return engines[url]

    own = vars(sqlite_event_log)  # of its imports
    before, own["create_engine"] = own["create_engine"], engine_of
    try:
        yield
    finally:
        own["create_engine"] = before
        for engine in engines.values():
            cast("_KeptPool", engine.pool).close()

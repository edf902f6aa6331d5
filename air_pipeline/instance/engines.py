"""One engine a database of Dagster's event log, for as long as a process builds days.

Dagster's storage in files makes an engine of SQLAlchemy for each connection, four an event, and what an engine has
compiled of SQL goes with it: that was half of what an event costs. Connections are opened and closed as before.

For the underlying Dagster concept, see docs.dagster.io: the Dagster instance.
"""

from functools import lru_cache

import sqlalchemy
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy.pool import NullPool

_MOST = 8
"""The index of all runs, and runs of the same process one after the other."""


def keep_engines() -> None:
    """From now on, in this process, the storage takes the engine that it made of a database before."""
    sqlite_event_log.create_engine = _engine_of  # type: ignore[attr-defined,assignment] # of its own imports


def _engine_of(
    url: str,
    *,
    poolclass: type[NullPool],  # noqa: ARG001 - always this one, which keeps no connection
    connect_args: dict[str, float],
) -> sqlalchemy.Engine:
    return _made(url, **connect_args)


@lru_cache(_MOST)
def _made(url: str, timeout: float) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(url, poolclass=NullPool, connect_args={"timeout": timeout})

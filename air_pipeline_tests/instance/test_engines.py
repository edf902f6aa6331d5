from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from sqlalchemy.pool import NullPool

from air_pipeline.instance.engines import keep_engines


def test_a_database_of_the_event_log_has_one_engine_and_keeps_no_connection(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_event_log, "create_engine", sqlite_event_log.create_engine)  # put back afterwards
    keep_engines()
    storage = SqliteEventLogStorage(str(tmp_path))

    def opened(shard):
        with storage.run_connection(shard) as connection:
            return connection.engine, connection.connection.driver_connection

    (first, one), (again, other), (elsewhere, _) = opened("run"), opened("run"), opened("another")
    assert first is again
    assert first is not elsewhere
    assert one is not other
    assert isinstance(first.pool, NullPool)

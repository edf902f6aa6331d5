"""What Dagster's storage in files is given instead of its engines."""

from contextlib import suppress

from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from air_pipeline.instance.engines import kept_engines


def opened(storage, shard):
    with storage.run_connection(shard) as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS kvs_test (name TEXT)")
        return connection.engine, connection.connection.driver_connection


def test_a_database_of_the_event_log_has_one_engine_and_one_connection_while_days_are_built(tmp_path):
    storage, usual = SqliteEventLogStorage(str(tmp_path)), sqlite_event_log.create_engine
    with kept_engines():
        (first, one), (again, same), (elsewhere, _) = (opened(storage, shard) for shard in ("run", "run", "another"))
        assert first is again
        assert first is not elsewhere
        assert one is same
        assert (tmp_path / "run.db-wal").exists()  # which ends with the last connection
    assert not list(tmp_path.glob("*-wal"))
    assert sqlite_event_log.create_engine is usual
    assert opened(storage, "run")[0] is not first


def test_what_was_written_is_seen_by_others_at_once_and_what_failed_is_not_there(tmp_path):
    storage, other = SqliteEventLogStorage(str(tmp_path)), SqliteEventLogStorage(str(tmp_path))

    def cursors():
        with other.index_connection() as connection:
            return [row[0] for row in connection.exec_driver_sql("SELECT name FROM kvs_test")]

    with kept_engines():
        with storage.index_connection() as connection:
            connection.exec_driver_sql("CREATE TABLE kvs_test (name TEXT)")
            connection.exec_driver_sql("INSERT INTO kvs_test VALUES ('kept')")
        assert cursors() == ["kept"]
        with suppress(KeyError), storage.index_connection() as connection:
            connection.exec_driver_sql("INSERT INTO kvs_test VALUES ('lost')")
            raise KeyError
        with storage.index_connection() as connection:
            connection.exec_driver_sql("INSERT INTO kvs_test VALUES ('kept too')")
        assert cursors() == ["kept", "kept too"]

from collections.abc import Iterator
from pathlib import Path

import pytest

from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import ReadingStore
from air_pipeline_tests.influxdb_server import InfluxServer


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "readings.sqlite")
    yield store
    store.close()


@pytest.fixture
def influx_store(influxdb: InfluxServer) -> Iterator[InfluxStore]:
    store = InfluxStore(influxdb.connection())
    yield store
    store.close()


@pytest.fixture(params=["sqlite_store", pytest.param("influx_store", marks=pytest.mark.influxdb)])
def store(request: pytest.FixtureRequest) -> ReadingStore:
    """Each of the stores, empty."""
    return request.getfixturevalue(request.param)

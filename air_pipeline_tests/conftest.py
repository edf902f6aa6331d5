import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from air_pipeline_tests.influxdb_server import InfluxServer, open_server
from air_pipeline_tests.object_store import ObjectStore, object_store

# Tests assert no times. Here hypothesis goes on searching; in CI it tries the same cases every time.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, database=None)
settings.register_profile("long", settings.get_profile("here"), max_examples=3_000, database=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

if TYPE_CHECKING:
    import dagster as dg

# As it was before tests were shielded from it.
_ENVIRONMENT = dict(os.environ)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: nobody waits for it alone at the end."""
    items.sort(key=lambda item: item.path.name != "test_up.py")


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no INFLUXDB_V2_* and AIR_PIPELINE_* but those that they set."""
    for name in os.environ:
        if name.startswith(("INFLUXDB_V2_", "AIR_PIPELINE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DAGSTER_HOME", "")  # which `build` sets in its process: gone again at the end
    monkeypatch.delenv("DAGSTER_HOME")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator["dg.DagsterInstance"]:
    """An instance of Dagster with storage on disk, one for all tests of a module."""
    from air_pipeline_tests.assets.small_deployments import real_instance

    with real_instance(tmp_path_factory.mktemp("instance")) as instance:
        yield instance


@pytest.fixture(scope="session")
def influxdb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    """A real InfluxDB, one for all tests of a worker."""
    server = open_server(_ENVIRONMENT, tmp_path_factory.mktemp("influxdb"))
    yield server
    server.start()
    server.close()


@pytest.fixture
def influxdb(influxdb_server: InfluxServer) -> Iterator[InfluxServer]:
    """A real InfluxDB that runs, which a test may stop."""
    influxdb_server.start()
    yield influxdb_server
    influxdb_server.start()


@pytest.fixture(scope="session")
def object_store_server() -> Iterator[ObjectStore]:
    """An object store, one for all tests of a worker."""
    with object_store() as store:
        yield store


@pytest.fixture
def objects(object_store_server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """An object store to which the environment leads."""
    for name, value in object_store_server.variables.items():
        monkeypatch.setenv(name, value)
    yield object_store_server
    object_store_server.meanwhile = lambda _asked, _environ: None

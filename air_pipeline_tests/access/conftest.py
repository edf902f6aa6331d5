"""Archives of a few days, built and not."""

import pytest

from air_pipeline.access import Archive
from air_pipeline_tests.access.archives import DEVICES, NOW, START, STATIONS
from air_pipeline_tests.days.deployments import (
    AFTER,
    BEFORE,
    DAY,
    build,
    deployment,
    poll,
    seed,
)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """Three devices, one in Tokyo; the 20th and 22nd are built, the 21st is not."""
    deployed = deployment(tmp_path_factory.mktemp("built"), *DEVICES, now=NOW)
    seed(deployed, [BEFORE, DAY, AFTER])
    build(deployed, BEFORE)
    build(deployed, AFTER)
    yield deployed
    deployed.store.close()


@pytest.fixture
def archive(deployed):
    return Archive(deployed)


@pytest.fixture
def empty(tmp_path):
    deployed = deployment(tmp_path, *DEVICES, now=NOW)
    yield Archive(deployed)
    deployed.store.close()


@pytest.fixture
def stations(tmp_path):
    deployed = deployment(tmp_path, *STATIONS, now=NOW)
    seed(deployed)
    for one in STATIONS:
        said = tuple(parameter.series for parameter in one.parameters)
        deployed.store.write([poll(START, one.id, series=said)])
    with Archive(deployed) as archive:
        yield archive

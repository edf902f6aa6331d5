"""The schedule `build_days`, evaluated on a real instance and a real store."""

import pytest

from air_pipeline_tests.assets.small_deployments import Present, deployment_in, seed, tick_of_build_days
from air_pipeline_tests.automation.build_days.ticks import FINISHED, NOON, MarksHere, MarksInTheStore


@pytest.fixture(autouse=True)
def _no_runs(instance):
    for run in instance.get_runs():
        instance.delete_run(run.run_id)


@pytest.fixture
def present():
    return Present(NOON)


@pytest.fixture
def deployment(tmp_path, present):
    deployment = deployment_in(tmp_path, present=present)
    seed(deployment, *FINISHED)
    return deployment


@pytest.fixture
def tick(instance, deployment):
    def tick(deployment=deployment):
        return tick_of_build_days(deployment, instance)

    return tick


@pytest.fixture(params=[MarksHere, MarksInTheStore])
def marks(request):
    """The marks that are left, and a way to put more."""
    return request.param()

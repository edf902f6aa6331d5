"""A plugin for pytest where it tries a mutant: how its tests are run."""

import resource
from time import process_time

import pytest
from hypothesis import HealthCheck, Phase, settings
from mutmut.mutation.trampoline import get_mutant_under_test
from mutmut.state import state

MOST_CPU_S = 60
"""What the tests of a mutant may take; more takes one that goes round and round. Of CPU: the machine may be busy."""


# The same cases every time, and no search for the simplest of those that fail.
settings.register_profile(
    "mutants",
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


FAR = {
    "test_aggregates_in_sql.py": ("processing.aggregates.", "processing.local_"),
    "test_inputs.py": ("days.inputs.", "processing.rules.x_"),
    "test_written_over.py": ("days.inputs.",),
}
"""Tests that build whole days are run for these modules; for others, those that are nearer must do."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fastest tests begin, as the first that fails ends the run."""
    items.sort(key=lambda item: state().duration_by_test.get(item.nodeid, 0.0))
    mutant = get_mutant_under_test().removeprefix("air_pipeline.")
    if "__mutmut_" in mutant:
        items[:] = [one for one in items if mutant.startswith(FAR.get(one.path.name, ""))]
        most = int(process_time()) + MOST_CPU_S
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))

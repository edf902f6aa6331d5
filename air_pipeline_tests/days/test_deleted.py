"""What was deleted on purpose is remembered; whatever else is in its place allows no day to lose anything."""

import json
import os

import pytest

from air_pipeline.days.comparing import compare_day
from air_pipeline.days.deleted import deleted_since, remember_deletion
from air_pipeline.days.holdings import Deleted
from air_pipeline.settings import SettingsError
from air_pipeline_tests.days.deployments import DAY, build, deployment, seed, window


@pytest.fixture
def deployed(tmp_path):
    deployed = deployment(tmp_path)
    deployed.environment.state.make()
    yield deployed
    deployed.store.close()


INSTEAD = {
    "a directory": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "no text": lambda path: path.write_bytes(b"\xff\xfe\0junk"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "a list": lambda path: path.write_text("[1]"),
    "a number": lambda path: path.write_text("7"),
    "other entries": lambda path: path.write_text(
        f'{{"{DAY}": 3, "never": {{"fingerprint": "f", "polls": {{}}}},'
        ' "2026-11-22": {"fingerprint": "f", "polls": {"a": "x"}}, "2026-11-23": {"polls": []}}'
    ),
}


@pytest.mark.parametrize("instead", INSTEAD)
def test_what_is_no_memory_of_deletions_allows_nothing(deployed, instead):
    seed(deployed)
    build(deployed)
    path = deployed.environment.state.deleted
    INSTEAD[instead](path)
    assert deleted_since(deployed, DAY) == {}
    if path.is_dir():
        with pytest.raises(SettingsError):
            remember_deletion(deployed, "hall", [DAY], *window())
    else:
        assert remember_deletion(deployed, "hall", [DAY], *window()) == [DAY]
        assert deleted_since(deployed, DAY) == {"hall": Deleted(polls=144, values=144)}


def test_entries_that_counted_no_values_lift_the_guard_of_values_too(deployed):
    """They are of versions that guarded days by polls alone."""
    seed(deployed)
    build(deployed)
    assert remember_deletion(deployed, "hall", [DAY], *window()) == [DAY]
    path = deployed.environment.state.deleted
    entries = json.loads(path.read_text())
    del entries[DAY.isoformat()]["values"]
    path.write_text(json.dumps(entries))
    deployed.store.delete("hall", *window())
    assert compare_day(deployed, deployed.store, DAY).lost == {}

"""What was deleted on purpose is remembered; whatever else is in its place allows no day to lose anything."""

import json
import os

import pytest

from air_pipeline.days.ahead import read_ahead
from air_pipeline.days.comparing import compare_day
from air_pipeline.days.deleted import deleted_since, remember_deletion
from air_pipeline.days.holdings import Deleted
from air_pipeline.days.inputs import Standing
from air_pipeline.settings import SettingsError
from air_pipeline.storage.written_over import mark_written_over
from air_pipeline_tests.days.deployments import AFTER, BEFORE, DAY, HOUR, MINUTE, build, deployment, poll, seed, window


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
    "other counts": lambda path: path.write_text(
        f'{{"{DAY}": {{"fingerprint": "f", "polls": {{}}, "read": 3}},'
        ' "2026-11-20": {"fingerprint": "f", "polls": {}, "read": {"g": 3}},'
        ' "2026-11-22": {"fingerprint": "f", "polls": {}, "read": {"g": {"polls": {"a": "x"}}}}}'
    ),
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


@pytest.mark.parametrize("is_built", [True, False], ids=["built before", "never built"])
def test_a_day_that_was_read_before_a_deletion_and_written_after_it_is_built_again_without_it(deployed, is_built):
    """As by a range, which reads many days ahead of writing them."""
    seed(deployed, [BEFORE, DAY, AFTER])
    if is_built:
        build(deployed)
        deployed.store.write([poll(window()[0] + MINUTE)])  # late
    span = (window()[0], window()[0] + 6 * HOUR)
    ahead = read_ahead(deployed, [BEFORE, DAY])
    touched = remember_deletion(deployed, "hall", [BEFORE, DAY, AFTER], *span)
    assert touched == ([DAY] if is_built else [])
    deployed.store.delete("hall", *span)
    mark_written_over(deployed.store, [BEFORE, DAY])
    build(deployed, ahead=ahead[DAY])
    assert compare_day(deployed, deployed.store, DAY).standing is Standing.CHANGED
    build(deployed)
    assert compare_day(deployed, deployed.store, DAY).standing is Standing.CURRENT
    deployed.store.delete("hall", *window())
    assert compare_day(deployed, deployed.store, DAY).standing is Standing.SHRUNK  # of that nothing was remembered


def test_of_two_deletions_each_counts_for_what_was_read_before_it(deployed):
    seed(deployed, [BEFORE, DAY, AFTER])
    first, then = window()[0], window()[0] + 6 * HOUR
    ahead = []
    for start in (first, then):
        ahead.append(read_ahead(deployed, [DAY])[DAY])
        remember_deletion(deployed, "hall", [DAY], start, start + 6 * HOUR)
        deployed.store.delete("hall", start, start + 6 * HOUR)
    for one, polls in zip(ahead, (72, 36), strict=True):
        build(deployed, ahead=one, force=True)
        assert deleted_since(deployed, DAY)["hall"].polls == polls
        assert compare_day(deployed, deployed.store, DAY).standing is Standing.CHANGED

"""Two simulated devices, and an installation that asks them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from air_pipeline.devices.simulator import Simulator
from air_pipeline.environment import Environment
from air_pipeline.state import StateDirectory
from air_pipeline_tests.collection.collector_process import write_config


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["a", "b"]) as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path, simulator: Simulator) -> Environment:
    config = tmp_path / "devices.yaml"
    write_config(config, simulator, "a", "b")
    state = tmp_path / "state"
    return Environment(config, StateDirectory(state), state / "data")

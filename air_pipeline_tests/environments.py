"""Environments of a test's own, and what is said of those that cannot be used."""

import os

import pytest

from air_pipeline.environment import read_environment
from air_pipeline.settings import SettingsError

VALID = "timezone: Europe/Warsaw\nstart: 2026-11-01\ndevices:\n  - id: hall\n    url: http://10.0.0.1/circumstances\n"
TOKEN = "s3cret-token"  # noqa: S105
INFLUX = {
    "INFLUXDB_V2_URL": "http://localhost:8086/",
    "INFLUXDB_V2_TOKEN": TOKEN,
    "INFLUXDB_V2_ORG": "home",
    "INFLUXDB_V2_BUCKET": "air",
}
NEEDS_RIGHTS = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


def mistake(ask, *arguments):
    with pytest.raises(SettingsError) as raised:
        ask(*arguments)
    said = str(raised.value)
    assert len(said.splitlines()) == 1
    assert TOKEN not in said
    return said


def environment_in(tmp_path):
    """One of a directory, with a valid devices.yaml."""
    environment = read_environment(
        {"AIR_PIPELINE_CONFIG": str(tmp_path / "devices.yaml"), "AIR_PIPELINE_STATE": str(tmp_path / "state")}
    )
    environment.config.write_text(VALID, encoding="utf-8")
    return environment


def with_influx(environment):
    return read_environment(environment.variables() | INFLUX)

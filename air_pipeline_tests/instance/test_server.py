"""A server in which Dagster keeps its storage, and which is away: that is said at once, and by its name."""

import os
import shutil
from pathlib import Path

from air_pipeline.health import Level
from air_pipeline.health.seen import seen_from_outside
from air_pipeline.instance.checks import dagster_checks
from air_pipeline.instance.server import no_answer
from air_pipeline_tests.assets.small_deployments import small_device, write_settings
from air_pipeline_tests.running_pipeline import free_port

MANY = Path(__file__).parents[2] / "deploy" / "many" / "dagster.yaml"


def test_a_postgres_that_is_away_is_one_failure_that_names_it(tmp_path, monkeypatch, caplog):
    shutil.copy(MANY, tmp_path)
    port = free_port()
    for name, value in {"DAGSTER_HOME": str(tmp_path), "DAGSTER_POSTGRES_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_POSTGRES_HOST", "127.0.0.1")
    write_settings(tmp_path / "devices.yaml", [small_device("hall")])
    monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(tmp_path / "devices.yaml"))
    monkeypatch.setenv("AIR_PIPELINE_STATE", str(tmp_path / "state"))
    seen = seen_from_outside(os.environ)
    said = [finding for check in dagster_checks(seen) for finding in check.findings(seen)]
    failed = [finding for finding in said if finding.level is not Level.OK]
    assert [finding.level for finding in failed] == [Level.FAILURE]
    assert f"PostgreSQL at 127.0.0.1:{port} does not answer" in failed[0].text
    assert "DAGSTER_POSTGRES_*" in failed[0].remedy
    assert not caplog.records  # of attempts to connect


def test_a_home_of_files_or_of_another_form_names_no_server(tmp_path):
    assert no_answer(tmp_path) == ""
    (tmp_path / "dagster.yaml").write_text("storage:\n  postgres:\n    postgres_url: postgresql://somewhere/dagster\n")
    assert no_answer(tmp_path) == ""

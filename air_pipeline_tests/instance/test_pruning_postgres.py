"""Dagster's storage in a real PostgreSQL is pruned: what is asked of it afterwards is answered as before."""

import dagster as dg
import psycopg2
import pytest

from air_pipeline.instance.pruning import prune
from air_pipeline_tests.assets.small_deployments import deployment_in, seed, small_device
from air_pipeline_tests.automation.test_collect_sensor import CHECKS
from air_pipeline_tests.instance.test_pruning import DAYS, KEPT, NOW, OLD, make_history, status
from air_pipeline_tests.many_servers import running_postgres

pytestmark = pytest.mark.slow

SETTINGS = """
telemetry: {enabled: false}
storage:
  postgres:
    postgres_db:
      scheme: postgresql+psycopg2
      hostname: {env: DAGSTER_POSTGRES_HOST}
      port: {env: DAGSTER_POSTGRES_PORT}
      db_name: {env: DAGSTER_POSTGRES_DB}
      username: {env: DAGSTER_POSTGRES_USER}
      password: {env: DAGSTER_POSTGRES_PASSWORD}
"""


@pytest.fixture
def server(monkeypatch):
    with running_postgres() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield variables


def asked(server, question, *values):
    names = {"host": "HOST", "port": "PORT", "dbname": "DB", "user": "USER"}
    named = {key: server[f"DAGSTER_POSTGRES_{name}"] for key, name in names.items()}
    with psycopg2.connect(**named) as database, database.cursor() as cursor:
        cursor.execute(question, values)
        return cursor.fetchall() if cursor.description else []


def made_old(server, runs):
    asked(server, "UPDATE runs SET end_time = %s WHERE run_id = ANY(%s)", (NOW - OLD).timestamp(), runs)
    then = (NOW - OLD).replace(tzinfo=None)
    asked(server, "UPDATE event_logs SET timestamp = %s WHERE run_id = '' OR run_id = ANY(%s)", then, runs)
    asked(server, "UPDATE asset_check_executions SET evaluation_event_timestamp = %s", then)


def test_what_is_old_goes_and_what_is_asked_for_stays(server, tmp_path):
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(SETTINGS)
    deployment = deployment_in(tmp_path, small_device("hall"), collector="external")
    seed(deployment, *DAYS)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        make_history(deployment, instance)
        young, *runs = [run.run_id for run in instance.get_runs()]
        under_way = instance.create_run_for_job(
            dg.job(name="unended")(lambda: None), status=dg.DagsterRunStatus.STARTED
        )
        instance.report_engine_event("it goes on", under_way)
        made_old(server, [*runs, under_way.run_id])
        before, of_young = status(instance), len(instance.all_logs(young))

        dry = prune(home, NOW, KEPT, dry=True)
        pruned = prune(home, NOW, KEPT)

        assert pruned.notes == dry.notes == []
        assert (pruned.runs, pruned.evaluations) == (dry.runs, dry.evaluations) == (2, 2 * len(CHECKS))
        assert pruned.reports == dry.reports == 2 * len(CHECKS) + 2 + 2  # raw_readings and devices, but for the last
        assert pruned.freed == dry.freed > 100_000
        assert status(instance) == before
        assert len(instance.all_logs(young)) == of_young
        kinds = {entry.dagster_event_type for run in runs for entry in instance.all_logs(run)}
        assert dg.DagsterEventType.ASSET_MATERIALIZATION in kinds
        assert dg.DagsterEventType.STEP_START not in kinds
        assert any("it goes on" in entry.message for entry in instance.all_logs(under_way.run_id))
        again = prune(home, NOW, KEPT)
        assert (again.runs, again.reports, again.notes) == (0, 0, [])
    deployment.store.close()


def test_a_database_that_is_away_or_not_named_is_said(server, tmp_path, monkeypatch):
    (tmp_path / "dagster.yaml").write_text(SETTINGS)
    monkeypatch.setenv("DAGSTER_POSTGRES_PORT", "1")
    [said] = prune(tmp_path, NOW, KEPT).notes
    assert "left for the next time" in said
    assert "connection" in said
    monkeypatch.delenv("DAGSTER_POSTGRES_PORT")
    [said] = prune(tmp_path, NOW, KEPT).notes
    assert "DAGSTER_POSTGRES_PORT" in said

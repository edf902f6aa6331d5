"""What Dagster loads, and from where."""

import ast
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from air_pipeline.automation.building import BEFORE_BACKFILLS
from air_pipeline.definitions import build_definitions, defs
from air_pipeline.health.measuring import OF_A_DAY
from air_pipeline.in_force import load_settings
from air_pipeline.instance.runs_of_days import TERMS_TAG
from air_pipeline.processing.columns import TABLES
from air_pipeline.settings import InfluxConnection, SettingsError
from air_pipeline.storage.day_files import built_days
from air_pipeline.storage.pages import PAGE, days_with_page
from air_pipeline_tests.assets.small_deployments import DAY, deployment_in, seed, small_device

ROOT = Path(__file__).parents[1]
QUEUED = dg.DagsterRunStatus.QUEUED
REPOSITORY = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("air_pipeline"), "__repository__")
ASSETS = ["devices", "raw_readings", *TABLES, PAGE]


@pytest.fixture
def deployment(tmp_path, monkeypatch):
    """A deployment that the environment names."""
    deployment = deployment_in(tmp_path)
    for name, value in deployment.environment.variables().items():
        monkeypatch.setenv(name, value)
    return deployment


def run(*arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, env={**environment, **variables}, cwd=ROOT, capture_output=True, text=True, check=False
    )


def specs(definitions):
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_they_are_loadable_and_complete(deployment):
    definitions = defs()
    dg.Definitions.validate_loadable(definitions)
    assert sorted(specs(definitions)) == sorted(ASSETS)
    assert {sensor.name for sensor in definitions.sensors} == {"collect", "notify"}
    assert {schedule.name for schedule in definitions.schedules} == {"build_days"}


def test_every_asset_says_what_it_is_whose_and_where_it_belongs(deployment):
    for name, spec in specs(build_definitions(deployment)).items():
        assert len(spec.description) > 60, name
        assert spec.kinds, name
        assert spec.owners, name
        assert spec.group_name == ("days" if name in {*TABLES, PAGE} else "collecting"), name


def test_the_job_says_whose_it_is_and_where_it_belongs(deployment):
    job = build_definitions(deployment).resolve_job_def("build_day")
    assert {**job.tags, TERMS_TAG: ""} == {
        "air_pipeline/group": "days",
        "air_pipeline/owner": "team:air",
        TERMS_TAG: "",
    }


@pytest.mark.parametrize("room", ["assets", "automation", "instance", "definitions"])
def test_every_module_of_dagster_s_rooms_names_the_concept_that_it_is_about(room):
    modules = [*files("air_pipeline").joinpath(room).glob("*.py")] or [files("air_pipeline").joinpath(f"{room}.py")]
    for module in modules:
        *_, last = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))).splitlines()
        assert re.fullmatch(r"For the underlying Dagster concept, see docs\.dagster\.io: [\w/ ]+\.", last), module


def test_every_table_has_its_columns_with_units(deployment):
    for name, spec in specs(build_definitions(deployment)).items():
        if name in {"devices", PAGE}:
            continue
        schema = spec.metadata["dagster/column_schema"]
        assert all(column.description for column in schema.columns), name
        assert any("[UTC]" in column.description for column in schema.columns), name
        if name in TABLES:
            assert [column.name for column in schema.columns] == list(TABLES[name].column_names)
            assert spec.metadata["dagster/uri"] == (deployment.data / name).as_uri()
    schema = specs(build_definitions(deployment))["raw_readings"].metadata["dagster/column_schema"]
    raw = {column.name: column for column in schema.columns}
    assert raw["dht22_temperature"].description.endswith("[°C]")
    assert "bmp180_pressure" not in raw  # the device has no such sensor


def test_every_check_says_what_it_means_and_those_of_the_form_of_tables_block(deployment):
    checks = [
        spec
        for asset in build_definitions(deployment).assets
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
    ]
    assert len(checks) == 12 + 2 + 3 + 3 + len(OF_A_DAY)
    for spec in checks:
        assert spec.description.endswith("."), spec.name
        warns = spec.name in {check.name for check in OF_A_DAY}
        assert spec.blocking is (spec.asset_key.to_user_string() in TABLES and not warns), spec.name


def test_the_ui_says_how_fresh_readings_and_days_are(tmp_path, deployment):
    of = specs(build_definitions(deployment))
    readings, days = of["raw_readings"].freshness_policy, of["daily_aggregates"].freshness_policy
    assert readings.fail_window.to_timedelta() == timedelta(hours=6)  # devices are due every hour
    assert (days.deadline_cron, days.timezone) == ("15 2 * * *", "Europe/Warsaw")  # grace, and two hours
    (tmp_path / "often").mkdir()
    often = deployment_in(tmp_path / "often", small_device("hall", interval="10s"))
    policy = specs(build_definitions(often))["raw_readings"].freshness_policy
    assert policy.warn_window.to_timedelta() == timedelta(minutes=45)  # three reports


def test_collecting_building_and_telling_run_by_default(deployment):
    definitions = build_definitions(deployment)
    for sensor in ("collect", "notify"):
        assert definitions.resolve_sensor_def(sensor).default_status is dg.DefaultSensorStatus.RUNNING
    assert definitions.resolve_schedule_def("build_days").default_status is dg.DefaultScheduleStatus.RUNNING


def test_the_kind_of_raw_readings_is_that_of_the_store(deployment):
    environment = replace(
        deployment.environment, influxdb=InfluxConnection("http://localhost:8086", "secret", "home", "air")
    )
    on_influxdb = build_definitions(replace(deployment, environment=environment))
    assert specs(build_definitions(deployment))["raw_readings"].kinds == {"sqlite"}
    spec = specs(on_influxdb)["raw_readings"]
    assert spec.kinds == {"influxdb"}
    assert spec.metadata["store"] == "InfluxDB at http://localhost:8086, org home, bucket air"
    assert "secret" not in str(spec.metadata)


def test_partitions_are_the_local_dates_from_start_on(deployment):
    spec = specs(build_definitions(deployment))["observations"]
    assert spec.partitions_def.get_first_partition_key() == "2026-03-01"
    assert spec.partitions_def.timezone == "Europe/Warsaw"


def test_an_invalid_configuration_leaves_the_last_valid_one_in_force(deployment):
    load_settings(deployment.environment.config, deployment.environment.state)
    deployment.environment.config.write_text("timezone: Europe/Warsaw\nstrat: 2026-03-01\n")
    assert sorted(specs(defs())) == sorted(ASSETS)


def test_without_any_valid_configuration_there_is_one_sentence(deployment):
    deployment.environment.config.unlink()
    with pytest.raises(SettingsError) as raised:
        defs()
    assert str(raised.value) == (
        f"{deployment.environment.config}: there is no such file; air-pipeline init writes one, or name another in"
        " AIR_PIPELINE_CONFIG"
    )


def test_loading_imports_nothing_that_is_slow(deployment):
    code = (
        "import sys; from air_pipeline.definitions import defs; defs();"
        "slow = {'numpy', 'PIL', 'pandas', 'pyarrow', 'pandera', 'influxdb_client', 'requests'};"
        "print(slow & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_workspace_of_the_root_is_that_of_the_package():
    root = (ROOT / "workspace.yaml").read_text(encoding="utf-8")
    assert root == files("air_pipeline").joinpath("workspace.yaml").read_text(encoding="utf-8")


def test_the_instance_of_the_root_is_that_of_the_package_and_opens(tmp_path):
    root = (ROOT / "dagster.yaml").read_text(encoding="utf-8")
    assert root == files("air_pipeline").joinpath("dagster.yaml").read_text(encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text(root, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert not instance.telemetry_enabled
        assert instance.run_retries_enabled
        assert not instance.run_retries_max_retries > 2
        assert instance.run_monitoring_enabled
        queue = instance.get_concurrency_config().run_queue_config
        assert queue.max_concurrent_runs == 2
        assert queue.tag_concurrency_limits == [
            {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
        ]
        assert instance.run_coordinator.dequeue_interval_seconds == 1


def test_no_day_is_built_twice_at_once_and_scheduled_ones_go_first(tmp_path):
    """What Dagster's daemon would launch of a queue, on the instance of the root."""
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:

        def queued(day, **tags):
            origin = RemoteJobOrigin(REPOSITORY, "build_day")
            tags = {PARTITION_NAME_TAG: day, **tags}
            run = dg.DagsterRun("build_day", status=QUEUED, tags=tags, remote_job_origin=origin)
            return instance.run_storage.add_run(run).run_id

        backfill = [queued("2026-03-01"), queued("2026-03-02")]
        scheduled = [queued("2026-03-03", **BEFORE_BACKFILLS), queued("2026-03-03", **BEFORE_BACKFILLS)]
        daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
        config = instance.get_concurrency_config()
        chosen = [run.run_id for run in daemon._get_runs_to_dequeue(instance, config, None)]
        assert chosen == [scheduled[0], backfill[0]]


def test_the_workspace_of_the_root_names_the_definitions(deployment):
    from dagster._core.workspace.load import location_origins_from_yaml_paths

    [origin] = location_origins_from_yaml_paths([str(ROOT / "workspace.yaml")])
    assert origin.location_name == "air_pipeline"
    assert origin.loadable_target_origin.module_name == "air_pipeline.definitions"


@pytest.mark.parametrize(
    "home",
    [pytest.param(False, id="without a home"), pytest.param(True, id="with a home", marks=pytest.mark.slow)],
)
def test_dagster_s_own_command_builds_a_past_day(deployment, tmp_path, home):
    seed(deployment, DAY)
    variables = {}
    if home:
        (tmp_path / "home").mkdir()
        variables["DAGSTER_HOME"] = str(tmp_path / "home")
    result = run(
        *("dagster", "asset", "materialize", "-m", "air_pipeline.definitions"),
        *("--select", ",".join([*TABLES, PAGE]), "--partition", DAY.isoformat()),
        **variables,
    )
    assert result.returncode == 0, result.stderr
    for table in TABLES:
        assert built_days(deployment.data, table) == [DAY]
    assert days_with_page(deployment.data) == [DAY]
    if home:
        with dg.DagsterInstance.from_config(variables["DAGSTER_HOME"]) as instance:
            assert instance.get_materialized_partitions(dg.AssetKey("daily_aggregates")) == {DAY.isoformat()}

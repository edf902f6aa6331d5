"""What deploy/many says fits what one machine has, and fits together."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from air_pipeline_tests.deploy.test_units import DEPLOY, OWN, options

MANY = DEPLOY / "many"
ROOT = DEPLOY.parent
WORKER = MANY / "air-pipeline-worker.service"
INSTANCE = yaml.safe_load((MANY / "dagster.yaml").read_text(encoding="utf-8"))
ONE = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
VARIABLES = dict(
    line.split("=", 1)
    for line in (MANY / "environment").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def named(said):
    """The variables that an instance's configuration names."""
    if isinstance(said, dict):
        return {said["env"]} if set(said) == {"env"} else set().union(*map(named, said.values()))
    return set()


def locked(name):
    """Package to version in a lock."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==([\w.]+)", text, re.MULTILINE))


def test_the_instance_differs_in_nothing_but_where_things_are_kept_and_run():
    kept = {"storage", "run_launcher", "compute_logs", "run_coordinator"}
    assert INSTANCE.keys() - kept == ONE.keys() - {"run_queue"}
    assert INSTANCE["run_coordinator"]["config"] == ONE["run_queue"]
    for part in ONE.keys() - {"concurrency", "run_monitoring", "run_queue"}:
        assert INSTANCE[part] == ONE[part], part
    limits = [said["concurrency"]["runs"]["tag_concurrency_limits"] for said in (INSTANCE, ONE)]
    assert limits[0] == limits[1]
    more = {"poll_interval_seconds": 30, "max_resume_run_attempts": 0}
    assert INSTANCE["run_monitoring"] == ONE["run_monitoring"] | more


def test_every_variable_of_the_instance_is_in_the_environment():
    assert named(INSTANCE) <= set(VARIABLES)
    assert {name for name in VARIABLES if name.startswith(("DAGSTER_POSTGRES_", "DAGSTER_LOGS_", "CELERY_"))} <= named(
        INSTANCE
    )


def test_what_runs_print_is_on_the_machine_where_it_is_pruned_and_not_among_the_days_elsewhere():
    assert INSTANCE["compute_logs"]["class"] == "S3ComputeLogManager"
    assert VARIABLES["DAGSTER_LOGS_DIR"] == f"{VARIABLES['DAGSTER_HOME']}/storage"
    kept = f"s3://{VARIABLES['DAGSTER_LOGS_BUCKET']}/{VARIABLES['DAGSTER_LOGS_PREFIX']}/"
    assert not kept.startswith(f"{VARIABLES['AIR_PIPELINE_DATA']}/")


def test_the_worker_is_a_unit_as_the_others_are():
    others = options(DEPLOY / "air-pipeline.service")
    mine = options(WORKER)
    own = OWN | {"Documentation", "EnvironmentFile"}
    assert {k: v for k, v in mine.items() if k not in own} == {k: v for k, v in others.items() if k not in own}
    assert mine["Restart"] == ["always"]  # Celery ends when its broker does


def test_it_runs_celery_with_options_that_it_has():
    [line] = options(WORKER)["ExecStart"]
    program, *arguments = line.split()
    celery = Path(sys.executable).with_name(Path(program).name)
    command = [str(celery), "-A", "dagster_celery.app", "worker", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for argument in arguments:
        if argument.startswith("--"):
            assert argument.partition("=")[0] in known


def test_the_servers_keep_what_they_have_and_listen_to_nobody_unasked():
    services = yaml.safe_load((MANY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"postgres", "redis", "influxdb"}
    for name, service in services.items():
        assert service["volumes"], name
        assert all(port.startswith("${LISTEN:-127.0.0.1}:") for port in service["ports"]), name
    assert "--appendonly yes --appendfsync always" in services["redis"]["command"]


def test_the_extra_is_in_step_with_dagster():
    """0.29 is of 1.13, and so on; and the lock of the extras has the core's versions."""
    core, many = locked("requirements.lock"), locked("requirements-many.lock")
    _, minor, patch = core["dagster"].split(".")
    for name in ("dagster-aws", "dagster-celery", "dagster-postgres"):
        assert many[name] == f"0.{int(minor) + 16}.{patch}"
    assert {name: many.get(name, version) for name, version in core.items()} == core

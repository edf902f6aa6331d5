"""The samples for Kubernetes: each object by Kubernetes' own schema, and the Job that Dagster makes of a run by them.

No cluster is there: what a chart makes of its values, and how pods fare, is not tried.
"""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from air_pipeline.environment import read_environment
from air_pipeline.settings.file import parse_settings
from air_pipeline.settings.marks import parse_marks
from air_pipeline_tests.waiting import WITHIN_S

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "deploy/k8s"
KUBERNETES = "1.34"
"""By whose schema the samples are checked."""
VALUES: dict[str, Any] = yaml.safe_load((SAMPLES / "values.yaml").read_text(encoding="utf-8"))
OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    (one["kind"], one["metadata"]["name"]): one
    for file in ("settings.yaml", "collectors.yaml")
    for one in yaml.safe_load_all((SAMPLES / file).read_text(encoding="utf-8"))
}
COLLECTORS = OBJECTS["StatefulSet", "edge"]
ENVIRONMENT = OBJECTS["ConfigMap", "air-pipeline"]["data"] | OBJECTS["Secret", "air-pipeline"]["stringData"]


def code_server() -> dict[str, Any]:
    """What the values say of the code server."""
    [found] = VALUES["dagster-user-deployments"]["deployments"]
    return found


def launcher() -> dict[str, Any]:
    """What the values say of runs."""
    return VALUES["runLauncher"]["config"]["k8sRunLauncher"]


@pytest.mark.parametrize("name", OBJECTS, ids="-".join)
def test_each_object_is_one_of_kubernetes(name: tuple[str, str]) -> None:
    kubernetes_validate.validate(OBJECTS[name], KUBERNETES, strict=True)


def test_each_pod_collects_from_devices_of_its_name_and_no_device_is_of_another() -> None:
    devices = OBJECTS["ConfigMap", "air-pipeline-devices"]["data"]
    settings = parse_settings(devices["devices.yaml"])
    pods = {f"{COLLECTORS['metadata']['name']}-{number}" for number in range(COLLECTORS["spec"]["replicas"])}
    assert set(settings.collectors) == pods
    assert settings.collector == "external"
    assert parse_marks(devices["marks.yaml"], "marks.yaml", settings) == ()
    [container] = COLLECTORS["spec"]["template"]["spec"]["containers"]
    [name] = [one for one in container["env"] if one["name"] == "AIR_PIPELINE_COLLECTOR"]
    assert name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_what_pods_are_told_is_what_the_program_reads() -> None:
    environment = read_environment(ENVIRONMENT | {"AIR_PIPELINE_COLLECTOR": "edge-0"})
    assert environment.influxdb is not None
    assert environment.collector == "edge-0"
    paths = (environment.config.parent, environment.state.path, environment.data)
    pod = COLLECTORS["spec"]["template"]["spec"]
    claims = {one["metadata"]["name"] for one in COLLECTORS["spec"]["volumeClaimTemplates"]}
    for mounts, volumes, wanted in (
        (pod["containers"][0]["volumeMounts"], pod["volumes"], paths[:2]),
        (code_server()["volumeMounts"], code_server()["volumes"], paths),
        (launcher()["volumeMounts"], launcher()["volumes"], paths),
    ):
        assert {one["mountPath"] for one in mounts} == set(map(str, wanted))
        known = {one["name"] for one in volumes} | (claims if volumes is pod["volumes"] else set())
        assert {one["name"] for one in mounts} == known


def test_runs_are_queued_and_tried_again_as_on_many_machines() -> None:
    many = yaml.safe_load((ROOT / "deploy" / "many" / "dagster.yaml").read_text(encoding="utf-8"))
    daemon = VALUES["dagsterDaemon"]
    queue = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert queue["maxConcurrentRuns"] == many["concurrency"]["runs"]["max_concurrent_runs"]
    assert queue["tagConcurrencyLimits"] == many["concurrency"]["runs"]["tag_concurrency_limits"]
    retries = {
        re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): it for name, it in daemon["runRetries"].items()
    }
    assert retries == many["run_retries"]


def test_only_what_is_there_is_referred_to() -> None:
    text = json.dumps([VALUES, *OBJECTS.values()])
    claims = set(re.findall(r'"claimName": "([^"]+)"', text))
    assert claims == {name for kind, name in OBJECTS if kind == "PersistentVolumeClaim"}
    pod = COLLECTORS["spec"]["template"]["spec"]
    maps = {one["name"] for where in (code_server(), launcher()) for one in where["envConfigMaps"]}
    volumes = [volume for where in (code_server(), launcher(), pod) for volume in where["volumes"]]
    maps |= {one["configMap"]["name"] for one in volumes if "configMap" in one}
    maps |= {one["configMapRef"]["name"] for one in pod["containers"][0]["envFrom"] if "configMapRef" in one}
    assert maps == {name for kind, name in OBJECTS if kind == "ConfigMap"}
    secrets = {one["name"] for where in (code_server(), launcher()) for one in where["envSecrets"]}
    assert secrets == {name for kind, name in OBJECTS if kind == "Secret"}
    image = "{repository}:{tag}".format(**code_server()["image"])
    assert pod["containers"][0]["image"] == image
    assert f"-t {image} " in (SAMPLES / "Containerfile").read_text(encoding="utf-8")


def test_the_chart_is_that_of_the_locked_dagster() -> None:
    [version] = re.findall(r"^dagster==(\S+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    said = (SAMPLES / "values.yaml").read_text(encoding="utf-8")
    assert f"--version {version} " in said
    [extra] = re.findall(r"dagster-k8s>=([0-9.]+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    core, libraries = version.split("."), extra.split(".")
    assert (int(core[1]) + 16, core[2]) == (int(libraries[1]), libraries[2])  # 1.13.27 goes with 0.29.27


class Api(http.server.ThreadingHTTPServer):
    """As much of Kubernetes' API as takes Jobs, and keeps them."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), _Asked)


class _Asked(http.server.BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.jobs.append((self.path, json.loads(body)))
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as in http.server
        """Says nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def instance_of_the_chart(kubeconfig: Path) -> dict[str, Any]:
    """The `run_launcher` that the chart writes of its values, but for how the API is reached; runs are not queued."""
    said = launcher()
    image = code_server()["image"]
    return {
        "run_launcher": {
            "module": "dagster_k8s",
            "class": "K8sRunLauncher",
            "config": {
                "load_incluster_config": False,
                "kubeconfig_file": str(kubeconfig),
                "job_image": f"{image['repository']}:{image['tag']}",
                "job_namespace": said["jobNamespace"],
                "image_pull_policy": said["imagePullPolicy"],
                "service_account_name": "dagster",
                "dagster_home": "/opt/dagster/dagster_home",
                "instance_config_map": "dagster-instance",
                "postgres_password_secret": "dagster-postgresql-secret",
                "env_config_maps": [one["name"] for one in said["envConfigMaps"]],
                "env_secrets": [one["name"] for one in said["envSecrets"]],
                "env_vars": said["envVars"],
                "volume_mounts": said["volumeMounts"],
                "volumes": said["volumes"],
                "run_k8s_config": {"pod_spec_config": said["runK8sConfig"]["podSpecConfig"]},
            },
        },
        "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
        "telemetry": {"enabled": False},
    }


@pytest.mark.slow
def test_a_run_becomes_a_job_of_kubernetes_with_all_that_it_needs(tmp_path: Path, api: Api) -> None:
    cluster = {"server": f"http://127.0.0.1:{api.server_address[1]}"}
    context = {"cluster": "stub", "user": "stub"}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "stub", "cluster": cluster}],
        "users": [{"name": "stub", "user": {"token": "none"}}],
        "contexts": [{"name": "stub", "context": context}],
        "current-context": "stub",
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance_of_the_chart(tmp_path / "kubeconfig")), "utf-8")
    (tmp_path / "devices.yaml").write_text(
        OBJECTS["ConfigMap", "air-pipeline-devices"]["data"]["devices.yaml"], encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "job", "launch", "-m", "air_pipeline.definitions", "-j", "build_day"],
        env={
            **os.environ,
            "DAGSTER_HOME": str(tmp_path),
            "AIR_PIPELINE_CONFIG": str(tmp_path / "devices.yaml"),
            "AIR_PIPELINE_STATE": str(tmp_path / "state"),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [(path, job)] = api.jobs
    assert path == f"/apis/batch/v1/namespaces/{launcher()['jobNamespace']}/jobs"
    kubernetes_validate.validate(job, KUBERNETES, strict=True)
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == COLLECTORS["spec"]["template"]["spec"]["containers"][0]["image"]
    assert container["args"][:3] == ["dagster", "api", "execute_run"]
    assert {one["configMapRef"]["name"] for one in container["envFrom"] if "configMapRef" in one} == {"air-pipeline"}
    assert {one["secretRef"]["name"] for one in container["envFrom"] if "secretRef" in one} == {"air-pipeline"}
    assert pod["securityContext"] == code_server()["podSecurityContext"]
    mounted = {one["mountPath"] for one in container["volumeMounts"]}
    assert {one["mountPath"] for one in launcher()["volumeMounts"]} <= mounted
    claims = {one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one}
    assert claims == {"air-pipeline-data"}

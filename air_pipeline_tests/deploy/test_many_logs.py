"""What runs print is where deploy/many/dagster.yaml says, and a store that does not take it fails no run."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from air_pipeline.places import ObjectAddress
from air_pipeline_tests.deploy.test_many import INSTANCE, WORKER
from air_pipeline_tests.object_store import ObjectStore
from air_pipeline_tests.running_pipeline import dead_port

_RUN = """
import dagster as dg

@dg.op
def step():
    print("said by a step")

@dg.job
def job():
    step()

instance = dg.DagsterInstance.get()
result = job.execute_in_process(instance=instance, raise_on_error=False)
print("succeeded" if result.success else "failed")
print([entry.user_message for entry in instance.all_logs(result.run_id)])
"""
_WHAT_CELERY_DOES = """
import logging
from celery.utils.log import LoggingProxy
import sys

sys.stdout = LoggingProxy(logging.getLogger("celery.redirected"))
"""


def ran(home: Path, store: dict[str, str], before: str = "") -> str:
    """What a process says that has made a run with this part of the instance, and SQLite instead of the servers."""
    (home / "dagster.yaml").write_text(yaml.safe_dump({"compute_logs": INSTANCE["compute_logs"]}), encoding="utf-8")
    mine = {"DAGSTER_HOME": str(home), "DAGSTER_LOGS_DIR": str(home / "storage"), "DAGSTER_LOGS_PREFIX": "of/logs"}
    done = subprocess.run(
        [sys.executable, "-c", before + _RUN],
        env={**os.environ, **store, **mine},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def printed(home: Path) -> dict[str, str]:
    """What is left of the output of runs on the machine that made them, by the ending of its file."""
    return {path.suffix: path.read_text(encoding="utf-8") for path in home.glob("storage/*/compute_logs/*.*")}


def new_bucket(objects: ObjectStore) -> str:
    """The name of a bucket with nothing in it."""
    return urlsplit(objects.bucket().url).netloc


def puts(objects: ObjectStore) -> list[str]:
    """The objects that were put, without their bucket."""
    return [one.split("/", 2)[2] for one in objects.asked if one.startswith("PUT ")]


def test_what_a_run_prints_is_below_the_prefix_and_nothing_is_left_on_the_machine(
    tmp_path: Path, objects: ObjectStore
) -> None:
    bucket = new_bucket(objects)
    ran(tmp_path, {**objects.variables, "DAGSTER_LOGS_BUCKET": bucket})
    out, err = puts(objects)
    assert out.startswith("of/logs/storage/")
    assert (out[-4:], err[-4:]) == (".out", ".err")
    assert objects.read(ObjectAddress(f"s3://{bucket}/{out}")) == b"said by a step\n"
    assert b"STEP_SUCCESS" in objects.read(ObjectAddress(f"s3://{bucket}/{err}"))
    assert printed(tmp_path) == {}


@pytest.mark.parametrize("why", ["nobody listens", "no such bucket"])
def test_a_store_that_does_not_take_it_fails_no_run_and_is_told_by_an_event(
    why: str, tmp_path: Path, objects: ObjectStore
) -> None:
    store = {**objects.variables, "DAGSTER_LOGS_BUCKET": "nowhere", "AWS_MAX_ATTEMPTS": "1"}
    if why == "nobody listens":
        store["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{dead_port()}"
    said = ran(tmp_path, store)
    assert "succeeded" in said
    assert "Exception while cleaning up compute log capture" in said
    assert printed(tmp_path)[".out"] == "said by a step\n"  # and it is still here


def test_the_worker_leaves_what_runs_print_to_them(tmp_path: Path, objects: ObjectStore) -> None:
    """As Celery puts a logger in the place of what a process prints to, of which nothing would be kept."""
    assert " -- worker.redirect_stdouts=no\n" in WORKER.read_text(encoding="utf-8")
    bucket = new_bucket(objects)
    ran(tmp_path, {**objects.variables, "DAGSTER_LOGS_BUCKET": bucket}, _WHAT_CELERY_DOES)
    out, _ = puts(objects)
    assert objects.read(ObjectAddress(f"s3://{bucket}/{out}")) == b""

"""Runs on many machines are told under which settings they are to build, whoever launches them."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.storage.tags import PARTITION_NAME_TAG

from air_pipeline.days.terms import Terms, check_terms, terms_now
from air_pipeline.deployment import Deployment
from air_pipeline.instance.runs_of_days import TERMS_TAG
from air_pipeline_tests.assets.small_deployments import DAY, deployment_in, small_device
from air_pipeline_tests.deploy.test_units import DEPLOY

COORDINATOR = yaml.safe_load((DEPLOY / "many" / "dagster.yaml").read_text(encoding="utf-8"))["run_coordinator"]


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment that the environment names."""
    made = deployment_in(tmp_path)
    for name, value in made.environment.variables().items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One whose runs are queued as in deploy/many."""
    (tmp_path / "dagster").mkdir()
    overrides = {"telemetry": {"enabled": False}, "run_coordinator": COORDINATOR}
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster"), overrides=overrides) as made:
        yield made


def queued(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    """A run of a day as it lies in the queue."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("air_pipeline"), "__repository__")
    run = instance.run_storage.add_run(
        dg.DagsterRun(
            "__ASSET_JOB",
            tags={PARTITION_NAME_TAG: DAY.isoformat(), **tags},
            remote_job_origin=RemoteJobOrigin(repository, "__ASSET_JOB"),
        )
    )
    return instance.run_coordinator.submit_run(SubmitRunContext(run, cast("Any", None)))


def test_a_run_that_nobody_told_is_told_what_is_in_force_when_it_is_queued(
    head: Deployment, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run = queued(instance)
    assert run.status is dg.DagsterRunStatus.QUEUED
    assert Terms.from_text(run.tags[TERMS_TAG]) == terms_now(head)
    check_terms(run.tags[TERMS_TAG], head)

    edited = deployment_in(tmp_path, small_device("hall"), small_device("attic"))
    assert Terms.from_text(queued(instance).tags[TERMS_TAG]) == terms_now(edited) != terms_now(head)


def test_one_that_was_told_keeps_what_it_was_told(head: Deployment, instance: dg.DagsterInstance) -> None:
    assert queued(instance, **{TERMS_TAG: "of before"}).tags[TERMS_TAG] == "of before"


def test_where_there_are_no_settings_it_is_queued_as_it_is(
    head: Deployment, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(head.environment.config.with_name("nothing.yaml")))
    with caplog.at_level(logging.WARNING, "dagster"):
        run = queued(instance)
    assert run.status is dg.DagsterRunStatus.QUEUED
    assert TERMS_TAG not in run.tags
    assert "is not told under which settings it is to build" in caplog.text

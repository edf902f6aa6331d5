"""What many machines share is named where it does not answer: the object store with the days, who hands runs over."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from air_pipeline.assets.checks import days_checks
from air_pipeline.deployment import Deployment
from air_pipeline.health import Finding, Level
from air_pipeline.health import seen as seeing
from air_pipeline.health.answering import objects_answering, runs_taken
from air_pipeline.health.days import days_built, days_rebuilt
from air_pipeline.health.seen import Seen, seen_by_dagster
from air_pipeline.instance import handing_over
from air_pipeline.instance.checks import with_dagster
from air_pipeline.instance.handing_over import TAKEN_WITHIN, handed_over
from air_pipeline.notifying.looking import day_summary
from air_pipeline_tests.assets.small_deployments import NOON, deployment_in, small_device
from air_pipeline_tests.many_servers import Server, running_redis
from air_pipeline_tests.object_store import ObjectStore
from air_pipeline_tests.waiting import WITHIN_S, wait_for

MANY = Path(__file__).parents[2] / "deploy" / "many"
SHARED = {"collector": "external", "start": "2026-03-18"}


@pytest.fixture
def deployment(tmp_path: Path, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """One whose days are in an object store, which has all the time that a slow machine takes."""
    monkeypatch.setattr(seeing, "OBJECTS_WITHIN_S", WITHIN_S)
    here = deployment_in(tmp_path, small_device("hall"), **SHARED)
    return replace(here, environment=replace(here.environment, data=objects.bucket()))


def found(deployment: Deployment) -> Finding:
    """What the check of the object store finds."""
    seen = seen_by_dagster(deployment)
    return objects_answering.summary(list(objects_answering.findings(seen)), seen.now)


def test_an_object_store_that_answers_is_well(deployment: Deployment) -> None:
    one = found(deployment)
    assert (one.level, one.text) == (Level.OK, f"{deployment.environment.data} answers")


def test_one_that_does_not_is_named_with_what_to_do_and_without_who_asks(
    deployment: Deployment, objects: ObjectStore
) -> None:
    objects.meanwhile = lambda _asked, _environ: 503
    one = found(deployment)
    assert one.level is Level.FAILURE
    assert one.text.startswith(f"{deployment.environment.data} does not answer (")
    assert one.remedy.startswith("is the object store up")
    assert "s3cret" not in f"{one}"
    objects.meanwhile = lambda _asked, _environ: None
    assert found(deployment).level is Level.OK


def test_one_that_hangs_is_asked_once_and_not_waited_for_by_each_check(
    deployment: Deployment, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeing, "OBJECTS_WITHIN_S", 0.2)
    hangs = True
    objects.asked.clear()
    objects.meanwhile = lambda _asked, _environ: wait_for(lambda: not hangs, "the end of the test") and None
    seen = seen_by_dagster(deployment)
    [one] = objects_answering.findings(seen)
    assert one.text == f"{deployment.environment.data} gives no answer within 0.2 s"
    for check in (days_built, days_rebuilt):
        assert [other.level for other in check.findings(seen)] == [Level.UNKNOWN]
    assert day_summary(seen)[0].startswith(one.text)  # of a digest that is due
    wait_for(lambda: objects.asked, "the one request")
    hangs = False
    assert set(objects.asked) == {"GET " + deployment.environment.data.url.removeprefix("s3:/") + "/days/store"}


def test_a_deployment_on_one_machine_has_neither_check(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    here = deployment_in(tmp_path, small_device("hall"), **SHARED)
    seen = seen_by_dagster(here, look_at_launcher=lambda: handed_over(here.environment, instance, NOON))
    assert [*objects_answering.findings(seen), *runs_taken.findings(seen)] == []
    assert names_of(here).isdisjoint({"objects_answering", "runs_taken"})


def names_of(deployment: Deployment) -> set[str]:
    """The names of the checks that Dagster shows."""
    return {key.name for one in days_checks(deployment) for key in one.check_keys}


def test_where_there_are_an_object_store_and_workers_dagster_shows_both(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(MANY / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert names_of(deployment) >= {"objects_answering", "runs_taken"}


@contextmanager
def handing_over_by(home: Path, broker: str) -> Iterator[dg.DagsterInstance]:
    """An instance whose runs are handed over by a broker."""
    launcher = {
        "module": "dagster_celery.launcher",
        "class": "CeleryRunLauncher",
        "config": {"broker": broker, "backend": broker},
    }
    home.mkdir()
    said = "telemetry: {enabled: false}\nrun_launcher: " + json.dumps(launcher)
    (home / "dagster.yaml").write_text(said, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.all_instigator_state()  # of which the file is made at its first use
        yield instance


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(handing_over, "BROKER_WITHIN_S", WITHIN_S)
    with running_redis(tmp_path / "redis") as server:
        yield server


@pytest.mark.slow
def test_a_redis_that_is_away_and_runs_that_nobody_takes_are_named(
    redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "handing over"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with handing_over_by(home, f"redis://:s3cret@127.0.0.1:{redis.port}/0") as instance:
        name = f"redis://:**@127.0.0.1:{redis.port}/0"
        environment = deployment_in(tmp_path, **SHARED).environment

        def look(later: timedelta = timedelta()) -> Finding:
            """What `doctor` sees."""
            [one] = runs_taken.findings(with_dagster(Seen(environment, datetime.now(UTC) + later)))
            return one

        assert (look().level, look().text) == (Level.OK, f"{name} answers, and no run waits for a worker")
        instance.add_run(dg.DagsterRun("build_day", status=dg.DagsterRunStatus.STARTING))
        assert look().level is Level.OK  # not for long
        one = look(TAKEN_WITHIN + timedelta(minutes=1))
        assert one.level is Level.WARNING
        assert one.text.startswith(f"{name} answers, and 1 run has been waiting for a worker since ")

        redis.pause()
        monkeypatch.setattr(handing_over, "BROKER_WITHIN_S", 0.2)
        assert look().text == f"{name}, which hands runs over, does not answer (nothing within 0.2 s)"
        monkeypatch.setattr(handing_over, "BROKER_WITHIN_S", WITHIN_S)
        redis.kill()
        one = look()
        assert (one.level, "Connection refused" in one.text) == (Level.FAILURE, True)
        assert "s3cret" not in f"{one}"
        redis.start()
        assert look().level is Level.OK

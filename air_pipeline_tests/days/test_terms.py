"""What a worker does of which the code server has other settings or versions, on one machine and on two."""

import json
import re
from dataclasses import replace
from datetime import date

import pytest

from air_pipeline.days import terms
from air_pipeline.days.terms import OtherTerms, check_terms, terms_now
from air_pipeline.definitions import build_definitions
from air_pipeline.instance.runs_of_days import AGAIN_TAG, TERMS_TAG
from air_pipeline.settings import EVERY_SERIES, Mark
from air_pipeline_tests.assets.small_deployments import (
    DAY,
    build,
    deployment_in,
    failures,
    real_instance,
    seed,
    small_device,
)


@pytest.fixture
def home(tmp_path):
    """A function that gives the deployment of a machine, with a state directory."""

    def home(name, *devices, **more):
        (tmp_path / name).mkdir(exist_ok=True)
        made = deployment_in(tmp_path / name, *devices, **more)
        made.environment.state.make()
        return made

    return home


@pytest.fixture
def code_server(home):
    return home("code-server")


def told(deployment):
    return terms_now(deployment).to_text()


def test_a_worker_elsewhere_with_the_same_files_builds(home, code_server):
    check_terms(told(code_server), home("worker"))


def test_a_run_that_nobody_told_anything_builds_what_there_is(home):
    check_terms(None, home("worker"))


@pytest.mark.parametrize(
    ("devices", "more"),
    [
        ([small_device("hall", expected_range={"dht22_temperature": [5, 40]})], {}),
        ([small_device("hall"), small_device("attic")], {}),
        ([], {"timezone": "Asia/Tokyo"}),
        ([], {"start": "2026-02-01"}),
        ([], {"interval": "30m"}),
    ],
)
def test_a_worker_elsewhere_with_another_devices_yaml_does_not(home, code_server, devices, more):
    worker = home("worker", *devices, **more)
    with pytest.raises(OtherTerms) as caught:
        check_terms(told(code_server), worker)
    said = str(caught.value)
    for deployment in (worker, code_server):
        assert str(deployment.environment.config) in said
        assert terms_now(deployment).settings in said
    assert "give both the same files" in said


def test_nor_one_with_other_marks(home, code_server):
    worker = home("worker")
    mark = Mark("hall", EVERY_SERIES, 0, 1, "bad", "in the fridge")
    with pytest.raises(OtherTerms, match=re.escape("marks.yaml")):
        check_terms(told(code_server), replace(worker, settings=replace(worker.settings, marks=(mark,))))


@pytest.mark.parametrize(
    ("name", "says"), [("SCHEMA_VERSION", "columns 99"), ("RULE_SET_VERSION", "rules 99"), ("version", "pipeline 99")]
)
def test_nor_one_with_another_version(home, code_server, monkeypatch, name, says):
    asked = told(code_server)
    monkeypatch.setattr(terms, name, (lambda _: "99") if name == "version" else "99")
    with pytest.raises(OtherTerms, match=f"this worker has .*{says}.*, and the code server .*install the same"):
        check_terms(asked, home("worker"))


@pytest.mark.parametrize("text", ["", "{", "3", '{"settings": "x"}', '{"more": 1}'])
def test_nor_one_that_does_not_understand_what_it_is_told(home, text):
    with pytest.raises(OtherTerms, match="install the version of air_pipeline here that the code server has"):
        check_terms(text, home("worker"))


def test_what_changed_while_a_run_was_queued_is_no_failure_on_one_machine(home, code_server, monkeypatch):
    """A file that is edited, a program that is updated: the run has what is in force when it begins."""
    asked = told(code_server)
    edited = home("code-server", small_device("hall"), small_device("attic"))
    assert terms_now(edited).settings != json.loads(asked)["settings"]
    monkeypatch.setattr(terms, "RULE_SET_VERSION", "99")
    check_terms(asked, edited)


def test_two_machines_without_a_state_directory_are_not_one(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    asked = told(deployment_in(here))
    with pytest.raises(OtherTerms):
        check_terms(asked, deployment_in(there, small_device("attic")))


def test_a_run_on_such_a_worker_says_so_and_its_day_is_asked_for_again(home, code_server, tmp_path):
    worker = home("worker", small_device("attic"))
    seed(worker, DAY)
    with real_instance(tmp_path) as instance:
        result = build(worker, instance, tags={TERMS_TAG: told(code_server)}, only=["observations"])
        assert "is not that of the code server" in failures(result)["observations"]
        assert instance.get_run_by_id(result.run_id).tags[AGAIN_TAG] == "true"
        assert failures(build(worker, instance, tags={TERMS_TAG: told(worker)}, only=["observations"])) == {}

        many = build_definitions(worker).resolve_job_def("build_range")
        config = {"ops": {"days": {"config": {"from": str(DAY), "to": str(date(2026, 3, 11))}}}}
        asked = many.execute_in_process(
            instance=instance, raise_on_error=False, run_config=config, tags={TERMS_TAG: told(code_server)}
        )
        assert "is not that of the code server" in failures(asked)["days"]


def test_every_run_of_a_job_of_ours_is_told(code_server):
    definitions = build_definitions(code_server)
    for name in ("build_day", "build_range"):
        assert definitions.resolve_job_def(name).tags[TERMS_TAG] == told(code_server)

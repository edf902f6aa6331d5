"""Which days the schedule `build_days` asks for: missing ones, changed ones, those that failed."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from shutil import copytree, rmtree

import pytest

from air_pipeline.automation import building
from air_pipeline.days.choosing import MOST_RUNS
from air_pipeline.days.compared import Compared, read_compared, under_now, write_compared
from air_pipeline.days.terms import terms_now
from air_pipeline.deployment import present as present_deployment
from air_pipeline.instance.runs_of_days import AGAIN_TAG, DAYS_TAG, FINGERPRINT_TAG, TERMS_TAG, days_to_text
from air_pipeline.processing.columns import TABLES
from air_pipeline.settings import InfluxConnection
from air_pipeline_tests.assets.small_deployments import (
    WHOLE,
    build,
    deployment_in,
    failures,
    small_device,
    write_settings,
)
from air_pipeline_tests.automation.build_days.ticks import FINISHED, at, built, change, rewrite, run, wanted
from air_pipeline_tests.devices.raw_server import answering


def test_missing_days_are_asked_for_newest_first(tick, deployment):
    answer = tick()
    assert wanted(answer) == FINISHED
    for request in answer.run_requests:
        assert request.run_key == f"{request.partition_key}-{request.tags[FINGERPRINT_TAG]}"
    assert len({request.tags[FINGERPRINT_TAG] for request in answer.run_requests}) == len(FINISHED)


def test_what_it_asks_for_can_be_run(tick, deployment, instance):
    [request, *_] = tick().run_requests
    result = build(deployment, instance, date.fromisoformat(request.partition_key), request.tags, only=WHOLE)
    assert failures(result) == {}
    assert wanted(tick()) == FINISHED[1:]


def test_they_are_told_the_settings_of_now(tick, deployment, tmp_path):
    """Which may be others than those with which the code location was loaded."""
    before = terms_now(deployment)
    write_settings(tmp_path / "devices.yaml", [small_device("hall"), small_device("attic")])
    assert {request.tags[TERMS_TAG] for request in tick().run_requests} == {
        terms_now(present_deployment(deployment)).to_text()
    }
    assert terms_now(present_deployment(deployment)).settings != before.settings


def test_they_go_before_backfills(tick, deployment):
    assert {request.tags["dagster/priority"] for request in tick().run_requests} == {"1"}


@pytest.mark.parametrize("drips", [False, True])
def test_a_store_that_does_not_answer_ends_the_tick_well_before_dagster_does(tick, deployment, monkeypatch, drips):
    """Also one that never comes to the end of its answer."""
    assert building.STORE_WITHIN_S + building.LONGEST_LOOK_S < 45
    monkeypatch.setattr(building, "STORE_WITHIN_S", 0.3)
    begun = b"HTTP/1.1 200 OK\r\nX-Influxdb-Version: v2\r\nContent-Length: 100000\r\n\r\n" if drips else b""
    with answering(begun, then=b" " if drips else b"") as server:
        silent = InfluxConnection(f"http://127.0.0.1:{server.port}", "token", "home", "air")
        environment = replace(deployment.environment, influxdb=silent)
        answer = tick(replace(deployment, environment=environment))
    assert "days were not compared: InfluxDB at" in answer.skip_message
    assert not answer.run_requests


def test_at_most_so_many_days_at_once(tick, tmp_path, present):
    present.now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    deployment = deployment_in(tmp_path, present=present)
    days = wanted(tick(deployment))
    assert len(days) == MOST_RUNS
    assert days[0] == date(2026, 5, 31)
    assert all(newer - older == timedelta(days=1) for newer, older in pairwise(days))


def test_built_days_are_left_alone_and_the_tick_says_so(tick, deployment):
    built(deployment, *FINISHED)
    answer = tick()
    assert answer.run_requests == []
    assert answer.skip_message == "5 days were compared and are built from what there is now"


def test_a_changed_day_is_built_again_and_a_shrunk_one_is_told(tick, deployment):
    built(deployment, *FINISHED)
    newest, second = FINISHED[:2]
    rewrite(deployment, "DELETE FROM poll WHERE observed_at >= ?", at(5, 12))
    change(deployment, 4, 12)
    assert wanted(tick()) == [second]
    built(deployment, second)
    said = tick().skip_message
    assert said.startswith("4 days were compared and are built from what there is now; 2026-03-05 is left as it is, ")
    assert "hall was built from 24 polls and the store now holds 13" in said
    assert f"air-pipeline build --from {newest} --to {newest} --force" in said


def test_changed_settings_build_the_days_they_concern(tick, deployment, tmp_path, present):
    built(deployment, *FINISHED)
    assert wanted(tick()) == []
    (deployment.data / "days" / "compared").unlink()
    device = {"id": "hall", "url": "http://127.0.0.1:9/hall", "expected_range": {"dht22_temperature": [5, 40]}}
    changed = deployment_in(tmp_path, device, present=present)
    assert wanted(tick(changed)) == FINISHED


def test_an_edit_a_file_that_is_gone_and_data_from_a_backup_are_each_built_once(tick, deployment):
    """What is asked for is built, and then not asked for again."""
    day, config = FINISHED[1], deployment.environment.config
    built(deployment, *FINISHED)
    backup = copytree(deployment.data, deployment.data.parent / "backup")

    config.write_text(config.read_text().replace("id: hall", "id: hall\n  thresholds: {dht22_temperature: 25}"))
    edited = with_threshold(deployment, 25)
    assert wanted(tick()) == FINISHED
    built(edited, *FINISHED)
    assert wanted(tick()) == []

    for table in TABLES:
        (deployment.data / table / f"date={day}" / f"{table}.parquet").unlink()
        assert wanted(tick()) == [day]
        built(edited, day)
        assert wanted(tick()) == []

    rmtree(deployment.data)
    copytree(backup, deployment.data)
    assert wanted(tick()) == FINISHED
    built(edited, *FINISHED)
    assert wanted(tick()) == []


def test_a_day_that_is_under_way_is_not_doubled(tick, deployment, instance):
    for status, day in zip(("QUEUED", "STARTING", "STARTED", "CANCELING"), FINISHED, strict=False):
        run(instance, status, day)
    run(instance, "QUEUED", "not a day")
    assert wanted(tick()) == FINISHED[-1:]


def test_days_of_a_run_of_many_that_is_under_way_are_not_doubled(tick, deployment, instance):
    run(instance, "STARTED", "", **{DAYS_TAG: days_to_text(FINISHED[1:4])})
    assert wanted(tick()) == [FINISHED[0], FINISHED[4]]


def test_a_failed_day_waits_for_other_inputs(tick, deployment, instance):
    built(deployment, *FINISHED[1:])
    [request] = tick().run_requests
    fingerprint = request.tags[FINGERPRINT_TAG]
    run(instance, "FAILURE", FINISHED[0], fingerprint)
    assert tick().skip_message.endswith("left alone until something changes, as they failed: 2026-03-05")
    change(deployment, 5, 12)
    [again] = tick().run_requests
    assert again.tags[FINGERPRINT_TAG] != fingerprint


def test_a_day_is_tried_again_unless_its_last_run_failed_for_good(tick, deployment, instance):
    built(deployment, *FINISHED[1:])
    [request] = tick().run_requests

    def ended(status, **tags):
        run(instance, status, FINISHED[0], request.tags[FINGERPRINT_TAG], **tags)
        return bool(wanted(tick()))

    assert not ended("FAILURE")
    assert not ended("CANCELED")
    assert ended("FAILURE", **{AGAIN_TAG: "true"})
    assert not ended("FAILURE")
    assert ended("SUCCESS")  # it was built, and its files are gone


def test_a_run_that_nobody_took_is_no_failure_of_its_day(tick, deployment, instance):
    """As while there was no broker or worker to hand it to."""
    built(deployment, *FINISHED[1:])
    [request] = tick().run_requests
    fingerprint = request.tags[FINGERPRINT_TAG]
    run(instance, "FAILURE", FINISHED[0], fingerprint, begun=False)
    assert wanted(tick()) == FINISHED[:1]
    run(instance, "FAILURE", FINISHED[0], fingerprint)
    assert wanted(tick()) == []
    run(instance, "CANCELED", FINISHED[0], fingerprint, begun=False)
    assert wanted(tick()) == []


def test_the_whole_month_is_compared_once_a_utc_day(tick, deployment, present):
    built(deployment, *FINISHED)
    oldest = FINISHED[-1]
    assert tick().skip_message.startswith("5 days were compared")
    assert tick().skip_message.startswith("3 days were compared")
    change(deployment, 1, 12)
    present.now += timedelta(hours=11)
    assert wanted(tick()) == []
    present.now += timedelta(hours=1)
    assert wanted(tick()) == [date(2026, 3, 6), oldest]


def test_a_month_that_takes_too_long_is_gone_on_with_at_the_next_tick(tick, deployment, monkeypatch):
    built(deployment, *FINISHED)
    compared = deployment.data / "days" / "compared"
    with monkeypatch.context() as patch:
        patch.setattr("air_pipeline.automation.building.LONGEST_LOOK_S", -1.0)
        assert tick().skip_message.startswith("0 days were compared")
        assert not read_compared(deployment.environment).month
    under = under_now(deployment.settings)
    done = Compared(date(2026, 3, 6), date(2026, 3, 2), under, date(2026, 3, 1))
    write_compared(deployment.environment, done)
    assert tick().skip_message.startswith("4 days were compared")  # the three recent ones and what is left
    assert read_compared(deployment.environment) == replace(done, month=date(2026, 3, 1))
    assert tick().skip_message.startswith("3 days were compared")
    for text in ("nonsense", "2026-03-06 2026-03-02", "[]", "{}"):
        compared.write_text(text)
        assert tick().skip_message.startswith("5 days were compared")


def test_a_day_that_comes_out_otherwise_than_it_was_asked_for_is_not_built_for_ever(tick, deployment, instance):
    """As when whatever builds has other settings than what compares; files from a backup are another matter."""
    config, day = deployment.environment.config, FINISHED[0]
    built(deployment, *FINISHED)
    earlier = with_threshold(deployment, 20)
    built(earlier, day)
    backup = deployment.data.parent / "backup"
    copytree(deployment.data, backup)
    [request] = [one for one in tick().run_requests if one.partition_key == day.isoformat()]
    config.write_text(config.read_text().replace("id: hall", "id: hall\n  thresholds: {dht22_temperature: 25}"))
    [request] = [one for one in tick().run_requests if one.partition_key == day.isoformat()]
    assert failures(build(deployment, instance, day, request.tags, only=WHOLE)) == {}
    assert day not in wanted(tick())
    built(with_threshold(deployment, 25), *FINISHED[1:])
    assert f"{day} was built from just this and came out otherwise" in tick().skip_message
    rmtree(deployment.data / "observations")
    copytree(backup, deployment.data, dirs_exist_ok=True)
    assert day in wanted(tick())


def with_threshold(deployment, threshold):
    [hall] = deployment.settings.devices
    hall = replace(hall, thresholds={"dht22_temperature": float(threshold)})
    return replace(deployment, settings=replace(deployment.settings, devices=(hall,)))


def test_before_the_first_day_is_over_the_tick_says_when(tick, deployment, present):
    present.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert tick().skip_message == (
        "2026-03-01 is not over yet: it can be built from 2026-03-02 00:15+01:00 (Europe/Warsaw)"
    )


def test_days_end_with_the_last_device(tick, tmp_path, present):
    west = {"id": "west", "url": "http://127.0.0.1:9/west", "timezone": "America/Los_Angeles"}
    deployment = deployment_in(tmp_path, west, present=present)
    present.now = datetime(2026, 3, 6, 8, 14, tzinfo=UTC)
    assert wanted(tick(deployment))[0] == date(2026, 3, 4)
    present.now = datetime(2026, 3, 6, 8, 15, tzinfo=UTC)
    assert wanted(tick(deployment))[0] == date(2026, 3, 5)

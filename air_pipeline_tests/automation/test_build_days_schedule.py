"""The schedule `build_days`, evaluated on a real instance and a real store with days in all states."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from shutil import copytree, rmtree

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import PARTITION_NAME_TAG

from air_pipeline.automation import building
from air_pipeline.collection.outbox import Outbox
from air_pipeline.days.calendar import device_days
from air_pipeline.days.choosing import MOST_RUNS
from air_pipeline.days.compared import Compared, read_compared, under_now, write_compared
from air_pipeline.days.deleted import remember_deletion
from air_pipeline.days.terms import terms_now
from air_pipeline.deployment import present as present_deployment
from air_pipeline.health import Level
from air_pipeline.health.days import days_current
from air_pipeline.health.kept import days_kept
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.instance.runs_of_days import AGAIN_TAG, DAYS_TAG, FINGERPRINT_TAG, TERMS_TAG, days_to_text
from air_pipeline.processing.columns import RULE_SET_VERSION, TABLES
from air_pipeline.settings import InfluxConnection
from air_pipeline.settings.marks import marks_file
from air_pipeline.storage.day_files import day_file
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline_tests.assets.small_deployments import (
    WHOLE,
    Present,
    build,
    deployment_in,
    failures,
    seed,
    small_device,
    tick_of_build_days,
    write_settings,
)
from air_pipeline_tests.days.deployments import build as build_tables
from air_pipeline_tests.devices.raw_server import answering

NOON = datetime(2026, 3, 6, 12, tzinfo=UTC)
FINISHED = [date(2026, 3, number) for number in (5, 4, 3, 2, 1)]
"""The days that are over at that noon, newest first."""


@pytest.fixture(autouse=True)
def _no_runs(instance):
    for run in instance.get_runs():
        instance.delete_run(run.run_id)


@pytest.fixture
def present():
    return Present(NOON)


@pytest.fixture
def deployment(tmp_path, present):
    deployment = deployment_in(tmp_path, present=present)
    seed(deployment, *FINISHED)
    return deployment


@pytest.fixture
def tick(instance, deployment):
    def tick(deployment=deployment):
        return tick_of_build_days(deployment, instance)

    return tick


def built(deployment, *days):
    """Builds days without Dagster, which takes a tenth of the time."""
    for day in days:
        build_tables(deployment, day)


def wanted(answer):
    return [date.fromisoformat(request.partition_key) for request in answer.run_requests]


def run(instance, status, day, fingerprint="", *, begun=True, **tags):
    """A run of a day as the daemon leaves it."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("air_pipeline"), "__repository__")
    known = {PARTITION_NAME_TAG: str(day), **tags}
    if fingerprint:
        known[FINGERPRINT_TAG] = fingerprint
    made = dg.DagsterRun(
        "build_day",
        status=dg.DagsterRunStatus[status],
        tags=known,
        remote_job_origin=RemoteJobOrigin(repository, "build_day"),
    )
    instance.run_storage.add_run(made.with_status(dg.DagsterRunStatus.STARTING) if ended(made) else made)
    if ended(made):
        events = [dg.DagsterEventType.RUN_START] if begun else []
        for kind in [*events, _ENDINGS[made.status]]:
            instance.report_dagster_event(dg.DagsterEvent(kind.value, "build_day"), made.run_id)


def ended(run):
    return run.status in _ENDINGS


_ENDINGS = {
    dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterRunStatus.CANCELED: dg.DagsterEventType.RUN_CANCELED,
}


def at(*when):
    return round(datetime(2026, 3, *when, tzinfo=UTC).timestamp() * 1000)


def rewrite(deployment, statement, *parameters):
    with closing(sqlite3.connect(deployment.environment.state.readings)) as store, store:
        assert store.execute(statement, parameters).rowcount > 0


def change(deployment, *when):
    """Makes the store hold something else of one slot."""
    rewrite(deployment, "UPDATE poll SET duration_ms = 99 WHERE observed_at = ?", at(*when))


class MarksHere:
    """Marks of late readings in the outbox of this machine."""

    def __call__(self, deployment):
        with closing(Outbox(deployment.environment.state.outbox)) as box:
            return set(box.late_marks())

    def put(self, deployment, *days):
        with closing(Outbox(deployment.environment.state.outbox)) as box:
            box.mark_late(days)


class MarksInTheStore:
    """Those that a collector told through the store, wherever it is: never deleted, but passed."""

    def __call__(self, deployment):
        compared = read_compared(deployment.environment)
        return {*compared.late, *(mark.day for mark in deployment.store.late_marks(compared.passed))}

    def put(self, deployment, *days):
        deployment.store.mark_late("edge-1", days)


@pytest.fixture(params=[MarksHere, MarksInTheStore])
def marks(request):
    """The marks that are left, and a way to put more."""
    return request.param()


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


LONG_AGO = [date(2026, 3, 1) + timedelta(days=number) for number in range(40)][::-1]
"""Forty days that are over, newest first: more than a month."""


@pytest.fixture(scope="module")
def forty_days(tmp_path_factory):
    """Where forty days of a device that is polled every hour were built under older rules."""
    path = tmp_path_factory.mktemp("forty")
    deployment = deployment_in(path, present=Present(datetime(2026, 4, 10, 12, tzinfo=UTC)))
    seed(deployment, *LONG_AGO)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("air_pipeline.days.inputs.RULE_SET_VERSION", "0")
        built(deployment, *LONG_AGO)
    deployment.store.close()
    return path


@pytest.fixture
def forty(forty_days, tmp_path, present):
    """A copy of it for each test."""
    copytree(forty_days, tmp_path / "forty")
    present.now = datetime(2026, 4, 10, 12, tzinfo=UTC)
    return deployment_in(tmp_path / "forty", present=present)


def rules_of(deployment):
    """The version of the rules that each built day is of."""
    files = {day: day_file(deployment.data, "observations", day) for day in LONG_AGO}
    return {day: file.metadata().rule_set_version for day, file in files.items()}


def test_other_rules_reach_every_day_that_is_built_newest_first(tick, forty, present):
    asked = []
    while wished := wanted(tick(forty)):
        asked += wished
        assert len(wished) <= MOST_RUNS
        built(forty, *wished)
    assert asked == LONG_AGO
    assert set(rules_of(forty).values()) == {RULE_SET_VERSION}
    assert read_compared(forty.environment).archive == LONG_AGO[-1]
    assert tick(forty).skip_message.startswith("3 days were compared")


def test_days_that_are_under_way_or_failed_hold_up_no_others(tick, forty, instance, monkeypatch):
    """A day that was asked for is looked at again until it is built, or failed for good."""
    monkeypatch.setattr("air_pipeline.days.choosing.MOST_RUNS", 5)
    [first, *_] = tick(forty).run_requests
    run(instance, "FAILURE", LONG_AGO[0], first.tags[FINGERPRINT_TAG])
    run(instance, "STARTED", LONG_AGO[1])
    built(forty, *wanted(tick(forty)))
    assert wanted(tick(forty)) == LONG_AGO[6:10]
    assert read_compared(forty.environment).archive == LONG_AGO[0]  # the next is being built


def test_changed_settings_reach_every_day_that_they_concern(tick, forty, present, monkeypatch):
    """Compared under the settings of now once, which each day that is built says of itself."""
    with monkeypatch.context() as patch:
        for module in ("inputs", "comparing", "compared"):
            patch.setattr(f"air_pipeline.days.{module}.RULE_SET_VERSION", "0")
        assert wanted(tick(forty)) == []
        assert read_compared(forty.environment).archive == LONG_AGO[-1]
        patch.setattr("air_pipeline.days.choosing.MOST_RUNS", 100)
        late = {**small_device("hall"), "thresholds": {"dht22_temperature": 25}}
        assert wanted(tick(deployment_in(forty.data.parents[1], late, present=present))) == LONG_AGO


def test_a_mark_has_its_own_days_built_again_however_old_they_are(tick, forty, monkeypatch):
    """The tick takes it up by itself; a mistake in the file, or its loss, takes nothing away."""
    with monkeypatch.context() as patch:
        for module in ("inputs", "comparing", "compared"):
            patch.setattr(f"air_pipeline.days.{module}.RULE_SET_VERSION", "0")
        assert wanted(tick(forty)) == []
        file, marked = marks_file(forty.environment.config), [LONG_AGO[1], LONG_AGO[-3]]
        said = [f"- {{device: hall, from: {day}T08:00, to: {day}T10:00, verdict: bad, why: x}}\n" for day in marked]
        file.write_text("".join(said))
        assert wanted(tick(forty)) == marked
        built(present_deployment(forty), *marked)
        assert wanted(tick(forty)) == []
        file.write_text("".join(said).replace("why", "wy"))
        assert wanted(tick(forty)) == []
        assert "unknown key; did you mean why?" in str(present_deployment(forty).mistake)
        file.unlink()
        assert wanted(tick(forty)) == []
        file.write_text(said[0])
        assert wanted(tick(forty)) == marked[1:]


def test_days_whose_readings_are_gone_keep_what_they_are_and_are_counted_apart(tick, forty, monkeypatch):
    gone = LONG_AGO[-5:]
    end = device_days(forty.settings, gone[0])[0].end
    for table in ("poll", "air"):
        rewrite(forty, f"DELETE FROM {table} WHERE observed_at < ?", end)  # noqa: S608
    monkeypatch.setattr("air_pipeline.days.choosing.MOST_RUNS", 100)
    assert wanted(tick(forty)) == LONG_AGO[:-5]
    assert read_compared(forty.environment).kept == set(gone)
    seen = seen_by_dagster(forty)
    found = days_current.summary(list(days_current.findings(seen)), seen.now)
    assert (found.level, found.numbers["kept"], found.numbers["older_rules"]) == (Level.WARNING, 5, 35)
    assert "5 are of others and stay so" in found.text
    [found] = days_kept.findings(seen)
    assert (found.level, dict(found.numbers)) == (Level.OK, {"days_lost": 0, "days_let_go": 5})
    assert "; 5 keep what they are, as the store has let their readings go" in found.text
    for table in TABLES:  # as if all others had been built again
        for day in LONG_AGO[:-5]:
            day_file(forty.data, table, day).path.unlink()
    found = days_current.summary(list(days_current.findings(seen)), seen.now)
    assert (found.level, found.numbers["kept"]) == (Level.OK, 5)


def test_what_the_store_has_lost_is_told_once_the_schedule_has_seen_it_and_until_it_is_there_again(tick, deployment):
    built(deployment, *FINISHED)
    tick()
    [found] = days_kept.findings(seen_by_dagster(deployment))
    assert found.level is Level.OK
    day = FINISHED[1]
    rewrite(deployment, "DELETE FROM poll WHERE observed_at >= ? AND observed_at < ?", at(day.day, 6), at(day.day, 9))
    tick()
    [found] = days_kept.findings(seen_by_dagster(deployment))
    assert (found.level, dict(found.numbers)) == (Level.WARNING, {"days_lost": 1, "days_let_go": 0})
    assert found.text == f"something of 1 built day would be lost, so it is left alone: {day}"
    seed(deployment, day)
    tick()
    [found] = days_kept.findings(seen_by_dagster(deployment))
    assert found.level is Level.OK


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


def test_late_deliveries_build_old_days_and_are_then_forgotten(tick, deployment, marks):
    oldest = FINISHED[-1]
    built(deployment, *FINISHED)
    tick()
    change(deployment, 1, 12)
    assert wanted(tick()) == []
    marks.put(deployment, oldest)
    assert wanted(tick()) == [oldest]
    assert marks(deployment) == {oldest}
    assert wanted(tick()) == [oldest]
    built(deployment, oldest)
    assert wanted(tick()) == []
    assert marks(deployment) == set()


def test_no_moment_of_a_tick_is_one_in_which_a_kill_would_lose_marks(tick, deployment, monkeypatch, marks):
    """Whenever the store is asked, from the first time to the last, the marks are where they were."""
    oldest, seen = FINISHED[-1], []
    built(deployment, *FINISHED)
    marks.put(deployment, oldest)
    first_poll = SqliteStore.first_poll

    def asked(store, device, *since):
        seen.append(marks(deployment))
        return first_poll(store, device, *since)

    monkeypatch.setattr(SqliteStore, "first_poll", asked)
    tick()
    assert seen
    assert set(map(frozenset, seen)) == {frozenset({oldest})}
    assert marks(deployment) == set()


def test_a_mark_is_kept_while_its_day_is_being_built(tick, deployment, instance, marks):
    oldest = FINISHED[-1]
    built(deployment, *FINISHED)
    marks.put(deployment, oldest)
    run(instance, "STARTED", oldest)
    assert wanted(tick()) == []
    assert marks(deployment) == {oldest}


def test_a_store_that_is_away_is_told_and_no_mark_is_lost(tick, tmp_path, present):
    marks = MarksHere()
    (tmp_path / "damaged").mkdir()
    deployment = deployment_in(tmp_path / "damaged", present=present)
    marks.put(deployment, FINISHED[-1])
    deployment.environment.state.readings.write_bytes(b"no database " * 1000)
    answer = tick(deployment)
    assert answer.run_requests == []
    assert answer.skip_message.startswith("days were not compared: ")
    assert "is damaged or no SQLite file" in answer.skip_message
    assert marks(deployment) == {FINISHED[-1]}
    assert not (deployment.data / "days" / "compared").exists()


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


def test_a_day_is_built_from_fewer_polls_where_these_were_deleted_on_purpose(tick, deployment):
    built(deployment, *FINISHED)
    day, device = FINISHED[-1], deployment.settings.devices[0]
    [span] = [
        (one.start, one.start + 3_600_000) for one in device_days(deployment.settings, day) if one.device == device
    ]
    remember_deletion(deployment, device.id, FINISHED, *span)
    deployment.store.delete(device.id, *span)
    MarksHere().put(deployment, day)
    assert wanted(tick()) == [day]


def test_without_that_it_is_left_alone(tick, deployment):
    built(deployment, *FINISHED)
    day, device = FINISHED[-1], deployment.settings.devices[0]
    [span] = [
        (one.start, one.start + 3_600_000) for one in device_days(deployment.settings, day) if one.device == device
    ]
    deployment.store.delete(device.id, *span)
    MarksHere().put(deployment, day)
    assert wanted(tick()) == []

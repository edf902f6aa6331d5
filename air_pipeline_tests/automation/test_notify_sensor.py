"""The sensor `notify`: real ticks on a real instance, with a real webhook."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from air_pipeline.assets.checks import days_checks
from air_pipeline.collection.lease import CollectorLock
from air_pipeline.collection.outbox import Outbox
from air_pipeline.definitions import build_definitions
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.health.checks import OF_ALL_DAYS
from air_pipeline.health.seen import STORE_WITHIN_S
from air_pipeline.instance.runs_of_days import AGAIN_TAG, days_that_failed
from air_pipeline.notifying import telling
from air_pipeline.state import StateDirectory
from air_pipeline_tests.assets.small_deployments import (
    Present,
    build,
    checks_of,
    deployment_in,
    real_instance,
    seed,
    small_device,
)
from air_pipeline_tests.days.deployments import build as build_tables
from air_pipeline_tests.notifying.receivers import Hook
from air_pipeline_tests.waiting import WITHIN_S

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
YESTERDAY = date(2026, 3, 19)
OF_YESTERDAY = {"start": YESTERDAY.isoformat(), "collector": "external"}


@pytest.fixture
def own_instance(tmp_path):
    """An instance for a test that runs days; in that of the others none was run."""
    with real_instance(tmp_path) as instance:
        yield instance


def ticked(deployment, instance, cursor=None):
    sensor = build_definitions(deployment).resolve_sensor_def("notify")
    with dg.build_sensor_context(instance, cursor=cursor, resources={"deployment": deployment}) as context:
        return sensor.evaluate_tick(context)


def tick(deployment, instance):
    return ticked(deployment, instance).skip_message


def told_by(hook, *names, present, tmp_path, **more):
    """A deployment whose hook is told at once."""
    devices = [small_device(name, interval="10s") for name in names or ["hall"]]
    rules = {"webhook": hook.url(), "wait": "0s", **more}
    deployment = deployment_in(tmp_path, *devices, present=present, notify=rules, **OF_YESTERDAY)
    Outbox(deployment.environment.state.outbox).close()  # a collector ran here, though something else starts it
    return deployment


def polled(deployment, present, **outcomes):
    at = round((present.now - timedelta(seconds=30)).timestamp() * 1000) // 10_000 * 10_000
    deployment.store.write(
        [
            Poll(name, at, outcome, 40.0, 10.0, 200, {"dht22_temperature": 20.0} if outcome.has_reading else {})
            for name, outcome in outcomes.items()
        ]
    )


def titles(hook):
    return [body["title"] for body in hook.bodies]


def test_without_notify_it_does_nothing_and_says_so(instance, tmp_path):
    deployment = deployment_in(tmp_path, **OF_YESTERDAY)
    assert tick(deployment, instance) == "devices.yaml has no `notify`, so nobody is told"
    assert not deployment.environment.state.notified.exists()


def test_a_device_that_falls_silent_and_speaks_again_is_told_by_its_name(instance, tmp_path):
    present = Present(NOON)
    with Hook() as hook, CollectorLock(StateDirectory(tmp_path / "state")):
        deployment = told_by(hook, "hall", "garage", present=present, tmp_path=tmp_path)
        present.now += timedelta(hours=1)  # the collector has been there for longer than that
        polled(deployment, present, hall=Outcome.OK, garage=Outcome.TIMEOUT)
        tick(deployment, instance)
        tick(deployment, instance)
        present.now += timedelta(minutes=10)
        polled(deployment, present, hall=Outcome.OK, garage=Outcome.OK)
        tick(deployment, instance)
    assert titles(hook) == [
        "air: garage gives no readings (timeout)",
        "air: garage gives readings again, after 10 min",
    ]


def test_a_collector_that_does_not_run_is_told_alone(instance, tmp_path):
    present = Present(NOON)
    with Hook() as hook:
        deployment = told_by(hook, *(f"d{n}" for n in range(30)), present=present, tmp_path=tmp_path)
        tick(deployment, instance)
    assert titles(hook) == ["air: no collector runs"]
    assert hook.bodies[0]["level"] == "grave"


def test_a_typing_error_in_devices_yaml_is_told_to_whom_the_last_valid_one_names(instance, tmp_path):
    present = Present(NOON)
    with Hook() as hook:
        deployment = told_by(hook, present=present, tmp_path=tmp_path)
        tick(deployment, instance)
        path = deployment.environment.config
        path.write_text(path.read_text().replace("webhook:", "webhok:"))
        tick(deployment, instance)
    assert titles(hook)[1:] == ["air: the configuration is not valid"]
    assert "notify.webhok: unknown key (" in hook.bodies[1]["text"]
    assert "did you mean webhook?" in hook.bodies[1]["text"]


def test_a_day_whose_run_failed_is_told_and_when_it_is_built(own_instance, tmp_path):
    present = Present(NOON)
    with Hook() as hook, CollectorLock(StateDirectory(tmp_path / "state")):
        deployment = told_by(hook, present=present, tmp_path=tmp_path)
        seed(deployment, YESTERDAY)
        polled(deployment, present, hall=Outcome.OK)
        tick(deployment, own_instance)
        blocked = deployment.data / "hourly_aggregates"
        blocked.parent.mkdir(parents=True, exist_ok=True)
        blocked.write_text("in the way")
        run = build(deployment, own_instance, YESTERDAY)
        assert not run.success
        tick(deployment, own_instance)
        blocked.unlink()
        present.now += timedelta(minutes=2)
        polled(deployment, present, hall=Outcome.OK)
        assert build(deployment, own_instance, YESTERDAY).success
        tick(deployment, own_instance)
    assert titles(hook) == [
        f"air: 2026-03-19 is not built (run {run.run_id[:8]} failed)",
        "air: 2026-03-19 is built, after 2 min",
    ]
    assert "air-pipeline build --from 2026-03-19 --to 2026-03-19" in hook.bodies[0]["text"]


def test_a_day_that_nobody_builds_is_told_after_two_hours(instance, tmp_path):
    present = Present(NOON)
    with Hook() as hook, CollectorLock(StateDirectory(tmp_path / "state")):
        deployment = told_by(hook, present=present, tmp_path=tmp_path)
        for minutes in (0, 90, 29, 1):
            present.now += timedelta(minutes=minutes)
            polled(deployment, present, hall=Outcome.OK)
            assert titles(hook) == []
            tick(deployment, instance)
    assert titles(hook) == ["air: 2026-03-19 is not built"]


def test_only_the_last_run_that_ended_counts_and_what_passes_by_itself_does_not(own_instance):
    def ended(day, status, **tags):
        run = dg.DagsterRun("build_day", status=status, tags={"dagster/partition": day.isoformat(), **tags})
        own_instance.add_run(run)
        return run.run_id[:8]

    days = [YESTERDAY - timedelta(days=number) for number in range(5)]
    ended(days[0], dg.DagsterRunStatus.SUCCESS)
    failed = ended(days[0], dg.DagsterRunStatus.FAILURE)
    ended(days[0], dg.DagsterRunStatus.STARTED)
    ended(days[1], dg.DagsterRunStatus.FAILURE)
    ended(days[1], dg.DagsterRunStatus.SUCCESS)
    ended(days[2], dg.DagsterRunStatus.FAILURE, **{AGAIN_TAG: "true"})
    ended(days[4], dg.DagsterRunStatus.FAILURE)
    assert {day: run.run_id[:8] for day, run in days_that_failed(own_instance, days[:4]).items()} == {days[0]: failed}
    assert days_that_failed(own_instance, []) == {}


def test_a_hanging_webhook_costs_a_tick_a_bounded_time(instance, tmp_path, monkeypatch):
    assert telling.SEND_WITHIN_S + STORE_WITHIN_S < 60 / 2  # Dagster gives a tick up after 60 seconds
    monkeypatch.setattr(telling, "SEND_WITHIN_S", 0.3)
    with Hook(None) as hook:
        deployment = told_by(hook, present=Present(NOON), tmp_path=tmp_path)
        # The webhook answers nothing until the end of this block: a tick that waited for it would not come back.
        assert "took longer than 0.3 s; again from 12:00:30 UTC" in tick(deployment, instance)
        assert hook.asked.wait(WITHIN_S)
        assert len(hook.bodies) == 1


def test_the_digest_is_sent_at_its_time(own_instance, tmp_path):
    present = Present(NOON)
    with Hook() as hook, CollectorLock(StateDirectory(tmp_path / "state")):
        deployment = told_by(hook, present=present, tmp_path=tmp_path, digest="14:00")
        seed(deployment, YESTERDAY)
        assert build(deployment, own_instance, YESTERDAY).success
        for _ in range(3):
            polled(deployment, present, hall=Outcome.OK)
            tick(deployment, own_instance)
            present.now += timedelta(hours=1)
    [digest] = hook.bodies
    assert (digest["kind"], digest["title"]) == ("digest", "air: all is well")
    assert "Coverage of 2026-03-19, the least first:\n- hall: " in digest["text"]


def test_without_a_memory_nobody_is_told_the_same_again(instance, tmp_path):
    with Hook() as hook:
        deployment = told_by(hook, present=Present(NOON), tmp_path=tmp_path)
        deployment.environment.state.make()
        deployment.environment.state.notified.mkdir()
        assert tick(deployment, instance).startswith("nobody is told: ")
    assert hook.bodies == []


def test_an_outbox_that_cannot_be_read_is_told_and_hides_nothing_else(instance, tmp_path):
    with Hook() as hook:
        deployment = told_by(hook, present=Present(NOON), tmp_path=tmp_path)
        deployment.environment.state.make()
        deployment.environment.state.outbox.write_bytes(b"no database " * 1000)
        tick(deployment, instance)
        [body] = hook.bodies
    checks = {item["check"]: item["detail"] for item in body["items"]}
    assert "damaged or no SQLite file" in checks["outbox_draining"]
    assert "collector_running" in checks


def test_whether_the_last_days_are_built_is_a_check_on_change_and_every_six_hours(instance, tmp_path):
    present = Present(datetime(2026, 3, 20, 1, 14, tzinfo=UTC))  # 02:14 in Warsaw, where 2026-03-19 ended at 00:00
    deployment = deployment_in(tmp_path, present=present, **OF_YESTERDAY)
    seed(deployment, YESTERDAY)
    said, cursor = [], None
    for minutes in (0, 1, 359, 1, 1):
        present.now += timedelta(minutes=minutes)
        answer = ticked(deployment, instance, cursor)
        cursor = answer.cursor
        built = [one for one in answer.asset_events if one.check_name == "days_built"]
        said.append([(one.passed, one.description) for one in built])
        assert bool([one for one in answer.asset_events if one.check_name == "days_current"]) is (minutes in {0, 359})
        if minutes == 359:
            build_tables(deployment, YESTERDAY)
    bad = (
        "1 of 1 days are not built: 2026-03-19; See its run in the Dagster UI; build it here:"
        " air-pipeline build --from 2026-03-19 --to 2026-03-19"
    )
    assert [[passed for passed, _ in one] for one in said] == [[True], [False], [False], [True], []]
    assert said[1] == [(False, bad)]


def test_the_check_of_days_can_be_run_by_hand_and_no_run_of_a_day_has_it(own_instance, tmp_path):
    deployment = deployment_in(tmp_path, present=Present(NOON), **OF_YESTERDAY)
    seed(deployment, YESTERDAY)
    of_all = {f"daily_aggregates.{check.name}" for check in OF_ALL_DAYS}
    assert not of_all & checks_of(build(deployment, own_instance, YESTERDAY)).keys()
    keys = {key for one in days_checks(deployment) for key in one.check_keys}
    job = build_definitions(deployment).resolve_implicit_global_asset_job_def()
    result = job.get_subset(asset_check_selection=keys, asset_selection=set()).execute_in_process(
        instance=own_instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )
    assert checks_of(result) == dict.fromkeys(of_all, True)

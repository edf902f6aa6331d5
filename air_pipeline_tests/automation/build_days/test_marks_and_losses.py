"""What came late is built again, and what the store has lost is left as it is, by the schedule `build_days`."""

from air_pipeline.days.calendar import device_days
from air_pipeline.days.deleted import remember_deletion
from air_pipeline.health import Level
from air_pipeline.health.kept import days_kept
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline_tests.assets.small_deployments import deployment_in, seed
from air_pipeline_tests.automation.build_days.ticks import FINISHED, MarksHere, at, built, change, rewrite, run, wanted


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

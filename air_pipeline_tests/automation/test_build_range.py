"""The job `build_range`: what a run of many days leaves in Dagster's storage, and what it leaves alone."""

import re
import sqlite3
from contextlib import closing, suppress
from datetime import date

import dagster as dg
import pytest
from dagster._core.storage.tags import PARTITION_NAME_TAG

from air_pipeline.assets import day_events
from air_pipeline.definitions import build_definitions, day_jobs
from air_pipeline.instance.day_builder import Unwatched
from air_pipeline.instance.runs_of_days import DAYS_TAG, days_that_failed, days_to_text, under_way
from air_pipeline.processing.columns import TABLES
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.storage.commit import built_metadata
from air_pipeline.storage.day_files import day_file
from air_pipeline.storage.pages import PAGE
from air_pipeline_tests.assets.small_deployments import (
    DAY,
    WHOLE,
    build,
    deployment_in,
    failures,
    real_instance,
    seed,
    small_device,
)
from air_pipeline_tests.instance.test_ranges import spoil

DAYS = [date(2026, 3, number) for number in (1, 2, 3)]
FIRST, SECOND, THIRD = DAYS
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_range(deployment, instance, watch=None, **asked):
    """A run of many days, as one that is launched in the UI."""
    job = build_definitions(deployment, watch).resolve_job_def("build_range")
    config = {"ops": {"days": {"config": {name.strip("_"): value for name, value in asked.items()}}}}
    return job.execute_in_process(instance=instance, raise_on_error=False, run_config=config | QUIET)


@pytest.fixture
def instance(tmp_path):
    with real_instance(tmp_path) as instance:
        yield instance


@pytest.fixture
def deployment(tmp_path):
    made = deployment_in(tmp_path)
    seed(made, *DAYS)
    return made


def logged(instance, day):
    """What Dagster keeps of a day: materializations and check results, without when, by which run and in which row."""
    found = []
    for run in instance.get_runs():
        for record in instance.all_logs(run.run_id):
            event = record.dagster_event
            if event is not None and event.is_step_materialization and event.partition == day.isoformat():
                one = event.step_materialization_data.materialization
                tags = {k: re.sub(r"^\d+$", "a row", v) if "pointer" in k else v for k, v in one.tags.items()}
                found.append((one.asset_key, one.partition, tags, one.metadata, one.description))
            elif event is not None and event.event_type_value == "ASSET_CHECK_EVALUATION":
                one = event.asset_check_evaluation_data
                if one.partition == day.isoformat():
                    target = one.target_materialization_data
                    said = (one.passed, one.metadata, one.severity, one.description, one.blocking, one.partition)
                    found.append((one.asset_key, one.check_name, *said, target and target.run_id == run.run_id))
    return found


def statuses(instance, *assets):
    """Asset to its materialized partitions."""
    return {asset: instance.get_materialized_partitions(dg.AssetKey(asset)) for asset in assets or WHOLE}


def test_each_day_has_the_events_that_a_run_of_its_own_has(tmp_path):
    """Partitions, data versions and what they were made from, metadata, check results with what they are of."""
    deployment = deployment_in(tmp_path, small_device("hall"), small_device("attic", timezone="Asia/Tokyo"))
    seed(deployment, DAY)
    kept = {}
    for how in ("alone", "among others"):
        (tmp_path / how).mkdir()
        with real_instance(tmp_path / how) as instance:
            if how == "alone":
                assert failures(build(deployment, instance, DAY, only=WHOLE)) == {}
            else:
                assert run_range(deployment, instance, from_=str(DAY), to=str(DAY), force=True).success
            kept[how] = logged(instance, DAY)
    alone = [one for one in kept["alone"] if one[0] != dg.AssetKey("raw_readings")]
    assert len(alone) > len(WHOLE) + len(TABLES)
    assert kept["among others"] == alone


def test_a_range_builds_what_is_missing_or_changed_and_is_tagged_with_its_days(deployment, instance):
    assert failures(build(deployment, instance, SECOND, only=WHOLE)) == {}
    before = day_file(deployment.data, "observations", SECOND).path.stat().st_mtime_ns
    result = run_range(deployment, instance, from_=str(FIRST), to=str(THIRD))
    assert result.success
    assert instance.get_run_by_id(result.run_id).tags[DAYS_TAG] == "2026-03-01,2026-03-03"
    assert day_file(deployment.data, "observations", SECOND).path.stat().st_mtime_ns == before
    assert all(built_metadata(deployment.data, day) for day in DAYS)
    assert set(map(frozenset, statuses(instance).values())) == {frozenset(map(str, DAYS))}


def test_a_day_that_fails_publishes_nothing_costs_no_other_and_makes_the_run_red(deployment, instance):
    spoil(deployment, SECOND)
    result = run_range(deployment, instance, to=str(THIRD))
    assert not result.success
    assert failures(result)["days"].startswith("1 of 3 days failed, each of which is built once more")
    assert all(days == {str(FIRST), str(THIRD)} for days in statuses(instance).values())
    said = [entry.user_message for entry in instance.all_logs(result.run_id) if entry.dagster_event is None]
    assert any(text.startswith("2026-03-02: observations of 2026-03-02 cannot be written (") for text in said)
    assert under_way(instance) == set()


def test_what_the_store_holds_of_one_day_and_cannot_be_read_costs_that_day_alone(deployment, instance):
    """Though the days before it are read together with it."""
    noon = epoch_ms(day_window(SECOND, deployment.settings.zone)[0]) + 12 * 3_600_000
    with closing(sqlite3.connect(deployment.environment.state.readings)) as readings, readings:
        assert readings.execute("UPDATE poll SET interval_s = 'x' WHERE observed_at = ?", (noon,)).rowcount
    result = run_range(deployment, instance, to=str(THIRD))
    assert failures(result)["days"].startswith("1 of 3 days failed, each of which is built once more")
    assert all(days == {str(FIRST), str(THIRD)} for days in statuses(instance).values())


def test_a_table_that_is_not_what_it_should_be_is_logged_as_not_passed_and_not_published(
    deployment, instance, monkeypatch
):
    def too_few(work):
        for event in steps["observations"](work):
            assert event.value.written.row_count()
            wrong = dg.AssetCheckResult(check_name="row_count", passed=work.day != SECOND, description="too few")
            if work.day == SECOND:
                yield wrong
                raise dg.Failure("observations was not published", allow_retries=False)
            yield event

    steps = dict(day_events.STEPS)
    monkeypatch.setattr(day_events, "STEPS", {**steps, "observations": too_few})
    assert not run_range(deployment, instance, to=str(THIRD)).success
    [(_, check, passed, *_)] = logged(instance, SECOND)
    assert (check, passed) == ("row_count", False)
    assert not day_file(deployment.data, "observations", SECOND).exists
    assert statuses(instance, "observations")["observations"] == {str(FIRST), str(THIRD)}


@pytest.mark.parametrize("killed_at", [*TABLES, PAGE])
def test_whoever_is_killed_once_an_event_is_logged_has_left_no_built_day(deployment, instance, monkeypatch, killed_at):
    """Else a day would be whole of which Dagster never heard, and which nobody asks for again."""
    log_event = dg.OpExecutionContext.log_event

    def ended(context, event):
        log_event(context, event)
        if isinstance(event, dg.AssetMaterialization) and event.asset_key == dg.AssetKey(killed_at):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        patch.setattr(dg.OpExecutionContext, "log_event", ended)
        run_range(deployment, instance, to=FIRST.isoformat())
    assert built_metadata(deployment.data, FIRST) is None
    assert run_range(deployment, instance, to=FIRST.isoformat()).success
    assert built_metadata(deployment.data, FIRST) is not None
    assert statuses(instance, PAGE) == {PAGE: {FIRST.isoformat()}}


def test_days_that_have_a_run_under_way_are_left_to_it(deployment, instance):
    instance.run_storage.add_run(
        dg.DagsterRun("build_day", status=dg.DagsterRunStatus.STARTED, tags={PARTITION_NAME_TAG: str(SECOND)})
    )
    assert run_range(deployment, instance, to=str(THIRD)).success
    assert statuses(instance, PAGE)[PAGE] == {str(FIRST), str(THIRD)}


class Another:
    """Begins another run of many days once it hears of the first one of this run."""

    def __init__(self, instance, days):
        self.instance, self.days = instance, days

    def ended(self, day, said):
        if day == FIRST:
            tags = {DAYS_TAG: days_to_text(self.days)}
            self.instance.run_storage.add_run(
                dg.DagsterRun("build_range", status=dg.DagsterRunStatus.STARTED, tags=tags)
            )

    def goes_on(self):
        return True


def test_two_ranges_do_not_leave_the_same_days_to_each_other(deployment, instance):
    """The older one builds them, and the younger one leaves them to it."""
    assert run_range(deployment, instance, Another(instance, [SECOND, THIRD]), to=str(SECOND)).success
    assert statuses(instance, PAGE)[PAGE] == {str(FIRST), str(SECOND)}
    assert run_range(deployment, instance, to=str(THIRD)).success
    assert statuses(instance, PAGE)[PAGE] == {str(FIRST), str(SECOND)}


class OneDay:
    """Who wants no more than one day."""

    def __init__(self):
        self.heard = []

    def ended(self, day, said):
        self.heard.append((day, said))

    def goes_on(self):
        return not self.heard


def test_whoever_watches_hears_of_each_day_and_can_end_it_between_two(deployment, instance):
    watch = OneDay()
    assert run_range(deployment, instance, watch, to=str(THIRD)).success
    assert watch.heard == [(FIRST, "")]
    assert statuses(instance, PAGE)[PAGE] == {str(FIRST)}


def test_what_cannot_be_asked_for_is_told_in_a_sentence(deployment, instance):
    result = run_range(deployment, instance, from_="soon")
    assert failures(result)["days"].startswith("'soon' is not a date")


def many():
    """The job, of the deployment that the environment names."""
    return day_jobs(Unwatched()).days


def test_a_forced_range_that_is_executed_again_builds_what_it_had_not_built_and_leaves_the_rest_alone(
    deployment, tmp_path, monkeypatch
):
    for name, value in deployment.environment.variables().items():
        monkeypatch.setenv(name, value)
    config = {"ops": {"days": {"config": {"to": str(THIRD), "force": True}}}} | QUIET
    job = dg.reconstructable(many)

    def stamps():
        return [day_file(deployment.data, "observations", day).path.stat().st_mtime_ns for day in DAYS]

    with real_instance(tmp_path) as instance:
        assert run_range(deployment, instance, to=str(THIRD)).success
        before = stamps()
        path = day_file(deployment.data, "observations", SECOND).path.parent
        path.rename(tmp_path / "aside")
        spoil(deployment, SECOND)
        first = dg.execute_job(job, instance, run_config=config)
        assert not first.success
        assert "which this run builds if it is executed again: 2026-03-02" in failures(first)["days"]
        path.unlink()
        (tmp_path / "aside").rename(path)
        forced = stamps()
        assert [old == new for old, new in zip(before, forced, strict=True)] == [False, True, False]
        again = dg.execute_job(
            job, instance, run_config=config, reexecution_options=dg.ReexecutionOptions(parent_run_id=first.run_id)
        )
        assert again.success
    assert [old == new for old, new in zip(forced, stamps(), strict=True)] == [True, False, True]


def test_a_failure_is_over_once_a_run_of_many_days_has_built_the_day(deployment, instance):
    spoil(deployment, SECOND)
    assert failures(build(deployment, instance, SECOND, only=WHOLE))
    assert days_that_failed(instance, DAYS).keys() == {SECOND}
    (deployment.data / "observations" / f"date={SECOND}").unlink()
    assert run_range(deployment, instance, to=str(THIRD)).success
    assert days_that_failed(instance, DAYS) == {}


def test_a_year_of_days_is_one_short_tag():
    assert days_to_text([]) == ""
    assert days_to_text([THIRD, FIRST, SECOND, DAY]) == "2026-03-01/2026-03-03,2026-03-10"

"""The schedule `build_days` reaches all that is built, not only the last thirty days."""

from datetime import UTC, date, datetime, timedelta
from shutil import copytree

import pytest

from air_pipeline.days.calendar import device_days
from air_pipeline.days.choosing import MOST_RUNS
from air_pipeline.days.compared import read_compared
from air_pipeline.deployment import present as present_deployment
from air_pipeline.health import Level
from air_pipeline.health.days import days_current
from air_pipeline.health.kept import days_kept
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.instance.runs_of_days import FINGERPRINT_TAG
from air_pipeline.processing.columns import RULE_SET_VERSION, TABLES
from air_pipeline.settings.marks import marks_file
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.assets.small_deployments import (
    Present,
    deployment_in,
    seed,
    small_device,
)
from air_pipeline_tests.automation.build_days.ticks import built, rewrite, run, wanted

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

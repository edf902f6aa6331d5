"""Whether a disk will do, from real samples."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.environment import read_environment
from air_pipeline.health import Level
from air_pipeline.health.seen import Seen
from air_pipeline.health.space import (
    SAMPLE_EVERY,
    SAMPLES_KEPT,
    Sample,
    disk_lasts,
    of_samples,
    read_samples,
    sample_space,
)

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
DISK = Path("/disk")
HOUR_S, DAY_S = 3_600.0, 86_400.0
GB = 1_000_000_000


def samples(hours, daily, free, disk=DISK):
    """A sample an hour, up to now, of a disk that fills at a rate and has so much left now."""
    now = NOW.timestamp()
    return [Sample(now - hour * HOUR_S, {str(disk): round(free + daily * hour / 24)}) for hour in range(hours, -1, -1)]


@pytest.fixture
def environment(tmp_path):
    return read_environment({"AIR_PIPELINE_STATE": str(tmp_path / "state")})


def test_nothing_is_said_before_there_is_a_day_of_samples():
    assert of_samples(DISK, [], GB).level is Level.OK
    early = of_samples(DISK, samples(23, 100 * GB, GB), GB)
    assert (early.level, early.text) == (Level.OK, "there is not a day of samples yet")


@pytest.mark.parametrize(
    ("daily", "free", "level"),
    [
        (GB, 8 * GB, Level.OK),
        (GB, 7 * GB, Level.OK),
        (GB, 6 * GB, Level.WARNING),
        (GB, GB // 2, Level.FAILURE),
        (0, GB, Level.OK),
        (-GB, GB, Level.OK),
    ],
)
def test_a_disk_that_will_be_full_within_a_week_is_warned_of(daily, free, level):
    """Within a week it is a warning, within a day grave; a disk that does not fill is none."""
    assert of_samples(DISK, samples(72, daily, free), free).level is level


def test_the_days_that_are_left_are_named():
    found = of_samples(DISK, samples(48, 2 * GB, 6 * GB), 6 * GB)
    assert found.text == "6.0 GB free at /disk, 2.0 GB less each day: full in 3.0 days"


@given(st.integers(25, 168), st.integers(1, 50 * GB), st.integers(0, 100 * GB))
def test_a_steady_rate_is_found_whatever_it_is(hours, daily, free):
    found = of_samples(DISK, samples(hours, daily, free), free)
    days = free / daily
    if abs(days - 7) > 0.01 and abs(days - 1) > 0.01:
        assert found.level is (Level.OK if days > 7 else Level.WARNING if days > 1 else Level.FAILURE)


def test_what_goes_up_and_down_counts_by_its_trend():
    """A day's builds and clean-ups do not make a disk look full tomorrow."""
    found = [
        replace(one, free={str(DISK): one.free[str(DISK)] - (n % 24) * 100_000_000})
        for n, one in enumerate(samples(24 * 7, 0, 50 * GB))
    ]
    assert of_samples(DISK, found, 48 * GB).level is Level.OK


def test_samples_of_another_disk_say_nothing_of_this_one():
    assert of_samples(DISK, samples(72, GB, GB, Path("/other")), GB).text == "there is not a day of samples yet"


def test_a_sample_is_taken_once_an_hour_and_kept_for_the_last_days(environment):
    at = NOW
    while at < NOW + SAMPLES_KEPT + timedelta(days=1):
        sample_space(environment, at)
        sample_space(environment, at + SAMPLE_EVERY / 2)
        at += SAMPLE_EVERY
    found = read_samples(environment.state)
    assert [b.at - a.at for a, b in pairwise(found)] == [HOUR_S] * (len(found) - 1)
    assert found[-1].at - found[0].at == SAMPLES_KEPT.total_seconds()


def test_a_clock_that_was_set_back_begins_anew(environment):
    sample_space(environment, NOW + timedelta(days=300))
    sample_space(environment, NOW)
    assert [one.at for one in read_samples(environment.state)] == [NOW.timestamp()]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[7]",
        '[{"at": "x", "free": {}}]',
        '[{"at": 1}]',
        '{"at": 1}',
        '[{"at": 1, "free": {"/": Infinity}}]',
        '[{"at": NaN, "free": {}}]',
    ],
)
def test_a_file_of_samples_that_is_not_ours_is_as_none(environment, text):
    environment.state.make()
    environment.state.space.write_text(text)
    assert read_samples(environment.state) == []
    sample_space(environment, NOW)
    assert len(read_samples(environment.state)) == 1


def test_the_check_looks_at_the_disk_that_there_is(environment):
    environment.state.make()
    rows = [{"at": one.at, "free": dict(one.free)} for one in samples(48, 10**15, 10**15, environment.state.path)]
    environment.state.space.write_text(json.dumps(rows))
    [found] = disk_lasts.findings(Seen(environment, NOW))
    assert found.level in {Level.WARNING, Level.FAILURE}
    assert "less each day: full in" in found.text
    assert found.remedy.startswith("See what grows (du -sh on it), make room")

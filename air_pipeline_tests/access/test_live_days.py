"""Days without files: the answers are those that the day will give when it is built, and what of a day is over."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from air_pipeline.access import Archive
from air_pipeline.catalogue import STATION
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Outcome, Poll, Problem
from air_pipeline.processing.local_time import day_window, epoch_ms, from_epoch_ms
from air_pipeline.processing.violations import counts_add_up, validate
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline_tests.days.deployments import DAY, HOUR, MINUTE, build, deployment, device, poll, polls, window

AUTUMN, SPRING = date(2026, 10, 25), date(2026, 3, 29)
QUESTIONS = ("observations", "hourly", "daily")


def messy_polls(one, start, end, chance):
    """What a device in the field gives: gaps, failed polls, frozen, jumping and impossible values, other intervals."""
    values = {part.series: 20.0 for part in one.parameters}
    at, interval_ms = start, one.interval_ms
    while at < end:
        at += interval_ms * (1 if chance.random() < 0.95 else chance.randrange(2, 40))
        if chance.random() < 0.01:
            interval_ms = chance.choice([one.interval_ms, 2 * one.interval_ms])
        outcome = chance.choices([Outcome.OK, Outcome.PARTIAL, Outcome.TIMEOUT], [90, 5, 5])[0]
        if chance.random() < 0.8:
            values = {name: value + chance.gauss(0, 0.3) for name, value in values.items()}
        said = {name: chance.choice([value] * 30 + [-127.0, 85.0, 500.0]) for name, value in values.items()}
        problems = ()
        if outcome is Outcome.PARTIAL:
            name = chance.choice(sorted(said))
            said.pop(name)
            problems = (Problem(name, "inf", 4, "not finite"),)
        said = said if outcome.has_reading else {}
        yield Poll(one.id, at, outcome, 40.0, interval_ms / 1000, http_status=200, values=said, problems=problems)


@pytest.mark.parametrize(("day", "seed"), [(DAY, 1), (AUTUMN, 2), (SPRING, 3)])
def test_what_is_computed_live_is_what_will_be_built(tmp_path, day, seed):
    chance = random.Random(seed)
    stations = [
        replace(device(name, zone), parameters=STATION, expected_range={"temperature": (15.0, 25.0)})
        for name, zone in (("hall", "Europe/Warsaw"), ("tokyo", "Asia/Tokyo"))
    ]
    deployed = deployment(tmp_path, *stations)
    start, end = map(epoch_ms, day_window(day, stations[0].zone))
    for one in stations:
        deployed.store.write(list(messy_polls(one, start - 60 * HOUR, end + 12 * HOUR, chance)))
    stretch = (day - timedelta(days=1), day + timedelta(days=2))
    with Archive(deployed) as archive:
        live = [getattr(archive, question)(*stretch) for question in QUESTIONS]
        assert live[0]["flag"].nunique() >= 4
        build(deployed, day)
        for question, before in zip(QUESTIONS, live, strict=True):
            pd.testing.assert_frame_equal(getattr(archive, question)(*stretch), before)


def test_of_many_devices_the_store_is_asked_at_once_who_was_there(tmp_path, monkeypatch):
    """And the answer is that of asking for each by itself: polled all day, later, not any more, never."""
    rooms = [device(f"room-{number:02}") for number in range(20)]
    deployed = deployment(tmp_path, *rooms)
    start, end = window()
    for number, one in enumerate(rooms[1:]):
        deployed.store.write(polls(start - 2 * HOUR + (number % 3) * HOUR, end - (number % 4) * HOUR, one.id))
    asked = Counter()
    for name in ("asked", "first_poll", "first_polls"):
        real = getattr(SqliteStore, name)

        def counted(*arguments, _name=name, _real=real):
            asked[_name] += 1
            return _real(*arguments)

        monkeypatch.setattr(SqliteStore, name, counted)
    with at(deployed, end) as archive:
        of_each = pd.concat([archive.observations(DAY, devices=one.id) for one in rooms], ignore_index=True)
        one_by_one = asked.copy()
        asked.clear()
        together = archive.observations(DAY)
    pd.testing.assert_frame_equal(together, of_each.astype(together.dtypes))
    assert together["device"].nunique() == len(rooms) - 1
    assert one_by_one["asked"] == len(rooms)
    assert (asked["asked"], asked["first_poll"]) == (1, 0)
    assert asked["first_polls"] < one_by_one["first_polls"]


def at(deployed, now_ms):
    """The archive at another time."""
    return Archive(Deployment(deployed.environment, deployed.settings, now=lambda: from_epoch_ms(now_ms)))


@pytest.fixture
def noon(tmp_path):
    """A device polled up to noon of a day, and when that is."""
    deployed = deployment(tmp_path, replace(device("hall"), timeout_s=60.0))
    start, _ = window()
    deployed.store.write(polls(start - HOUR, start + 12 * HOUR))
    yield deployed, start + 12 * HOUR
    deployed.store.close()


def test_of_today_there_is_what_was_due(noon):
    deployed, now = noon
    today = at(deployed, now).observations("today")
    assert len(today) == 72
    assert (today["flag"] == 1).all()
    steps = []
    archive = Archive(replace(deployed, now=lambda: from_epoch_ms(now)), lambda *told: steps.append(told))
    assert len(archive.observations("today", "2026-12-01")) == 72
    assert steps == [(0, 1), (1, 1)]  # days to come are not even looked for


def test_a_slot_is_missing_once_it_can_no_longer_be_answered(noon):
    deployed, now = noon

    def slots(later):
        rows = at(deployed, now + later).observations("today")
        return len(rows), (rows["flag"] == 9).sum()

    assert slots(MINUTE - 1) == (72, 0)
    assert slots(MINUTE + 1) == (73, 1)
    deployed.store.write([poll(now)])
    assert slots(1) == (73, 0)
    assert slots(2 * HOUR) == (84, 11)


def test_an_hour_and_a_day_that_go_on_are_not_complete(noon):
    deployed, now = noon
    archive = at(deployed, now - 10 * MINUTE)
    hours = archive.hourly("today")
    assert hours["expected_count"].tolist() == [6] * 11 + [5]
    assert hours["coverage"].tolist() == [1.0] * 12
    assert hours["is_complete"].tolist() == [True] * 11 + [False]
    assert len(archive.hourly("today", "2026-12-01")) == 12
    [day] = archive.daily("today").to_dict("records")
    assert (day["expected_count"], day["complete_hours"], day["hour_count"]) == (71, 11, 24)
    assert day["coverage"] == 1
    assert not day["is_complete"]


def test_a_day_is_complete_only_when_it_is_over(noon):
    deployed, now = noon
    _, end = window()
    deployed.store.write(polls(now, end))
    assert at(deployed, end - 10 * MINUTE).daily(DAY)["complete_hours"].tolist() == [23]
    assert not at(deployed, end - 1).daily(DAY)["is_complete"].any()
    assert at(deployed, end).daily(DAY, from_epoch_ms(end))["is_complete"].all()


def test_today_keeps_to_the_schemas_of_the_tables(noon):
    deployed, now = noon
    archive = at(deployed, now - 10 * MINUTE)
    assert validate("observations", archive.observations("today")) == []
    hours, days = archive.hourly("today"), archive.daily("today").drop(columns="date")
    assert validate("hourly_aggregates", hours) == counts_add_up(hours) == []
    assert validate("daily_aggregates", days) == counts_add_up(days) == []


def test_the_flags_of_today_stay_as_the_day_goes_on(noon):
    deployed, now = noon
    earlier = at(deployed, now).observations("today")
    _, end = window()
    deployed.store.write(polls(now, end))
    later = at(deployed, end + HOUR).observations(DAY, from_epoch_ms(now))
    pd.testing.assert_frame_equal(earlier, later)


def test_before_the_first_instant_of_a_day_there_is_nothing_of_it(tmp_path):
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)  # in Kiritimati the 22nd has begun, in Warsaw not
    deployed = deployment(tmp_path, device("hall"), device("far", "Pacific/Kiritimati", since=DAY), now=now)
    with Archive(deployed) as archive:
        found = archive.observations("2026-11-21T10:00Z", "2026-12-01")
        assert set(found["device"]) == {"far"}
        assert found["local_time"].min() == pd.Timestamp(2026, 11, 22)
        assert found["observed_at"].max() < pd.Timestamp(now)

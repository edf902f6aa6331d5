"""A mark by hand reaches the files of the days that it touches, and no others; taken away, they are what they were."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from shutil import copytree

import pytest

from air_pipeline.access import Archive
from air_pipeline.catalogue import STATION
from air_pipeline.days.comparing import compare_day
from air_pipeline.days.inputs import Standing
from air_pipeline.deployment import Deployment
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.settings import Mark
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.days.deployments import (
    AFTER,
    BEFORE,
    DAY,
    HOUR,
    MINUTE,
    build,
    contents,
    deployment,
    device,
    seed,
    window,
    with_built_days,
)
from air_pipeline_tests.processing.rule_names import rule_names

START, END = window()
DAYS = (BEFORE, DAY, AFTER)
DEVICES = (device("hall"), device("lab", "Asia/Tokyo"))
FRIDGE = Mark("hall", "first_temperature", START + 8 * HOUR, START + 10 * HOUR, "bad", "in the fridge", "anna", "today")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Where two devices have three whole days, which are built."""
    path = tmp_path_factory.mktemp("marked")
    with_built_days(path, *DEVICES, days=DAYS).store.close()
    return path


@pytest.fixture
def deployed(built, tmp_path):
    copytree(built, tmp_path, dirs_exist_ok=True)
    deployed = deployment(tmp_path, *DEVICES)
    yield deployed
    deployed.store.close()


def at(milliseconds):
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def marked(deployed, *marks):
    settings = replace(deployed.settings, marks=marks)
    return Deployment(deployed.environment, settings, now=deployed.now)


def changed(deployed):
    """The days that are to be built again."""
    standings = {day: compare_day(deployed, deployed.store, day).standing for day in DAYS}
    assert set(standings.values()) <= {Standing.CURRENT, Standing.CHANGED}
    return [day for day, standing in standings.items() if standing is Standing.CHANGED]


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (START + 8 * HOUR, START + 10 * HOUR, [DAY]),
        (START, START + 1, [DAY]),
        (START - 1, START, [BEFORE]),
        (END - HOUR, END, [DAY]),
        (END - HOUR, END + 1, [DAY, AFTER]),
        (START - HOUR, END + HOUR, [BEFORE, DAY, AFTER]),
        (START - 1000 * HOUR, START - 900 * HOUR, []),
        (END + 100 * HOUR, END + 101 * HOUR, []),
    ],
)
def test_the_days_that_a_mark_touches_are_built_again_and_no_others(deployed, start, end, days):
    assert changed(marked(deployed, replace(FRIDGE, start=start, end=end))) == days


def test_the_days_of_a_device_in_another_zone_are_its_own(deployed):
    lab = window(DAY, DEVICES[1])
    assert changed(marked(deployed, replace(FRIDGE, device="lab", start=lab[0], end=lab[0] + 1))) == [DAY]
    assert changed(marked(deployed, replace(FRIDGE, device="lab", start=lab[1], end=lab[1] + 1))) == [AFTER]


def test_marks_of_devices_that_there_are_not_change_no_day(deployed):
    assert changed(marked(deployed, replace(FRIDGE, device="attic"))) == []


@pytest.mark.parametrize(
    "other",
    [{"verdict": "suspect"}, {"why": "in the oven"}, {"by": "bert"}, {"at": "yesterday"}, {"series": "*"}],
    ids=str,
)
def test_a_mark_that_says_something_else_changes_its_day(deployed, other):
    """Whatever a page and an explanation say of it is in the files, so it is what they are made from."""
    build(marked(deployed, FRIDGE), DAY)
    assert changed(marked(deployed, FRIDGE)) == []
    assert changed(marked(deployed, replace(FRIDGE, **other))) == [DAY]


def test_flags_bits_and_aggregates_follow_and_go_again_byte_for_byte(deployed):
    before = [contents(deployed, day) for day in DAYS]
    observed, hourly, daily = build(marked(deployed, FRIDGE))
    rows = observed[observed["device"] == "hall"].set_index("observed_at")
    within = (rows.index >= at(FRIDGE.start)) & (rows.index < at(FRIDGE.end))
    assert within.sum() == 12
    assert set(rows["flag"][within]) == {4}
    assert {rule_names(bits) for bits in rows["rules"][within]} == {("marked",)}
    assert set(rows["flag"][~within]) == {1}
    assert set(rows["rules"][~within]) == {0}
    assert set(observed["flag"][observed["device"] == "lab"]) == {1}
    hours = hourly[hourly["device"] == "hall"].set_index("hour_start_local")["bad_count"]
    assert {hour.hour: count for hour, count in hours[hours > 0].items()} == {8: 6, 9: 6}
    day = daily.set_index("device").loc["hall"]
    assert (day["valid_count"], day["bad_count"], day["expected_count"]) == (132, 12, 144)
    assert day["mean"] == pytest.approx(rows["value"][~within].mean())
    assert changed(marked(deployed, FRIDGE)) == []
    assert changed(deployed) == [DAY]
    build(deployed)
    assert [contents(deployed, day) for day in DAYS] == before


def test_the_same_marks_give_the_same_bytes(deployed):
    marks = (FRIDGE, replace(FRIDGE, device="lab", series="*", verdict="suspect"))
    build(marked(deployed, *marks))
    once = contents(deployed)
    build(deployed)
    build(marked(deployed, *marks))
    assert contents(deployed) == once
    build(marked(deployed, *marks, replace(FRIDGE, start=END, end=END + HOUR)))  # of another day
    assert contents(deployed) == once


def test_good_overrules_what_is_expected_and_the_means_count_it_again(tmp_path):
    cool = device(expected_range={"first_temperature": (0.0, 24.5)})
    deployed = deployment(tmp_path, cool)
    seed(deployed)
    *_, strict = build(deployed)
    *_, lenient = build(marked(deployed, replace(FRIDGE, verdict="good", start=START, end=END)))
    assert strict["suspect_count"].sum() > 0
    assert (lenient["valid_count"].sum(), lenient["suspect_count"].sum()) == (144, 0)
    rows = day_file(deployed.data, "observations", DAY).read()
    names = {rule_names(bits) for bits in rows["rules"]}
    assert names == {("marked",), ("expected_range", "marked")}
    assert lenient["mean"].item() > strict["mean"].item()
    deployed.store.close()


def test_rows_of_a_day_that_is_not_built_are_marked_too(tmp_path):
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    deployed = marked(deployment(tmp_path, now=now), FRIDGE)
    seed(deployed)
    rows = Archive(deployed).observations("2026-11-21T07:00", "2026-11-21T09:00")
    assert [rule_names(bits) for bits in rows["rules"]] == [()] * 6 + [("marked",)] * 6
    [hour] = Archive(deployed).hourly("2026-11-21T08:00", "2026-11-21T09:00")["bad_count"]
    assert hour == 6
    deployed.store.close()


def test_who_why_and_when_is_in_an_explanation_and_in_the_file(deployed):
    with_mark = marked(deployed, FRIDGE)
    build(with_mark)
    found = Archive(with_mark).explain("hall", "first_temperature", at(FRIDGE.start))
    assert (found.judged.flag, found.judged_now) == (4, None)
    [said] = [one for one in found.judged.said if one.rule == "marked"]
    assert (said.verdict, said.sentence) == ("bad", "in the fridge (anna, today)")
    elsewhere = Archive(with_mark).explain("hall", "first_temperature", at(FRIDGE.end))
    assert "marked" not in {one.rule for one in elsewhere.judged.said}
    limits = json.loads(day_file(deployed.data, "observations", DAY).metadata().limits)
    assert [row.get("marks") for row in limits] == [
        [["first_temperature", FRIDGE.start, FRIDGE.end, "bad", "in the fridge", "anna", "today"]],
        None,
    ]


def test_where_marks_have_changed_since_an_explanation_says_both(deployed):
    build(marked(deployed, FRIDGE))
    for now, flag in ((marked(deployed), 1), (marked(deployed, replace(FRIDGE, verdict="suspect")), 3)):
        found = Archive(now).explain("hall", "first_temperature", at(FRIDGE.start))
        assert (found.judged.flag, found.judged_now.flag) == (4, flag)
    good = marked(deployed, replace(FRIDGE, verdict="good"))
    build(good)
    said = Archive(good).explain("hall", "first_temperature", at(FRIDGE.start)).judged.said[-1]
    assert (said.rule, said.verdict) == ("marked", "good")


def test_a_mark_of_a_mean_is_in_the_file_of_the_day(tmp_path):
    station = replace(device(), parameters=tuple(one for one in STATION if one.name == "temperature"))
    deployed = marked(deployment(tmp_path, station), replace(FRIDGE, series="temperature", verdict="suspect"))
    deployed.store.write(list(polls_between(station, Profile("hall", 1), START, END + 10 * MINUTE)))
    *_, daily = build(deployed)
    suspect = daily.set_index("series")["suspect_count"].to_dict()
    assert suspect["temperature"] == 12
    assert sum(suspect.values()) == 12
    deployed.store.close()

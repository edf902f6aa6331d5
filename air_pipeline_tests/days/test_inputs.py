import re
from dataclasses import replace
from datetime import date, timedelta
from shutil import copytree

import pytest

from air_pipeline.catalogue import STATION
from air_pipeline.days.comparing import compare_day
from air_pipeline.days.inputs import Standing, day_inputs, standing_of, usual_settings_digest
from air_pipeline.devices.polls import Flag, Outcome, Problem
from air_pipeline.storage.commit import built_metadata
from air_pipeline.storage.day_files import Holding, day_file
from air_pipeline.storage.pages import page_file
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
    forget,
    poll,
    polls,
    publish_page,
    seed,
    window,
    with_devices,
)

START, END = window()
DEVICES = (device("hall"), device("attic"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Where two devices have all polls of the day, and the day is built."""
    path = tmp_path_factory.mktemp("built")
    deployed = deployment(path, *DEVICES)
    seed(deployed)
    build(deployed)
    deployed.store.close()
    return path


@pytest.fixture
def deployed(built, tmp_path):
    """A copy of it for each test."""
    copytree(built, tmp_path, dirs_exist_ok=True)
    deployed = deployment(tmp_path, *DEVICES)
    yield deployed
    deployed.store.close()


def verdict(deployed, day=DAY):
    return compare_day(deployed, deployed.store, day).standing


def inputs(deployed, day=DAY):
    return day_inputs(deployed.store, deployed.settings, day)


def test_a_built_day_is_current(deployed):
    assert verdict(deployed) is Standing.CURRENT
    assert inputs(deployed).polls == 2 * 144


def test_what_a_day_is_built_from_is_told_in_short(deployed):
    found = inputs(deployed)
    assert re.fullmatch(r'\{"polls":288,"sha256":"[0-9a-f]{32}"\}', found.fingerprint)
    assert re.fullmatch(r"[0-9a-f]{32}", found.settings_digest)
    assert list(found.holdings.items()) == [(name, Holding(START, END, 144, 144)) for name in ("attic", "hall")]
    assert [one.device.id for one in found.devices] == ["attic", "hall"]


def test_a_device_that_was_not_there_keeps_no_other_out(deployed):
    new = with_devices(deployed, device("another"), *deployed.settings.devices)
    assert inputs(new) == inputs(deployed)


def test_a_day_has_the_series_that_its_polls_say(deployed):
    deployed.store.write([poll(START, series=("first_temperature", "second_humidity"))])
    series = {
        one.device.id: [parameter.series for parameter in one.device.parameters] for one in inputs(deployed).devices
    }
    assert series == {
        "attic": ["first_temperature"], "hall": ["first_temperature", "second_humidity"]
    }  # fmt: skip


def test_a_day_that_was_not_built_is_missing(deployed):
    assert verdict(deployed, BEFORE) is Standing.MISSING


@pytest.mark.parametrize("table", ["observations", "hourly_aggregates", "daily_aggregates"])
def test_a_day_without_one_of_its_tables_is_missing(deployed, table):
    day_file(deployed.data, table, DAY).path.unlink()
    assert verdict(deployed) is Standing.MISSING


@pytest.mark.parametrize("table", ["observations", "hourly_aggregates", "daily_aggregates"])
def test_a_day_with_an_unreadable_table_is_missing(deployed, table):
    day_file(deployed.data, table, DAY).path.write_bytes(b"PAR1, or so it seems")
    assert verdict(deployed) is Standing.MISSING


def test_a_day_without_its_page_is_missing(deployed):
    page_file(deployed.data, DAY).path.unlink()
    assert verdict(deployed) is Standing.MISSING


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b'<meta name="air_pipeline.rules" content="{">'])
def test_a_day_with_another_s_page_is_missing(deployed, content):
    page_file(deployed.data, DAY).path.write_bytes(content)
    assert verdict(deployed) is Standing.MISSING


def test_a_page_of_another_making_is_no_page_of_the_day(deployed):
    other = replace(built_metadata(deployed.data, DAY), input_fingerprint='{"polls": 1}')
    publish_page(deployed, DAY, other)
    assert verdict(deployed) is Standing.MISSING


def test_tables_of_two_makings_are_no_built_day(deployed):
    daily = day_file(deployed.data, "daily_aggregates", DAY).path
    old = daily.read_bytes()
    deployed.store.write([poll(START + 5 * MINUTE)])
    build(deployed)
    assert verdict(deployed) is Standing.CURRENT
    daily.write_bytes(old)
    assert verdict(deployed) is Standing.MISSING


def test_a_new_poll_changes_its_day(deployed):
    deployed.store.write([poll(START + 5 * MINUTE)])
    assert verdict(deployed) is Standing.CHANGED


def test_the_same_polls_once_more_change_nothing(deployed):
    seed(deployed)
    assert verdict(deployed) is Standing.CURRENT


def test_polls_that_no_rule_looks_at_change_nothing(deployed):
    deployed.store.write(polls(START - 24 * HOUR, START - 23 * HOUR))
    build(deployed)
    seed(deployed, [date(2026, 11, 23)])
    deployed.store.write(polls(START - 22 * HOUR, START - 4 * HOUR))
    deployed.store.write(polls(END + 2 * HOUR, END + 12 * HOUR))
    assert verdict(deployed) is Standing.CURRENT


@pytest.mark.parametrize("at", [START - 3 * HOUR, END + 10 * MINUTE], ids=["before", "after"])
def test_what_rules_see_around_a_day_changes_it(deployed, at):
    deployed.store.write(polls(START - 24 * HOUR, START - 23 * HOUR))
    build(deployed)
    deployed.store.write([poll(at)])
    assert verdict(deployed) is Standing.CHANGED


def test_of_what_follows_a_day_only_the_first_poll_matters(deployed):
    """So that a healthy day is built once: not again and again while the next one begins."""
    deployed.store.write([poll(END)])
    assert verdict(deployed) is Standing.CHANGED
    build(deployed)
    deployed.store.write(polls(END + 10 * MINUTE, END + 3 * HOUR))
    assert verdict(deployed) is Standing.CURRENT


def test_a_restart_within_48_hours_before_a_day_changes_it(deployed):
    deployed.store.write(polls(START - 60 * HOUR, START - 59 * HOUR))
    build(deployed)
    empty = Problem("first_temperature", "", Flag.MISSING, "no value")
    for at, standing in ((START - 50 * HOUR, Standing.CURRENT), (START - 49 * HOUR, Standing.CHANGED)):
        deployed.store.write([replace(poll(at, outcome=Outcome.PARTIAL), problems=(empty,))])
        assert verdict(deployed) is standing
    build(deployed)
    deployed.store.write([poll(START - 49 * HOUR + 10 * MINUTE)])  # by which it may be told from another gap
    assert verdict(deployed) is Standing.CHANGED


def test_a_poll_that_took_another_time_changes_its_day(deployed):
    deployed.store.write([poll(START, duration_ms=41.0)])
    assert verdict(deployed) is Standing.CHANGED


def test_deleted_polls_are_noticed_and_the_day_is_kept(deployed):
    forget(deployed, "hall", START, START + 10 * MINUTE)
    assert verdict(deployed) is Standing.SHRUNK


@pytest.mark.parametrize(
    "changes",
    [
        {"timezone": "Europe/London"},
        {"expected_range": {"first_temperature": (5.0, 40.0)}},
        {"thresholds": {"first_temperature": 21.0}},
        {"rules": {"first_temperature": {"max_rate": 0.5}}},
        {"warm_up": timedelta(hours=1)},
    ],
    ids=str,
)
def test_a_changed_setting_of_an_expected_device_changes_the_day(deployed, changes):
    hall, attic = deployed.settings.devices
    assert verdict(with_devices(deployed, replace(hall, **changes), attic)) in {Standing.CHANGED, Standing.SHRUNK}
    assert verdict(deployed) is Standing.CURRENT


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://elsewhere/"},
        {"interval_ms": 1000},
        {"timeout_s": 1.0},
        {"payload_key": "other"},
        {"until": date(2027, 3, 1)},
        {"since": DAY},
        {"parameters": ()},
        {"until": DAY + timedelta(days=-1)},
        {"since": AFTER},
    ],
    ids=str,
)
def test_a_setting_on_which_the_day_does_not_depend_changes_nothing(deployed, changes):
    hall, attic = deployed.settings.devices
    assert verdict(with_devices(deployed, replace(hall, **changes), attic)) is Standing.CURRENT
    build(with_devices(deployed, replace(hall, **changes), attic), force=True)
    assert verdict(deployed) is Standing.CURRENT


def test_when_a_device_was_expected_matters_as_far_as_the_rules_look_back(tmp_path, monkeypatch):
    monkeypatch.setattr("air_pipeline.days.presence.reach", lambda: (timedelta(hours=48), timedelta(0)))
    deployed = deployment(tmp_path)
    seed(deployed, [BEFORE, DAY])
    build(deployed)
    for since, seen in ((DAY, Standing.CHANGED), (BEFORE, Standing.CURRENT)):
        assert verdict(with_devices(deployed, device(since=since))) is seen
    deployed.store.close()


def test_the_order_of_devices_and_sensors_changes_nothing(deployed):
    hall, attic = deployed.settings.devices
    assert verdict(with_devices(deployed, attic, hall)) is Standing.CURRENT
    assert replace(hall, parameters=STATION).digest == replace(hall, parameters=STATION[::-1]).digest


def test_a_device_that_was_not_expected_that_day_changes_nothing(deployed):
    hall, attic = deployed.settings.devices
    for new in (device("new"), device("new", since=AFTER), device("new", since=BEFORE, until=DAY)):
        assert verdict(with_devices(deployed, hall, attic, new)) is Standing.CURRENT


def test_a_device_that_was_first_polled_later_changes_nothing(deployed):
    deployed.store.write(polls(*window(AFTER), "new"))
    assert verdict(with_devices(deployed, *deployed.settings.devices, device("new"))) is Standing.CURRENT


def test_a_device_that_turns_out_to_have_been_expected_changes_the_day(deployed):
    hall, attic = deployed.settings.devices
    assert verdict(with_devices(deployed, hall, attic, device("new", since=DAY))) is Standing.CHANGED
    deployed.store.write([poll(window(BEFORE)[0], "new")])
    assert verdict(with_devices(deployed, hall, attic, device("new"))) is Standing.CHANGED


def test_a_removed_device_changes_nothing(deployed):
    assert verdict(with_devices(deployed, deployed.settings.devices[0])) is Standing.CURRENT


def test_other_rules_or_columns_change_the_day(deployed):
    built = built_metadata(deployed.data, DAY)
    for other in (replace(built, rule_set_version="0"), replace(built, schema_version="0")):
        assert standing_of(other, inputs(deployed)) is Standing.CHANGED


def test_history_that_is_imported_later_makes_the_first_day_whole(tmp_path):
    deployed = deployment(tmp_path)
    deployed.store.write(polls(START + 12 * HOUR, END))
    observed, *_ = build(deployed)
    assert len(observed) == 72
    deployed.store.write([poll(START - 400 * HOUR)])
    assert verdict(deployed) is Standing.CHANGED
    observed, *_ = build(deployed)
    assert len(observed) == 144
    deployed.store.close()


@pytest.mark.parametrize("silent_since", [START, START - 5 * HOUR], ids=["within reach of the rules", "longer"])
def test_a_day_without_polls_depends_on_the_last_interval_before_it(tmp_path, silent_since):
    deployed = deployment(tmp_path)
    deployed.store.write(polls(window(BEFORE)[0], silent_since))
    observed, *_ = build(deployed)
    assert len(observed) == 144
    (hall,) = deployed.settings.devices
    assert verdict(with_devices(deployed, replace(hall, interval_ms=MINUTE))) is Standing.CURRENT
    deployed.store.write([poll(silent_since - MINUTE, interval_ms=HOUR // 2)])
    assert verdict(deployed) is Standing.CHANGED
    observed, *_ = build(deployed)
    assert len(observed) == 48
    deployed.store.close()


def test_intervals_before_a_day_without_polls_are_told_apart_to_the_millisecond(tmp_path):
    deployed = deployment(tmp_path)
    told = set()
    for interval_ms in (10_000, 10_001, 20_000):
        deployed.store.write([poll(START - 5 * HOUR, interval_ms=interval_ms)])
        told.add(inputs(deployed).settings_digest)
    assert len(told) == 3
    deployed.store.close()


def test_a_day_without_any_poll_depends_on_the_configured_interval(tmp_path):
    deployed = deployment(tmp_path, device(since=BEFORE))
    observed, *_ = build(deployed)
    assert len(observed) == 144
    assert verdict(deployed) is Standing.CURRENT
    changed = with_devices(deployed, device(since=BEFORE, interval_ms=MINUTE))
    assert verdict(changed) is Standing.CHANGED
    deployed.store.close()


def test_a_day_depends_on_the_configured_interval_as_far_as_no_poll_says_another(tmp_path):
    deployed = deployment(tmp_path, device(since=BEFORE))
    deployed.store.write(polls(START + 12 * HOUR, END))
    observed, *_ = build(deployed)
    assert len(observed) == 144
    changed = with_devices(deployed, device(since=BEFORE, interval_ms=MINUTE))
    assert verdict(changed) is Standing.CHANGED
    observed, *_ = build(changed)
    assert len(observed) == 12 * 60 + 72
    deployed.store.close()


def test_a_device_that_had_ended_is_expected_again_where_it_was_polled_again(tmp_path):
    deployed = deployment(tmp_path)
    deployed.store.write([poll(START - 400 * HOUR), poll(START - 399 * HOUR, outcome=Outcome.ENDED)])
    assert inputs(deployed).devices == ()
    deployed.store.write(polls(START, END))
    assert [one.device.id for one in inputs(deployed).devices] == ["hall"]
    deployed.store.close()


def test_who_asks_for_many_days_may_remember_first_polls(deployed):
    asked = []

    def remembered(name, since):
        asked.append(name)
        return deployed.store.first_poll(name, since)

    assert day_inputs(deployed.store, deployed.settings, DAY, remembered) == inputs(deployed)
    assert sorted(asked) == ["attic", "hall"]


NEW = {
    "nobody": None,
    "from its first poll": device("new"),
    "since that day": device("new", since=DAY),
    "since the day before": device("new", since=BEFORE),
    "since the day after": device("new", since=AFTER),
    "until that day": device("new", since=BEFORE, until=DAY),
    "another interval": device("new", since=BEFORE, interval_ms=MINUTE),
}
POLLED = {
    "never": (),
    "from its begin": (START,),
    "around it": (START - MINUTE, END - MINUTE),
    "an hour later": (START + HOUR,),
    "at its end": (END,),
    "long before": (START - 400 * HOUR, START),
    "before the deployment's start": (START - 400 * 24 * HOUR, START + HOUR),
}


@pytest.mark.parametrize("new", NEW)
@pytest.mark.parametrize("polled", POLLED)
def test_the_settings_of_a_day_without_surprises_are_told_by_first_polls_alone(tmp_path, new, polled):
    """So that a year is compared by footers: what a day was asked for then, they say."""
    deployed = deployment(tmp_path, *DEVICES, *filter(None, [NEW[new]]))
    for one in DEVICES:
        deployed.store.write(polls(START, END, one.id))
    deployed.store.write([poll(at, "new") for at in POLLED[polled]])
    own = inputs(deployed)
    asked = {one.device.id: {parameter.series for parameter in one.device.parameters} for one in own.devices}
    told = usual_settings_digest(deployed.store, deployed.settings, DAY, asked, deployed.store.first_poll)
    assert told == own.settings_digest
    one_more = {name: series | {"first_humidity"} for name, series in asked.items()}
    other = usual_settings_digest(deployed.store, deployed.settings, DAY, one_more, deployed.store.first_poll)
    assert other != own.settings_digest
    deployed.store.close()


def test_a_store_that_was_filled_in_another_order_gives_the_same_inputs(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    both = [deployment(tmp_path / name, device("hall"), device("attic")) for name in ("one", "two")]
    everything = [*polls(START, END), *polls(START, END, "attic")]
    both[0].store.write(everything)
    for some in range(7):
        both[1].store.write(everything[::-1][some::7])
    assert inputs(both[0]) == inputs(both[1])
    for deployed in both:
        build(deployed)
    assert contents(both[0]) == contents(both[1])
    for deployed in both:
        deployed.store.close()

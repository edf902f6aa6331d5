"""The past is what was polled then: settings of today decide only what nobody was ever asked."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.access.archive import Archive
from air_pipeline.catalogue import STATION, Parameter
from air_pipeline.days.comparing import Under, built_under, compare_day
from air_pipeline.days.holdings import held
from air_pipeline.days.inputs import Standing
from air_pipeline.devices.polls import AskedFor, Flag, Outcome, Problem
from air_pipeline.in_force import load_settings, read_former
from air_pipeline.processing.asked import asked_series
from air_pipeline.settings import Device, SettingsError
from air_pipeline.settings.former import Former
from air_pipeline.storage.commit import built_metadata
from air_pipeline_tests.days.deployments import (
    AFTER,
    BEFORE,
    DAY,
    HOUR,
    MINUTE,
    build,
    contents,
    deployment,
    forget,
    poll,
    window,
    with_devices,
)

START, END = window()
NOON = START + 12 * HOUR
STEP = 10 * MINUTE
FIRST, SECOND, DUST = (
    Parameter("first", "temperature", "°C", "temperature", (-40.0, 80.0), 0.1),
    Parameter("second", "temperature", "°C", "temperature", (-40.0, 80.0), 0.1),
    Parameter("sds011", "pm25", "µg/m³", "PM2.5", (0.0, 999.9)),
)
BOTH = (FIRST, SECOND)


def station(name="hall", parameters=BOTH, **changes):
    return Device(name, f"http://{name}/", "Europe/Warsaw", interval_ms=STEP, parameters=parameters, **changes)


def asked(start, end, *series, said=None, name="hall", **fields):
    """Polls of all slots in [start, end) with a value of each series; the first says what it was asked for."""
    made = [
        poll(at, name, values={one: 20.0 + n + at // STEP % 7 / 10 for n, one in enumerate(series)}, **fields)
        for at in range(start, end, STEP)
    ]
    return made if said is None else [replace(made[0], series=tuple(said)), *made[1:]]


def names(*parameters):
    return [one.series for one in parameters]


def seeded(tmp_path, polls, *devices, **settings):
    deployed = deployment(tmp_path, *(devices or (station(),)), **settings)
    deployed.store.write(polls)
    return deployed


def counts(observed, series):
    rows = observed[observed["series"] == series]
    return len(rows), int((rows["flag"] == Flag.MISSING).sum())


@pytest.fixture(params=[True, False], ids=["polls say it", "polls of before"])
def said(request):
    """Whether polls say what they were asked for, or only have it, as those of earlier versions."""
    return names if request.param else (lambda *_: None)


@pytest.mark.parametrize(
    "now",
    [
        (FIRST,),
        (FIRST, SECOND, DUST),
        (FIRST, DUST),
        (SECOND, Parameter("first", "temperature", "°C", "spelt otherwise", (-40.0, 80.0), 0.1)),
    ],
    ids=["one taken out", "one added", "one in place of another", "spelt otherwise"],
)
def test_other_sensors_than_then_change_nothing_of_a_day(tmp_path, said, now):
    deployed = seeded(tmp_path, asked(START, END, *names(*BOTH), said=said(*BOTH)))
    observed, *_ = build(deployed)
    before = contents(deployed)
    changed = with_devices(deployed, station(parameters=now))
    assert compare_day(changed, deployed.store, DAY).standing is Standing.CURRENT
    made = built_metadata(deployed.data, DAY)
    assert built_under(made, changed.settings, DAY, deployed.store, deployed.store.first_poll) is Under.NOW
    again, *_ = build(changed, force=True)
    assert contents(changed) == before
    assert counts(again, "temperature") == counts(observed, "temperature") == (144, 0)
    deployed.store.close()


def test_a_limit_of_a_series_that_was_asked_for_then_does(tmp_path, said):
    deployed = seeded(tmp_path, asked(START, END, *names(*BOTH), said=said(*BOTH)))
    build(deployed)
    for changes, standing in (
        ({"expected_range": {"first_temperature": (0.0, 20.2)}}, Standing.CHANGED),
        ({"expected_range": {"temperature": (0.0, 20.2)}}, Standing.CHANGED),
        ({"thresholds": {"second_temperature": 20.0}}, Standing.CHANGED),
        ({"parameters": (*BOTH, DUST), "thresholds": {"sds011_pm25": 20.0}}, Standing.CURRENT),
        ({"parameters": (*BOTH, DUST), "expected_range": {"sds011_pm25": (0.0, 1.0)}}, Standing.CURRENT),
    ):
        changed = with_devices(deployed, station(**changes))
        assert compare_day(changed, deployed.store, DAY).standing is standing
        made = built_metadata(deployed.data, DAY)
        under = built_under(made, changed.settings, DAY, deployed.store, deployed.store.first_poll)
        assert (under is Under.NOW) == (standing is Standing.CURRENT)
    deployed.store.close()


@pytest.mark.parametrize("now", [(FIRST, DUST), BOTH, (FIRST, SECOND, DUST), (FIRST,)], ids=str)
def test_sensors_that_were_changed_at_noon_are_there_as_long_as_they_were(tmp_path, said, now):
    morning = asked(START, NOON, *names(*BOTH), said=said(*BOTH))
    deployed = seeded(tmp_path, [*morning, *asked(NOON, END, *names(FIRST, DUST), said=said(FIRST, DUST))])
    build(with_devices(deployed, station(parameters=(FIRST, SECOND, DUST))))
    observed, hourly, daily = build(with_devices(deployed, station(parameters=now)), force=True)
    whole = {name: counts(observed, name) for name in observed["series"].unique()}
    assert whole == {
        "first_temperature": (144, 0),
        "second_temperature": (72, 0),
        "sds011_pm25": (72, 0),
        "temperature": (72, 0),  # a mean over one is none
    }
    by_series = daily.set_index("series")
    assert by_series["expected_count"].to_dict() == {name: rows for name, (rows, _) in whole.items()}
    assert by_series["coverage"].eq(1).all()
    assert by_series["unit"].to_dict() == {
        "first_temperature": "°C", "second_temperature": "°C", "sds011_pm25": "µg/m³", "temperature": "°C"
    }  # fmt: skip
    dust = hourly[hourly["series"] == "sds011_pm25"]
    assert dust["expected_count"].tolist() == [0] * 12 + [6] * 12
    assert dust["coverage"].isna().tolist() == [True] * 12 + [False] * 12
    deployed.store.close()


def test_what_an_outage_hides_was_asked_for_all_the_same(tmp_path, said):
    """A whole day of it, rejected pages in it: what was asked for last, however long ago, is what is missing."""
    before, *_ = window(BEFORE - timedelta(days=20))
    silent = [poll(at, outcome=Outcome.TIMEOUT) for at in range(START, NOON, STEP)]
    pages = [poll(at, outcome=Outcome.REJECTED, body="<html>") for at in range(NOON, END, STEP)]
    deployed = seeded(tmp_path, [*asked(before, before + HOUR, *names(*BOTH), said=said(*BOTH)), *silent, *pages])
    build(deployed)
    observed, *_ = build(with_devices(deployed, station(parameters=(FIRST, DUST))), force=True)
    rows = {name: counts(observed, name) for name in observed["series"].unique()}
    assert rows == {"first_temperature": (144, 144), "second_temperature": (144, 144), "temperature": (144, 144)}
    deployed.store.close()


def test_before_anybody_was_asked_hold_the_series_of_the_first_poll_and_else_those_of_the_settings(tmp_path, said):
    device = station(since=BEFORE, parameters=(FIRST, DUST))
    deployed = deployment(tmp_path, device)
    assert set(build(deployed, BEFORE)[0]["series"]) == set(names(FIRST, DUST))
    deployed.store.write(asked(NOON, END, *names(*BOTH), said=said(*BOTH)))
    for day in (BEFORE, DAY):
        observed, *_ = build(deployed, day, force=True)
        assert counts(observed, "second_temperature") == (144, 144 if day == BEFORE else 72)
        assert "sds011_pm25" not in set(observed["series"])
    deployed.store.close()


def test_a_value_that_is_gone_while_its_poll_is_not_is_missing(tmp_path, said):
    deployed = seeded(tmp_path, asked(START, END, *names(*BOTH), said=said(*BOTH)))
    build(deployed)
    forget(deployed, "hall", NOON, NOON + HOUR, ["air"])
    observed, *_ = build(deployed, force=True)
    assert counts(observed, "first_temperature") == (144, 6)
    assert counts(observed, "temperature") == (144, 6)
    deployed.store.close()


def test_a_problem_says_that_a_series_was_asked_for(tmp_path):
    lost = Problem("second_temperature", None, Flag.MISSING, "it is not there")
    deployed = seeded(tmp_path, asked(START, END, "first_temperature", problems=(lost,), outcome=Outcome.PARTIAL))
    observed, *_ = build(with_devices(deployed, station(parameters=(FIRST,))))
    assert counts(observed, "second_temperature") == (144, 144)
    deployed.store.close()


def test_a_device_that_is_in_the_settings_no_longer_is_there_until_its_last_poll(tmp_path, said):
    """Also on a day that was not built when it was taken out, and on one on which it was silent in between."""
    (before, _), (_, after) = window(BEFORE - timedelta(days=1)), window(AFTER)
    polls = [
        *asked(before, before + HOUR, *names(*BOTH), said=said(*BOTH), name="attic"),
        *asked(NOON, NOON + HOUR, *names(*BOTH), name="attic"),
        *asked(before, after, *names(*BOTH), said=said(*BOTH)),
    ]
    deployed = seeded(tmp_path, polls, station(), station("attic"))
    build(deployed, BEFORE - timedelta(days=1))
    gone = with_devices(deployed, station())
    found = {}
    for day in (BEFORE - timedelta(days=1), BEFORE, DAY, AFTER):
        observed, *_ = build(gone, day)
        found[day] = counts(observed[observed["device"] == "attic"], "first_temperature")
    assert list(found.values()) == [(144, 138), (144, 144), (72 + 6, 72), (0, 0)]
    assert held(deployed.data, AFTER).keys() == {"hall"}
    with Archive(gone) as archive:
        rows = archive.observations(BEFORE, AFTER)
        assert set(rows["device"]) == {"attic", "hall"}
        assert archive.observations(BEFORE, AFTER, devices="attic", series="temperature")["device"].eq("attic").all()
        assert archive.devices == ["hall"]
        with pytest.raises(SettingsError, match="there is no device 'cellar'"):
            archive.observations(BEFORE, AFTER, devices="cellar")
    deployed.store.close()


def test_live_rows_are_what_was_polled_then_too(tmp_path, said):
    morning = asked(START, NOON, *names(*BOTH), said=said(*BOTH))
    deployed = seeded(tmp_path, [*morning, *asked(NOON, END, *names(FIRST, DUST), said=said(FIRST, DUST))])
    deployed.remember_store()  # as whatever builds does
    seen = with_devices(deployed, station(parameters=(FIRST, SECOND, DUST)))
    with Archive(seen) as archive:
        live = archive.observations(DAY, AFTER)
        build(seen)
        built = archive.observations(DAY, AFTER)
        assert live.equals(built)
        hours = archive.hourly(DAY, AFTER)
        assert archive.units() == {**dict.fromkeys(names(*BOTH), "°C"), "temperature": "°C", "sds011_pm25": "µg/m³"}
        assert hours["expected_count"].sum() == len(built)


def test_what_was_removed_before_it_was_kept_is_known_from_built_days(tmp_path):
    """A state directory of an earlier version: its tables say units and zones."""
    polls = [
        *asked(START, END, *names(FIRST, DUST)),
        *asked(START, END, *names(*BOTH), name="attic"),
    ]
    deployed = seeded(tmp_path, polls, station(parameters=(FIRST, DUST)), station("attic"))
    *_, daily = build(deployed)
    deployed.environment.state.former.unlink()
    removed = with_devices(deployed, station(parameters=(FIRST,)))
    *_, again = build(removed, force=True)
    assert again.equals(daily)
    former = read_former(deployed.environment.state)
    assert former.has_tables
    assert {one.id: set(names(*one.parameters)) for one in former.devices} == {
        "attic": set(names(*BOTH)),
        "hall": set(names(FIRST, DUST)),
    }
    deployed.store.close()


def test_a_series_that_nobody_knows_is_kept_by_its_name(tmp_path):
    deployed = seeded(tmp_path, asked(START, END, "first_temperature", "sds011_pm25"), station(parameters=(FIRST,)))
    *_, daily = build(deployed)
    assert daily.set_index("series")["unit"].to_dict() == {"first_temperature": "°C", "sds011_pm25": ""}
    deployed.store.close()


def test_from_an_end_until_the_next_poll_nothing_is_expected(tmp_path, said):
    """The outcome `ended` is no slot, and no poll that anybody missed."""
    polls = [
        *asked(START, START + 2 * HOUR, *names(FIRST), said=said(FIRST)),
        poll(START + 3 * HOUR + MINUTE, outcome=Outcome.ENDED),
        *asked(NOON, NOON + HOUR, *names(FIRST)),
        poll(NOON + 2 * HOUR, outcome=Outcome.ENDED),
    ]
    deployed = seeded(tmp_path, polls, station(parameters=(FIRST,)))
    observed, *_ = build(deployed)
    at = (observed["observed_at"].astype("int64") - START) // STEP
    assert at.tolist() == [*range(19), *range(72, 84)]
    assert counts(observed, "first_temperature") == (31, 13)
    assert "ended" not in set(observed["poll_outcome"].dropna())
    assert build(deployed, AFTER)[0].empty
    with Archive(deployed) as archive:
        assert archive.observations(AFTER, AFTER + timedelta(days=1)).empty


def test_what_was_imported_counts_as_what_was_polled(tmp_path):
    deployed = seeded(tmp_path, asked(START, END, *names(*BOTH), outcome=Outcome.IMPORTED))
    observed, _, daily = build(deployed)
    assert observed["poll_outcome"].unique().tolist() == ["imported"]
    assert daily["coverage"].eq(1).all()
    assert deployed.store.latest()["hall"].values.keys() == set(names(*BOTH))
    deployed.store.close()


SERIES = st.sampled_from(["a", "b", "c"])


@given(
    slots=st.lists(st.tuples(st.frozensets(SERIES), st.none() | st.frozensets(SERIES)), max_size=12),
    opening=st.builds(AskedFor, st.frozensets(SERIES), st.booleans()),
)
def test_what_was_asked_for_follows_from_the_polls_one_after_the_other(slots, opening):
    own = {name: np.array([name in has for has, _ in slots], dtype=bool) for name in "abc"}
    said = {place: names for place, (_, names) in enumerate(slots) if names is not None}
    found = asked_series(own, said, opening)
    now, is_said = set(opening.series), opening.is_said
    for place, (has, names_said) in enumerate(slots):
        if names_said is not None:
            now, is_said = set(names_said), True
        elif has and not is_said:
            now = set(has)
        assert {name for name in "abc" if found[name][place]} == now | has


NUMBERS = st.floats(-1e6, 1e6)
PARAMETERS = st.builds(
    Parameter,
    st.sampled_from(["x", "dht22"]),
    st.sampled_from(["y", "temperature"]),
    st.text(max_size=3),
    st.text(max_size=3),
    st.none() | st.tuples(NUMBERS, NUMBERS),
    st.none() | NUMBERS,
    st.text(max_size=3),
)


@given(
    st.lists(
        st.builds(
            Device,
            id=st.text("abc", min_size=1, max_size=3),
            url=st.just(""),
            timezone=st.sampled_from(["UTC", "Asia/Tokyo"]),
            interval_ms=st.integers(1000, 3_600_000),
            parameters=st.lists(PARAMETERS, max_size=2).map(tuple) | st.just(STATION),
            expected_range=st.dictionaries(st.text(max_size=2), st.tuples(NUMBERS, NUMBERS), max_size=2),
            thresholds=st.dictionaries(st.text(max_size=2), NUMBERS, max_size=2),
            rules=st.dictionaries(
                st.text(max_size=2), st.dictionaries(st.text(max_size=2), st.none() | NUMBERS, max_size=2), max_size=2
            ),
            warm_up=st.timedeltas(timedelta(0), timedelta(days=30)).map(lambda one: timedelta(seconds=one.seconds)),
        ),
        max_size=4,
        unique_by=lambda one: one.id,
    ),
    st.booleans(),
)
def test_what_was_in_force_is_kept_as_it_was(devices, has_tables):
    former = Former(tuple(devices), has_tables)
    again = Former.from_json(former.to_json())
    assert (sorted(again.devices, key=lambda one: one.id), again.has_tables) == (
        sorted(devices, key=lambda one: one.id),
        has_tables,
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"has_tables":true,"devices":[{}]}', '{"devices":[]}', "7"])
def test_a_file_of_it_that_cannot_be_read_says_nothing_and_is_written_anew(tmp_path, text):
    deployed = deployment(tmp_path)
    state, config = deployed.environment.state, deployed.environment.config
    config.write_text(
        "timezone: UTC\nstart: 2026-11-01\ndevices:\n  - {id: hall, url: http://hall/}\n", encoding="utf-8"
    )
    state.write(state.former, text)
    assert read_former(state) == Former()
    assert [one.id for one in load_settings(config, state).settings.former] == ["hall"]
    config.write_text(config.read_text().replace("hall", "attic"), encoding="utf-8")
    settings = load_settings(config, state).settings
    assert list(settings.known) == ["attic", "hall"]
    assert json.loads(state.former.read_text())["devices"][0]["ids"] == ["attic", "hall"]
    assert "http" not in state.former.read_text()

"""A calibrated series stands beside the raw one in everything that is made of a day, and changes no other day."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from shutil import copytree

import numpy as np
import pytest

from air_pipeline.access import Archive
from air_pipeline.catalogue import Parameter
from air_pipeline.days.comparing import compare_day
from air_pipeline.days.inputs import Standing
from air_pipeline.in_force import with_former
from air_pipeline.reports.gathering import gather
from air_pipeline.settings import Mark
from air_pipeline.settings.calibration import Calibration
from air_pipeline.settings.former import Former
from air_pipeline.storage.day_files import day_file
from air_pipeline.times import TimeError
from air_pipeline_tests.days.deployments import (
    AFTER,
    BEFORE,
    DAY,
    HOUR,
    build,
    contents,
    deployment,
    device,
    poll,
    seed,
    window,
    with_built_days,
    with_devices,
)
from air_pipeline_tests.processing.rule_names import rule_names

START, END = window()
NOON = START + 12 * HOUR
DAYS = (BEFORE, DAY, AFTER)
RAW, CALIBRATED = "first_temperature", "first_temperature_calibrated"
BESIDE = Calibration(NOON, 0.5, 1.0, "beside the reference")
HALL, LAB = device("hall"), device("lab", "Asia/Tokyo")


def calibrated(*of_one, series=RAW, **changes):
    return replace(HALL, calibrations={series: of_one}, **changes)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Where two devices have three whole days, which are built."""
    path = tmp_path_factory.mktemp("calibrated")
    with_built_days(path, HALL, LAB, days=DAYS).store.close()
    return path


@pytest.fixture
def deployed(built, tmp_path):
    copytree(built, tmp_path, dirs_exist_ok=True)
    deployed = deployment(tmp_path, HALL, LAB)
    yield deployed
    deployed.store.close()


def changed(deployed):
    """The days that are to be built again."""
    standings = {day: compare_day(deployed, deployed.store, day).standing for day in DAYS}
    assert set(standings.values()) <= {Standing.CURRENT, Standing.CHANGED}
    return [day for day, standing in standings.items() if standing is Standing.CHANGED]


@pytest.mark.parametrize(
    ("since", "days"),
    [
        (START - 100 * HOUR, [BEFORE, DAY, AFTER]),
        (START, [DAY, AFTER]),
        (END - 1, [DAY, AFTER]),
        (END, [AFTER]),
        (END + 100 * HOUR, []),
    ],
)
def test_the_days_from_its_beginning_on_are_built_again_and_no_others(deployed, since, days):
    assert changed(with_devices(deployed, calibrated(replace(BESIDE, since=since)), LAB)) == days


@pytest.mark.parametrize("other", [{"gain": 0.6}, {"offset": 0.0}, {"reason": "a guess"}], ids=str)
def test_another_calibration_changes_the_days_that_it_is_of(deployed, other):
    before = replace(BESIDE, since=START - 100 * HOUR)
    now = with_devices(deployed, calibrated(before, BESIDE), LAB)
    for day in DAYS:
        build(now, day)
    assert changed(now) == []
    assert changed(with_devices(deployed, calibrated(before, replace(BESIDE, **other)), LAB)) == [DAY, AFTER]
    assert changed(with_devices(deployed, calibrated(replace(before, **other), BESIDE), LAB)) == [BEFORE, DAY]


def test_the_raw_series_stays_and_the_calibrated_one_is_gain_times_value_plus_offset(deployed):
    plain, *_ = build(deployed)
    observed, hourly, daily = build(with_devices(deployed, calibrated(BESIDE), LAB))
    rows = {series: of_one.set_index("observed_at") for series, of_one in observed.groupby("series", observed=True)}
    ours = rows[CALIBRATED]
    raw = rows[RAW][rows[RAW]["device"] == "hall"]
    same = observed[observed["series"] == RAW].astype({"series": str}).reset_index(drop=True)
    assert same.equals(plain.astype({"series": str}))
    assert ours.index.min() == datetime.fromtimestamp(NOON / 1000, UTC)
    assert len(ours) == 72, "there is nothing before it begins, and every slot after"
    expected = raw.loc[ours.index]
    np.testing.assert_allclose(ours["value"], 0.5 * expected["value"] + 1.0, rtol=1e-15)
    assert ours[["flag", "rules", "local_time"]].equals(expected[["flag", "rules", "local_time"]])
    day = daily.set_index(["device", "series"]).loc["hall"]
    assert (day.loc[CALIBRATED, "unit"], day.loc[CALIBRATED, "expected_count"]) == ("°C", 72)
    assert day.loc[CALIBRATED, "mean"] == pytest.approx(ours["value"].mean())
    of_hours = hourly[hourly["series"] == CALIBRATED]
    assert len(of_hours) == 24
    assert set(of_hours["expected_count"][:12]) == {0}
    assert not deployed.store.readings("hall", START, END).filter(like="calibrated").columns.size


def test_taken_away_the_day_is_what_it_was_byte_for_byte(deployed):
    before = contents(deployed)
    now = with_devices(deployed, calibrated(BESIDE), LAB)
    build(now)
    once = contents(deployed)
    build(now)
    assert contents(deployed) == once
    assert once != before
    build(deployed)
    assert contents(deployed) == before


def test_flags_follow_those_of_the_raw_values_and_what_is_expected_of_the_calibrated_ones(tmp_path):
    expected = {RAW: (21.0, 30.0), CALIBRATED: (0.0, 13.5)}  # 20 … 26 become 11 … 14
    deployed = deployment(tmp_path, calibrated(replace(BESIDE, since=START), expected_range=expected))
    seed(deployed)
    observed, *_ = build(deployed)
    said = {}
    for (series, value), rows in observed.groupby(["series", "value"], observed=True):
        [flag], [bits] = set(rows["flag"]), set(rows["rules"])
        said.setdefault(series, {})[value] = (flag, rule_names(bits))
    fine, beyond = (1, ()), (3, ("expected_range",))
    assert said[RAW] == {20.0: beyond} | {21.0 + n: fine for n in range(6)}
    assert said[CALIBRATED] == {11.0: beyond, 14.0: beyond} | {11.5 + n / 2: fine for n in range(5)}
    deployed.store.close()


def test_a_mean_over_sensors_can_be_calibrated_and_there_is_no_mean_of_calibrated_ones(tmp_path):
    two = (*HALL.parameters, Parameter("other", "temperature", "°C", "temperature"))
    calibrations = dict.fromkeys((RAW, "other_temperature", "temperature"), (replace(BESIDE, since=START),))
    deployed = deployment(tmp_path, replace(HALL, parameters=two, calibrations=calibrations))
    for at in range(START, END, 10 * 60_000):
        values = {RAW: 20.0, "other_temperature": 22.0}
        deployed.store.write([poll(at, values=values)])
    *_, daily = build(deployed)
    means = daily.set_index("series")["mean"].to_dict()
    assert means == {
        RAW: 20.0,
        CALIBRATED: 11.0,
        "other_temperature": 22.0,
        "other_temperature_calibrated": 12.0,
        "temperature": 21.0,
        "temperature_calibrated": 11.5,
    }
    deployed.store.close()


def test_of_a_day_that_is_not_built_it_is_there_too(tmp_path):
    deployed = deployment(tmp_path, calibrated(BESIDE), now=datetime(2026, 11, 21, 12, tzinfo=UTC))
    seed(deployed)
    rows = Archive(deployed).observations("2026-11-21T11:50", "2026-11-21T12:10", series=CALIBRATED)
    raw = Archive(deployed).history("2026-11-21T12:00", "2026-11-21T12:10")
    assert list(rows["value"]) == [0.5 * raw[RAW].item() + 1.0]
    assert list(raw.columns) == ["device", RAW], "readings are what the device said"
    deployed.store.close()


def test_an_explanation_tells_of_the_raw_value_by_the_calibration_that_the_day_was_built_with(deployed):
    now = with_devices(deployed, calibrated(BESIDE, expected_range={CALIBRATED: (0.0, 1.0)}), LAB)
    at = datetime.fromtimestamp(NOON / 1000, UTC)
    with pytest.raises(TimeError, match="was built without first_temperature_calibrated; build it again: air-pipeline"):
        Archive(now).explain("hall", CALIBRATED, at)
    build(now)
    found = Archive(now).explain("hall", CALIBRATED, at)
    assert (found.unit, found.judged.flag, found.judged.members) == ("°C", 3, {RAW: 1})
    assert [(one.rule, one.verdict) for one in found.judged.said] == [("expected_range", "suspect")]
    assert found.judged_now is None
    later = with_devices(deployed, calibrated(replace(BESIDE, gain=1.0)), LAB)
    again = Archive(later).explain("hall", CALIBRATED, at)
    assert again.judged == found.judged
    assert again.judged_now.value == 2 * (found.judged.value - 1.0) + 1.0
    with pytest.raises(TimeError, match="hall has no first_temperature_calibrated in that slot"):
        Archive(now).explain("hall", CALIBRATED, at - timedelta(hours=1))
    with pytest.raises(TimeError, match="was not calibrated, or not asked for"):
        Archive(now).explain("hall", CALIBRATED, at - timedelta(days=1))
    said = json.loads(day_file(deployed.data, "observations", DAY).metadata().limits)
    assert [row.get("calibrations") for row in said] == [{RAW: [[NOON, 0.5, 1.0, "beside the reference"]]}, None]


def test_a_mark_of_the_calibrated_series_is_of_it_alone(deployed):
    good = Mark("hall", CALIBRATED, NOON, NOON + HOUR, "good", "by the reference too")
    now = with_devices(deployed, calibrated(BESIDE, expected_range={RAW: (0.0, 1.0)}), LAB)
    now = replace(now, settings=replace(now.settings, marks=(good,)))
    observed, *_ = build(now)
    flags = observed[observed["device"] == "hall"].groupby("series", observed=True)["flag"].apply(list)
    assert flags[RAW] == [3] * 144
    assert flags[CALIBRATED] == [1] * 6 + [3] * 66


def test_the_page_of_the_day_has_it_below_those_of_its_unit(deployed):
    now = with_devices(deployed, calibrated(BESIDE), LAB)
    build(now)
    hall, _ = gather(now, DAY).devices
    assert [(one.series.name, one.series.description) for one in hall.series] == [
        (RAW, ""),
        (CALIBRATED, "first_temperature, calibrated by hand"),
    ]


def test_a_device_that_is_gone_keeps_how_it_was_calibrated(deployed):
    now = with_devices(deployed, calibrated(BESIDE), LAB)
    with_former(now.settings, now.environment.state)
    for day in DAYS:
        build(now, day)
    assert changed(with_devices(deployed, LAB)) == []
    kept = Former((calibrated(BESIDE),))
    assert Former.from_json(kept.to_json()).devices[0].calibrations == calibrated(BESIDE).calibrations


def test_what_becomes_too_large_for_a_number_is_bad_and_no_value(tmp_path):
    deployed = deployment(tmp_path, calibrated(replace(BESIDE, since=START, gain=1e308)), start=date(2026, 11, 1))
    seed(deployed)
    observed, *_ = build(deployed)
    rows = observed[observed["series"] == CALIBRATED]
    assert (set(rows["flag"]), rows["value"].isna().all()) == ({4}, True)
    deployed.store.close()

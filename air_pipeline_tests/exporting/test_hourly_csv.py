"""Hourly CSV: what its UTC hours hold is told by the polls themselves, in zones of all kinds."""

import csv
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from air_pipeline.exporting.airmonitor import META, meta_path, write_airmonitor
from air_pipeline.exporting.openair import write_openair
from air_pipeline.exporting.positions import Position
from air_pipeline.exporting.selection import ExportError, select
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.collection.disks import fill, small_disk
from air_pipeline_tests.days.deployments import (
    AFTER,
    BEFORE,
    DAY,
    HOUR,
    MINUTE,
    build,
    deployment,
    device,
    forget,
    poll,
    polls,
    seed,
    window,
    with_devices,
)

THREE = (BEFORE, DAY, AFTER)


def built(tmp_path, *devices, days=THREE, said=None, now=None):
    """A deployment with these days built from polls: those of all slots, or those given."""
    deployed = deployment(tmp_path, *devices, **({} if now is None else {"now": now}))
    if said is None:
        seed(deployed, days)
    else:
        deployed.store.write(said)
    for day in days:
        build(deployed, day)
    return deployed


def exported(deployed, tmp_path, **chosen):
    """The rows of a CSV for openair."""
    target = tmp_path / "hours.csv"
    count = write_openair(select(deployed, **chosen), target)
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    return rows


def by_hour(rows, site):
    found = [(row["date"], row["first_temperature"]) for row in rows if row["site"] == site]
    assert len(dict(found)) == len(found), "an hour comes once"
    return {epoch(text): float(value) if value else None for text, value in found}


def epoch(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def told_by(said, start, end):
    """The mean of each whole UTC hour of [start, end), from the polls."""
    first, last = -(-start // HOUR) * HOUR, end // HOUR * HOUR
    hours = {}
    for one in said:
        hours.setdefault(one.observed_at // HOUR * HOUR, []).append(one.values["first_temperature"])
    return {hour: sum(hours[hour]) / len(hours[hour]) for hour in range(first, last, HOUR)}


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Warsaw", date(2026, 3, 29)),  # 23 hours
        ("Europe/Warsaw", date(2026, 10, 25)),  # two 02:xx
        ("Asia/Kolkata", DAY),  # +05:30
        ("Asia/Kathmandu", DAY),  # +05:45
        ("Australia/Lord_Howe", date(2026, 4, 5)),  # +11 → +10:30
        ("Australia/Lord_Howe", date(2026, 10, 4)),  # and back
        ("Pacific/Chatham", date(2026, 4, 5)),  # +13:45 → +12:45
    ],
)
def test_every_utc_hour_of_the_days_comes_once_with_the_mean_of_its_own_values(tmp_path, zone, day):
    one = device(timezone=zone)
    days = [day + timedelta(days=number) for number in (-1, 0, 1)]
    start, end = window(days[0], one)[0], window(days[2], one)[1]
    rows = exported(built(tmp_path, one, days=days, said=polls(start, end)), tmp_path)
    assert by_hour(rows, "hall") == pytest.approx(told_by(polls(start, end), start, end), rel=1e-12)


def test_in_zones_of_whole_hours_the_numbers_are_those_of_the_table_to_the_last_digit(tmp_path):
    deployed = built(tmp_path)
    table = day_file(deployed.data, "hourly_aggregates", DAY).read()
    rows = by_hour(exported(deployed, tmp_path, start="2026-11-21", end="2026-11-22"), "hall")
    assert rows == dict(zip(table["hour_start"].astype("int64"), table["mean"], strict=True))


@pytest.mark.parametrize("zone", ["Europe/Warsaw", "Asia/Kolkata"])
def test_an_hour_with_less_than_three_quarters_of_its_values_is_empty(tmp_path, zone):
    one = device(timezone=zone)
    start, end = window(DAY, one)
    poor, rich = start + 5 * HOUR, start + 8 * HOUR  # begin at :30 UTC in India: each is halves of two UTC hours
    poor, rich = poor // HOUR * HOUR, rich // HOUR * HOUR
    gone = {poor, poor + 20 * MINUTE, rich + 40 * MINUTE}
    said = [one for one in polls(start, end) if one.observed_at not in gone]
    rows = by_hour(exported(built(tmp_path, one, days=[DAY], said=said), tmp_path), "hall")
    assert {hour for hour, mean in rows.items() if mean is None} == {poor}
    five = [one.values["first_temperature"] for one in said if rich <= one.observed_at < rich + HOUR]
    assert len(five) == 5
    assert rows[rich] == pytest.approx(sum(five) / 5)


def test_an_hour_that_reaches_into_a_day_that_is_not_built_is_left_out(tmp_path):
    deployed = deployment(tmp_path, device(timezone="Asia/Kolkata"))
    seed(deployed, THREE)
    for day in (BEFORE, AFTER):
        build(deployed, day)
    selection = select(deployed)
    assert selection.missing == [DAY]
    rows = by_hour(exported(deployed, tmp_path), "hall")
    assert len(rows) == 2 * 23
    build(deployed, DAY)
    assert len(by_hour(exported(deployed, tmp_path), "hall")) == 3 * 24 - 1


def test_hours_are_those_that_lie_in_the_time_asked_for(tmp_path):
    rows = exported(built(tmp_path), tmp_path, start="2026-11-21T08:10", end="2026-11-21T12:50")
    assert [row["date"] for row in rows] == [f"2026-11-21 {hour:02}:00:00" for hour in (8, 9, 10)]


def test_a_device_that_was_moved_to_another_zone_has_no_hour_twice(tmp_path):
    east = device(timezone="Asia/Kolkata")
    deployed = deployment(tmp_path, device(timezone="America/New_York"))
    start, end = window(BEFORE, east)[0], window(AFTER, device(timezone="America/New_York"))[1]
    deployed.store.write(polls(start, end))
    build(deployed, BEFORE)
    moved = with_devices(deployed, east)
    build(moved, DAY)
    build(moved, AFTER)
    first = window(BEFORE, device(timezone="America/New_York"))[0]
    assert by_hour(exported(moved, tmp_path), "hall") == pytest.approx(
        told_by(polls(start, end), first, window(AFTER, east)[1])
    )


def test_names_of_series_are_those_that_r_makes_of_them(tmp_path):
    part = replace(device().parameters[0], sensor="bme680-76")
    one = replace(device(), parameters=(part,))
    said = [poll(at, values={part.series: 20.0}) for at in range(*window(), 10 * MINUTE)]
    rows = exported(built(tmp_path, one, days=[DAY], said=said), tmp_path)
    assert list(rows[0]) == ["date", "site", "bme680.76_temperature"]


def test_airmonitor_has_an_axis_without_gaps_and_a_deployment_for_each_column(tmp_path):
    deployed = deployment(tmp_path, device("hall"), device("delhi", "Asia/Kolkata"))
    seed(deployed, THREE)
    for day in (BEFORE, AFTER):
        build(deployed, day)
    target = tmp_path / "hours.csv"
    count = write_airmonitor(select(deployed), target, {"hall": Position(52.23, 21.01, 110.0)})
    header, *rows = csv.reader(target.read_text(encoding="utf-8").splitlines())
    with meta_path(target).open(encoding="utf-8", newline="") as file:
        meta = list(csv.DictReader(file))
    assert header == ["datetime", *(row["deviceDeploymentID"] for row in meta)] == ["datetime", "delhi", "hall"]
    assert tuple(meta[0]) == META
    hours = [epoch(row[0]) for row in rows]
    assert hours == list(range(hours[0], hours[-1] + HOUR, HOUR))
    assert len(rows) == count
    for place, site in ((1, "delhi"), (2, "hall")):
        found = {epoch(row[0]): float(row[place]) for row in rows if row[place]}
        assert found == by_hour(exported(deployed, tmp_path), site)
    assert [meta[1][name] for name in ("latitude", "longitude", "elevation", "units", "pollutant", "timezone")] == [
        "52.23",
        "21.01",
        "110.0",
        "C",
        "TEMPERATURE",
        "Europe/Warsaw",
    ]
    assert meta[0]["latitude"] == ""


def test_what_is_of_two_units_is_not_put_into_one_column(tmp_path):
    deployed = built(tmp_path, days=[BEFORE])
    kelvin = replace(device(), parameters=(replace(device().parameters[0], unit="K", sensor_range=None),))
    changed = with_devices(deployed, kelvin)
    seed(changed, [DAY])
    build(changed, DAY)
    with pytest.raises(ExportError) as refused:
        select(changed)
    assert str(refused.value) == (
        "first_temperature is in °C of hall on 2026-11-20 and in K of hall on 2026-11-21; "
        "export what has one unit, by devices or with --from and --to"
    )
    assert select(changed, start="2026-11-21", end="2026-11-22").units == {"first_temperature": "K"}


def test_a_day_whose_files_are_of_two_makings_is_left_out_and_said(tmp_path):
    deployed = built(tmp_path)
    forget(deployed, "hall", window(DAY)[0], window(DAY)[0] + HOUR)
    old = {name: day_file(deployed.data, name, DAY).path.read_bytes() for name in ("hourly_aggregates",)}
    build(deployed, DAY, force=True)
    for name, content in old.items():
        day_file(deployed.data, name, DAY).path.write_bytes(content)
    assert select(deployed).missing == [DAY]


def test_an_export_that_finds_no_room_leaves_what_was_there(tmp_path):
    deployed = built(tmp_path)
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        (disk / "hours.csv").write_text("before", encoding="utf-8")
        fill(disk)
        with pytest.raises(ExportError, match=r"hours\.csv cannot be written: No space left on device"):
            write_openair(select(deployed), disk / "hours.csv")
        assert (disk / "hours.csv").read_text(encoding="utf-8") == "before"
        assert [path.name for path in disk.iterdir() if "partial" in path.name] == []

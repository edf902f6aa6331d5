"""Aggregates are what DuckDB makes of the observations file by SQL that was written from the documentation alone."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from air_pipeline.catalogue import STATION, Parameter
from air_pipeline.devices.polls import Flag, Outcome, Poll, Problem
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.processing.columns import TABLES
from air_pipeline.settings import Device
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.days.deployments import HOUR, MINUTE, build, deployment, window

SQL = Path(__file__).with_name("aggregates.sql").read_text(encoding="utf-8")
DAYS = [  # of years past, on which all databases of time zones agree
    pytest.param(date(2020, 11, 21), {24.0}, id="no clock changes"),
    pytest.param(date(2020, 3, 8), {23.0, 24.0}, id="midnight is skipped in Havana"),
    pytest.param(date(2020, 11, 1), {24.0, 25.0}, id="midnight comes twice in Havana"),
    pytest.param(date(2020, 4, 5), {24.0, 24.5}, id="half an hour comes twice on Lord Howe"),
    pytest.param(date(2020, 10, 4), {23.5, 24.0}, id="half an hour is skipped on Lord Howe"),
    pytest.param(date(1987, 10, 25), {23.5, 24.0, 25.0}, id="St Johns steps back over midnight"),
]
DUST = Parameter("sds011", "dust", "µg/m³", "dust")  # of which no rule knows anything
RANGES = {"dht22_temperature": (18.0, 26.0), "temperature": (19.0, 27.0), "mq135_co2": (400.0, 900.0)}
THRESHOLDS = {"dht22_humidity": 45.0, "mq135_co2": 500.0, "temperature": 22.0, "bmp180_pressure": 9999.0}


def devices():
    """Of three zones, with intervals of their own; one that begins late in the day, and one with a lone slot."""
    more = {"expected_range": RANGES, "thresholds": THRESHOLDS, "parameters": (*STATION, DUST)}
    return (
        Device("lord-howe", "http://a/", "Australia/Lord_Howe", 2 * MINUTE, **more),
        Device("havana", "http://b/", "America/Havana", 5 * MINUTE, **more),
        Device("st-johns", "http://c/", "America/St_Johns", 4 * MINUTE, **more),
        Device("late", "http://d/", "Australia/Lord_Howe", 10 * MINUTE, **more),
        Device("lone", "http://e/", "America/St_Johns", HOUR, **more),
    )


def troubled(one, day):
    """A day with gaps, failures, slots off the grid, an interval and sensors that change, and odd values."""
    random = Random(f"{one.id} {day}")
    start, end = window(day, one)
    begins = {"late": end - 9 * HOUR, "lone": end - HOUR}.get(one.id, start - 4 * HOUR)
    changes = start + random.randrange(6, 18) * HOUR
    slots = list(polls_between(one, Profile(one.id), begins, changes))
    slower = replace(one, interval_ms=HOUR if one.id == "lone" else 3 * one.interval_ms // 2)
    slots += polls_between(slower, Profile(one.id), max(begins, changes), end + HOUR)
    gap = start + random.randrange(18 * HOUR)
    if one.id == "lone":
        return slots
    first, *others = [poll for poll in slots if random.random() > 0.05]
    answered = [first, *(poll for poll in others if not gap <= poll.observed_at < gap + 100 * MINUTE)]
    polls = [spoilt(poll, random) for poll in answered]
    return with_dust_since(changes, polls) if one.id == "lord-howe" else polls


def with_dust_since(changes, polls):
    """The same of a device that was given a sensor in the middle of the day."""
    without = [poll for poll in polls if poll.observed_at < changes]
    bare = [
        replace(
            poll,
            values={name: value for name, value in poll.values.items() if name != DUST.series},
            problems=tuple(one for one in poll.problems if one.series != DUST.series),
        )
        for poll in without
    ]
    first, *others = polls[len(without) :]
    names = tuple(parameter.series for parameter in STATION)
    bare[0] = replace(bare[0], series=names)
    return [*bare, replace(first, series=(*names, DUST.series)), *others]


def spoilt(poll, random):
    """The same, or not answered, or with values that are absurd, unusable or missing, or not quite in its slot."""
    at = poll.observed_at + (random.randrange(1, MINUTE) if random.random() < 0.02 else 0)
    said = {"device": poll.device, "observed_at": at, "duration_ms": poll.duration_ms, "interval_s": poll.interval_s}
    chance = random.random()
    if chance < 0.04:
        return Poll(outcome=random.choice([Outcome.TIMEOUT, Outcome.UNREACHABLE, Outcome.SKIPPED]), **said)
    values, problems = {**poll.values, DUST.series: random.lognormvariate(2, 1)}, []
    for name in list(values):
        if random.random() < 0.03:
            values[name] = random.choice([-127.0, 3000.0, 31.0, values[name] + 7.5])
        elif random.random() < 0.02:
            flag, text = random.choice([(Flag.BAD, "inf"), (Flag.MISSING, "nan")])
            problems.append(Problem(name, text, flag, "not a number"))
            del values[name]
    return Poll(outcome=Outcome.PARTIAL if problems else Outcome.OK, values=values, problems=tuple(problems), **said)


def database(path, day):
    """A database in which SQL has made its own tables of a day's observations."""
    found = duckdb.connect(config={"threads": 1})
    found.execute("SET TimeZone = 'UTC'")
    given = {
        "devices(device VARCHAR, timezone VARCHAR)": [(one.id, one.timezone) for one in devices()],
        "units(device VARCHAR, series VARCHAR, unit VARCHAR)": [
            (one.id, *unit) for one in devices() for unit in one.units.items()
        ],
        "thresholds(device VARCHAR, series VARCHAR, threshold DOUBLE)": [
            (one.id, *threshold) for one in devices() for threshold in one.thresholds.items()
        ],
    }
    for table, rows in given.items():
        found.execute(f"CREATE TABLE {table}")
        found.executemany(f"INSERT INTO {table.partition('(')[0]} VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608
    found.execute("SET VARIABLE day = ?::TIMESTAMP", [datetime(day.year, day.month, day.day)])  # noqa: DTZ001 - local
    found.execute("SET VARIABLE observations = ?", [str(path)])
    found.execute(SQL)
    return found


def by_sql(found, table, schema):
    """Rows of SQL's table in the order and the types of a file, none of its columns left out."""
    order = ", ".join(name for name in ("device", "series", "observed_at", "hour_start") if name in schema.names)
    return found.sql(f"SELECT {', '.join(schema.names)} FROM {table} ORDER BY {order}").to_arrow_table().cast(schema)  # noqa: S608


def assert_equal(ours, theirs):
    """All columns: numbers to 1e-9, where they are null, and everything else exactly."""
    assert ours.num_rows == theirs.num_rows
    assert ours.num_rows
    for name in ours.schema.names:
        one, two = ours[name].combine_chunks(), theirs[name].combine_chunks()
        if pa.types.is_floating(one.type):
            assert one.is_null().equals(two.is_null()), name
            np.testing.assert_allclose(one.drop_null(), two.drop_null(), rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            differ = pc.invert(pc.equal(one, two))
            assert not pc.any(differ).as_py(), f"{name}: {ours.filter(differ)[:3]} and not {theirs.filter(differ)[:3]}"


@pytest.mark.parametrize(("day", "hours"), DAYS)
def test_aggregates_and_local_times_are_what_sql_makes_of_the_observations(tmp_path, day, hours):
    deployed = deployment(tmp_path, *devices(), start=day - timedelta(days=1))
    for one in devices():
        deployed.store.write(troubled(one, day))
    build(deployed, day)
    deployed.store.close()
    paths = {table: day_file(deployed.data, table, day).path for table in TABLES}
    ours = {table: plain(pq.read_table(path, partitioning=None)) for table, path in paths.items()}
    found = database(paths["observations"], day)
    local = ours["observations"].select(["device", "series", "observed_at", "local_time", "utc_offset_minutes"])
    assert_equal(local, by_sql(found, "local_times", local.schema))
    for table in ("hourly_aggregates", "daily_aggregates"):
        assert_equal(ours[table], by_sql(found, table, ours[table].schema))
    assert set(ours["daily_aggregates"]["hours_in_day"].to_pylist()) == hours
    assert set(ours["observations"]["flag"].to_pylist()) == set(Flag)
    for table in ("hourly_aggregates", "daily_aggregates"):  # each column says something of some series
        assert set(ours[table]["is_complete"].to_pylist()) == {False, True}
        assert all(column.null_count < len(column) for column in ours[table].columns)


def plain(table):
    """The same, texts that are stored by number as texts, without what the file says of itself."""
    fields = [pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(fields))

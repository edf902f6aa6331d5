import re
import subprocess
import sys
from contextlib import suppress
from importlib.resources import files

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from air_pipeline.access import Archive
from air_pipeline.processing.aggregates import daily_aggregates, hourly_aggregates
from air_pipeline.processing.columns import TABLES
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.processing.observations import observations_table
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.processing.violations import counts_add_up, fits, frame_schema, misfits, validate
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.days.deployments import AFTER, BEFORE, build, deployment, seed
from air_pipeline_tests.processing.frames import SMALL, observations

DAY = pd.Timestamp("2026-11-21").date()
NAN = float("nan")


def broken(table, frame):
    """Everything that the checks of a table find."""
    return validate(table, frame) + ([] if table == "observations" else counts_add_up(frame))


def frames():
    start = epoch_ms(day_window(DAY, SMALL.zone)[0])
    at = [start + 900_000 * n for n in range(96)]
    values = {"first_temperature": [20.0 + n % 7 for n in range(96)], "third_dust": [NAN] * 48 + [1.0] * 48}
    seen = observations(SMALL, at, values)
    hourly = hourly_aggregates(SMALL, seen, DAY)
    return {
        "observations": observations_table(seen).to_pandas(),
        "hourly_aggregates": hourly,
        "daily_aggregates": daily_aggregates(SMALL, seen, hourly, DAY),
    }


@pytest.mark.parametrize("table", TABLES)
def test_what_the_package_makes_passes_as_made_and_as_read(table):
    frame = frames()[table]
    assert broken(table, frame) == []
    arrow = pa.Table.from_pandas(frame, schema=arrow_schema(table), preserve_index=False)
    assert broken(table, arrow.to_pandas()) == []


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_described_once_and_the_file_carries_it(table):
    arrow = arrow_schema(table)
    assert arrow.names == list(frame_schema(table).columns) == list(TABLES[table].column_names)
    for column in TABLES[table].columns:
        assert column.description
        assert arrow.field(column.name).metadata[b"description"].decode() == column.description
        assert arrow.field(column.name).nullable == column.nullable
    assert set(TABLES[table].key) <= set(arrow.names)


def said(table, key):
    """Column to what its field says under a key."""
    fields = ((field.name, (field.metadata or {}).get(key.encode())) for field in arrow_schema(table))
    return {name: text.decode() for name, text in fields if text is not None}


def test_fields_say_their_one_unit_or_where_the_unit_of_each_row_is():
    counts = {
        "expected_count",
        "observed_count",
        "valid_count",
        "suspect_count",
        "bad_count",
        "missing_count",
        "coverage",
    }
    statistics = {"mean", "min", "max", "sd", "median", "p02", "p98"}
    assert said("observations", "unit") == {"observed_at": "UTC", "utc_offset_minutes": "min"}
    assert said("observations", "unit_in") == {"value": "the column unit of daily_aggregates, by device and series"}
    hourly = {"hour_start": "UTC", "utc_offset_minutes": "min", **dict.fromkeys(counts, "1")}
    assert said("hourly_aggregates", "unit") == hourly
    assert said("hourly_aggregates", "unit_in") == dict.fromkeys(statistics, "the column unit")
    daily = {"day_start": "UTC", "day_end": "UTC", "hours_in_day": "h", "exceedance_minutes": "min"}
    daily |= dict.fromkeys({*counts, "hour_count", "complete_hours"}, "1")
    assert said("daily_aggregates", "unit") == daily
    windows = {"mean_06_22", "mean_22_06", "max_8h_mean"}
    assert said("daily_aggregates", "unit_in") == dict.fromkeys(statistics | windows, "the column unit")


def test_standard_names_are_of_the_cf_table_and_every_field_has_a_long_name():
    text = files("compliance_checker").joinpath("data/cf-standard-name-table.xml").read_text(encoding="utf-8")
    known = set(re.findall(r'<entry id="(\w+)">', text))
    for name, one in TABLES.items():
        assert set(said(name, "standard_name").values()) <= known
        assert set(said(name, "long_name")) == set(one.column_names)
    assert said("observations", "standard_name") == {
        "device": "platform_id",
        "observed_at": "time",
        "flag": "aggregate_quality_flag",
        "rules": "quality_flag",
    }


def test_a_file_that_is_written_says_it_and_one_that_said_less_is_read_beside_it(tmp_path):
    deployed = deployment(tmp_path)
    seed(deployed, (BEFORE, DAY))
    for day in (BEFORE, DAY):
        build(deployed, day)
    older = day_file(deployed.data, "observations", BEFORE).path
    rows = pq.read_table(older)
    plain = [field.remove_metadata() for field in rows.schema]
    made = rows.schema.metadata | {b"air_pipeline.schema_version": b"2"}
    pq.write_table(rows.cast(pa.schema(plain)).replace_schema_metadata(made), older)
    field = pq.read_schema(day_file(deployed.data, "observations", DAY).path).field("utc_offset_minutes")
    assert field.metadata[b"unit"] == b"min"
    both = Archive(deployed).observations(BEFORE, AFTER)
    assert both.groupby(both["observed_at"].dt.tz_convert("Europe/Warsaw").dt.date).size().to_dict() == {
        BEFORE: 144,
        DAY: 144,
    }
    deployed.store.close()


def test_arrow_types_are_those_that_other_programs_see():
    types = {field.name: str(field.type) for field in arrow_schema("observations")}
    text = "dictionary<values=string, indices=int32, ordered=0>"
    assert types == {
        "device": text,
        "series": text,
        "observed_at": "timestamp[ms, tz=UTC]",
        "local_time": "timestamp[ms]",
        "utc_offset_minutes": "int16",
        "value": "double",
        "flag": "int8",
        "rules": "int32",
        "poll_outcome": text,
    }


def spoilt(table, column, value, row=0):
    frame = frames()[table]
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("observations", "flag", 5),
        ("observations", "flag", 0),
        ("observations", "rules", -1),
        ("observations", "utc_offset_minutes", 2000),
        ("hourly_aggregates", "expected_count", -1),
        ("hourly_aggregates", "coverage", 1.01),
        ("hourly_aggregates", "sd", -0.1),
        ("daily_aggregates", "exceedance_minutes", -1.0),
        ("daily_aggregates", "hours_in_day", -1.0),
    ],
)
def test_a_value_out_of_bounds_is_named(table, column, value):
    (violation,) = validate(table, spoilt(table, column, value))
    assert (violation.column, violation.count) == (column, 1)
    assert str(value) in str(violation)


@pytest.mark.parametrize(
    ("table", "changes", "named"),
    [
        ("observations", {"value": NAN}, "value,flag"),
        ("observations", {"flag": 9}, "value,flag"),
        ("observations", {"rules": 2}, "rules,flag"),
        ("observations", {"flag": 4}, "rules,flag"),
        ("observations", {"utc_offset_minutes": 120}, "local_time,utc_offset_minutes"),
        ("hourly_aggregates", {"bad_count": 1}, "counts"),
        ("hourly_aggregates", {"missing_count": 1}, "counts"),
        ("hourly_aggregates", {"coverage": 0.5}, "coverage"),
        ("hourly_aggregates", {"coverage": NAN}, "coverage"),
        ("hourly_aggregates", {"mean": NAN}, "mean"),
        ("hourly_aggregates", {"min": 99.0}, "min,max"),
        ("daily_aggregates", {"complete_hours": 25}, "complete_hours,hour_count"),
    ],
)
def test_columns_that_disagree_are_named_with_the_row(table, changes, named):
    frame = frames()[table]
    for column, value in changes.items():
        frame.loc[0, column] = value
    found = {one.column: one for one in broken(table, frame)}
    assert named in found
    assert found[named].count == 1
    assert "small first_temperature" in found[named].cases[0]


def test_a_complete_row_of_which_nothing_was_expected_is_named():
    frame = frames()["hourly_aggregates"].head(1)
    counts = ["expected_count", "observed_count", "valid_count", "missing_count"]
    frame[counts] = np.zeros((1, 4), dtype=np.int32)
    frame["coverage"] = NAN
    assert "is_complete" in {violation.column for violation in validate("hourly_aggregates", frame)}


@pytest.mark.parametrize("table", TABLES)
def test_rows_out_of_order_or_twice_are_named(table):
    frame = frames()[table]
    key = ",".join(TABLES[table].key)
    backwards = frame.iloc[::-1].reset_index(drop=True)
    assert key in {violation.column for violation in validate(table, backwards)}
    twice = pd.concat([frame.iloc[:1], frame]).reset_index(drop=True)
    assert [(violation.column, violation.count) for violation in validate(table, twice)] == [(key, 1)]


def test_rows_whose_series_fall_while_their_slots_rise_are_named():
    frame = frames()["observations"]
    falling = frame.iloc[[96, 1]].reset_index(drop=True)
    assert falling["series"].astype(str).is_monotonic_decreasing
    assert falling["observed_at"].is_monotonic_increasing
    (violation,) = validate("observations", falling)
    assert (violation.column, violation.count) == ("device,series,observed_at", 1)


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_frame_passes(table):
    assert broken(table, frames()[table].head(0)) == []


def test_other_columns_or_types_are_named():
    frame = frames()["hourly_aggregates"]
    assert "hourly_aggregates" in str(validate("hourly_aggregates", frame.drop(columns="mean"))[0].column)
    assert validate("hourly_aggregates", frame.assign(extra=1))
    (violation,) = validate("hourly_aggregates", frame.astype({"valid_count": "int64"}))
    assert violation.column == "valid_count"
    assert "int32" in violation.check


def tampered(table, column):
    """A frame whose column has, in some row, what may not be there and what only just may; otherwise, other columns."""
    frame, wrong = frames()[table], [pd.NA, NAN, float("inf"), -1, 0, "no such text", pd.Timestamp("2026-11-21")]
    wrong += [edge + step for edge in (column.at_least, column.at_most) if edge is not None for step in (-1, 0, 1)]
    yield from (frame.assign(**{column.name: frame[column.name].astype(kind)}) for kind in ("object", "string"))
    yield frame.drop(columns=column.name)
    yield frame.assign(**{column.name: frame[column.name].shift(1)})
    for value in wrong:
        with suppress(TypeError, ValueError, OverflowError):
            spoilt = frame[column.name].astype(object)
            spoilt[len(frame) // 2] = value
            yield frame.assign(**{column.name: spoilt.astype(str(frame[column.name].dtype))})


@pytest.mark.parametrize(("table", "column"), [(name, one) for name, table in TABLES.items() for one in table.columns])
def test_pandera_finds_nothing_wrong_with_what_fits(table, column):
    every = list(tampered(table, column))
    fitting = [frame for frame in every if fits(table, frame)]
    assert len(fitting) < len(every)
    assert [misfits(table, frame) for frame in fitting] == [[]] * len(fitting)


@pytest.mark.parametrize("table", TABLES)
def test_columns_in_another_order_twice_or_more_do_not_fit(table):
    frame = frames()[table]
    for other in (frame[frame.columns[::-1]], frame.assign(extra=1), pd.concat([frame, frame["device"]], axis=1)):
        assert not fits(table, other)
        assert misfits(table, other)
    assert fits(table, frame)
    assert not misfits(table, frame)


def test_many_failing_rows_are_counted_and_some_are_shown():
    frame = frames()["hourly_aggregates"]
    frame["bad_count"] = frame["bad_count"] + np.int32(1)
    (violation,) = counts_add_up(frame)
    assert violation.count == len(frame)
    assert len(violation.cases) == 20
    assert str(violation).endswith("…")


def test_names_and_files_are_known_without_pandas_pyarrow_or_pandera():
    code = (
        "import sys, air_pipeline.processing.columns, air_pipeline.processing.local_time;"
        "import air_pipeline.processing.rules, air_pipeline.storage.day_files, air_pipeline.days.inputs;"
        "print([name for name in ('pandas', 'pyarrow', 'pandera', 'numpy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.processing.observations import ProcessingError, observations_from_table, observations_table
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.settings import Device
from air_pipeline_tests.processing.frames import flagged_values, observations

AUTUMN = 1_792_886_400_000  # 2026-10-25T00:00Z, an hour before Warsaw's clock goes back


def of_zone(zone):
    return Device("home", "http://home/", zone)


def test_rows_are_by_series_then_slot_with_local_clock_and_offset():
    at = [AUTUMN, AUTUMN + 3_600_000]
    table = observations_table(observations(of_zone("Europe/Warsaw"), at, {"b": [1.0, np.nan], "a": [3.0, 4.0]}))
    assert table.schema.equals(arrow_schema("observations"), check_metadata=True)
    rows = table.to_pydict()
    assert rows["device"] == ["home"] * 4
    assert rows["series"] == ["a", "a", "b", "b"]
    assert [moment.hour for moment in rows["observed_at"]] == [0, 1, 0, 1]
    assert [moment.hour for moment in rows["local_time"]] == [2, 2, 2, 2]
    assert rows["utc_offset_minutes"] == [120, 60, 120, 60]
    assert rows["value"] == [3.0, 4.0, 1.0, None]
    assert rows["flag"] == [1, 1, 1, 9]
    assert rows["poll_outcome"] == ["ok"] * 4


@given(
    st.lists(st.integers(0, 2_000_000_000_000), min_size=1, max_size=6, unique=True)
    .map(sorted)
    .flatmap(lambda at: st.tuples(st.just(at), st.lists(flagged_values(len(at)), min_size=1, max_size=3))),
    st.sampled_from(["UTC", "Europe/Warsaw", "Australia/Lord_Howe", "Africa/Monrovia", "Asia/Kathmandu"]),
)
@settings(max_examples=80, deadline=None)
def test_wide_to_rows_and_back_changes_nothing(content, zone):
    at, columns = content
    values = {f"s{n}": values for n, (values, _) in enumerate(columns)}
    flags = {f"s{n}": flags for n, (_, flags) in enumerate(columns)}
    wide = observations(of_zone(zone), at, values, flags)
    back = observations_from_table(observations_table(wide), ZoneInfo(zone))
    assert back.device == wide.device
    pd.testing.assert_frame_equal(back.values, wide.values, check_exact=True)
    pd.testing.assert_frame_equal(back.flags, wide.flags)
    pd.testing.assert_frame_equal(back.rules, wide.rules)
    pd.testing.assert_series_equal(back.poll_outcome, wide.poll_outcome)


def test_an_outcome_that_is_missing_stays_missing():
    wide = observations(of_zone("UTC"), [0, 1000], {"a": [1.0, 2.0]})
    wide.poll_outcome.iloc[1] = None
    table = observations_table(wide)
    assert table.column("poll_outcome").to_pylist() == ["ok", None]
    assert observations_from_table(table, ZoneInfo("UTC")).poll_outcome.isna().tolist() == [False, True]


def test_no_slots_are_no_rows():
    table = observations_table(observations(of_zone("UTC"), [], {"a": []}))
    assert table.num_rows == 0
    assert table.schema.equals(arrow_schema("observations"))


def test_between_takes_the_start_and_leaves_the_end():
    wide = observations(of_zone("UTC"), [0, 1000, 2000], {"a": [1.0, 2.0, 3.0]})
    part = wide.between(datetime.fromtimestamp(1, UTC), datetime.fromtimestamp(2, UTC))
    assert part.at.tolist() == [1000]
    assert part.flags.shape == part.rules.shape == (1, 1)
    assert len(part.poll_outcome) == 1


def test_rows_that_are_no_grid_of_one_device_are_refused():
    one = observations_table(observations(of_zone("UTC"), [0, 1000], {"a": [1.0, 2.0], "b": [1.0, 2.0]}))
    other = observations_table(observations(Device("other", "http://o/", "UTC"), [0], {"a": [1.0]}))
    with pytest.raises(ProcessingError, match="of 2"):
        observations_from_table(pa.concat_tables([one, other]).unify_dictionaries(), ZoneInfo("UTC"))
    for rows in (one.take([0, 1, 1, 2]), one.take([0, 1, 3, 2]), one.take([2, 3, 0, 1]), one.take([0, 2, 1, 3])):
        with pytest.raises(ProcessingError, match="home"):
            observations_from_table(rows, ZoneInfo("UTC"))

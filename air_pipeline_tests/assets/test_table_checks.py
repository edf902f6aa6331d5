from datetime import date

import pyarrow as pa
import pytest

from air_pipeline.assets.table_checks import check_staged
from air_pipeline.days.building import Built
from air_pipeline.processing.observations import observations_table
from air_pipeline.settings import Device
from air_pipeline.storage import parquet
from air_pipeline.storage.day_files import DayMetadata
from air_pipeline_tests.processing.frames import FIRST, observations

DAY = date(2026, 11, 21)
START = 1_795_215_600_000  # its first instant in Warsaw
METADATA = DayMetadata("digest", '{"polls":10}', "1", {"sensor_range": 2})


@pytest.fixture
def rows():
    hall = Device("hall", "http://hall/", "Europe/Warsaw", parameters=(FIRST,))
    at = [START + 10_000 * slot for slot in range(10)]
    return observations_table(observations(hall, at, {"first_temperature": [float(slot) for slot in range(10)]}))


def checked(tmp_path, rows):
    """Whether the schema holds of what was written, and what is said of it."""
    with parquet.stage(tmp_path, "observations", DAY, METADATA) as staged:
        staged.write(rows)
        schema, row_count = check_staged(Built(staged, METADATA, rows=10))
    assert row_count.passed
    return schema.passed, schema.description


@pytest.mark.parametrize("at_once", [3, 5, 100])
def test_a_table_is_checked_in_pieces_of_any_size(tmp_path, rows, monkeypatch, at_once):
    monkeypatch.setattr(parquet, "CELLS_AT_ONCE", at_once * len(rows.column_names))
    assert checked(tmp_path, rows) == (True, "holds for 10 rows")


@pytest.mark.parametrize("at_once", [3, 5, 100])
def test_an_order_that_breaks_is_found_within_pieces_and_between_them(tmp_path, rows, monkeypatch, at_once):
    monkeypatch.setattr(parquet, "CELLS_AT_ONCE", at_once * len(rows.column_names))
    passed, said = checked(tmp_path, pa.concat_tables([rows.slice(5), rows.slice(0, 5)]))
    assert not passed
    assert "sorted by the key, each key once, broken 1 ×" in said

import errno
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from air_pipeline.processing.aggregates import aggregates_table, hourly_aggregates
from air_pipeline.processing.observations import observations_from_table, observations_table
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.settings import Device
from air_pipeline.storage.day_files import (
    DayMetadata,
    DayNotBuilt,
    DayUnreadable,
    TableError,
    built_days,
    day_file,
)
from air_pipeline.storage.parquet import stage
from air_pipeline_tests.processing.frames import FIRST, observations

KEYS = ("device", "series")
DAY = date(2026, 11, 21)
START = 1_795_215_600_000  # its first instant in Warsaw
METADATA = DayMetadata("digest", '{"polls":3}', "1", {"sensor_range": 2})
SERIES = "first_temperature"


def device(name):
    return Device(name, f"http://{name}/", "Europe/Warsaw", parameters=(FIRST,))


def seen(name, count=5, first=1.0):
    at = [START + 10_000 * n for n in range(count)]
    return observations(device(name), at, {SERIES: [np.nan, *(first + n for n in range(count - 1))]})


def rows(name, count=5, first=1.0):
    return observations_table(seen(name, count, first))


def publish(data, *tables, metadata=METADATA, table="observations"):
    with stage(data, table, DAY, metadata) as staged:
        for part in tables:
            staged.write(part)
        return staged.publish()


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def in_directory(path):
    return sorted(entry.name for entry in path.parent.iterdir())


def test_a_published_file_has_its_name_its_rows_and_nothing_beside_it(tmp_path):
    file = publish(tmp_path, rows("a"), rows("b"))
    assert file.path == tmp_path / "observations/date=2026-11-21/observations.parquet"
    assert file.exists
    assert file.size_bytes > 0
    assert file.row_count() == 10
    assert file.devices() == ["a", "b"]
    assert in_directory(file.path) == ["observations.parquet"]


def test_each_device_is_a_row_group_and_is_read_by_itself(tmp_path):
    file = publish(tmp_path, rows("a"), rows("b", first=7.0))
    assert pq.ParquetFile(file.path).num_row_groups == 2
    tables = dict(file.device_tables())
    assert list(tables) == ["a", "b"]
    for name, first in (("a", 1.0), ("b", 7.0)):
        expected = seen(name, first=first)
        pd.testing.assert_frame_equal(observations_from_table(tables[name], device(name).zone).values, expected.values)
    assert [frame["value"].iloc[1] for _, frame in file.device_frames()] == [1.0, 7.0]


def test_a_device_of_more_than_a_million_rows_is_still_one_row_group(tmp_path):
    values = [1.0] * 86_400
    at = [START + 1000 * n for n in range(86_400)]
    wide = observations(device("a"), at, {f"s{n:02}": values for n in range(14)})
    file = publish(tmp_path, observations_table(wide))
    assert file.row_count() == 14 * 86_400
    assert pq.ParquetFile(file.path).num_row_groups == 1


def test_the_schema_is_explicit_and_the_same_for_every_day(tmp_path):
    full = publish(tmp_path / "full", rows("a"))
    empty = publish(tmp_path / "empty")
    for file in (full, empty):
        assert pq.read_schema(file.path).remove_metadata().equals(arrow_schema("observations").remove_metadata())
    assert empty.row_count() == 0
    assert empty.devices() == []
    assert list(empty.read().columns) == arrow_schema("observations").names
    assert pq.read_schema(full.path).field("value").metadata[b"unit_in"].startswith(b"the column unit of")


def test_metadata_says_how_the_file_was_made(tmp_path):
    file = publish(tmp_path, rows("a"))
    assert file.metadata() == METADATA
    texts = pq.ParquetFile(file.path).metadata.metadata
    assert texts[b"air_pipeline.schema_version"] == b"3"
    assert texts[b"air_pipeline.rules"] == b'{"sensor_range":2}'
    assert texts[b"air_pipeline.input_fingerprint"] == b'{"polls":3}'


@pytest.mark.parametrize("table", ["observations", "hourly_aggregates"])
def test_bytes_repeat(tmp_path, table):
    def content(name):
        if table == "observations":
            return rows(name, 500)
        return aggregates_table(table, hourly_aggregates(device(name), seen(name, 500), DAY))

    files = [publish(tmp_path / str(n), content("a"), content("b"), table=table) for n in range(2)]
    assert digest(files[0].path) == digest(files[1].path)
    other = publish(tmp_path / "other", content("a"), content("c"), table=table)
    assert digest(other.path) != digest(files[0].path)


def test_bytes_repeat_in_another_process(tmp_path):
    code = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_parquet import publish, rows, digest
        print(digest(publish(Path({str(tmp_path / "other")!r}), rows("a", 500)).path))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(publish(tmp_path / "here", rows("a", 500)).path)


def test_pandas_and_plain_pyarrow_read_the_whole_table_with_its_dates(tmp_path):
    publish(tmp_path, rows("a"), rows("b"))
    frame = pd.read_parquet(tmp_path / "observations")
    assert frame["date"].astype(str).unique().tolist() == ["2026-11-21"]
    assert frame["device"].astype(str).tolist() == ["a"] * 5 + ["b"] * 5
    assert frame["value"].isna().sum() == 2
    assert str(frame["observed_at"].dtype) == "datetime64[ms, UTC]"
    assert pq.read_table(tmp_path / "observations").num_rows == 10


def test_reading_the_whole_file_unites_the_devices(tmp_path):
    file = publish(tmp_path, rows("a"), rows("b"))
    assert file.read()["device"].tolist() == ["a"] * 5 + ["b"] * 5
    assert file.read_table().num_rows == 10


def hours(*names):
    return [aggregates_table("hourly_aggregates", hourly_aggregates(device(n), seen(n), DAY)) for n in names]


def test_aggregates_of_many_devices_share_row_groups_and_are_read_by_device(tmp_path):
    names = [f"d{n:02}" for n in range(20)]
    parts = hours(*names)
    file = publish(tmp_path, *parts, table="hourly_aggregates")
    assert pq.ParquetFile(file.path).num_row_groups == 1
    read = dict(file.device_tables())
    assert list(read) == names
    assert all(read[name].to_pylist() == part.to_pylist() for name, part in zip(names, parts, strict=True))
    assert all(read[name].schema.equals(part.schema) for name, part in zip(names, parts, strict=True))
    some = dict(file.device_tables({"d03", "d11", "d12", "elsewhere"}))
    assert [part.to_pylist() for part in some.values()] == [
        part.to_pylist() for part in (parts[3], parts[11], parts[12])
    ]
    assert list(file.device_tables({"d03a"})) == []  # between those that there are


def test_devices_are_found_in_a_file_of_a_version_with_another_order_of_columns(tmp_path):
    file = publish(tmp_path, rows("a"), rows("b"))
    there = pq.ParquetFile(file.path).read()
    other = {**there.schema.metadata, b"air_pipeline.schema_version": b"99"}
    pq.write_table(there.select(there.column_names[::-1]).replace_schema_metadata(other), file.path)
    assert [name for name, _ in file.device_tables({"b"})] == ["b"]


def test_only_the_devices_that_are_wanted_are_read(tmp_path):
    file = publish(tmp_path, rows("a"), rows("b", first=7.0), rows("c"))
    damage_row_group(file.path, 0)
    assert [name for name, _ in file.device_tables({"b", "c"})] == ["b", "c"]
    assert list(file.device_tables({"d"})) == []
    with pytest.raises(DayUnreadable):
        list(file.device_tables({"a", "c"}))


def damage_row_group(path, number):
    """Overwrites the pages of a row group, so that whoever reads it fails."""
    group = pq.ParquetFile(path).metadata.row_group(number)
    first = min(group.column(n).dictionary_page_offset or group.column(n).data_page_offset for n in range(9))
    with path.open("r+b") as file:
        file.seek(first)
        file.write(b"\xff" * 200)


def test_a_staged_file_can_be_read_before_it_is_published(tmp_path):
    old = publish(tmp_path, rows("a"))
    with stage(tmp_path, "observations", DAY, METADATA) as staged:
        staged.write(rows("b"))
        assert staged.written.devices() == ["b"]
        assert old.devices() == ["a"]
        with pytest.raises(ValueError, match="finished"):
            staged.write(rows("c"))
        staged.publish()
    assert old.devices() == ["b"]


def test_what_is_not_published_is_gone_and_the_old_file_stays(tmp_path):
    file = publish(tmp_path, rows("a"))
    before = digest(file.path)

    def fail():
        with stage(tmp_path, "observations", DAY, METADATA) as staged:
            staged.write(rows("b"))
            raise RuntimeError("check failed")

    with pytest.raises(RuntimeError):
        fail()
    assert digest(file.path) == before
    assert in_directory(file.path) == ["observations.parquet"]


def test_a_reader_of_the_old_file_reads_on_while_a_new_one_is_published(tmp_path):
    file = publish(tmp_path, rows("a"), rows("b"))
    reading = file.device_tables()
    assert next(reading)[0] == "a"
    publish(tmp_path, rows("z"))
    assert next(reading)[0] == "b"
    assert file.devices() == ["z"]


def test_devices_out_of_order_twice_or_together_are_refused(tmp_path):
    with stage(tmp_path, "observations", DAY, METADATA) as staged:
        staged.write(rows("b"))
        for part in (rows("a"), rows("b"), pa.concat_tables([rows("c"), rows("d")]).unify_dictionaries()):
            with pytest.raises(ValueError, match="rising order"):
                staged.write(part)
        with pytest.raises(ValueError, match="columns"):
            staged.write(rows("e").drop_columns("flag"))


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_parquet import DAY, METADATA, rows, stage
with stage(Path(sys.argv[1]), "observations", DAY, METADATA) as staged:
    staged.write(rows("b", 1000))
    staged.write(rows("c", 1000))
    if sys.argv[3] == "finished":
        staged.written
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("moment", ["writing", "finished"])
def test_a_killed_writer_leaves_the_old_file_whole_and_its_leftover_is_removed(tmp_path, moment):
    file = publish(tmp_path, rows("a"))
    before = digest(file.path)
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent), moment],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:
        assert writer.stdout.readline() == "written\n"
        assert len(in_directory(file.path)) == 2
        publish(tmp_path, rows("a"))
        assert len(in_directory(file.path)) == 2, "its writer lives"
        writer.send_signal(signal.SIGKILL)
    assert digest(file.path) == before
    assert len(in_directory(file.path)) == 2
    assert built_days(tmp_path, "observations") == [DAY]
    assert pd.read_parquet(tmp_path / "observations")["device"].tolist() == ["a"] * 5
    publish(tmp_path, rows("z"))
    assert in_directory(file.path) == ["observations.parquet"]


def test_two_writers_of_one_day_do_not_disturb_each_other(tmp_path):
    with (
        stage(tmp_path, "observations", DAY, METADATA) as first,
        stage(tmp_path, "observations", DAY, METADATA) as second,
    ):
        first.write(rows("a"))
        second.write(rows("b"))
        assert first.publish().devices() == ["a"]
        assert second.publish().devices() == ["b"]


def test_a_day_that_is_not_built_names_the_command_that_builds_it(tmp_path):
    file = day_file(tmp_path, "daily_aggregates", DAY)
    assert not file.exists
    for ask in (file.metadata, file.row_count, file.read, file.devices, lambda: list(file.device_tables())):
        with pytest.raises(DayNotBuilt, match="air-pipeline build --from 2026-11-21 --to 2026-11-21"):
            ask()
    with pytest.raises(DayNotBuilt):
        _ = file.size_bytes


@pytest.mark.parametrize("content", [b"", b"not parquet at all", b"PAR1 and PAR1"])
def test_a_file_that_is_not_parquet_is_named(tmp_path, content):
    file = publish(tmp_path, rows("a"))
    file.path.write_bytes(content)
    with pytest.raises(DayUnreadable, match=r"observations\.parquet"):
        file.metadata()


def test_a_file_cut_short_or_damaged_inside_is_named(tmp_path):
    file = publish(tmp_path, rows("a", 5000))
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DayUnreadable, match="build"):
        file.row_count()
    file.path.write_bytes(whole[:4] + b"\xff" * 1000 + whole[1004:])
    with pytest.raises(DayUnreadable, match="build"):
        file.read()


def test_a_file_of_another_program_or_with_other_columns_is_named(tmp_path):
    file = day_file(tmp_path, "observations", DAY)
    file.path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"x": [1]}), file.path)
    with pytest.raises(DayUnreadable, match="other columns"):
        file.read()
    pq.write_table(rows("a").replace_schema_metadata(None), file.path)
    with pytest.raises(DayUnreadable, match="not written by air_pipeline"):
        file.metadata()


def test_a_file_of_an_earlier_version_is_read_with_the_types_of_today(tmp_path):
    """Of a version whose columns had other types: `device` and `series` of aggregates were texts."""
    file = publish(tmp_path, *hours("a", "b"), table="hourly_aggregates")
    rows = file.read_table()
    texts = [pa.field(one.name, pa.string(), metadata=one.metadata) for one in rows.schema if one.name in KEYS]
    schema = pa.schema([*texts, *(one for one in rows.schema if one.name not in KEYS)])
    metadata = {**rows.schema.metadata, b"air_pipeline.schema_version": b"1"}
    pq.write_table(rows.cast(schema).replace_schema_metadata(metadata), file.path)
    assert file.read_table().to_pylist() == rows.to_pylist()
    assert file.read_table().schema.equals(rows.schema)
    assert [name for name, _ in file.device_tables()] == file.devices() == ["a", "b"]
    pd.testing.assert_frame_equal(
        next(iter(file.device_frames()))[1], hours("a")[0].to_pandas(), check_categorical=False
    )
    pq.write_table(rows.drop_columns(["mean"]).replace_schema_metadata(metadata), file.path)
    with pytest.raises(DayUnreadable, match="other columns"):
        file.read_table()


def test_built_days_are_those_with_a_file_in_order(tmp_path):
    assert built_days(tmp_path, "observations") == []
    for day in (date(2026, 11, 22), date(2026, 2, 1)):
        with stage(tmp_path, "observations", day, METADATA) as staged:
            staged.publish()
    with stage(tmp_path, "observations", date(2026, 3, 1), METADATA):
        pass
    (tmp_path / "observations/date=nonsense").mkdir()
    (tmp_path / "observations/date=nonsense/observations.parquet").touch()
    assert built_days(tmp_path, "observations") == [date(2026, 2, 1), date(2026, 11, 22)]


def test_a_directory_that_cannot_be_made_is_an_error_that_names_the_day(tmp_path):
    (tmp_path / "observations").write_text("a file")
    with pytest.raises(TableError, match="2026-11-21"):
        publish(tmp_path)


def test_a_full_disk_is_an_error_that_names_the_day_and_leaves_nothing(tmp_path, monkeypatch):
    file = publish(tmp_path, rows("a"))

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TableError, match=r"2026-11-21.*No space left"):
        publish(tmp_path, rows("b"))
    assert file.devices() == ["a"]
    assert in_directory(file.path) == ["observations.parquet"]


def test_files_can_be_read_by_those_who_may_read_their_directory(tmp_path):
    tmp_path.chmod(0o755)
    before = os.umask(0o077)
    try:
        file = publish(tmp_path, rows("a"))
    finally:
        os.umask(before)
    assert file.path.stat().st_mode & 0o777 == 0o644

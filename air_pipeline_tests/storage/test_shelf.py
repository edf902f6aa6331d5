"""What every shelf promises, whatever it is made of; and what a folder promises besides."""

import os
from datetime import date
from pathlib import Path

import pytest

from air_pipeline.storage.commit import commit_day, commit_path
from air_pipeline.storage.shelf import place_of, put_text, shelf_at
from air_pipeline_tests.days.deployments import DAY, build, deployment, seed

NAME, OTHER = "observations/observations.parquet", "days/built.json"
DAYS = [date(2026, 3, 31), date(2026, 4, 1), date(2026, 11, 21)]


@pytest.fixture(params=["folder", "objects"])
def shelf(request, tmp_path):
    if request.param == "folder":
        return shelf_at(tmp_path / "data")
    return shelf_at(request.getfixturevalue("objects").bucket())


def test_a_file_is_where_other_programs_look_for_it():
    assert place_of(DAY, NAME) == "observations/date=2026-11-21/observations.parquet"
    assert place_of(DAY, OTHER) == "days/date=2026-11-21/built.json"
    assert place_of(None, "datapackage.json") == "datapackage.json"


def test_what_is_put_there_is_read_whole_and_in_parts(shelf):
    put_text(shelf, DAY, NAME, "one two three")
    assert shelf.head(DAY, NAME) == b"one two three"
    assert shelf.head(DAY, NAME, 3) == b"one"
    assert shelf.head(DAY, NAME, 300) == b"one two three"
    with shelf.open(DAY, NAME) as file:
        file.seek(-5, os.SEEK_END)
        assert file.read() == b"three"
        file.seek(4)
        assert file.read(3) == b"two"
        assert file.tell() == 7


def test_what_is_not_there_is_not_found(shelf):
    assert shelf.stamp(DAY, NAME) is None
    assert shelf.days(NAME) == []
    for ask in (shelf.open, shelf.head):
        with pytest.raises(FileNotFoundError), ask(DAY, NAME):
            pass


def test_a_file_that_is_replaced_has_another_stamp_and_one_that_is_read_has_the_same(shelf):
    put_text(shelf, DAY, NAME, "one")
    first = shelf.stamp(DAY, NAME)
    assert first.size == 3
    assert abs(first.changed - shelf.stamp(DAY, NAME).changed_at.timestamp()) < 1
    shelf.head(DAY, NAME)
    assert shelf.stamp(DAY, NAME) == first
    put_text(shelf, DAY, NAME, "two")  # as large
    assert shelf.stamp(DAY, NAME) != first


def test_days_are_those_that_have_the_file_in_order(shelf):
    for day in reversed(DAYS):
        put_text(shelf, day, NAME, "here")
    put_text(shelf, date(2026, 1, 1), OTHER, "not this one")
    for other in ("never", "20261122", "2026-W48-1"):
        put_text(shelf, None, f"observations/date={other}/observations.parquet", "somebody else's")
    assert shelf.days(NAME) == shelf.at_once().days(NAME) == DAYS
    assert [shelf.at_once().stamp(day, NAME) for day in DAYS] == [shelf.stamp(day, NAME) for day in DAYS]
    assert shelf.at_once().stamp(DAYS[0], OTHER) is None


def test_what_is_staged_and_not_put_there_is_nowhere(shelf):
    put_text(shelf, DAY, NAME, "old")
    with shelf.staged(DAY, NAME) as (local, _):
        local.write_text("new")
        assert shelf.head(DAY, NAME) == b"old"
    assert not local.exists()
    assert shelf.head(DAY, NAME) == b"old"
    assert shelf.days(NAME) == [DAY]


def test_whatever_a_build_makes_has_the_rights_of_the_data_directory(tmp_path):
    """A group that is to read the tables reads the commit too, whatever the umask of the process that builds."""
    made = deployment(tmp_path)
    made.environment.data.mkdir()
    made.environment.data.chmod(0o750)
    before = os.umask(0o077)
    try:
        seed(made)
        build(made)
        assert commit_day(made.data, DAY) == ""
    finally:
        os.umask(before)
        made.store.close()
    found = [path for path in made.data.rglob("*") if path.is_file()]
    assert commit_path(made.data, DAY) in found
    assert {path.stat().st_mode & 0o777 for path in found} == {0o640}
    assert {path.stat().st_mode & 0o777 for path in made.data.rglob("*") if path.is_dir()} == {0o750}


def test_a_place_says_where_it_is_for_people_and_programs(shelf):
    place = shelf.place(DAY, NAME)
    assert str(place).endswith(f"/{place_of(DAY, NAME)}")
    assert place.as_uri().startswith("file:///" if isinstance(place, Path) else "s3://air-")

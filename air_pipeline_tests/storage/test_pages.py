"""The file of a day's page."""

from datetime import date

import pytest

from air_pipeline.storage.day_files import DayMetadata, DayNotBuilt, DayUnreadable, TableError
from air_pipeline.storage.pages import days_with_page, page_file

DAY = date(2026, 11, 21)
METADATA = DayMetadata("digest", '{"polls":1,"sha256":"0"}', "1", {"sensor_range": 2})
HEAD = "".join(
    f'<meta name="{name}" content="{text.replace(chr(34), "&quot;")}">' for name, text in METADATA.to_texts().items()
)


def test_a_page_says_how_it_was_made(tmp_path):
    page = page_file(tmp_path, DAY)
    assert page.path == tmp_path / "daily_report" / "date=2026-11-21" / "daily_report.html"
    assert page.publish(f"<head>{HEAD}</head>µ") == page.path.stat().st_size
    assert page.metadata() == METADATA
    assert days_with_page(tmp_path) == [DAY]


def test_a_reader_keeps_the_old_page_and_nothing_is_left_beside_the_new_one(tmp_path):
    page = page_file(tmp_path, DAY)
    page.publish("old")
    with page.path.open() as reader:
        (page.path.parent / ".daily_report.html.killed.partial").touch()  # what a killed writer left
        page.publish("new")
        assert reader.read() == "old"
    assert page.path.read_text() == "new"
    assert list(page.path.parent.iterdir()) == [page.path]


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path):
    page = page_file(tmp_path, DAY)
    page.path.mkdir(parents=True)
    with pytest.raises(TableError, match="daily_report of 2026-11-21 cannot be written"):
        page.publish("new")
    assert list(page.path.parent.iterdir()) == [page.path]


def test_a_missing_or_foreign_page_names_the_remedy(tmp_path):
    page = page_file(tmp_path, DAY)
    with pytest.raises(DayNotBuilt, match="air-pipeline build --from 2026-11-21 --to 2026-11-21"):
        page.metadata()
    page.publish("<html><head></head></html>")
    with pytest.raises(DayUnreadable, match="was not written by air_pipeline"):
        page.metadata()


def test_a_page_that_cannot_be_read_names_the_remedy(tmp_path):
    page = page_file(tmp_path, DAY)
    page.path.mkdir(parents=True)
    assert not page.exists
    with pytest.raises(DayUnreadable, match="cannot be read"):
        page.metadata()


def test_directories_of_others_are_no_days(tmp_path):
    (tmp_path / "daily_report" / "date=soon").mkdir(parents=True)
    (tmp_path / "daily_report" / "date=soon" / "daily_report.html").touch()
    assert days_with_page(tmp_path) == []

"""The small picture of a day, as its pixels."""

import io
from collections import Counter
from datetime import date

import pytest
from PIL import Image

from air_pipeline.reports.gathering import gather
from air_pipeline.reports.overview import BAR, BLUE, EMPTY, LEFT, MOST_DEVICES, ROW, TOP, VERMILLION, overview_png
from air_pipeline_tests.days.deployments import DAY, HOUR, MINUTE, build, deployment, device, polls, seed, window

START, END = window()


def picture(report):
    data = overview_png(report)
    assert data.startswith(b"\x89PNG\r\n")
    return Image.open(io.BytesIO(data)).convert("RGB")


def colours(image, hour, row=0, width=296 / 24):
    """How many pixels of each colour the middle of an hour's bar has, from top to bottom."""
    x = LEFT + int((hour + 0.5) * width)
    return Counter(image.getpixel((x, TOP + ROW * row + y)) for y in range(1, BAR + 1))


def report_of(deployed, day=DAY):
    build(deployed, day)
    return gather(deployed, day)


def test_an_hour_is_as_high_as_its_coverage_and_says_whether_it_is_complete(tmp_path):
    deployed = deployment(tmp_path, device("attic", since=date(2026, 1, 1)), device("hall"))
    deployed.store.write(polls(START, START + 2 * HOUR))
    deployed.store.write(polls(START + 2 * HOUR + 30 * MINUTE, START + 3 * HOUR))
    image = picture(report_of(deployed))
    assert colours(image, 5, row=0) == {EMPTY: BAR}  # the attic's, the worst
    assert colours(image, 1, row=1) == {BLUE: BAR}
    half = colours(image, 2, row=1)
    assert half == {VERMILLION: 6, EMPTY: 7}
    assert colours(image, 3, row=1) == {EMPTY: BAR}


def test_a_day_of_25_hours_has_25_bars(tmp_path):
    day = date(2026, 10, 25)
    deployed = deployment(tmp_path)
    seed(deployed, (day,))
    image = picture(report_of(deployed, day))
    assert all(colours(image, hour, width=296 / 25) == {BLUE: BAR} for hour in range(25))


@pytest.mark.parametrize("count", [1, 15])
def test_it_is_as_high_as_there_are_devices_up_to_twelve(tmp_path, count):
    deployed = deployment(tmp_path, *(device(f"d{number:02}", interval_ms=HOUR) for number in range(count)))
    seed(deployed)
    assert picture(report_of(deployed)).size == (420, 42 + ROW * min(count, MOST_DEVICES))


def test_a_day_without_devices_has_a_picture(tmp_path):
    assert picture(report_of(deployment(tmp_path, device(since=date(2027, 1, 1))))).size == (420, 42 + ROW)


def test_a_long_name_does_not_reach_into_the_bars(tmp_path):
    long, short = (deployment(tmp_path / name, device(name)) for name in ("w" * 60, "w" * 8))
    seed(long)
    seed(short)
    images = [picture(report_of(deployed)) for deployed in (long, short)]
    assert [colours(image, 0) for image in images] == [{BLUE: BAR}] * 2
    for image in images:
        edges = [image.getpixel((x, TOP + y)) for x in (0, LEFT - 4) for y in range(ROW)]
        assert set(edges) == {(255, 255, 255)}


def test_the_same_day_is_the_same_picture(tmp_path):
    deployed = deployment(tmp_path)
    seed(deployed)
    report = report_of(deployed)
    assert overview_png(report) == overview_png(gather(deployed, DAY))

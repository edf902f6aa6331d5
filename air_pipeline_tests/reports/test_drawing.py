"""Where the picture of a curve has its lines, marks, ticks and labels."""

import re
from datetime import date
from itertools import pairwise
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from air_pipeline.processing.local_time import day_window
from air_pipeline.reports.clock import DayClock
from air_pipeline.reports.contents import Series, SeriesDay
from air_pipeline.reports.curves import Curve, Points
from air_pipeline.reports.drawing import FLOOR, FOOT, HEIGHT, RIGHT, TOP, WIDTH, Frame, Scale, curve_svg, scale_of

NAN = float("nan")
TEN = Scale(0, 10)
amounts = st.floats(-1e15, 1e15)


@st.composite
def scales(draw):
    """Scales as they are made: as high as floats need to tell heights apart."""
    low = draw(amounts)
    return Scale(low, low + max(draw(st.floats(1e-6, 1e15)), 1e-8 * abs(low)))


def clock(day="2026-11-21", zone="Europe/Warsaw"):
    return DayClock(*day_window(date.fromisoformat(day), ZoneInfo(zone)), zone)


def points(*places):
    return Points(np.array([x for x, _ in places], float), np.array([y for _, y in places], float))


def curve(line=(), suspect=(), bad=(), gaps=()):
    return Curve(points(*line), points(*suspect), points(*bad), tuple(gaps))


def series_day(step=0.1, **kinds):
    return SeriesDay(Series("t", "t", "°C", step=step), {}, curve(**kinds))


class Picture:
    """What is in a picture, by the class of its path or group."""

    def __init__(self, drawn, scale=TEN, day=None, text="what it shows"):
        self.svg = curve_svg(drawn, scale, day or clock(), text)
        self.root = ET.fromstring(self.svg)  # noqa: S314 - our own

    def paths(self, kind):
        """The starts of a path's strokes, and their further points, absolute."""
        drawn = "".join(one.get("d") for one in self.root.iter("path") if one.get("class") == kind)
        strokes = []
        for command, x, y in re.findall(r"([MlHV])(-?\d+)(?:[ ]?(-?\d+))?", drawn):
            if command == "M":
                strokes.append([(int(x), int(y))])
            elif command == "H":
                strokes[-1].append((int(x), strokes[-1][-1][1]))
            elif command == "V":
                strokes[-1].append((strokes[-1][-1][0], int(x)))
            else:
                strokes[-1].append((strokes[-1][-1][0] + int(x), strokes[-1][-1][1] + int(y)))
        return strokes

    def marks(self, kind):
        return [stroke[0] for stroke in self.paths(kind)]

    def texts(self, kind):
        [group] = (one for one in self.root.iter("g") if one.get("class") == kind)
        return [(int(one.get("x")), int(one.get("y")), one.text) for one in group]


def test_a_value_lies_where_the_axis_has_its_number():
    picture = Picture(curve(line=[(0, 0), (6, 2), (12, 4), (24, 10)]))
    ticks = {text: y for (_, _, text), [(_, y), _] in zip(picture.texts("values"), picture.paths("grid"), strict=True)}
    assert list(ticks) == ["0", "5", "10"]
    [line] = picture.paths("line")
    assert (line[0][1], line[-1][1]) == (ticks["0"], ticks["10"]) == (FLOOR, TOP)
    assert line[1][1] == FLOOR - (FLOOR - TOP) // 5


def test_an_instant_lies_where_the_axis_has_its_hour():
    picture = Picture(curve(line=[(0, 1), (12, 2), (24, 3)], gaps=[(4, 8)]))
    hours = {text: x for x, _, text in picture.texts("hours")}
    assert list(hours) == ["00", "04", "08", "12", "16", "20", "24"]
    [line] = picture.paths("line")
    assert [x for x, _ in line] == [hours["00"], hours["12"], hours["24"]]
    assert [x for x, _ in picture.paths("gaps")[0]] == [hours["04"], hours["08"]]
    assert {x for x, *_ in picture.texts("hours")} == {x for [(x, y), *_] in picture.paths("axis")[1:]}
    assert hours["24"] == RIGHT


def test_a_hole_breaks_the_line_and_a_point_alone_is_a_dot():
    picture = Picture(curve(line=[(0, 1), (1, 2), (1, NAN), (5, 3), (5, 3), (5, NAN), (9, 4), (10, 4)]))
    first, alone, last = picture.paths("line")
    assert (len(first), len(last)) == (2, 2)
    assert alone[0] == alone[1]


def test_each_suspect_and_bad_value_has_its_mark_and_what_does_not_fit_stands_at_the_edge():
    picture = Picture(curve(suspect=[(1, 5), (2, 99)], bad=[(3, NAN), (4, -127), (5, 5)]))
    assert [y for _, y in picture.marks("suspect")] == [(FLOOR + TOP) // 2, TOP]
    assert sorted({y for _, y in picture.marks("bad")}) == [(FLOOR + TOP) // 2, FLOOR]


def test_what_is_not_there_is_not_drawn():
    picture = Picture(curve(), scale=None)
    assert [one.get("class") for one in picture.root] == ["axis", "hours"]


@pytest.mark.parametrize(
    ("day", "zone", "labels", "change"),
    [
        ("2026-10-25", "Europe/Warsaw", "00 02 02 04 08 12 16 20 24", 3 / 25),
        ("2026-03-29", "Europe/Warsaw", "00 04 08 12 16 20 24", 2 / 23),
        ("2026-04-05", "Australia/Lord_Howe", "00 01 :30 04 08 12 16 20 24", 2 / 24.5),
        ("2018-11-04", "America/Sao_Paulo", "04 08 12 16 20 24", 0),
    ],
)
def test_where_the_clock_was_changed_there_is_a_line_and_labels_do_not_touch(day, zone, labels, change):
    picture = Picture(curve(), day=clock(day, zone))
    texts = picture.texts("hours")
    assert " ".join(text for *_, text in texts) == labels
    assert all(right - left >= 140 for (left, *_), (right, *_) in pairwise(texts))
    [[(x, foot), (_, top)]] = picture.paths("change")
    left = picture.paths("axis")[0][0][0]
    assert x == pytest.approx(left + (RIGHT - left) * change, abs=0.5)
    assert (foot, top) == (FOOT, TOP)


def test_a_usual_day_has_no_such_line():
    assert Picture(curve()).paths("change") == []


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")))
def test_words_are_text_whatever_they_are(text):
    picture = Picture(curve(), text=text)
    assert (picture.root.get("aria-label"), picture.root.get("role")) == (text, "img")


@given(st.lists(st.tuples(st.floats(0, 24), st.floats() | amounts), max_size=20), scales())
def test_nothing_leaves_the_picture_and_all_numbers_are_whole(places, scale):
    picture = Picture(curve(line=places, suspect=places, bad=places), scale)
    assert not re.search(r"\d\.\d|e[+-]?\d|nan|inf", re.sub(r">[^<]*<", "><", picture.svg))
    for kind in ("line", "suspect", "bad"):
        for x, y in (stroke[0] for stroke in picture.paths(kind)):
            assert 0 <= x <= WIDTH
            assert TOP - 24 <= y <= FLOOR
    for x, y, text in picture.texts("values"):
        assert x - 60 * len(text) >= 0
        assert TOP <= y <= HEIGHT
    assert picture.svg == Picture(curve(line=places, suspect=places, bad=places), scale).svg


@given(scales())
@example(Scale(20.0, 21.0))
@example(Scale(0.0, 5.0))
def test_ticks_are_few_round_and_told_apart(scale):
    ticks = scale.ticks
    spare = 1e-9 * (scale.high - scale.low) + 1e-15 * max(abs(scale.low), abs(scale.high))
    assert 2 <= len(ticks) <= 5
    assert len({f"{tick:,f}" for tick in ticks}) == len(ticks)
    assert all(scale.low - spare <= float(tick) <= scale.high + spare for tick in ticks)
    [step] = {after - before for before, after in pairwise(ticks)}
    assert step.normalize().as_tuple().digits in {(1,), (2,), (5,)}


def test_labels_have_the_decimals_that_they_need_and_no_more():
    def labels(low, high):
        return [text for *_, text in Picture(curve(), Scale(low, high)).texts("values")]

    assert labels(19.9, 22.3) == ["20.0", "20.5", "21.0", "21.5", "22.0"]
    assert labels(-0.9, 3.4) == ["0", "1", "2", "3"]
    assert labels(-3.4, 0.9) == ["−3", "−2", "−1", "0"]
    assert labels(990, 1014) == ["990", "995", "1\u2009000", "1\u2009005", "1\u2009010"]


@given(st.floats(0, 10), st.floats(0, 10))
def test_the_higher_value_is_not_drawn_lower(one, other):
    low, high = sorted((one, other))
    below, above = Frame(24, Scale(0, 10)).y([low, high])
    assert below >= above


def test_noise_of_a_step_does_not_look_like_weather():
    scale = scale_of([series_day(0.1, line=[(0, 20.0), (1, 20.1)])])
    assert scale.high - scale.low == pytest.approx(1.12)
    assert (scale.high + scale.low) / 2 == pytest.approx(20.05)


def test_a_scale_reaches_to_marks_that_are_near_and_to_no_others():
    valid = [(0, 10.0), (1, 20.0)]
    assert scale_of([series_day(line=valid, bad=[(2, 28.0)])]) == Scale(10 - 0.06 * 18, 28 + 0.06 * 18)
    assert scale_of([series_day(line=valid, bad=[(2, -127.0)])]) == scale_of([series_day(line=valid)])
    assert scale_of([series_day(suspect=[(2, 30.0), (3, 50.0)])]) == Scale(30 - 1.2, 50 + 1.2)


def test_series_that_are_compared_share_a_scale_and_nothing_has_none():
    low, high = series_day(line=[(0, 10.0)]), series_day(line=[(0, 30.0)])
    shared = scale_of([low, high])
    assert shared.low < 10
    assert shared.high > 30
    assert scale_of([series_day(bad=[(3, NAN)])]) is None


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=5), st.sampled_from([0.0, 0.1]))
@example([1e16], 0.1)
@example([0.0], 0.0)
def test_every_series_has_a_scale_with_ticks(values, step):
    scale = scale_of([series_day(step, line=list(enumerate(values)))])
    assert not scale.outside(np.array(values)).any()
    assert 1 <= len(scale.ticks) <= 5

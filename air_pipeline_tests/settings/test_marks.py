"""`marks.yaml`: what it says, what is wrong with it, and how it is changed without losing what else stands in it."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.settings import Device, Mark, Settings, SettingsError
from air_pipeline.settings.marks import HEAD, as_entry, edited, misplaced, parse_marks

HALL, LAB = Device("hall", "http://hall/", "Europe/Warsaw"), Device("lab", "http://lab/", "Asia/Tokyo")
SETTINGS = Settings("Europe/Warsaw", date(2026, 11, 1), (HALL, LAB))

ONE = """\
- device: hall
  series: dht22_temperature
  from: 2026-11-21T08:00
  to: 2026-11-21T09:30
  verdict: bad
  why: in the fridge
"""
TWO = ONE + ONE.replace("hall", "lab").replace("bad", "suspect")


def at(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def marks(text):
    return parse_marks(text, "marks.yaml", SETTINGS)


def change(text, instead, more=()):
    return edited(text, "marks.yaml", SETTINGS, instead, more)


def test_a_mark_says_what_of_which_values_when_and_why():
    fridge = Mark("hall", "dht22_temperature", at("2026-11-21T07:00Z"), at("2026-11-21T08:30Z"), "bad", "in the fridge")
    assert marks(ONE) == (fridge,)
    assert fridge.reason == "in the fridge"
    [said] = marks(f"{ONE}  by: anna\n  at: 2026-11-22T08:11:12+01:00\n")
    assert said.reason == "in the fridge (anna, 2026-11-22T08:11:12+01:00)"


def test_a_time_is_that_of_the_clock_at_the_device_unless_it_has_an_offset():
    _, lab = marks(TWO)
    assert lab.start == at("2026-11-21T08:00+09:00")
    [offset] = marks(ONE.replace("T08:00", "T08:00-05:00").replace("T09:30", "T18:30Z"))
    assert (offset.start, offset.end) == (at("2026-11-21T13:00Z"), at("2026-11-21T18:30Z"))
    [day] = marks(ONE.replace("T08:00", "").replace("2026-11-21T09:30", "2026-11-22"))
    assert (day.start, day.end) == (at("2026-11-20T23:00Z"), at("2026-11-21T23:00Z"))


def test_without_a_series_all_of_the_device_are_meant():
    for text in (ONE.replace("  series: dht22_temperature\n", ""), ONE.replace("dht22_temperature", "'*'")):
        [mark] = marks(text)
        assert mark.is_of("dht22_humidity")
        assert mark.is_of("temperature")
    [one] = marks(ONE)
    assert not one.is_of("dht22_humidity")


@pytest.mark.parametrize("text", ["", "[]", "\n# nothing yet\n", HEAD, "---\n"])
def test_a_file_without_marks_is_valid(text):
    assert marks(text) == ()


def test_the_example_at_the_head_of_the_file_is_one():
    example = "\n".join(line.removeprefix("# ") for line in HEAD.splitlines()[1:-1])
    assert marks(example) == marks(ONE.replace("hall", "living-room"))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("device: hall\n", 1, "is not a list of marks; begin each with - device: …"),
        ("- hall\n", 1, "[1]: 'hall' is not a mark; begin it with - device: …"),
        (ONE.replace("  verdict: bad\n", ""), 1, "[1]: verdict is missing; add verdict: bad, suspect or good"),
        (ONE.replace("  why: in the fridge\n", ""), 1, "[1]: why is missing; add why: in the fridge"),
        (TWO + "  vedict: bad\n", 13, "[2].vedict: unknown key; did you mean verdict?"),
        (ONE + "  colour: red\n", 7, "unknown key; known are: device, series, from, to, verdict, why, by, at"),
        (ONE.replace("bad", "wrong"), 5, "[1].verdict: 'wrong' is none of suspect, bad, good"),
        (
            ONE.replace("2026-11-21T08:00", "yesterday"),
            3,
            "[1].from: 'yesterday' is not a time; write it as 2026",
        ),
        (ONE.replace("2026-11-21T08:00", "20261121.5"), 3, "[1].from: 20261121.5 is not a time"),
        (ONE.replace("2026-11-21T08", "0026-11-21T08"), 3, "is out of bounds; write a time of the years 1970 to 2199"),
        (ONE.replace("T09:30", "T08:00"), 4, "[1].to: is not after from; put the earlier time first"),
        (ONE.replace("hall", "The hall"), 1, "[1].device: 'The hall' is not a device id"),
        (ONE.replace("in the fridge", '" "'), 6, "[1].why: ' ' is not a text; write one on one line, in quotes"),
        (ONE.replace("in the fridge", '"a\\nb"'), 6, "[1].why: 'a\\nb' is not a text"),
        (ONE + "  why: again\n", 7, "the key 'why' is there twice"),
        (ONE.replace("dht22_temperature", "*"), 2, "is not valid YAML"),
    ],
)
def test_a_mistake_is_one_line_with_its_place_and_remedy(text, line, words):
    with pytest.raises(SettingsError) as error:
        marks(text)
    [said] = str(error.value).splitlines()
    assert said.startswith(f"marks.yaml:{line}: ")
    assert words in said


def test_each_mistake_has_a_line_of_its_own():
    with pytest.raises(SettingsError) as error:
        marks(TWO.replace("bad", "wrong").replace("suspect", "odd"))
    assert [line.split(": ")[0] for line in str(error.value).splitlines()] == ["marks.yaml:5", "marks.yaml:11"]


def test_what_there_never_was_is_no_mistake_of_the_file_and_is_named():
    """As the file alone does not say what there was."""
    assert misplaced(replace(SETTINGS, marks=marks(TWO))) == []
    text = TWO.replace("hall", "hal") + TWO.replace("dht22_temperature", "dht22_temprature")
    assert misplaced(replace(SETTINGS, marks=marks(text))) == [
        "device hal; did you mean hall?",
        "series dht22_temprature of hall; did you mean dht22_temperature?",
        "series dht22_temprature of lab; did you mean dht22_temperature?",
    ]


SAME = ", from: 2026-11-21, to: 2026-11-22, verdict: bad, why: x"
COMMENTED = f"# ours\n\n{ONE}  # of the hall\n\n# and the lab\n{TWO.removeprefix(ONE)}# the end\n"


def test_what_is_added_stands_below_and_all_else_stays():
    [mark] = marks(ONE)
    text = change(COMMENTED, {}, [mark])
    assert text.startswith(COMMENTED)
    assert marks(text) == (*marks(TWO), mark)


def test_what_is_taken_away_goes_with_its_lines_alone():
    text = change(COMMENTED, {0: []})
    assert marks(text) == marks(TWO)[1:]
    for comment in ("# ours", "# and the lab", "# the end"):
        assert f"{comment}\n" in text
    assert marks(change(change(COMMENTED, {1: []}), {0: []})) == ()


def test_what_is_replaced_stays_in_its_place():
    hall, lab = marks(TWO)
    text = change(COMMENTED, {0: [lab, hall]})
    assert marks(text) == (lab, hall, lab)
    assert text.index("# ours") < text.index("device: lab") < text.index("# and the lab")


@pytest.mark.parametrize(
    "text",
    [
        TWO.rstrip("\n"),
        "".join(f"    {line}" for line in TWO.splitlines(keepends=True)),
        TWO.replace("- device", "-\n  device"),
        TWO.replace("\n", "\r\n"),
        f"---\n{TWO}...\n",
        TWO.replace("in the fridge", ">-\n    in the\n    fridge"),
        f"[{{device: hall{SAME}}}, {{device: lab{SAME}}}]\n",
        f"- {{device: hall{SAME}}}\n- {{device: lab\n   {SAME}}}\n",
        f"- &one {{device: hall{SAME}}}\n- {{<<: *one, device: lab}}\n",
    ],
)
def test_however_it_is_written_it_says_afterwards_what_it_should(text):
    hall, lab = marks(text)
    assert marks(change(text, {}, [hall])) == (hall, lab, hall)
    assert marks(change(text, {0: []})) == (lab,)
    assert marks(change(text, {1: []}, [lab])) == (hall, lab)
    assert marks(change(text, {0: [], 1: []})) == ()


printable = st.characters(exclude_categories=["C", "Z"], include_characters=" ")
words = st.text(printable).map(lambda text: text.strip() or "*")
made = st.builds(
    lambda device, series, start, lasts, verdict, why, by: Mark(
        device, series, start, start + lasts, verdict, why, by, "2026-11-22T08:11:12+01:00"
    ),
    st.sampled_from(["hall", "lab", "no", "123", "1e3", "null"]),
    st.sampled_from(["dht22_temperature", "*", "temperature"]),
    st.integers(0, at("2199-01-01T00:00Z")),
    st.integers(1, 10**9),
    st.sampled_from(["suspect", "bad", "good"]),
    words,
    words,
)


@settings(deadline=None)
@given(st.lists(made, min_size=1, max_size=4), st.data())
def test_whatever_is_said_comes_back_as_it_was_and_whatever_is_taken_away_is_gone(said, data):
    text = change("", {}, said)
    assert text.startswith(HEAD)
    assert marks(text) == tuple(said)
    place = data.draw(st.integers(0, len(said) - 1))
    assert marks(change(text, {place: []}, said[:1])) == (*said[:place], *said[place + 1 :], said[0])


def test_what_there_was_before_is_known():
    former = replace(SETTINGS, devices=(LAB,), former=(HALL,))
    said = parse_marks(ONE, "marks.yaml", former)
    assert said == marks(ONE)
    assert misplaced(replace(former, marks=said)) == []


def test_an_entry_is_as_the_file_has_it():
    _, lab = marks(TWO)
    assert as_entry(lab, SETTINGS) == {
        "device": "lab",
        "series": "dht22_temperature",
        "from": "2026-11-21T08:00:00+09:00",
        "to": "2026-11-21T09:30:00+09:00",
        "verdict": "suspect",
        "why": "in the fridge",
    }
    assert datetime.fromtimestamp(lab.start / 1000, UTC) == datetime(2026, 11, 20, 23, tzinfo=UTC)

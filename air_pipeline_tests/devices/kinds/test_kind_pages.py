"""The pages of docs/devices say what the kinds do."""

import re
from pathlib import Path

import pytest

from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.kinds.parts import UNITS

PAGES = Path(__file__).parents[3] / "docs" / "devices"


def rows(page):
    """The rows of a page's tables, each as its cells."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_every_parameter_is_there_with_its_unit():
    said = {name.strip("`"): unit for name, unit, *_ in rows("index") if name.strip("`") in UNITS}
    assert said == UNITS


def test_every_kind_is_there_with_where_it_is_asked():
    said = {re.sub(r"\[`(\w+)`\].*", r"\1", kind): path.strip("`") for kind, path, *_ in rows("index")}
    assert {name: said.get(name) for name in KINDS} == {kind.name: kind.path or "–" for kind in KINDS.values()}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_page_says_what_is_stored_where_no_sensors_are_named(kind):
    said = {
        series.strip("`"): (unit, bounds) for series, unit, bounds in (row for row in rows(kind.name) if len(row) == 3)
    }
    for one in kind.usual:
        bounds = "–" if one.sensor_range is None else f"{one.sensor_range[0]:g} … {one.sensor_range[1]:g}"
        assert said[one.series] == (one.unit, bounds)
    assert {"What it says", "What is stored", "How often to ask", "What it corrects itself", "Pitfalls"} <= set(
        re.findall(r"^## (.*)$", (PAGES / f"{kind.name}.md").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_how_each_kind_asks_for_a_login_is_there():
    said = {
        name: (asks, known_by)
        for kinds, asks, known_by in (row for row in rows("index") if len(row) == 3 and "[" not in row[0])
        for name in re.findall(r"`(\w+)`", kinds)
        if name in KINDS
    }
    assert said.keys() == KINDS.keys()
    in_query = {name for name, kind in KINDS.items() if kind.login_in_query}
    assert {name for name, (asks, _) in said.items() if "in the query" in asks} == in_query
    tells = {name for name, kind in KINDS.items() if kind.head}
    assert {name for name, (_, known_by) in said.items() if known_by != "–"} == tells


def test_the_comparison_counts_the_kinds_that_are_known_by_name():
    said = (PAGES.parent / "comparison.md").read_text(encoding="utf-8")
    assert f"| {['six', 'seven', 'eight', 'nine'][len(KINDS) - 2 - 6]} kinds by name, any JSON" in said

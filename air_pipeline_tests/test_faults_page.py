"""The table of faults names tests that there are, and each test that breaks things for minutes is in it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = [row.strip("|").split(" | ") for row in PAGE.splitlines() if row.startswith("| ") and "---" not in row]
FAULTS = [[cell.strip() for cell in row] for row in ROWS if row[0].strip() != "fault"]


def _tests_in(path: Path) -> dict[str, bool]:
    """The names of the tests of a file, each with whether it is run by `make chaos`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    is_chaos = any(
        isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark" and "chaos" in ast.unparse(node)
        for node in tree.body
    )
    return {
        node.name: is_chaos or any("mark.chaos" in ast.unparse(decorator) for decorator in node.decorator_list)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@cache
def _files() -> dict[str, dict[str, bool]]:
    return {path.name: _tests_in(path) for path in TESTS.rglob("test_*.py")}


def _all() -> dict[str, bool]:
    return {name: is_chaos for tests in _files().values() for name, is_chaos in tests.items()}


def test_there_are_faults() -> None:
    assert len(FAULTS) > 40


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0][:40])
def test_a_fault_has_what_holds_and_tests_that_there_are(fault: list[str]) -> None:
    what, holds, tests = fault
    assert what
    assert holds
    named = re.findall(r"`(test_\w+(?:\.py)?)`( \(chaos\))?", tests)
    assert named
    for name, chaos in named:
        if name.endswith(".py"):
            assert _files()[name]
        else:
            is_chaos = _all()[name]
            assert is_chaos == bool(chaos), f"{name} is {'' if is_chaos else 'not '}run by make chaos"


def test_what_breaks_things_for_minutes_is_in_the_table() -> None:
    assert [name for name, is_chaos in _all().items() if is_chaos and f"`{name}`" not in PAGE] == []

import importlib
import pkgutil
import re

import air_pipeline
from air_pipeline import errors
from air_pipeline.errors import AirPipelineError


def every_module():
    for found in pkgutil.walk_packages(air_pipeline.__path__, "air_pipeline."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def family(kind=AirPipelineError, depth=0):
    yield depth, kind
    for child in sorted(kind.__subclasses__(), key=lambda one: one.__name__):
        yield from family(child, depth + 1)


def test_the_drawn_tree_is_the_family():
    """Every error that speaks to a person is drawn, in its place, and nothing else is."""
    every_module()
    drawn = re.findall(r"^    ([│├└─ ]*)(\w+)(?:   .*)?$", errors.__doc__, re.MULTILINE)
    assert [(len(lines) // 4, name) for lines, name in drawn] == [(depth, kind.__name__) for depth, kind in family()]


def test_the_drawn_exit_statuses_are_those_of_the_errors():
    every_module()
    wrong_use = set(re.findall(r"(\w+) .*\(exit status 2\)", errors.__doc__))
    assert {kind.__name__ for _, kind in family() if kind.exit_status != 1} == wrong_use


def test_every_error_of_ours_speaks_to_a_person_or_stays_inside():
    """An exception that is not in the family has a name with an underscore: it never leaves its module."""
    every_module()
    ours = [kind for kind in subclasses(Exception) if kind.__module__.startswith("air_pipeline.")]
    assert [kind for kind in ours if not issubclass(kind, AirPipelineError) and not kind.__name__.startswith("_")] == []


def subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)

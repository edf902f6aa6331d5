"""Whatever `devices.yaml` holds, it is settings or a mistake that is told with its place."""

import json
from pathlib import Path

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import parse_settings
from air_pipeline_tests.settings.files import DESIGN, ONE, mistake, only_device

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


@settings(deadline=None)
@given(st.integers(1_000, 3_600_000))
def test_a_duration_can_be_written_in_any_units(milliseconds):
    left, parts = milliseconds, []
    for unit, size in reversed(UNITS_MS.items()):
        number, left = divmod(left, size)
        parts += [f"{number}{unit}"] if number else []
    for text in ("".join(parts), f"{milliseconds}ms", f"{milliseconds / 1000:.3f}s"):
        assert only_device(f"{ONE}    interval: {text}\n").interval_ms == milliseconds


@settings(deadline=None)
@given(st.integers(0, 10**8))
def test_an_interval_outside_its_bounds_is_refused(milliseconds):
    text = f"{ONE}    interval: {milliseconds}ms\n"
    if 1_000 <= milliseconds <= 3_600_000:
        assert only_device(text).interval_ms == milliseconds
    else:
        assert "is out of bounds; write something from 1s to 1h" in mistake(text)


def mistakes(text):
    """The lines of what is said of a text; none if it is settings. Anything else than a SettingsError comes through."""
    try:
        parse_settings(text)
    except SettingsError as error:
        return str(error).split("\n")
    return []


def told_with_its_place(line):
    return line.startswith("devices.yaml:") and line.isprintable()


@settings(deadline=None)
@given(st.text() | st.text(alphabet="abc:-[]{}&*!|>?#'\"%@,<=\n \t019\\xuU\ud800\x00"))
@example("[" * 100_000)
@example("- " * 100_000)
@example('"\\uD800": 1')
@example("a: !!timestamp x")
@example("a: !!bool x")
@example("a: !!binary é")
@example("!!set {a, b}")
@example("=: 1")
def test_no_text_makes_anything_but_a_settings_error(text):
    assert all(map(told_with_its_place, mistakes(text)))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.dates()
    | st.binary(max_size=3)
    | st.sampled_from(["10s", "2026-11-01", "Europe/Warsaw", "http://a/", "temperature", "dht22", "10" * 3000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def places(node, path=()):
    yield path
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        yield from places(value, (*path, key))


VALID = yaml.safe_load(DESIGN)
PLACES = [place for place in places(VALID) if place]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), ANYTHING, st.none() | st.text())
def test_nothing_anywhere_in_a_valid_document_makes_anything_but_a_settings_error(place, value, key):
    document = yaml.safe_load(DESIGN)
    *way, last = place
    node = document
    for part in way:
        node = node[part]
    if key is not None and isinstance(node, dict):
        node[key] = value
    else:
        node[last] = value
    assert all(map(told_with_its_place, mistakes(yaml.safe_dump(document, allow_unicode=True))))


NAMES = st.text("a0_-./\\~$ \n\0%A", max_size=6) | st.sampled_from(
    ["..", "../x", "/etc", "a/..", "con", "a" * 64, "-rf"]
)


@given(NAMES, NAMES, NAMES)
def test_no_name_that_is_accepted_is_more_than_the_name_of_one_file(device, sensor, parameter):
    """Whatever path is ever made of one, it stays in its folder."""
    text = f"{{timezone: UTC, start: 2026-11-01, devices: [{{id: {json.dumps(device)}, url: 'http://a/',"
    text += f" sensors: {{{json.dumps(sensor)}: {{{json.dumps(parameter)}: {{unit: V}}}}}}}}]}}"
    try:
        (found,) = parse_settings(text).devices
    except SettingsError:
        return
    for name in (found.id, *found.units, *(one.sensor for one in found.parameters)):
        assert (Path("/data") / name).resolve() == Path("/data") / name
        assert Path(name).parts == (name,)
        assert not name.startswith(("-", "."))

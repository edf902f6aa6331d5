"""Any device with a JSON page: where each parameter stands is a JMESPath (jmespath.org) in the settings."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.parser import ParsedResult

from air_pipeline.devices.kinds import parts
from air_pipeline.devices.kinds.json_text import DocumentUnusable, Number
from air_pipeline.devices.kinds.json_text import parse as parse_json
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted

_EXAMPLE = "sensors[?name=='outside'].value | [0]"
_MOST_PATHS = 20
_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"


def _find(root: Root, wanted: Wanted) -> Found:
    document = _simple(root)
    sensors: dict[str, dict[str, object]] = {}
    for parameter in wanted.parameters:
        sensor = sensors.setdefault(parameter.sensor_key, {})
        try:
            sensor[parameter.key] = _sent(_compiled(parameter.key).search(document))
        except Exception as error:  # noqa: BLE001 - such as a function of numbers that met a text; not all are JMESPath's
            sensor[parameter.key] = {"error": str(error)}
    return Found(sensors)


def _sent(value: object) -> object:
    return Number(repr(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


@lru_cache(maxsize=4096)
def _compiled(path: str) -> ParsedResult:
    return jmespath.compile(path)


def _simple(part: object) -> Any:  # noqa: ANN401 - whatever JSON has
    """What paths compute with: numbers as such, unless only their text says what they are."""
    match part:
        case Number():
            number = _number(part.text)
            return part.text if number is None else number
        case dict():
            return {name: _simple(inner) for name, inner in part.items()}
        case list():
            return [_simple(inner) for inner in part]
    return part


def _number(text: str) -> float | int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(text) if text.lstrip("-").isdecimal() and len(text) < 16 else number  # noqa: PLR2004 -- digits of a double


def mistake(path: str) -> str:
    """What is wrong with a path, whatever it meets; empty where nothing is."""
    try:
        _compiled(path).search({})
    except JMESPathTypeError:  # a function that wants what is not there
        return ""
    except (JMESPathError, RecursionError) as error:
        said = str(error).splitlines()[0].rstrip(":.")
        return f"is no path as jmespath.org describes them ({said}); write it as {_EXAMPLE}"
    except Exception:  # noqa: BLE001 - of what meets a document, each poll tells
        return ""
    return ""


def _parse(body: bytes) -> tuple[Root, bool]:
    try:
        return parse_json(body)
    except DocumentUnusable:
        if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            raise
        # A list is what paths may begin with as well: it is read as an object that holds it.
        root, is_latin1 = parse_json(b'{"list":%s}' % body.lstrip(b"\xef\xbb\xbf"))
        return root, is_latin1


def paths_of_numbers(root: Root) -> list[str]:
    """The paths of a document at which numbers stand, also such as are texts; at most 20."""
    found: list[str] = []
    for path in _paths(_simple(root), ""):
        found.append(path)
        if len(found) == _MOST_PATHS:
            break
    return found


def _paths(part: object, at: str) -> Iterator[str]:
    match part:
        case dict():
            for name, inner in part.items():
                step = name if name and not set(name) - set(_PLAIN + "0123456789") and name[0] in _PLAIN else None
                quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' if step is None else step
                yield from _paths(inner, f"{at}.{quoted}" if at else quoted)
        case list():
            for number, inner in enumerate(part):
                yield from _paths(inner, f"{at}[{number}]")
        case bool() | None:
            return
        case int() | float():
            yield at
        case str() if _number(part) is not None:
            yield at


JSON = Kind(
    name="json",
    path="",
    find=_find,
    known=parts.known,
    names=parts.names,
    parse=_parse,
    key_word="path",
    mistake=mistake,
)

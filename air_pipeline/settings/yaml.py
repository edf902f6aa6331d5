"""YAML as `devices.yaml` needs it: texts, numbers, lists and mappings, and the line of everything.

Belongs here: from a text to nodes and values, and from a place in them to a line. Does not: what may stand where
(`file`).
"""

import re
from collections.abc import Iterable
from typing import Any, ClassVar, cast

import yaml

from air_pipeline.settings import SettingsError
from air_pipeline.settings.values import shown
from air_pipeline.showing import plain, without_secrets_in

Place = tuple[str | int, ...]
"""Keys and positions on the way from the root, such as `("devices", 0, "url")`."""

_YAML = "tag:yaml.org,2002:"
_REMEDY = "look at colons, quotes and indentation (spaces, no tabs) of this line and the one before it"
_DEEPEST = 50
"""More levels than any settings have, and fewer than any loader can take."""


class _Plain(yaml.constructor.SafeConstructor):
    """What `devices.yaml` needs of YAML: texts, numbers, lists and mappings.

    Keys are texts and stand once. Dates and times of day are texts until they are read with a place to point at; `no`,
    `on` and the like are texts, for a sensor may measure `no`.
    """

    yaml_constructors: ClassVar = {
        tag: construct
        for tag, construct in yaml.constructor.SafeConstructor.yaml_constructors.items()
        if tag in {None, *(_YAML + kind for kind in ("null", "int", "float", "str", "seq", "map"))}
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:  # noqa: FBT001, FBT002
        try:
            return super().construct_object(node, deep)
        except (ValueError, IndexError):  # !!int x, or a number of thousands of digits
            raise yaml.constructor.ConstructorError(None, None, "found no number", node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag == _YAML + "merge":
                continue
            if key.tag != _YAML + "str" or not isinstance(key, yaml.ScalarNode):
                what = shown(key.value) if isinstance(key, yaml.ScalarNode) else "something"
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {what} is not a text; put it in quotes", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {shown(key.value)} is there twice; keep one", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_WHOLE = re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$")
"""The whole numbers of YAML 1.1 but those of base 60: 23:00 is no 1380."""

_RESOLVERS = {
    first: [
        (tag, _WHOLE if tag == _YAML + "int" else pattern)
        for tag, pattern in resolvers
        if tag not in {_YAML + "timestamp", _YAML + "bool"}
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Loader(_Plain, yaml.SafeLoader):
    yaml_implicit_resolvers = _RESOLVERS


class _FastLoader(_Plain, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same upon libyaml, where PyYAML has it: ten times as fast."""

    yaml_implicit_resolvers = _RESOLVERS


def read_yaml(text: str, name: str) -> tuple[yaml.Node | None, object]:
    """The document as nodes, which know their lines, and as values.

    Raises:
        SettingsError: it is no YAML, or YAML that settings have no use for.
    """
    try:
        return _load(text, _FastLoader)
    except (yaml.YAMLError, UnicodeError):
        pass  # said in the same words everywhere:
    try:
        return _load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, problem = mark.line + 1 if mark else 1, error.problem or error.context
    except yaml.reader.ReaderError as error:
        line, problem = text.count("\n", 0, error.position) + 1, f"it has the character {shown(chr(error.character))}"
    problem = plain(without_secrets_in(" ".join(str(problem).split())))
    raise SettingsError(f"{name}:{line}: is not valid YAML: {problem}; {_REMEDY}")


def _load(text: str, kind: type[yaml.SafeLoader]) -> tuple[yaml.Node | None, object]:
    depth = 0
    for event in yaml.parse(text, Loader=kind):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:  # libyaml's stack would take the process with it
            mark = cast("yaml.Mark | None", event.start_mark)
            raise yaml.MarkedYAMLError(problem="it is nested too deeply", problem_mark=mark)
    loader = kind(text)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def settings_error(name: str, root: yaml.Node | None, mistakes: Iterable[tuple[Place, str]]) -> SettingsError:
    """The error that names each mistake with its line and place."""
    lines = [f"{name}:{_line(root, place)}: {_path(place)}{message}" for place, message in mistakes]
    return SettingsError("\n".join(dict.fromkeys(lines)))


_KEY = re.compile(r"[\w.-]{1,100}")


def _path(place: Place) -> str:
    path = ""
    for part in place:
        word = part if isinstance(part, int) or _KEY.fullmatch(part) else shown(part)
        path += f"[{word + 1}]" if isinstance(word, int) else f".{word}" if path else word
    return f"{path}: " if path else ""


def _line(node: yaml.Node | None, place: Place) -> int:
    """The line of the innermost thing on the way to a place."""
    line = 1
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            for key, value in reversed(node.value):  # what was merged in stands before what overrides it
                if key.value == part:
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        else:
            return line
    return line

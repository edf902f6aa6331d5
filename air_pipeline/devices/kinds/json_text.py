"""JSON as devices write it: bytes to objects, numbers kept as they were written.

Belongs here: what is accepted as JSON. Does not: what a document means (the kinds), what a value is (`document`).

- a word that stands bare where a value is due and is none of JSON (`nan`, `-inf`, `27.` as C prints them, `undefined`)
  counts as the text would, nothing at all as an empty one: it costs its neighbours nothing;
- what is not UTF-8 is Latin-1 if it is JSON then, and noted: a label nobody reads must not cost the numbers;
- white space and NULs around the document are nothing.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass

from air_pipeline.errors import AirPipelineError
from air_pipeline.showing import plain

MAX_DEPTH = 8
"""How deep objects and lists may be nested, the root included: a station's document has three levels."""

MAX_SHOWN = 100
"""How much of an unusable value is kept."""

WHITE = " \t\r\n\v\f"
# A text without an end is one token: looked for from each of its quotes, the end of it would be looked for for seconds.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[{}\[\],:]|[^\s"{}\[\],:]++', re.DOTALL)
_OF_JSON = re.compile(r'".*|true|false|null|NaN|-?Infinity|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?', re.DOTALL)


class DocumentUnusable(AirPipelineError, ValueError):
    """The document as a whole cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written: one grammar judges texts and numbers, and an unusable one is shown as it came."""

    text: str


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise DocumentUnusable(f"the key '{shown(twice)}' stands twice in one object")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=Number)
_TOO_DEEP = f"objects or lists are nested deeper than {MAX_DEPTH}"


def parse_document(body: bytes) -> dict[str, object]:
    """The root of a document, its numbers as they were written.

    Raises:
        DocumentUnusable: it is none, or one that no device sends.
    """
    return parse(body)[0]


def parse(body: bytes) -> tuple[dict[str, object], bool]:
    """The root of a document, and whether it is not UTF-8 and was read as Latin-1; see `parse_document`."""
    try:
        return _parsed(body.decode("utf-8").removeprefix("\ufeff")), False
    except UnicodeDecodeError as error:
        try:
            return _parsed(body.decode("latin-1")), True
        except DocumentUnusable as unusable:
            also = f"byte {error.start} is not UTF-8, and as Latin-1 it is none either: {unusable}"
            raise DocumentUnusable(also) from None


def _parsed(text: str) -> dict[str, object]:
    text = text.strip(f"{WHITE}\0")
    if not text:
        raise DocumentUnusable("the answer is empty")
    if text.startswith("<"):
        raise DocumentUnusable("the answer is a web page: is another machine at this address?")
    try:
        root: object = _decoded(text)
    except RecursionError:
        raise DocumentUnusable(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise DocumentUnusable(f"something follows the document at character {error.pos}") from None
        is_cut = error.pos >= len(text) or error.msg.startswith("Unterminated")
        what = "no complete JSON" if is_cut else "no JSON"
        raise DocumentUnusable(f"{what}: {error.msg} at character {error.pos}") from None
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(root) > MAX_DEPTH:
        raise DocumentUnusable(_TOO_DEEP)
    if not isinstance(root, dict):
        raise DocumentUnusable("the document is no JSON object")
    return root


def _decoded(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        quoted = _bare_words_quoted(text)
        if quoted == text:
            raise
    return _DECODER.decode(quoted)


def _bare_words_quoted(text: str) -> str:
    """The text with whatever stands bare where a value is due, and is none of JSON, in quotes."""
    parts: list[str] = []
    opened: list[str] = []
    last, before = 0, ""
    for token in _TOKEN.finditer(text):
        word = token[0]
        is_due = before == ":" or (before in {"[", ","} and opened[-1:] == ["["])
        if is_due and (word in {",", "}"} and before == ":"):  # nothing at all
            parts += [text[last : token.start()], '""']
            last = token.start()
        if word in {"{", "["}:
            opened.append(word)
        elif word in {"}", "]"}:
            del opened[-1:]
        elif is_due and word not in {",", ":"} and not _OF_JSON.fullmatch(word):
            parts += [text[last : token.start()], json.dumps(word)]
            last = token.end()
        before = word
    return "".join([*parts, text[last:]])


def _depth(root: object) -> int:
    depth, level = 0, [root]
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
    return depth


def shown(value: object) -> str:
    r"""A value as it came in, shortened, on one line: what is no character for people to see as `\x1b`."""
    text = value if isinstance(value, str) else _rendered(value)
    return plain(text[:MAX_SHOWN])[:MAX_SHOWN]


def _rendered(value: object) -> str:
    match value:
        case Number():
            return value.text
        case dict():
            return "{" + ",".join(f"{_rendered(name)}:{_rendered(part)}" for name, part in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_rendered, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)

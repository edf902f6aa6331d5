"""Texts of others (devices, servers, files) as they are shown: a function a target, and addresses without secrets.

Belongs here: what keeps a text from being more than a text where it is shown. Does not: HTML, which is jinja's own
escaping upon `plain_lines` (`reports.page`).
"""

import re
import unicodedata

_HARMLESS = frozenset({"Zs"})
"""Categories that `isprintable` refuses and that do nothing but take room: thin and no-break spaces."""
_MARKS = re.compile(r"[\\`*\[\]<>|~&!$]|(?<![^\W_])_|_(?![^\W_])")
_BLOCK = re.compile(r"^([#+=-]|[0-9]+(?=[.)]))")
_LINKS = re.compile(r"(?i)(?:https?://|www\.)\S*|[-.\w+]+@[-\w]+(?:\.[-\w]+)+")
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_NO_TEXTS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")


def plain(text: str) -> str:
    r"""On one line, without a character that moves a cursor, ends a line or turns letters around: these as `\x1b`."""
    return text if text.isprintable() else "".join(map(_visible, text))


def plain_lines(text: str) -> str:
    """The same with its line ends and tabs: for terminals, logs, messages and pages."""
    return text if text.isprintable() else "".join(one if one in "\n\t" else _visible(one) for one in text)


def _visible(one: str) -> str:
    if one.isprintable() or unicodedata.category(one) in _HARMLESS:
        return one
    number = ord(one)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"  # noqa: PLR2004


def plain_json(json_text: str) -> str:
    """A text of JSON, the same to programs, in characters that do nothing to a terminal."""
    if json_text.isprintable():
        return json_text
    return "".join(one if one == "\n" or one.isprintable() else _utf16(one) for one in json_text)


def _utf16(one: str) -> str:
    units = one.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def markdown(text: str) -> str:
    """As Markdown that shows these very characters: no link, heading, picture, table or tag of its own.

    What a renderer would make a link by itself (addresses, also of mail) stands as code.
    """
    return "\n".join(map(_markdown_line, plain_lines(text).split("\n")))


def _markdown_line(line: str) -> str:
    line, shown, last = line.lstrip(), "", 0  # what is indented would be code
    for link in _LINKS.finditer(line):
        shown += _without_marks(line[last : link.start()]) + f"`{link.group().replace('`', '’')}`"
        last = link.end()
    shown += _without_marks(line[last:])
    return _BLOCK.sub(lambda mark: f"{mark[0]}\\" if mark[0].isdigit() else f"\\{mark[0]}", shown)


def _without_marks(text: str) -> str:
    return _MARKS.sub(lambda mark: f"\\{mark[0]}", text)


def without_secrets(url: str) -> str:
    """An address as it may be shown, whether it is a valid one or not: without its user, password and query."""
    scheme, slashes, rest = url.partition("//")
    if not slashes:
        scheme, rest = "", url
    if "@" in rest:
        rest = f"…@{rest.rpartition('@')[2]}"
    return scheme + slashes + _QUERY.sub("?…", rest)


def without_secrets_in(text: str) -> str:
    """A text with every address in it as it may be shown."""
    return _URL.sub(lambda url: without_secrets(url.group()), text) if "://" in text else text


def flow_text(text: str) -> str:
    """A text as it is written in YAML's flow style: quoted where it has to be, in characters that do nothing else."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", text) and text.lower() not in _NO_TEXTS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(one: str) -> str:
    if one in '"\\':
        return f"\\{one}"
    if one.isprintable():
        return one
    number = ord(one)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"  # noqa: PLR2004

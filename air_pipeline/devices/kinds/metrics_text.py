"""The text of a `/metrics` page, line by line: a line that is none costs no other.

Source: Prometheus' text exposition format 0.0.4; devices write `#TYPE` without a blank, which here is a comment too.
"""

import re
from dataclasses import dataclass

from air_pipeline.devices.kinds.json_text import DocumentUnusable, Number
from air_pipeline.devices.kinds.kind import Root

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"'
_LABELS = re.compile(_LABEL)
# White space has one place in it each: with two beside each other, a line that is none would be tried for years.
_SELECTOR = re.compile(rf"({_NAME})\s*(?:\{{\s*((?:{_LABEL}[\s,]*)*)\}})?")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SAMPLES = "samples"


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: a name, labels, a number as it was written."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: Number

    def fits(self, name: str, labels: tuple[tuple[str, str], ...]) -> bool:
        """Whether it has this name and all of these labels."""
        return self.name == name and set(labels) <= set(self.labels)


def parse_metrics(body: bytes) -> tuple[Root, bool]:
    """The samples of a page as a document, and whether it is not UTF-8 and was read as Latin-1.

    Raises:
        DocumentUnusable: there is none.
    """
    try:
        text, is_latin1 = body.decode("utf-8").removeprefix("\ufeff"), False
    except UnicodeDecodeError:
        text, is_latin1 = body.decode("latin-1"), True
    if text.lstrip().startswith("<"):
        raise DocumentUnusable("the answer is a web page: is another machine at this address?")
    found = [sample for line in text.split("\n") if (sample := _sample(line.strip())) is not None]
    if not found:
        raise DocumentUnusable("the answer holds no metrics as Prometheus reads them")
    return {_SAMPLES: found}, is_latin1


def samples(root: Root) -> list[Sample]:
    """The samples of a document of `parse_metrics`."""
    found: list[Sample] = root[_SAMPLES]
    return found


def selector(text: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """The name and labels of `name` or `name{label="value"}`; None where it is neither."""
    found = _SELECTOR.fullmatch(text.strip())
    return None if found is None else (found[1], _labels(found[2]))


def _sample(line: str) -> Sample | None:
    found = _SELECTOR.match(line)
    rest = line[found.end() :].split() if found else []
    if found is None or not rest or rest[0].startswith("{"):  # labels that are none
        return None
    return Sample(found[1], _labels(found[2]), Number(rest[0]))


def _labels(text: str | None) -> tuple[tuple[str, str], ...]:
    return tuple((label[1], _ESCAPED.sub(_meant, label[2])) for label in _LABELS.finditer(text or ""))


def _meant(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] == "n" else escaped[1]

"""A page as a reader has it: its elements by name, its text, its pictures."""

import re
from html.parser import HTMLParser

import pytest

from air_pipeline.reports.gathering import gather
from air_pipeline.reports.page import page_of
from air_pipeline_tests.days.deployments import build

_APART = {"td", "th", "text", "dt", "dd", "li", "p", "caption", "span", "h2", "h3", "h4"}
_EMPTY = {"meta", "br", "wbr", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """What is on a page; parsing fails where elements are not closed in order.

    Attributes:
        elements: (name, attributes) in order.
        drawn: those of them that are in a picture.
        sections: the id of the heading of a top-level section to the text in it.
        code: the text of each element of code.
    """

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.drawn = []
        self.sections = {"": ""}
        self.code = []
        self._links = []
        self._open = []
        self._section = ""
        self.feed(html)
        self.close()
        if self._open:
            pytest.fail(f"never closed: {self._open}")

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self._add(tag, given)
        if tag == "section" and "aria-labelledby" in given:
            self._section = given["aria-labelledby"]
            self.sections[self._section] = ""
        if tag == "footer":
            self._section = ""
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self._add(tag, dict(attrs))

    def _add(self, tag, attributes):
        self.elements.append((tag, attributes))
        if tag == "code":
            self.code.append("")
        if tag == "a":
            self._links.append([attributes.get("href"), ""])
        if "figure" in self._open:
            self.drawn.append((tag, attributes))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag in _APART:
            self.sections[self._section] += " "

    def handle_data(self, data):
        if "style" not in self._open:
            self.sections[self._section] += data
        if "code" in self._open:
            self.code[-1] += data
        if "a" in self._open:
            self._links[-1][1] += data

    def links(self, text):
        """Where the links with this text lead."""
        return [target for target, shown in self._links if shown == text]

    def text(self, section=None):
        """All text, or that of a section, with single blanks."""
        parts = self.sections.values() if section is None else [self.sections[section]]
        return re.sub(r"[ \n]+", " ", " ".join(parts)).strip()  # thin spaces stay

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def strokes(self, kind):
        """How many strokes of a kind all pictures have together."""
        return sum(attributes["d"].count("M") for _, attributes in self.drawn if attributes.get("class") == kind)

    @property
    def shown(self):
        """The devices that have a section, in order."""
        return [name.removeprefix("device-") for name in self.sections if name.startswith("device-")]


def page_of_day(deployed, day):
    """The page of a day that is built here."""
    build(deployed, day)
    return Page(page_of(gather(deployed, day)))

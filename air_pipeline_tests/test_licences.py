"""What is installed, under which licence; `python -m air_pipeline_tests.test_licences` writes the page."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
HEAD = """\
# Licences

air_pipeline is under the MIT licence. `requirements.lock` names what is installed with it, each part under the licence
that its own metadata state; nothing of it is in this repository. None of them asks more of a user than to
keep its notices; what is under the MPL or the LGPL asks who changes *it* and passes that on to publish these
changes, and the LGPL that whoever gets it can put another version in its place, as with every package of Python.

| package | licence |
|---|---|
"""
ELSEWHERE = "– (installed on Windows only)"
UNKNOWN_HERE = re.compile(r"GPL|AGPL|LGPL|Commercial|Proprietary", re.IGNORECASE)


def locked():
    """The packages of the lock, each once."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"(?m)^([a-z0-9._-]+)==", text)))


def licence(package):
    """As its metadata state it: an expression, else its classifiers, else the first line of a text."""
    try:
        said = metadata(package)
    except PackageNotFoundError:
        return ELSEWHERE
    classifiers = [one.split(" :: ")[-1] for one in said.get_all("Classifier") or [] if one.startswith("License ::")]
    return said.get("License-Expression") or "; ".join(classifiers) or (said.get("License") or "").partition("\n")[0]


def page():
    return HEAD + "".join(f"| {package} | {licence(package)} |\n" for package in locked())


def test_the_page_of_licences_names_every_package_of_the_lock_with_its_own():
    rows = dict(re.findall(r"(?m)^\| ([a-z0-9._-]+) \| (.+) \|$", PAGE.read_text(encoding="utf-8")))
    assert rows.pop("package") == "licence"
    assert list(rows) == locked()
    here = {package: said for package in rows if (said := licence(package)) != ELSEWHERE}
    assert {package: rows[package] for package in here} == here


REPLACEABLE = {"zeroconf": "LGPL-2.1-or-later"}
"""Imported as it is installed, by `init --discover` alone: what the LGPL asks of that is said on the page."""


def test_no_package_asks_for_more_than_its_notices():
    licences = {package: licence(package) for package in locked()}
    assert {package: licences.pop(package) for package in REPLACEABLE} == REPLACEABLE
    assert all(licences.values())
    assert not any(UNKNOWN_HERE.search(one) for one in licences.values())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

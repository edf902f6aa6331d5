"""What the documentation says is compared with the code."""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from air_pipeline.assets.checks import check_specs
from air_pipeline.catalogue import LIMITS, RULE_PARAMETERS
from air_pipeline.cli import COMMANDS
from air_pipeline.devices.polls import Outcome
from air_pipeline.health.checks import CHECKS, checks_of
from air_pipeline.health.examination import EXAMINATION
from air_pipeline.instance.checks import DAGSTER_CHECKS
from air_pipeline.notifying.deciding import Change
from air_pipeline.notifying.messages import Item, Message, change_message
from air_pipeline.processing.columns import TABLES
from air_pipeline.processing.rules.registry import RULES
from air_pipeline.settings.file import read_settings
from air_pipeline.settings.schema import AuthEntry, DeviceEntry, EmailEntry, FileSchema, NotifyEntry

ROOT = Path(__file__).parents[1]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_column_is_documented_as_the_code_has_it(table):
    documented = text("docs/tables.md").split(f"## {table.name}\n")[1].split("\n## ")[0]
    rows = [line for line in documented.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{c.name}` | {c.type} | {c.unit} | {c.description} |" for c in table.columns]


def rows_under(page, heading):
    """The cells of the tables under a heading whose first cell is code."""
    below = text(page).split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in below.splitlines() if line.startswith("| `")]
    assert rows
    return rows


def test_every_rule_is_documented_with_what_to_do():
    page = text("docs/rules.md")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(rule.name, str(rule.bit), rule.meaning) for rule in RULES]
    assert set(re.findall(r"^### `(\w+)`$", page, re.MULTILINE)) == {rule.name for rule in RULES}


def test_every_rule_has_its_picture():
    """They are drawn by: python -m air_pipeline_tests.reports.rule_pictures"""
    shown = re.findall(r"^### `(\w+)`\n\n!\[[^]]+\]\((images/rules/\w+\.svg)\)$", text("docs/rules.md"), re.MULTILINE)
    assert shown == [(rule.name, f"images/rules/{rule.name}.svg") for rule in RULES]
    assert all(text(f"docs/{path}").startswith("<svg") for _, path in shown)


def test_every_limit_is_documented_with_its_source():
    page = text("docs/rules.md")
    rows = re.findall(r"^\| `([\w-]+)` \| `(\w+)` \| (.+) \| (.+) \|$", page, re.MULTILINE)
    limits = [(series, name, one) for series, limits in LIMITS.items() for name, one in limits.items()]
    assert rows == [(series, name, f"{one.value:g} {one.unit}", one.source) for series, name, one in limits]
    assert re.findall(r"^\| `(\w+)` \| ([^|`\d][^|]*) \|$", page, re.MULTILINE) == list(RULE_PARAMETERS.items())


@pytest.mark.parametrize("field", [*FileSchema.model_fields, *DeviceEntry.model_fields, *AuthEntry.model_fields])
def test_every_setting_is_documented(field):
    assert f"`{field}`" in text("docs/configuration.md")


def test_every_setting_of_notifications_is_documented():
    page = text("docs/notifications.md")
    for entry in (NotifyEntry, EmailEntry):
        for name, field in entry.model_fields.items():
            assert f"`{field.alias or name}`" in page


def test_everything_that_is_told_is_documented():
    page = text("docs/notifications.md")
    now = datetime(2026, 11, 21, tzinfo=UTC)
    over = [Change((check.name, "hall"), None, since=now, until=now) for check in CHECKS if check.bad]
    told = [change_message("1", [change], ZoneInfo("Europe/Warsaw"), now, "here").items[0].check for change in over]
    assert told
    assert all(f"| `{check}` |" in page for check in told), told
    [example] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    body = json.loads(example)
    assert list(body) == [field.name for field in fields(Message)]
    assert list(body["items"][0]) == [field.name for field in fields(Item)]


def test_every_check_is_documented_with_what_to_do():
    tables = {
        spec.name: spec.description
        for table in TABLES
        for spec in check_specs(table, dg.StaticPartitionsDefinition(["2026-03-01"]))
    }
    tables |= {check.name: check.means for check in checks_of("daily_aggregates")}
    readings = {check.name: check.means for check in checks_of("raw_readings")}
    for heading, checks in (("raw_readings", readings), (", ".join(TABLES), tables)):
        rows = rows_under("docs/checks.md", heading)
        assert {tuple(row[:2]) for row in rows} == {(f"`{name}`", meaning) for name, meaning in checks.items()}
        assert all(len(row) == 3 and row[2] for row in rows)


def test_what_doctor_looks_at_beside_is_documented():
    rows = {row[0]: row[1:] for row in rows_under("docs/checks.md", "What only doctor looks at")}
    others = [check for check in (*EXAMINATION, *DAGSTER_CHECKS) if not check.asset]
    assert rows == {f"`{check.name}`": [check.means] for check in others}


def test_no_page_has_a_secret_typed_into_a_command():
    """It would stand in the list of processes and in the shell's history."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *(p for p in ROOT.glob("deploy/*") if p.is_file())]
    assert len(pages) > 20
    for page in pages:
        said = page.read_text(encoding="utf-8")
        typed = re.findall(r"(?:--token|--password)[ =]\S+|curl [^\n]*(?:-u |Authorization)", said)
        assert not typed, f"{page}: {typed}"


def test_every_outcome_is_documented():
    for outcome in Outcome:
        assert f"| `{outcome.value}` |" in text("docs/collecting.md")


def test_every_command_is_in_the_readme():
    assert len(COMMANDS) >= 8
    for name in COMMANDS:
        assert f"`air-pipeline {name}`" in text("README.md") or f"`{name}`" in text("README.md")


def test_the_example_configuration_is_valid():
    settings = read_settings(ROOT / "devices.example.yaml")
    assert [device.id for device in settings.devices] == ["living-room"]


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documentation built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_in_the_site_and_the_way_to_it(site):
    start = (site / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        if page.stem != "index":
            assert (site / f"{page.stem}.html").exists()
            assert f'href="{page.stem}.html"' in start


def test_the_site_fetches_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        fetched = re.findall(r"<(?:script|img|iframe|link)[^>]*(?:src|href)=\"?(https?:)?//", page.read_text("utf-8"))
        assert fetched == [], page
    styles = [style.read_text("utf-8") for style in site.rglob("*.css")]
    assert styles
    assert not re.search(r"@import|url\([\"']?(https?:)?//", "".join(styles))

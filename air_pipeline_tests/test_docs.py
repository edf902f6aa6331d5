"""What the documentation says is compared with the code."""

from pathlib import Path

import pytest
import typer.main
import yaml

from air_pipeline.assets.tables import check_specs
from air_pipeline.cli import app
from air_pipeline.collection.report import CHECKS
from air_pipeline.devices.polls import Outcome
from air_pipeline.processing.columns import TABLES
from air_pipeline.processing.rules import RULES
from air_pipeline.settings.file import DeviceEntry, FileSchema, read_settings

ROOT = Path(__file__).parents[1]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_column_is_documented_as_the_code_has_it(table):
    documented = text("docs/tables.md").split(f"## {table.name}\n")[1].split("\n## ")[0]
    rows = [line for line in documented.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{c.name}` | {c.type} | {c.unit} | {c.description} |" for c in table.columns]


def test_every_rule_is_documented():
    for rule in RULES:
        assert f"| `{rule.name}` | {rule.bit} | {rule.meaning} |" in text("docs/tables.md")


@pytest.mark.parametrize("field", [*FileSchema.model_fields, *DeviceEntry.model_fields])
def test_every_setting_is_documented(field):
    assert f"`{field}`" in text("docs/configuration.md")


def test_every_check_is_documented():
    for spec in check_specs("daily_aggregates"):
        assert f"| `{spec.name}` | {spec.description} |" in text("docs/tables.md")
    for name, meaning in CHECKS.items():
        assert f"| `{name}` | {meaning} |" in text("docs/collecting.md")


def test_every_outcome_is_documented():
    for outcome in Outcome:
        assert f"| `{outcome.value}` |" in text("docs/collecting.md")


def test_every_command_is_in_the_readme():
    commands = typer.main.get_command(app).commands
    assert len(commands) >= 8
    for name in commands:
        assert f"`air-pipeline {name}`" in text("README.md") or f"`{name}`" in text("README.md")


def test_the_example_configuration_is_valid():
    settings = read_settings(ROOT / "devices.example.yaml")
    assert [device.id for device in settings.devices] == ["living-room"]


def test_links_lead_somewhere():
    import re

    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_compose_file_is_yaml_and_listens_on_loopback():
    services = yaml.safe_load(text("deploy/compose.yaml"))["services"]
    assert all(port.startswith("127.0.0.1:") for port in services["influxdb"]["ports"])

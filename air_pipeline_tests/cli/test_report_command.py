"""The command `report`."""

import json
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from air_pipeline.settings.file import settings_text
from air_pipeline.storage.pages import page_file
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.days.deployments import BEFORE, DAY, build, deployment, publish_page, seed

DEVICES = """
timezone: Europe/Warsaw
start: 2026-01-01
interval: 10m
devices:
  - id: hall
    url: http://127.0.0.1:9/hall
    sensors: {first: {temperature: {key: temperature, unit: °C, sensor_range: [-40, 80]}}}
"""


@pytest.fixture
def deployed(tmp_path, monkeypatch):
    """A deployment that the environment names, with a day that is built and has another page than ours."""
    deployed = deployment(tmp_path)
    deployed.environment.config.write_text(DEVICES)
    assert "hall" in settings_text(deployed.environment.config)
    for name, value in deployed.environment.variables().items():
        monkeypatch.setenv(name, value)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    seed(deployed)
    build(deployed)
    return deployed


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs `air-pipeline report` in this process: exit status, what it printed and what it said."""
    return partial(in_this_process, monkeypatch, capsys, "report")


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Where a browser writes down what it is given."""
    record = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {record}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setattr("webbrowser._browsers", {})
    return record


def test_the_newest_built_day_is_meant_and_its_page_named(deployed, command):
    build(deployed, BEFORE)
    assert command() == (0, f"{page_file(deployed.data, DAY).path}\n", "")
    assert command(BEFORE) == (0, f"{page_file(deployed.data, BEFORE).path}\n", "")
    status, printed, _ = command("--json")
    assert (status, json.loads(printed)) == (
        0,
        {"date": DAY.isoformat(), "path": str(page_file(deployed.data, DAY).path)},
    )


def test_a_page_that_is_missing_is_made_from_the_tables(deployed, command):
    page = page_file(deployed.data, DAY)
    made = page.metadata()
    page.path.unlink()
    assert command(DAY) == (0, f"{page.path}\n", "")
    assert page.metadata() == made
    assert 'id="device-hall"' in page.path.read_text()


def test_a_page_is_written_to_a_file(deployed, command, tmp_path):
    page = page_file(deployed.data, DAY)
    target = tmp_path / "page.html"
    assert command("-o", target) == (0, f"{target}\n", "")
    assert target.read_bytes() == page.path.read_bytes()
    page.path.unlink()
    assert command(DAY, "-o", target)[0] == 0
    assert 'id="device-hall"' in target.read_text()
    assert not page.exists
    status, _, said = command("-o", tmp_path / "nowhere" / "page.html")
    assert (status, said) == (1, f"{tmp_path / 'nowhere' / 'page.html'} cannot be written: No such file or directory\n")


def test_a_day_that_is_not_built_is_refused_with_the_remedy(deployed, command, tmp_path):
    other = DAY + timedelta(days=1)
    publish_page(deployed, other, page_file(deployed.data, DAY).metadata())  # a page alone is no built day
    status, printed, said = command(other, "-o", tmp_path / "page.html")
    assert (status, printed) == (1, "")
    assert said.endswith(f"build it with: air-pipeline build --from {other} --to {other}\n")
    assert not (tmp_path / "page.html").exists()


def test_without_any_built_day_the_remedy_is_named(deployed, command):
    for table in ("observations", "hourly_aggregates", "daily_aggregates"):
        (deployed.data / table / f"date={DAY}" / f"{table}.parquet").unlink()
    assert command() == (1, "", "no day has been built yet; build those that are over with: air-pipeline build\n")


def test_a_date_that_is_none_is_wrong_use(deployed, command):
    status, _, said = command("soon")
    assert status == 2
    assert said.startswith("'soon' is not a time; write it as 2026-11-21, ")


def test_it_is_opened_when_asked_for_and_not_without_a_terminal(deployed, command, opened):
    command()
    assert not opened.exists()
    assert command("--open")[0] == 0
    assert opened.read_text() == page_file(deployed.data, DAY).path.as_uri()


def test_it_is_opened_by_itself_at_a_terminal_with_a_display(deployed, command, opened, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    command()
    assert not opened.exists()
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    command("--no-open")
    assert not opened.exists()
    command()
    assert opened.exists()


def test_where_no_browser_opens_it_says_so(deployed, command, monkeypatch):
    monkeypatch.setenv("BROWSER", "")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setattr("webbrowser._browsers", {})
    status, printed, said = command("--open")
    assert (status, said) == (0, "No browser could be opened; open the file yourself.\n")
    assert Path(printed.strip()).is_file()


def test_a_day_that_is_not_over_is_not_recommended_to_be_built(deployed, monkeypatch, capsys):
    status, _, error = in_this_process(monkeypatch, capsys, "report", "now", "--no-open")
    assert status == 1
    assert "air-pipeline build" not in error

"""The command `doctor`: what is not well, and what to do."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import typer

from air_pipeline.cli.options import ConfigOption, DevicesArgument, JsonOption
from air_pipeline.cli.terminal import show_json, sign_of_life
from air_pipeline.diagnosis import Finding, Probe
from air_pipeline.diagnosis.examination import exit_status, probes
from air_pipeline.diagnosis.probing import findings
from air_pipeline.diagnosis.setting_up import look_at_set_up
from air_pipeline.environment import Environment
from air_pipeline.instance.condition import look_at_dagster
from air_pipeline.instance.home import home_of_dagster

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failure": ("✗", "red"), "unknown": ("?", "cyan")}
_PATIENCE_S = 2.0


def doctor(devices: DevicesArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say what is not well, and what to do: settings, devices, store, clock, disk, what runs, days.

    Nothing is written, and nothing stored; while a collector runs, its last polls are looked at. The exit status is 0
    where nothing failed (warnings and what cannot be told included), 1 where something did, 2 where what you have set
    cannot be used at all.

    Example: air-pipeline doctor
    """
    set_up = look_at_set_up(config, os.environ, datetime.now(UTC))
    wanted = [*probes(set_up, devices or ()), Probe("dagster", partial(_dagster, set_up.environment))]
    found = []
    for finding in _with_progress(findings(wanted)):
        found.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        show_json([asdict(finding) for finding in found])
    if status := exit_status(found):
        raise typer.Exit(status)


def _dagster(environment: Environment) -> Iterator[Finding]:

    return look_at_dagster(home_of_dagster(environment))


def _show(finding: Finding) -> None:
    mark, colour = _MARKS[finding.level]
    remedy = f" → {finding.remedy}" if finding.remedy else ""
    line = " ".join(f"{finding.subject}: {finding.text}{remedy}".split())
    typer.echo(f"{typer.style(mark, fg=colour)} {line}")


def _with_progress(findings: Iterator[Finding]) -> Iterator[Finding]:
    """The same, with a sign of life on a terminal while the next one takes long."""
    while True:
        with sign_of_life():
            finding = next(findings, None)
        if finding is None:
            return
        yield finding

"""The command `doctor`: what is not well, and what to do."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from air_pipeline.cli.display import sign_of_life
from air_pipeline.cli.options import AskOption, ConfigOption, DevicesArgument, JsonOption
from air_pipeline.cli.terminal import say, show_json
from air_pipeline.health import Finding, Level, failure
from air_pipeline.health.clock import clock_kept
from air_pipeline.health.examination import checks_for_a_person, exit_status
from air_pipeline.health.probing import NO_ANSWER, WITHIN_S, answer_within, lines
from air_pipeline.health.seen import seen_from_outside
from air_pipeline.instance.checks import dagster_checks, with_dagster

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failure": ("✗", "red"), "unknown": ("?", "cyan")}


def doctor(
    devices: DevicesArgument = None,
    config: ConfigOption = None,
    ask: AskOption = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing where all is well, else only what is not.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is not well, and what to do: settings, devices, store, clock, disk, what runs, days.

    Nothing is written, and nothing stored; while a collector runs, its last polls are looked at, as with collector:
    external and of devices of a collector of another name, unless you say --ask. The exit status is 0 where nothing
    failed (warnings and what cannot be told included), 1 where something did (with --quiet, where a look did not end as
    well), 2 where what you have set cannot be used at all.

    Example: air-pipeline doctor
    """
    found = []
    for title, finding in _with_progress(_look(config, tuple(devices or ()), may_ask=ask)):
        if quiet and (finding.level is Level.OK or _is_never_told(finding)):
            continue
        found.append((title, finding))
        if not as_json:
            _show(title, finding)
    if as_json:
        show_json([_as_dict(title, finding) for title, finding in found])
    status = exit_status([finding for _, finding in found])
    if quiet and not status and any(NO_ANSWER in finding.text for _, finding in found):
        status = 1
    if status:
        raise typer.Exit(status)


def _is_never_told(finding: Finding) -> bool:
    """Whether it is that of this machine's clock nothing can be told, as in a container: no news for a watchdog."""
    return finding.level is Level.UNKNOWN and finding.check == clock_kept.name


def _look(config: Path | None, devices: tuple[str, ...], *, may_ask: bool) -> Iterator[tuple[str, Finding]]:
    """What there is to show; where not even the files can be read, that."""
    try:
        seen = answer_within(WITHIN_S, lambda: seen_from_outside(os.environ, config, devices, may_ask=may_ask))
    except TimeoutError:
        text = f"{NO_ANSWER} {WITHIN_S:g} s when devices.yaml and the state directory were read"
        yield "disk", failure(text, "see what they are on: a disk that has failed, a network drive that is away")
        return
    yield from lines(checks_for_a_person(seen), seen)
    yield from lines(dagster_checks(seen), with_dagster(seen))


def _as_dict(title: str, finding: Finding) -> dict[str, str]:
    return {"subject": title, "level": finding.level, "text": finding.text, "remedy": finding.remedy}


def _show(title: str, finding: Finding) -> None:
    mark, colour = _MARKS[finding.level]
    remedy = f" → {finding.remedy}" if finding.remedy else ""
    said = "; ".join(finding.text.splitlines())
    line = " ".join(f"{title}: {said}{remedy}".split())
    say(line, mark=mark, colour=colour)


def _with_progress(found: Iterator[tuple[str, Finding]]) -> Iterator[tuple[str, Finding]]:
    """The same, with a sign of life on a terminal while the next one takes long."""
    while True:
        with sign_of_life():
            one = next(found, None)
        if one is None:
            return
        yield one

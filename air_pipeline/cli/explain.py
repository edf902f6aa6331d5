"""Why an observation is flagged as it is: what each rule measured of it, and between which limits."""

from collections.abc import Iterator
from typing import Annotated

import typer

from air_pipeline.access import Archive
from air_pipeline.cli.options import ConfigOption, JsonOption, use_config
from air_pipeline.cli.terminal import say, show_json, unit_text
from air_pipeline.days.explanation import Explanation
from air_pipeline.deployment import open_deployment
from air_pipeline.devices.polls import Flag
from air_pipeline.processing.explaining import Judged

_WORDS = {
    Flag.GOOD: "good",
    Flag.NOT_EVALUATED: "not evaluated",
    Flag.SUSPECT: "suspect",
    Flag.BAD: "bad",
    Flag.MISSING: "missing",
}


def explain(
    device: Annotated[str, typer.Option("--device", help="Whose.", show_default=False)],
    series: Annotated[str, typer.Option("--series", help="Such as dht22_temperature.", show_default=False)],
    at: Annotated[
        str,
        typer.Option(
            "--at", help="The slot, or a time after it on the same day: 2026-11-21T08:00, -1h.", show_default=False
        ),
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why an observation is flagged as it is: what each rule measured, and between which limits.

    Example: air-pipeline explain --device living-room --series dht22_temperature --at 2026-11-21T08:00
    """
    use_config(config)
    deployment = open_deployment(strict=False)
    if deployment.mistake:
        say(f"going on with the last valid configuration:\n{deployment.mistake}", err=True)
    with Archive(deployment) as archive:
        found = archive.explain(device, series, at)
    if as_json:
        show_json(found.to_json())
        return
    for line in _lines(found):
        say(line)


def _lines(found: Explanation) -> Iterator[str]:
    value = "no value" if found.judged.value is None else f"{found.judged.value:g} {unit_text(found.unit)}".rstrip()
    when = found.observed_at.isoformat(sep=" ", timespec="seconds")
    yield f"{found.device} {found.series} at {when}: {value}, {_flag(found.judged.flag)}"
    if found.poll is None:
        yield "there is no poll: no collector ran, it could not begin in time, or what it stored was deleted"
    else:
        took = "" if not found.poll.duration_ms else f", after {found.poll.duration_ms:g} ms"
        came = f"; instead of the value came {found.poll.came!r}: {found.poll.reason}" if found.poll.reason else ""
        yield f"poll: {found.poll.outcome}{took}{came}"
    if found.of_other_rules:
        yield (
            f"the day was built by version {found.rule_set} of the rules; this is what those of now say: its file may"
            " say something else until it is built again"
        )
    if found.judged_now is None:
        yield from _said(found.judged)
        return
    yield "by the limits and marks that the day was built with:"
    yield from _said(found.judged)
    yield f"these have changed since; by those of now it would be {_flag(found.judged_now.flag)}:"
    yield from _said(found.judged_now)


def _said(judged: Judged) -> Iterator[str]:
    for one in judged.said:
        yield f"  {one.rule} · {one.verdict}: {one.sentence}"
    for member, flag in judged.members.items():
        yield f"  of {member}, {_flag(flag)}"


def _flag(flag: int) -> str:
    return f"{flag} ({_WORDS[Flag(flag)]})"

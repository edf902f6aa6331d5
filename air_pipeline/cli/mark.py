"""The command `mark`: what somebody says of values by hand."""

import os
import pwd
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated

import typer

from air_pipeline.cli.options import ConfigOption, JsonOption, complete_device, complete_series, use_config
from air_pipeline.cli.terminal import say, show_json
from air_pipeline.deployment import Deployment, open_deployment
from air_pipeline.marking import add_marks, changed_days, remove_marks
from air_pipeline.processing.local_time import epoch_ms, from_epoch_ms
from air_pipeline.settings import ALWAYS, EVERY_SERIES, NEVER, Device, Mark, SettingsError, Verdict
from air_pipeline.settings.marks import as_entry, marks_file, misplaced, zone_of
from air_pipeline.settings.values import near
from air_pipeline.times import instant, interval, local_text
from air_pipeline.words import some_days

_MOST_DAYS = 5
_VERDICTS: tuple[Verdict, ...] = ("suspect", "bad", "good")


def mark(
    device: Annotated[
        str | None, typer.Argument(help="Whose values.", show_default="all", autocompletion=complete_device)
    ] = None,
    series: Annotated[
        list[str] | None,
        typer.Argument(help="Which series.", show_default="all", autocompletion=complete_series),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="From this time on, by the clock at the device.", show_default=False)
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Up to this time.", show_default="now")] = None,
    suspect: Annotated[str | None, typer.Option("--suspect", help="They are suspect: why.", show_default=False)] = None,
    bad: Annotated[str | None, typer.Option("--bad", help="They are bad: why.", show_default=False)] = None,
    good: Annotated[
        str | None, typer.Option("--good", help="They are good, whatever the rules say: why.", show_default=False)
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take marks away; without --from and --to, of all time.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mark values by hand as suspect, bad or good, with the reason; without one of these, show what is marked.

    Days are built again with it by themselves. It is kept in marks.yaml, beside devices.yaml.

    Example: air-pipeline mark living-room dht22_temperature --from 2026-11-21T08:00 --to 2026-11-21T09:30 --bad fridge
    """
    use_config(config)
    given = [(verdict, why) for verdict, why in zip(_VERDICTS, (suspect, bad, good), strict=True) if why is not None]
    if len(given) + remove > 1:
        raise typer.BadParameter("of --suspect, --bad, --good and --remove, only one is meant; name it")
    deployment = open_deployment()
    if not given and not remove:
        if start is not None or end is not None:
            raise typer.BadParameter("what of that time? add --suspect, --bad or --good with the reason, or --remove")
        _show(deployment, device, series or [], as_json=as_json)
        return
    if device is None:
        raise typer.BadParameter("name the device whose values are meant, such as living-room")
    if remove:
        _remove(deployment, device, series or [], start, end, as_json=as_json)
        return
    [(verdict, why)] = given
    if start is None:
        raise typer.BadParameter("say from when: --from 2026-11-21T08:00")
    if not why.strip() or not why.isprintable():
        raise typer.BadParameter(f'--{verdict} wants the reason, on one line: --{verdict} "in the fridge"')
    one = deployment.settings.known.get(device) or deployment.settings.device(device)
    since, until = interval(start, end, one.zone, deployment.now())
    span = epoch_ms(since.replace(microsecond=0)), -(-epoch_ms(until) // 1000) * 1000
    at = deployment.now().astimezone(one.zone).replace(microsecond=0).isoformat()
    marks = [Mark(device, name, *span, verdict, why.strip(), _user(), at) for name in _names(one, series or [])]
    add_marks(deployment, marks)
    _say_done(deployment, "marked", marks, as_json=as_json)


def _names(device: Device, series: Sequence[str]) -> list[str]:
    """The series that are meant, each once; `*` alone for all."""
    for name in series:
        if name not in {EVERY_SERIES, *device.units}:
            otherwise = "; it has: " + ", ".join(device.units)
            raise SettingsError(f"{device.id} has no series {name!r}{near(name, device.units, otherwise=otherwise)}")
    return [EVERY_SERIES] if not series or EVERY_SERIES in series else list(dict.fromkeys(series))


def _user() -> str:
    """Who marks: the user of this process, or who became that by sudo."""
    uid = int(os.environ["SUDO_UID"]) if os.environ.get("SUDO_UID", "").isdecimal() else os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"user {uid}"


def _remove(
    deployment: Deployment, device: str, series: Sequence[str], start: str | None, end: str | None, *, as_json: bool
) -> None:
    zone, now = zone_of(deployment.settings, device), deployment.now()
    since = ALWAYS if start is None else epoch_ms(instant(start, zone, now))
    until = NEVER if end is None else epoch_ms(instant(end, zone, now))
    taken, wider = remove_marks(deployment, device, series, since, until)
    if wider:
        say(
            f"what is marked of all series of {device} stays ({len(wider)}); take it away without naming a series, or"
            " mark the series itself, as the last mark counts",
            err=True,
        )
    if not taken:
        what = " ".join([device, *series])
        raise SettingsError(f"nothing is marked of {what} at such a time; what is: air-pipeline mark")
    _say_done(deployment, "no longer marked", taken, as_json=as_json)


def _show(deployment: Deployment, device: str | None, series: Sequence[str], *, as_json: bool) -> None:
    marks = [
        one
        for one in deployment.settings.marks
        if device in {None, one.device} and (not series or any(one.is_of(name) for name in series))
    ]
    if as_json:
        show_json([as_entry(one, deployment.settings) for one in marks])
        return
    for one in marks:
        say(_line(deployment, one))
    if not marks:
        say("nothing is marked by hand" if device is None else f"nothing of {device} is marked by hand", err=True)
    if unknown := misplaced(deployment.settings):
        say(f"there never was what some marks are of: {', '.join(unknown)}", err=True)


def _say_done(deployment: Deployment, what: str, marks: Sequence[Mark], *, as_json: bool) -> None:
    built, later = changed_days(deployment, marks)
    if as_json:
        entries = [as_entry(one, deployment.settings) for one in marks]
        show_json({"marks": entries, "built_again": list(map(str, built)), "not_built_yet": list(map(str, later))})
        return
    for one in marks:
        say(f"{what} in {marks_file(deployment.environment.config)}: {_line(deployment, one)}")
    for line in _what_now(built, later):
        say(line)


def _what_now(built: Sequence[date], later: Sequence[date]) -> Iterator[str]:
    if built:
        yield (
            f"to be built again: {some_days(built, _MOST_DAYS)}; air-pipeline up does it by itself within a"
            f" quarter of an hour; now: air-pipeline build --from {built[0]} --to {built[-1]}"
        )
    if later:
        yield f"not built yet, and will be built so: {some_days(later, _MOST_DAYS)}"


def _line(deployment: Deployment, one: Mark) -> str:
    zone = zone_of(deployment.settings, one.device)
    start, end = (local_text(from_epoch_ms(moment), zone) for moment in (one.start, one.end))
    series = "all series" if one.series == EVERY_SERIES else one.series
    return f"{one.device} {series}, {start} to {end} ({zone.key}): {one.verdict}, {one.reason}"

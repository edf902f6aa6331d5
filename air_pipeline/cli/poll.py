"""The command `poll`: what devices answer."""

import json

import typer

from air_pipeline.cli.options import AskOption, ConfigOption, DevicesArgument, JsonOption, use_config
from air_pipeline.cli.terminal import say, show_json, unit_text, utc_text
from air_pipeline.collection.asking import Asked, ask_devices
from air_pipeline.environment import read_environment
from air_pipeline.in_force import load_settings


def poll(
    device: DevicesArgument = None, config: ConfigOption = None, ask: AskOption = False, as_json: JsonOption = False
) -> None:
    """Show what devices answer: one GET each, or its last poll while a collector runs; nothing is stored.

    With collector: external in devices.yaml, or where the device is of a collector of another name, its last poll is
    shown too, unless you say --ask.

    Example: air-pipeline poll living-room
    """
    use_config(config)
    environment = read_environment()
    environment.state.check_version()
    loaded = load_settings(environment.config, environment.state, keep=False)
    if loaded.mistake:
        say(f"going on with the last valid configuration:\n{loaded.mistake}", err=True)
    settings = loaded.settings
    asked = ask_devices(
        environment,
        settings,
        [settings.device(name) for name in device] if device else settings.devices,
        may_ask=ask,
    )
    for error in sorted({one.store_error for one in asked} - {""}):
        say(f"the store does not answer, so only what waits in the outbox is known: {error}", err=True)
    if as_json:
        show_json([_as_dict(one) for one in asked])
    else:
        for one in asked:
            _show_asked(one)
    if not all(one.poll and one.poll.outcome.has_reading for one in asked):
        raise typer.Exit(1)


def _as_dict(asked: Asked) -> dict[str, object]:
    poll = asked.poll
    return {
        "device": asked.device.id,
        "live": asked.live,
        "observed_at": utc_text(poll.observed_at) if poll else None,
        "outcome": poll.outcome.value if poll else None,
        "duration_ms": poll.duration_ms if poll else None,
        "http_status": poll.http_status if poll else None,
        "values": dict(poll.values) if poll else {},
        "problems": json.loads((poll.problems_json if poll else "") or "[]"),
        "reason": asked.reason,
        "notes": list(asked.notes),
    }


def _show_asked(asked: Asked) -> None:
    poll, name = asked.poll, asked.device.id
    if poll is None:
        say(f"{name}: no poll of the running collector is known yet")
        return
    source = "" if asked.live else f", last poll of the running collector, slot {utc_text(poll.observed_at)}"
    reason = f": {asked.reason}" if asked.reason else ""
    say(f"{name}: {poll.outcome.value}{reason} ({poll.duration_ms:.0f} ms{source})")
    units = asked.device.units
    for series, value in poll.values.items():
        say(f"  {series:<28} {value:>10g} {unit_text(units.get(series, ''))}")
    for problem in poll.problems:
        say(f"  {problem.series:<28} {problem.value!r}: {problem.reason}")
    for note in asked.notes:
        say(f"  {note}")

"""Commands about collecting: collect, poll, outbox, simulate."""

import errno
import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from air_pipeline.cli.options import ConfigOption, DevicesArgument, JsonOption, show_json, show_table, use_config

if TYPE_CHECKING:
    from air_pipeline.collection.asking import Asked

_MOST_SHOWN = 10


class PortError(Exception):
    """The simulator cannot listen where it should; the message says why and what to do."""


def collect(
    config: ConfigOption = None,
    leased: Annotated[bool, typer.Option("--leased", hidden=True, help="End with Dagster's lease.")] = False,
) -> None:
    """Collect from the devices until stopped: the collector as a process of its own.

    Example: air-pipeline collect --config devices.yaml
    """
    from air_pipeline.collection.process import collect as run
    from air_pipeline.environment import environment

    use_config(config)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    run(environment(), leased=leased)


def poll(device: DevicesArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what devices answer: one GET each, or its last poll while a collector runs; nothing is stored.

    Example: air-pipeline poll living-room
    """
    from air_pipeline.collection.asking import ask_devices
    from air_pipeline.environment import environment, load_settings

    use_config(config)
    place = environment()
    loaded = load_settings(place, keep=False)
    if loaded.mistake:
        typer.echo(f"going on with the last valid configuration:\n{loaded.mistake}", err=True)
    settings = loaded.settings
    asked = ask_devices(place, [settings.device(name) for name in device] if device else settings.devices)
    for error in sorted({one.store_error for one in asked} - {""}):
        typer.echo(f"the store does not answer, so only what waits in the outbox is known: {error}", err=True)
    if as_json:
        show_json([_as_dict(one) for one in asked])
    else:
        for one in asked:
            _show_asked(one)
    if not all(one.poll and one.poll.outcome.has_reading for one in asked):
        raise typer.Exit(1)


def _as_dict(asked: "Asked") -> dict[str, object]:
    poll = asked.poll
    return {
        "device": asked.device.id,
        "live": asked.live,
        "observed_at": _utc(poll.observed_at) if poll else None,
        "outcome": poll.outcome.value if poll else None,
        "duration_ms": poll.duration_ms if poll else None,
        "http_status": poll.http_status if poll else None,
        "values": dict(poll.values) if poll else {},
        "problems": json.loads((poll.problems_json if poll else "") or "[]"),
        "reason": asked.reason,
        "notes": list(asked.notes),
    }


def _show_asked(asked: "Asked") -> None:
    poll, name = asked.poll, asked.device.id
    if poll is None:
        typer.echo(f"{name}: no poll of the running collector is known yet")
        return
    source = "" if asked.live else f", last poll of the running collector, slot {_utc(poll.observed_at)}"
    reason = f": {asked.reason}" if asked.reason else ""
    typer.echo(f"{name}: {poll.outcome.value}{reason} ({poll.duration_ms:.0f} ms{source})")
    units = asked.device.units
    for series, value in poll.values.items():
        typer.echo(f"  {series:<28} {value:>10g} {units.get(series, '')}")
    for problem in poll.problems:
        typer.echo(f"  {problem.series:<28} {problem.value!r}: {problem.reason}")
    for note in asked.notes:
        typer.echo(f"  {note}")


def outbox(
    config: ConfigOption = None,
    release: Annotated[
        bool, typer.Option("--release", help="Put what is in quarantine back, to be tried again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what waits to be stored, and what the store would not take.

    Example: air-pipeline outbox --json
    """
    from air_pipeline.collection.outbox import Outbox
    from air_pipeline.environment import check_store, environment

    use_config(config)
    place = environment()
    check_store(place)
    box = Outbox(place.state / "outbox.sqlite")
    if release:
        typer.echo(f"{box.release()} polls put back into the outbox", err=True)
    status, quarantined = box.status(), box.quarantined()
    box.close()
    oldest = _utc(status.oldest) if status.oldest is not None else None
    rows = [(q.poll.device, _utc(q.poll.observed_at), q.reason) for q in quarantined]
    if as_json:
        show_json(
            {
                "pending": status.pending,
                "oldest": oldest,
                "failures": status.failures,
                "error": status.error,
                "quarantined": status.quarantined,
                "quarantine": [dict(zip(("device", "observed_at", "reason"), row, strict=True)) for row in rows],
            }
        )
        return
    typer.echo(f"{status.pending} polls wait for {place.store}" + (f", the oldest since {oldest}" if oldest else ""))
    if status.error:
        typer.echo(f"the last attempt failed ({status.failures} in a row): {status.error}")
    typer.echo(f"{status.quarantined} polls are in quarantine")
    if rows:
        show_table(("device", "slot (UTC)", "reason"), rows)


def simulate(
    devices: Annotated[list[str] | None, typer.Argument(help="Ids of the devices.", show_default="station")] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.", min=0, max=65_535)] = 8080,
    count: Annotated[int | None, typer.Option(help="So many devices, called device-0001 and so on.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed is other weather.")] = 0,
    fault: Annotated[list[str] | None, typer.Option(help="DEVICE=FAULT, such as garage=hang; may be repeated.")] = None,
    script: Annotated[Path | None, typer.Option(help="A YAML file of faults with times.")] = None,
) -> None:
    """Be the devices: an HTTP server that answers as the firmware does, with the faults you ask for.

    Example: air-pipeline simulate living-room garage --port 8080 --fault garage=dht22_frozen
    """
    from air_pipeline.devices.simulator import Simulator, read_script, serve_forever

    names = [f"device-{number:04}" for number in range(1, count + 1)] if count else devices or ["station"]
    try:
        faults = read_script(script.read_text(encoding="utf-8")) if script else None
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--script") from error
    lasting = [_fault_of(one, names) for one in fault or []]
    try:
        simulator = Simulator(names, seed=seed, host=host, port=port, script=faults)
    except OSError as error:
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        raise PortError(f"port {port} of {host} {reason}; choose another with --port") from error
    for name, kind in lasting:
        simulator.set_fault(name, kind)
    for name in names[:_MOST_SHOWN]:
        typer.echo(simulator.url(name))
    if len(names) > _MOST_SHOWN:
        typer.echo(f"… and {len(names) - _MOST_SHOWN} more")
    serve_forever(simulator)


def _fault_of(text: str, names: Sequence[str]) -> tuple[str, str]:
    """Device and fault of `DEVICE=FAULT`."""
    from air_pipeline.devices.simulator import Fault

    name, _, kind = text.partition("=")
    if name not in names:
        raise typer.BadParameter(f"{text!r} names no device; write it as {names[0]}=hang", param_hint="--fault")
    try:
        Fault(kind)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from error
    return name, kind


def _utc(slot: int) -> str:
    return datetime.fromtimestamp(slot / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

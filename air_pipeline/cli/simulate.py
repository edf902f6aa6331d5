"""The command `simulate`: be the devices."""

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from air_pipeline.cli.terminal import say, say_places
from air_pipeline.devices.kinds import DEFAULT, KINDS
from air_pipeline.devices.simulator import Fault, Profile, Simulator, read_script, serve_forever
from air_pipeline.devices.simulator.faults import is_of
from air_pipeline.errors import AirPipelineError

_MOST_SHOWN = 10


class PortError(AirPipelineError):
    """The simulator cannot listen where it should; the message says why and what to do."""


def _address(host: str) -> str:
    try:
        if b"\0" not in host.encode("idna"):
            return host
    except UnicodeError:
        pass
    raise typer.BadParameter(f"{host!r} is no address")


def simulate(
    devices: Annotated[list[str] | None, typer.Argument(help="Ids of the devices.", show_default="station")] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.", callback=_address)] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.", min=0, max=65_535)] = 8080,
    count: Annotated[
        int | None, typer.Option(help="So many devices, called device-0001 and so on.", min=1, max=100_000)
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is other weather.")] = 0,
    fault: Annotated[list[str] | None, typer.Option(help="DEVICE=FAULT, such as garage=hang; may be repeated.")] = None,
    script: Annotated[Path | None, typer.Option(help="A YAML file of faults with times.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="KIND for all, or DEVICE=KIND; may be repeated.")] = None,
) -> None:
    """Be the devices: an HTTP server that answers as the firmware does, with the faults you ask for.

    Example: air-pipeline simulate living-room garage --port 8080 --fault garage=dht22_frozen
    """
    names = [f"device-{number:04}" for number in range(1, count + 1)] if count else devices or ["station"]
    try:
        faults = read_script(script.read_text(encoding="utf-8")) if script else None
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--script") from error
    kinds = _kinds_of(kind or [], names)
    lasting = [_fault_of(one, kinds) for one in fault or []]
    profiles = [Profile(name, seed, kind=kinds[name]) for name in names]
    try:
        simulator = Simulator(profiles, host=host, port=port, script=faults)
    except OSError as error:
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        raise PortError(f"port {port} of {host} {reason}; choose another with --port") from error
    for name, wrong in lasting:
        simulator.set_fault(name, wrong)
    for name in names[:_MOST_SHOWN]:
        say_places(simulator.url(name))
    if len(names) > _MOST_SHOWN:
        say(f"… and {len(names) - _MOST_SHOWN} more")
    serve_forever(simulator)


def _kinds_of(said: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Device to kind, of `KIND` and `DEVICE=KIND`."""
    kinds = dict.fromkeys(names, DEFAULT)
    for text in said:
        name, is_one, kind = text.rpartition("=")
        if kind not in KINDS:
            raise typer.BadParameter(f"{kind!r} is none of {', '.join(KINDS)}", param_hint="--kind")
        if is_one and name not in kinds:
            raise typer.BadParameter(f"{text!r} names no device; write it as {names[0]}={kind}", param_hint="--kind")
        kinds.update(dict.fromkeys([name] if is_one else names, kind))
    return kinds


def _fault_of(text: str, kinds: Mapping[str, str]) -> tuple[str, str]:
    """Device and fault of `DEVICE=FAULT`."""
    name, _, fault = text.partition("=")
    if name not in kinds:
        example = next(iter(kinds))
        raise typer.BadParameter(f"{text!r} names no device; write it as {example}=hang", param_hint="--fault")
    try:
        Fault(fault)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from error
    if not is_of(fault, kinds[name]):
        raise typer.BadParameter(f"a device of kind {kinds[name]} has no {fault!r}", param_hint="--fault")
    return name, fault

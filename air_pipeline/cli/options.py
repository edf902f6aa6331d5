"""Options that several commands share, with what a shell completes them to."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from air_pipeline.environment import read_environment
from air_pipeline.running.hosts import BEHIND_PROXY, check_host, proxy_names
from air_pipeline.settings import Device
from air_pipeline.settings.file import read_settings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The configuration file.", envvar="AIR_PIPELINE_CONFIG", show_default="./devices.yaml"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


AskOption = Annotated[
    bool, typer.Option("--ask", help="Ask devices though devices.yaml says collector: external, and one may be asking.")
]


def _csv_or_parquet(output: Path | None) -> Path | None:
    if output is not None and output.suffix.lower() not in {".csv", ".parquet"}:
        raise typer.BadParameter(f"{output} ends in neither .csv nor .parquet")
    return output


OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Write the rows to a .csv or .parquet file.",
        show_default=False,
        callback=_csv_or_parquet,
    ),
]


ExcelOption = Annotated[
    bool, typer.Option("--excel", help="Begin a .csv file with the mark by which Excel knows that it is UTF-8.")
]


def _devices_of(context: typer.Context) -> Sequence[Device]:
    """The devices of the settings, for completion: whatever is wrong with these, a shell gets nothing and no error."""
    try:
        return read_settings(context.params.get("config") or read_environment().config).devices
    except Exception:  # noqa: BLE001 - said between the letters of somebody who types
        return ()


def complete_device(context: typer.Context, incomplete: str) -> list[str]:
    """The ids of devices that begin so."""
    return [device.id for device in _devices_of(context) if device.id.startswith(incomplete)]


def complete_series(context: typer.Context, incomplete: str) -> list[str]:
    """The series that begin so."""
    return sorted({name for one in _devices_of(context) for name in one.units if name.startswith(incomplete)})


DevicesArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Ids of devices; all without.", show_default=False, autocompletion=complete_device),
]
SeriesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--series", help="Only this series; may be repeated.", show_default=False, autocompletion=complete_series
    ),
]

HostOption = Annotated[str, typer.Option(help="Address of the UI; keep it local, as the UI has no login.")]
BehindProxyOption = Annotated[
    list[str] | None,
    typer.Option(
        help="The UI answers to this name too: that of a proxy with a login in front of it; may be repeated.",
        envvar=BEHIND_PROXY,
        metavar="NAME",
        show_default=False,
    ),
]


def offered(host: str, port: int, behind_proxy: Sequence[str] | None) -> frozenset[str]:
    """The names that the UI answers to at this address, beside those of this machine.

    Raises:
        HostError: it is not offered there, or to such a name.
    """
    names = proxy_names(behind_proxy or ())
    check_host(host, port, names, socket.gethostname())
    return names


def use_config(config: Path | None) -> None:
    """Makes the file that was named that of this process and of those it starts."""
    if config is not None:
        os.environ["AIR_PIPELINE_CONFIG"] = str(config)

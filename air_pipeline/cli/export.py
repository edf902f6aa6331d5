"""The command export: built days in the shapes that other programs read."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from air_pipeline.cli.display import bar_if_long
from air_pipeline.cli.options import ConfigOption, DevicesArgument, SeriesOption, use_config
from air_pipeline.cli.output import check_output
from air_pipeline.cli.terminal import say, unit_text
from air_pipeline.deployment import open_deployment
from air_pipeline.exporting.airmonitor import meta_path, write_airmonitor
from air_pipeline.exporting.netcdf import write_netcdf
from air_pipeline.exporting.openair import write_openair
from air_pipeline.exporting.positions import read_positions
from air_pipeline.exporting.selection import select
from air_pipeline.words import some_days

_MOST_DAYS = 20
_SUFFIXES = {"openair": ".csv", "airmonitor": ".csv", "netcdf": ".nc"}


def export(
    shape: Annotated[
        Literal["openair", "airmonitor", "netcdf"],
        typer.Argument(help="For whom: openair, airmonitor or netcdf.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.", show_default=False)],
    devices: DevicesArgument = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="2026-11-21, 2026-11-21T08:00 or -7d: the first that counts.", show_default="all"),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Likewise: the first that no longer counts.", show_default="now")
    ] = None,
    series: SeriesOption = None,
    position: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a device stands: living-room=52.23,21.01,110; without an id, all. May be repeated.",
            metavar="DEVICE=NORTH,EAST",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write built days to a file that another program reads: hourly CSV for R, NetCDF.

    Example: air-pipeline export openair --from 2026-11-01 --to 2026-12-01 -o november.csv
    """
    if output.suffix.lower() != _SUFFIXES[shape]:
        raise typer.BadParameter(f"{output} does not end in {_SUFFIXES[shape]}")
    check_output(output)
    use_config(config)
    deployment = open_deployment(strict=False)
    if deployment.mistake:
        say(f"going on with the last valid configuration:\n{deployment.mistake}", err=True)
    with bar_if_long("exporting") as progress:
        selection = select(deployment, start, end, devices, series)
        positions = read_positions(position or [], list(selection.zones))
        if shape == "openair":
            written = f"{write_openair(selection, output, progress)} hours written to {output}"
        elif shape == "netcdf":
            written = f"{write_netcdf(selection, output, positions, progress)} slots written to {output}"
        else:
            written = f"{write_airmonitor(selection, output, positions, progress)} hours written to {output}"
            count = len(selection.zones)
            written += f", and {count} device{'s' if count > 1 else ''} to {meta_path(output)}"
    if selection.missing:
        say(f"not built, and so left out: {some_days(selection.missing, _MOST_DAYS)}", err=True)
    units = ", ".join(f"{name} in {unit}" if unit_text(unit) else name for name, unit in selection.units.items())
    say(f"{written}; {units}", err=True)

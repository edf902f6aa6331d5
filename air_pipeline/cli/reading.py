"""Commands that show rows of what was collected: history, observations, hourly, daily, flux.

What makes frames is imported once there are some: half a second that neither --help nor completion waits for.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from air_pipeline.access import Archive
from air_pipeline.cli.display import bar_if_long
from air_pipeline.cli.options import (
    ConfigOption,
    DevicesArgument,
    ExcelOption,
    JsonOption,
    OutputOption,
    SeriesOption,
    use_config,
)
from air_pipeline.cli.output import check_output
from air_pipeline.cli.terminal import say
from air_pipeline.deployment import open_deployment

if TYPE_CHECKING:
    import pandas as pd

FromOption = Annotated[
    str, typer.Option("--from", help="2026-11-21, 2026-11-21T08:00, -7d, today or yesterday: the first that counts.")
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Likewise: the first that no longer counts; now without.", show_default=False)
]
_STATISTICS = ("device", "series", "mean", "unit", "min", "max", "coverage", "is_complete")


@contextmanager
def _archive(config: Path | None, output: Path | None = None) -> Iterator[Archive]:
    """The archive of a command; while devices.yaml is invalid, that of the last valid one."""
    check_output(output)
    use_config(config)
    deployment = open_deployment(strict=False)
    if deployment.mistake:
        say(f"going on with the last valid configuration:\n{deployment.mistake}", err=True)
    with bar_if_long("reading") as progress, Archive(deployment, progress) as archive:
        yield archive


def history(
    devices: DevicesArgument = None,
    start: FromOption = "-1h",
    end: ToOption = None,
    series: SeriesOption = None,
    config: ConfigOption = None,
    output: OutputOption = None,
    excel: ExcelOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show readings, unjudged, as the devices gave them.

    Example: air-pipeline history living-room --from -7d -o week.parquet
    """
    with _archive(config, output) as archive:
        rows = archive.history(start, end, devices, series)
        _say_if_nothing(rows, "readings", archive, start, end, devices)
    _show(rows, output, as_json=as_json, excel=excel)


def observations(
    devices: DevicesArgument = None,
    start: FromOption = "-1h",
    end: ToOption = None,
    series: SeriesOption = None,
    config: ConfigOption = None,
    output: OutputOption = None,
    excel: ExcelOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show flagged observations: a row a series and slot, missed ones included.

    Example: air-pipeline observations --series dht22_temperature --from yesterday --to today -o yesterday.parquet
    """
    with _archive(config, output) as archive:
        rows = archive.observations(start, end, devices, series)
        _say_if_nothing(rows, "observations", archive, start, end, devices)
    columns = ("local_time", "device", "series", "value", "unit", "flag", "poll_outcome")
    _show(rows, output, as_json=as_json, excel=excel, columns=columns)


def hourly(
    devices: DevicesArgument = None,
    start: FromOption = "today",
    end: ToOption = None,
    series: SeriesOption = None,
    config: ConfigOption = None,
    output: OutputOption = None,
    excel: ExcelOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the aggregates of local hours: counts, coverage, mean, minimum, maximum and others.

    Example: air-pipeline hourly living-room --series dht22_temperature --from -24h
    """
    with _archive(config, output) as archive:
        rows = archive.hourly(start, end, devices, series)
        _say_if_nothing(rows, "hours", archive, start, end, devices)
    columns = ("hour_start_local", "utc_offset_minutes", *_STATISTICS)
    _show(rows, output, as_json=as_json, excel=excel, columns=columns)


def daily(
    devices: DevicesArgument = None,
    start: FromOption = "yesterday",
    end: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Likewise: the first that no longer counts. Without, days that are over; from today on, up to now.",
            show_default=False,
        ),
    ] = None,
    series: SeriesOption = None,
    config: ConfigOption = None,
    output: OutputOption = None,
    excel: ExcelOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the aggregates of local days: counts, coverage, mean, minimum, maximum and others.

    Example: air-pipeline daily --from yesterday -o yesterday.csv
    """
    with _archive(config, output) as archive:
        if end is None and archive.interval(start)[0] < archive.interval("today")[0]:
            end = "today"
        rows = archive.daily(start, end, devices, series)
        _say_if_nothing(rows, "days", archive, start, end, devices)
    _show(rows, output, as_json=as_json, excel=excel, columns=("date", *_STATISTICS))


def flux(
    query: Annotated[
        str | None, typer.Argument(help="The query, or - to read it from the standard input.", show_default=False)
    ] = None,
    file: Annotated[
        typer.FileText | None, typer.Option("--file", "-f", help="Read the query from a file.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    output: OutputOption = None,
    excel: ExcelOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the rows of a Flux query to InfluxDB.

    Example: air-pipeline flux 'from(bucket: "air") |> range(start: -1h) |> last()'
    """
    if (query is None) == (file is None):
        raise typer.BadParameter("give a query, or a file with --file")
    text = file.read() if file else sys.stdin.read() if query == "-" else query
    with _archive(config, output) as archive:
        rows = archive.flux(str(text))
    if rows.empty:
        say("the query gives no rows", err=True)
    _show(rows, output, as_json=as_json, excel=excel)


def _show(
    rows: "pd.DataFrame", output: Path | None, *, as_json: bool, excel: bool, columns: Sequence[str] = ()
) -> None:
    from air_pipeline.cli.rows import show_rows  # with pandas

    show_rows(rows, output, as_json=as_json, excel=excel, columns=columns)


def _say_if_nothing(
    rows: "pd.DataFrame", what: str, archive: Archive, start: str, end: str | None, devices: Sequence[str] | None
) -> None:
    if rows.empty:
        since, until = (f"{moment:%Y-%m-%d %H:%M}" for moment in archive.interval(start, end))
        zone = archive.interval(start, end)[0].tzinfo
        whose = ", ".join(devices or ["any device"])
        say(f"no {what} of {whose} between {since} and {until} ({zone})", err=True)

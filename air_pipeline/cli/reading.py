"""Commands that show what was collected: latest, history, observations, hourly, daily, flux."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from air_pipeline.access import Archive
from air_pipeline.cli.display import bar_if_long, show_table
from air_pipeline.cli.options import (
    ConfigOption,
    DevicesArgument,
    ExcelOption,
    JsonOption,
    OutputOption,
    SeriesOption,
    use_config,
)
from air_pipeline.cli.rows import check_output, show_rows
from air_pipeline.cli.terminal import say, show_json
from air_pipeline.deployment import open_deployment

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


def latest(devices: DevicesArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the last reading of each device and how its last poll went.

    Example: air-pipeline latest living-room
    """
    with _archive(config) as archive:
        frame = archive.latest(devices)
    found = [_last(str(device), row) for device, row in frame.iterrows()]
    if as_json:
        show_json(found)
        return
    for last in found:
        if last["polled_at"] is None:
            say(f"{last['device']}: nothing yet")
            continue
        say(f"{last['device']}: last poll {last['polled_at']}, {last['outcome']}")
        if last["observed_at"] is not None:
            if last["observed_at"] != last["polled_at"]:
                say(f"  last reading {last['observed_at']}")
            units = frame.attrs["units"]
            rows = [(series, f"{value:g}", units.get(series, "")) for series, value in last["values"].items()]
            show_table(("series", "value", "unit"), rows)


def _last(device: str, row: pd.Series) -> dict[str, Any]:
    """A device's row of `Archive.latest`, as the command's JSON has it."""
    said = row.dropna()
    times = {name: said[name].isoformat() if name in said else None for name in ("polled_at", "observed_at")}
    values = said.drop(["polled_at", "outcome", "observed_at"], errors="ignore").to_dict()
    return {
        "device": device,
        "polled_at": times["polled_at"],
        "outcome": said.get("outcome"),
        "observed_at": times["observed_at"],
        "values": values,
    }


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
    show_rows(rows, output, as_json=as_json, excel=excel)


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
    show_rows(rows, output, as_json=as_json, excel=excel, columns=columns)


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
    show_rows(rows, output, as_json=as_json, excel=excel, columns=columns)


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
    show_rows(rows, output, as_json=as_json, excel=excel, columns=("date", *_STATISTICS))


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
    show_rows(rows, output, as_json=as_json, excel=excel)


def _say_if_nothing(
    rows: pd.DataFrame, what: str, archive: Archive, start: str, end: str | None, devices: Sequence[str] | None
) -> None:
    if rows.empty:
        since, until = (f"{moment:%Y-%m-%d %H:%M}" for moment in archive.interval(start, end))
        zone = archive.interval(start, end)[0].tzinfo
        whose = ", ".join(devices or ["any device"])
        say(f"no {what} of {whose} between {since} and {until} ({zone})", err=True)

"""Commands that show what was collected: latest, history."""

from typing import Annotated

import typer

from air_pipeline.cli.options import (
    ConfigOption,
    DevicesArgument,
    JsonOption,
    OutputOption,
    show_json,
    show_rows,
    show_table,
    use_config,
)


def latest(devices: DevicesArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the last reading of each device and how its last poll went.

    Example: air-pipeline latest living-room
    """
    from air_pipeline.deployment import open_deployment

    use_config(config)
    deployment = open_deployment()
    settings = deployment.settings
    chosen = [settings.device(name) for name in devices] if devices else settings.devices
    known = deployment.store.latest()

    def local(slot: int | None) -> str | None:
        from datetime import datetime

        return None if slot is None else datetime.fromtimestamp(slot / 1000, settings.zone).isoformat()

    if as_json:
        show_json(
            [
                {
                    "device": device.id,
                    "polled_at": local(last.poll.observed_at) if last else None,
                    "outcome": last.poll.outcome.value if last else None,
                    "observed_at": local(last.reading_at) if last else None,
                    "values": dict(last.values) if last else {},
                }
                for device in chosen
                for last in [known.get(device.id)]
            ]
        )
        return
    for device in chosen:
        last = known.get(device.id)
        if last is None:
            typer.echo(f"{device.id}: nothing yet")
            continue
        typer.echo(f"{device.id}: last poll {local(last.poll.observed_at)}, {last.poll.outcome.value}")
        if last.reading_at is not None:
            stale = last.reading_at != last.poll.observed_at
            if stale:
                typer.echo(f"  last reading {local(last.reading_at)}")
            units = device.units
            show_table(
                ("series", "value", "unit"),
                [(series, f"{value:g}", units.get(series, "")) for series, value in last.values.items()],
            )


def history(
    devices: DevicesArgument = None,
    start: Annotated[str, typer.Option("--from", help="2026-11-21, 2026-11-21T08:00 or -7d.")] = "-1h",
    end: Annotated[
        str | None, typer.Option("--to", help="Likewise, not included; now without.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show readings, unjudged, as the devices gave them: CSV, or a file.

    Example: air-pipeline history living-room --from -7d -o week.parquet
    """
    from air_pipeline.access import Archive
    from air_pipeline.deployment import open_deployment

    use_config(config)
    show_rows(Archive(open_deployment()).history(start, end, devices or None), output, as_json=as_json)

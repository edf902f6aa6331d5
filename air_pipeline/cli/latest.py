"""The command `latest`: the last reading of each device."""

from typing import Any

from air_pipeline.access import Archive
from air_pipeline.access.last_known import LastKnown, last_known
from air_pipeline.cli.display import show_table
from air_pipeline.cli.options import ConfigOption, DevicesArgument, JsonOption, use_config
from air_pipeline.cli.terminal import say, show_json, unit_text
from air_pipeline.deployment import open_deployment


def latest(devices: DevicesArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the last reading of each device and how its last poll went.

    Example: air-pipeline latest living-room
    """
    use_config(config)
    deployment = open_deployment(strict=False)
    if deployment.mistake:
        say(f"going on with the last valid configuration:\n{deployment.mistake}", err=True)
    with Archive(deployment) as archive:
        found = last_known(deployment, devices or None)
        units = archive.units()
    if as_json:
        show_json([_as_dict(last) for last in found])
        return
    for last in found:
        if last.polled_at is None:
            say(f"{last.device}: nothing yet")
            continue
        say(f"{last.device}: last poll {last.polled_at.isoformat()}, {last.outcome}")
        if last.observed_at is not None:
            if last.observed_at != last.polled_at:
                say(f"  last reading {last.observed_at.isoformat()}")
            values = sorted(last.values.items())
            rows = [(series, f"{value:g}", unit_text(units.get(series, ""))) for series, value in values]
            show_table(("series", "value", "unit"), rows)


def _as_dict(last: LastKnown) -> dict[str, Any]:
    times = {name: at and at.isoformat() for name, at in last._asdict().items() if name in {"polled_at", "observed_at"}}
    return last._asdict() | times | {"values": dict(sorted(last.values.items()))}

"""The command `copy`: readings from one store to the other."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from air_pipeline.cli.display import bar_if_long
from air_pipeline.cli.options import ConfigOption, use_config
from air_pipeline.cli.terminal import say
from air_pipeline.collection.collector_state import collector_state
from air_pipeline.collection.moving import between_embedded_and_influxdb, copy_part, move_readings
from air_pipeline.environment import Environment, read_environment
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings.file import read_settings
from air_pipeline.times import interval


class Target(StrEnum):
    """Where readings can be copied to."""

    INFLUXDB = "influxdb"
    EMBEDDED = "embedded"


def copy(
    target: Annotated[
        Target, typer.Argument(help="The store to move to, from the other one; INFLUXDB_V2_* say which InfluxDB.")
    ] = Target.INFLUXDB,
    start: Annotated[
        str | None, typer.Option("--from", help="Copy a part only: from this time.", show_default="the first reading")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Copy a part only: up to this time.", show_default="the last reading")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Copy all readings to another store, and change over to it once they are all there. Interrupted, start it again.

    A collector may run while most is copied; stop it for the rest. With --from or --to nothing is changed over.

    Example: air-pipeline copy influxdb --to 2026-11-21
    """
    use_config(config)
    environment = read_environment()
    environment.state.check_version()
    move = between_embedded_and_influxdb(environment, to_embedded=target is Target.EMBEDDED)
    part = start is not None or end is not None
    if not part and move.is_done:
        say(f"{environment.state} belongs to {move.target.store} already", err=True)
        return
    copying = copy_part(move, *_part(environment, start, end)) if part else move_readings(move)
    polls = days = 0
    with bar_if_long("copying days") as progress:
        for copied in copying:
            polls += copied.polls
            days += 1
            progress(days, days + copied.left)
    say(f"{polls} polls of {days} days (UTC) copied to {move.target.store}", err=True)
    if not part:
        _say_what_now(move.target)


def _part(environment: Environment, start: str | None, end: str | None) -> tuple[int, int]:
    """The part that is meant, ms UTC."""
    zone = read_settings(environment.config).zone
    since, until = interval("1900-01-01" if start is None else start, end, zone, datetime.now(UTC))
    return epoch_ms(since), epoch_ms(until)


def _say_what_now(target: Environment) -> None:
    waiting = collector_state(target.state).outbox.pending
    variables = "without INFLUXDB_V2_*" if target.influxdb is None else "with INFLUXDB_V2_* as now"
    say(f"{target.state} belongs to {target.store} from now on: run everything {variables}", err=True)
    if waiting:
        say(f"{waiting} polls wait in the outbox; the next collector delivers them there", err=True)

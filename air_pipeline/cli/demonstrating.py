"""The command `demo`: everything on simulated devices with a past, in a directory of its own."""

import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from air_pipeline.cli.building import build_days
from air_pipeline.cli.parts import Part
from air_pipeline.cli.running import dagster_home, free_port, next_free, only_one, run
from air_pipeline.cli.waiting import bar_if_long

if TYPE_CHECKING:
    from air_pipeline.deployment import Deployment
    from air_pipeline.environment import Environment


def demo(
    directory: Annotated[
        Path | None,
        typer.Option(help="Where the demo lives.", show_default="./demo, or ./demo-influxdb with InfluxDB"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address of the UI; keep it local, as the UI has no login.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the UI, or the next free one.", min=1, max=65_535)] = 3000,
) -> None:
    """Show everything on three simulated devices with two weeks of history. Ctrl-C stops all of it.

    It lives in a directory of its own; starting it again goes on there. With the INFLUXDB_V2_* variables set it keeps
    its readings in that bucket, which must hold no other devices.

    Example: air-pipeline demo --port 3001
    """
    from air_pipeline.demo import check_is_demo
    from air_pipeline.environment import make_state_directory

    place = _place(directory)
    check_is_demo(place.config)
    make_state_directory(place)
    with only_one(place.state):
        ui_port, device_port = next_free(host, port), free_port()
        start = _began(place)
        deployment = _prepare(place, start, device_port)
        run(
            place,
            host,
            ui_port,
            welcome=lambda url: _welcome(deployment, url),
            besides=[Part("simulator", ["air_pipeline.demo", start.isoformat(), str(device_port)])],
        )


def _place(directory: Path | None) -> "Environment":
    """The deployment of the demo, made that of this process and of those it starts."""
    from air_pipeline.environment import environment

    if directory is None:
        directory = Path("demo" if environment().influxdb is None else "demo-influxdb")
    directory = directory.absolute()
    os.environ["AIR_PIPELINE_CONFIG"] = str(directory / "devices.yaml")
    os.environ["AIR_PIPELINE_STATE"] = str(directory / ".air_pipeline")
    os.environ.pop("AIR_PIPELINE_DATA", None)
    os.environ.pop("DAGSTER_HOME", None)  # the demo has a history of its own
    return environment()


def _began(place: "Environment") -> date:
    """The first day of the past: that of an earlier start, if there was one."""
    from air_pipeline.demo import first_day
    from air_pipeline.settings import SettingsError
    from air_pipeline.settings.file import read_settings

    try:
        return read_settings(place.config).start
    except SettingsError:
        return first_day(datetime.now(UTC))


def _prepare(place: "Environment", start: date, device_port: int) -> "Deployment":
    """Writes the settings, the past and its days; what is there from an earlier start stays."""
    from air_pipeline.days.range import plan_range
    from air_pipeline.demo import check_no_others, has_past, past_polls, settings_text, write_past
    from air_pipeline.deployment import open_deployment
    from air_pipeline.environment import replace_file

    replace_file(place.config, settings_text(start, device_port))
    deployment = open_deployment()
    check_no_others(deployment)
    if not has_past(deployment):
        until = deployment.now()
        written, polls = 0, past_polls(deployment.settings, until)
        typer.echo("Writing two weeks of polls, one every ten seconds, and building their days …", err=True)
        with bar_if_long("writing two weeks of polls") as progress:
            for batch in write_past(deployment, until):
                written += batch
                progress(written, polls)
    days = plan_range(deployment, None, None, force=False).wanted
    for day, error in build_days(dagster_home(place), days).items():
        typer.echo(f"{day}: {error}", err=True)
    return deployment


def _welcome(deployment: "Deployment", url: str) -> str:
    from air_pipeline.days.calendar import finished_days
    from air_pipeline.demo import DYING, FAR, FLAKY
    from air_pipeline.storage.pages import page_file

    place, settings = deployment.place, deployment.settings
    command = Path(sys.argv[0]).absolute()
    yesterday = next(finished_days(settings, deployment.now()))
    return f"""
The Dagster UI is at {url} — Ctrl-C stops everything. Look at

  {url}/assets/daily_report?view=lineage&lineageScope=upstream&lineageDepth=5
      where everything comes from: devices, their readings, and a partition for each local day
  {url}/assets/raw_readings?view=events
      what came in, every five minutes: {FLAKY} fails now and then, {FAR} has local days of its own
  {url}/assets/daily_aggregates?view=checks
      the check `complete` warns, and rightly: the string of thermometers of {DYING} has died
  {url}/assets/daily_aggregates?view=partitions&partition={yesterday}
      yesterday in numbers
  {page_file(place.data, yesterday).path.as_uri()}
      yesterday on a page

In another terminal, in {place.config.parent}: {command} latest (or poll, history, daily, report, doctor)
The two weeks were polled every ten seconds, from now on it is every five.

"""

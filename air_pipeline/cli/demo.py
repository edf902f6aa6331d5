"""The command `demo`: everything on simulated devices with a past, in a directory of its own."""

import os
import sys
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from air_pipeline.cli.build import build_days
from air_pipeline.cli.display import bar_if_long
from air_pipeline.cli.options import BehindProxyOption, HostOption, offered
from air_pipeline.cli.terminal import say, say_places
from air_pipeline.days.calendar import finished_days
from air_pipeline.days.range import plan_range
from air_pipeline.deployment import Deployment, open_deployment
from air_pipeline.environment import Environment, read_environment
from air_pipeline.instance.home import dagster_home
from air_pipeline.processes import keep_to_this_user
from air_pipeline.replacing import replace_file
from air_pipeline.running.demo import (
    DYING,
    FAR,
    FLAKY,
    check_is_demo,
    check_no_others,
    first_day,
    has_past,
    past_polls,
    settings_text,
    write_past,
)
from air_pipeline.running.parts import Part
from air_pipeline.running.ports import free_port, next_free
from air_pipeline.running.up import only_one, run
from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.pages import page_file


def demo(
    directory: Annotated[
        Path | None,
        typer.Option(help="Where the demo lives.", show_default="./demo, or ./demo-influxdb with InfluxDB"),
    ] = None,
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the UI, or the next free one.", min=1, max=65_535)] = 3000,
    behind_proxy: BehindProxyOption = None,
) -> None:
    """Show everything on three simulated devices with two weeks of history. Ctrl-C stops all of it.

    It lives in a directory of its own; starting it again goes on there. With the INFLUXDB_V2_* variables set it keeps
    its readings in that bucket, which must hold no other devices.

    Example: air-pipeline demo --port 3001
    """
    names = offered(host, port, behind_proxy)
    environment = _environment(directory)
    check_is_demo(environment.config_here())
    environment.state.make()
    keep_to_this_user(environment.state.path, environment.data)
    with only_one(environment.state):
        ui_port, device_port = next_free(host, port), free_port()
        start = _began(environment)
        deployment = _prepare(environment, start, device_port)
        run(
            environment,
            host,
            ui_port,
            behind_proxy=names,
            welcome=lambda url: say_places(f"{_welcome(deployment, url)}Log: {environment.state.dagster_log}"),
            say=partial(say, err=True),
            besides=[
                Part(
                    "simulator",
                    [sys.executable, "-m", "air_pipeline.running.demo", start.isoformat(), str(device_port)],
                )
            ],
        )


def _environment(directory: Path | None) -> Environment:
    """The deployment of the demo, made that of this process and of those it starts."""
    os.environ.pop("AIR_PIPELINE_DATA", None)
    if directory is None:
        directory = Path("demo" if read_environment().influxdb is None else "demo-influxdb")
    directory = directory.absolute()
    os.environ["AIR_PIPELINE_CONFIG"] = str(directory / "devices.yaml")
    os.environ["AIR_PIPELINE_STATE"] = str(directory / ".air_pipeline")
    os.environ.pop("DAGSTER_HOME", None)  # the demo has a history of its own
    return read_environment()


def _began(environment: Environment) -> date:
    """The first day of the past: that of an earlier start, if there was one."""
    try:
        return read_settings(environment.config).start
    except SettingsError:
        return first_day(datetime.now(UTC))


def _prepare(environment: Environment, start: date, device_port: int) -> Deployment:
    """Writes the settings, the past and its days; what is there from an earlier start stays."""
    replace_file(environment.config_here(), settings_text(start, device_port))
    deployment = open_deployment()
    check_no_others(deployment)
    if not has_past(deployment):
        until = deployment.now()
        written, polls = 0, past_polls(deployment.settings, until)
        say("Writing two weeks of polls, one every ten seconds, and building their days …", err=True)
        with bar_if_long("writing two weeks of polls") as progress:
            for batch in write_past(deployment, until):
                written += batch
                progress(written, polls)
    days = plan_range(deployment, None, None, force=False).wanted
    for day, error in build_days(dagster_home(environment), days).items():
        say(f"{day}: {error}", err=True)
    return deployment


def _welcome(deployment: Deployment, url: str) -> str:

    environment, settings = deployment.environment, deployment.settings
    command = Path(sys.argv[0]).absolute()
    yesterday = next(finished_days(settings, deployment.now()))
    return f"""
The Dagster UI is at {url} — Ctrl-C stops everything. Look at

  {url}/assets/daily_report?view=lineage&lineageScope=upstream&lineageDepth=5
      where everything comes from: devices, their readings, and a partition for each local day
  {url}/assets/raw_readings?view=events
      what came in, every quarter of an hour: {FLAKY} fails now and then, {FAR} has local days of its own
  {url}/assets/daily_aggregates?view=checks
      the check `ds18b20_measuring` warns, and rightly: the string of thermometers of {DYING} has died
  {url}/assets/daily_aggregates?view=partitions&partition={yesterday}
      yesterday in numbers
  {page_file(environment.data, yesterday).path.as_uri()}
      yesterday on a page

In another terminal, in {environment.config_here().parent}: {command} latest (or poll, history, daily, report, doctor)
The two weeks were polled every ten seconds, from now on it is every five.

"""

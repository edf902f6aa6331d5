"""The command `up`: everything on the user's devices."""

from functools import partial
from typing import Annotated

import typer

from air_pipeline.cli.options import BehindProxyOption, ConfigOption, HostOption, offered, use_config
from air_pipeline.cli.terminal import say
from air_pipeline.environment import read_environment
from air_pipeline.in_force import load_settings
from air_pipeline.processes import keep_to_this_user
from air_pipeline.running.ports import check_free
from air_pipeline.running.up import only_one, run
from air_pipeline.storage.binding import check_days_here


def up(
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the UI.", min=1, max=65_535)] = 3000,
    behind_proxy: BehindProxyOption = None,
) -> None:
    """Run everything on your devices: collecting, daily builds and the Dagster UI. Ctrl-C stops all of it.

    Example: air-pipeline up --port 3001
    """
    names = offered(host, port, behind_proxy)
    use_config(config)
    environment = read_environment()
    environment.state.check_store(environment.store)
    check_days_here(environment.data, environment.store)
    loaded = load_settings(environment.config, environment.state)
    if loaded.mistake:
        say(f"going on with the last valid configuration:\n{loaded.mistake}", err=True)
    environment.state.make()
    keep_to_this_user(environment.state.path, environment.data)

    def welcome(url: str) -> None:
        say(f"The Dagster UI is at {url} — Ctrl-C stops everything. Log: {environment.state.dagster_log}")

    with only_one(environment.state):
        check_free(host, port)
        run(environment, host, port, behind_proxy=names, welcome=welcome, say=partial(say, err=True))

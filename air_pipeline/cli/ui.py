"""The command `ui`: Dagster's UI alone."""

from functools import partial
from typing import Annotated

import typer

from air_pipeline.cli.options import BehindProxyOption, ConfigOption, HostOption, offered, use_config
from air_pipeline.cli.terminal import say
from air_pipeline.environment import read_environment
from air_pipeline.processes import keep_to_this_user
from air_pipeline.running.ports import check_free
from air_pipeline.running.ui import serve
from air_pipeline.storage.binding import check_days_here


def ui(
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the UI.", min=1, max=65_535)] = 3000,
    behind_proxy: BehindProxyOption = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Nothing can be changed in it.")] = False,
) -> None:
    """Serve the Dagster UI alone; with --read-only, nothing can be changed in it. Ctrl-C stops it.

    Example: air-pipeline ui --port 3001 --read-only
    """
    names = offered(host, port, behind_proxy)
    use_config(config)
    environment = read_environment()
    keep_to_this_user(environment.state.path, environment.data)
    environment.state.check_store(environment.store)
    check_days_here(environment.data, environment.store)
    environment.state.make()
    check_free(host, port)

    def welcome(url: str) -> None:
        say(f"The Dagster UI is at {url} — Ctrl-C stops it. Log: {environment.state.dagster_log}")

    serve(
        environment,
        host,
        port,
        behind_proxy=names,
        read_only=read_only,
        welcome=welcome,
        say=partial(say, err=True),
    )

"""The command `collect`: the collector as a process of its own."""

from typing import Annotated

import typer

from air_pipeline.cli.options import ConfigOption, use_config
from air_pipeline.collection.log import log_to_file, log_to_stderr
from air_pipeline.collection.process import collect as run
from air_pipeline.environment import read_environment
from air_pipeline.processes import keep_to_this_user


def collect(
    config: ConfigOption = None,
    believe_clock: Annotated[
        bool,
        typer.Option("--believe-clock", help="The clock is right, whatever the kernel and the last slots say."),
    ] = False,
    metrics: Annotated[
        int | None,
        typer.Option(
            help="Tell a Prometheus on this machine what is polled, at this port: /metrics.",
            envvar="AIR_PIPELINE_METRICS",
            min=0,
            max=65_535,
            metavar="PORT",
            show_default=False,
        ),
    ] = None,
    leased: Annotated[bool, typer.Option("--leased", hidden=True, help="End with Dagster's lease.")] = False,
) -> None:
    """Collect from the devices until stopped: the collector as a process of its own.

    Example: air-pipeline collect --config devices.yaml
    """
    use_config(config)
    environment = read_environment()
    keep_to_this_user(environment.state.path, environment.data)
    if leased:
        environment.state.make()
        log_to_file(environment.state.collector_log)
    else:
        log_to_stderr()
    run(environment, leased=leased, believe_clock=believe_clock, metrics_port=metrics)

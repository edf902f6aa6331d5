"""The command `collect`: the collector as a process of its own."""

import logging
import sys
from typing import Annotated

import typer

from air_pipeline.cli.options import ConfigOption, use_config
from air_pipeline.collection.process import collect as run
from air_pipeline.environment import read_environment


def collect(
    config: ConfigOption = None,
    believe_clock: Annotated[
        bool,
        typer.Option("--believe-clock", help="The clock is right, whatever the kernel and the last slots say."),
    ] = False,
    leased: Annotated[bool, typer.Option("--leased", hidden=True, help="End with Dagster's lease.")] = False,
) -> None:
    """Collect from the devices until stopped: the collector as a process of its own.

    Example: air-pipeline collect --config devices.yaml
    """
    use_config(config)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    run(read_environment(), leased=leased, believe_clock=believe_clock)

"""The command `notify`: who is told, what waits to be told, and a test."""

import socket
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import typer

from air_pipeline.cli.options import ConfigOption, use_config
from air_pipeline.cli.terminal import say
from air_pipeline.environment import read_environment
from air_pipeline.notifying.messages import trial_message
from air_pipeline.notifying.sending import SendError, channels
from air_pipeline.notifying.telling import read_state
from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import read_settings


def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a test message to everybody.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show who is told when something is not well, and what they were not told yet.

    Example: air-pipeline notify --test
    """
    use_config(config)
    environment = read_environment()
    environment.state.check_version()
    settings = read_settings(environment.config)
    if settings.notify is None:
        nobody = f"{environment.config}: names nobody to tell; add notify: {{webhook: https://example.org/hook}}"
        if test:
            raise SettingsError(nobody)
        say(nobody)
        return
    state = read_state(environment.state)
    message = trial_message(uuid4().hex, settings.zone, datetime.now(UTC), socket.gethostname())
    failed = False
    for way in channels(settings.notify):
        if test:
            try:
                say(f"{way.name}: {way.send(message)}")
            except SendError as error:
                failed = True
                say(str(error), err=True)
        else:
            waiting = sum(way.name in one.channels for one in state.outgoing)
            failing = f"; {state.failing[way.name].error}" if way.name in state.failing else ""
            say(f"{way.name}: {waiting} messages wait{failing}")
    if failed:
        raise typer.Exit(1)

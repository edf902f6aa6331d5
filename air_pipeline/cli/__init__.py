"""The `air-pipeline` command: a few lines a command over the other rooms.

Belongs here: options, words and tables for the terminal. Does not: anything that a notebook or program would want too.
Modules that are slow to import are imported by the commands that need them, so that `collect` starts at once.
"""

import sys
from typing import Annotated

import typer

from air_pipeline.cli import (
    beginning,
    building,
    checking,
    collecting,
    copying,
    demonstrating,
    notifying,
    options,
    reading,
    report,
    running,
)

app = typer.Typer(
    name="air-pipeline",
    help="Air-quality readings that you can defend.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    beginning.init,
    running.up,
    demonstrating.demo,
    collecting.collect,
    collecting.poll,
    reading.latest,
    reading.history,
    reading.observations,
    reading.hourly,
    reading.daily,
    reading.flux,
    building.build,
    checking.doctor,
    report.report,
    collecting.outbox,
    copying.copy,
    notifying.notify,
    collecting.simulate,
):
    app.command()(command)


def _version(wanted: bool) -> None:  # noqa: FBT001 -- typer's callback
    if wanted:
        from importlib.metadata import version

        typer.echo(version("air-pipeline"))
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Air-quality readings that you can defend."""


def main() -> None:
    """Runs the command; exit status 0 done, 1 something failed, 2 wrong use or configuration."""
    try:
        app()
    except Exception as error:
        status = _status_of(error)
        if status is None:  # a mistake of ours: its traceback says where
            raise
        typer.echo(str(error), err=True)
        sys.exit(status)


def _status_of(error: Exception) -> int | None:
    """The exit status for an error that is for the user; None for any other. Its families are imported only then."""
    from air_pipeline.collection.lease import CollectorRunning
    from air_pipeline.collection.moving import MoveUnfinished
    from air_pipeline.collection.outbox import OutboxError
    from air_pipeline.days.calendar import DayError
    from air_pipeline.demo import DemoError
    from air_pipeline.processing.observations import ProcessingError
    from air_pipeline.reports.contents import ReportError
    from air_pipeline.settings import SettingsError
    from air_pipeline.storage.parquet import TableError
    from air_pipeline.storage.store import StoreError
    from air_pipeline.times import TimeError

    if isinstance(error, SettingsError | TimeError):
        return 2
    ours = options.OutputError | collecting.PortError | running.UpError
    others = (
        CollectorRunning
        | DayError
        | DemoError
        | MoveUnfinished
        | OutboxError
        | ProcessingError
        | ReportError
        | StoreError
        | TableError
    )
    return 1 if isinstance(error, ours | others) else None

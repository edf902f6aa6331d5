"""The `air-pipeline` command: a few lines a command over the other rooms.

Belongs here: options, words and tables for the terminal. Does not: anything that a notebook or program would want too.
A command's module is imported when the command is called: so each imports at its top what it needs, and `collect`
starts at once.
"""

import importlib
import sys
from importlib.metadata import version as version_of
from keyword import iskeyword
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from air_pipeline.cli.terminal import say
from air_pipeline.errors import AirPipelineError


class _Command(NamedTuple):
    """Where a command is (the function of its name in that module), and its line in the list of commands."""

    module: str
    help: str


COMMANDS = {
    "init": _Command(
        "init", "Write a devices.yaml that fits your devices: each is asked for what it sends, until its kind is known."
    ),
    "up": _Command("up", "Run everything on your devices: collecting, daily builds and the Dagster UI."),
    "ui": _Command("ui", "Serve the Dagster UI alone; with --read-only, nothing can be changed in it."),
    "demo": _Command("demo", "Show everything on three simulated devices with two weeks of history."),
    "collect": _Command("collect", "Collect from the devices until stopped: the collector as a process of its own."),
    "poll": _Command("poll", "Show what devices answer: one GET each, or its last poll while a collector runs."),
    "latest": _Command("latest", "Show the last reading of each device and how its last poll went."),
    "history": _Command("reading", "Show readings, unjudged, as the devices gave them."),
    "observations": _Command("reading", "Show flagged observations: a row a series and slot, missed ones included."),
    "hourly": _Command("reading", "Show the aggregates of local hours: counts, coverage, mean, minimum, maximum."),
    "daily": _Command("reading", "Show the aggregates of local days: counts, coverage, mean, minimum, maximum."),
    "export": _Command("export", "Write built days to a file that another program reads: hourly CSV for R, NetCDF."),
    "explain": _Command(
        "explain", "Say why an observation is flagged as it is: what each rule measured, and between which limits."
    ),
    "mark": _Command("mark", "Mark values by hand as suspect, bad or good, with the reason."),
    "flux": _Command("reading", "Show the rows of a Flux query to InfluxDB."),
    "build": _Command("build", "Build days that are missing or were built from something else."),
    "doctor": _Command("doctor", "Say what is not well, and what to do."),
    "report": _Command("report", "Show the page of a built day, or write it to a file; prints where it is."),
    "outbox": _Command("outbox", "Show what waits to be stored, and what the store would not take."),
    "copy": _Command("copy", "Copy all readings to another store, and change over to it."),
    "import": _Command("importing", "Import the history of a device from files or a bucket of others."),
    "prune": _Command("prune", "Make Dagster's history smaller: details and logs of old runs, old reports."),
    "rename": _Command("rename", "Give everything that is known of a device to another id."),
    "accept": _Command("accept", "Take the device that answers now for one of devices.yaml."),
    "delete": _Command("delete", "Delete what a device said, all of it or a part."),
    "restore": _Command("restore", "Put a backup of the state directory back, as it was when deploy/backup made it."),
    "notify": _Command("notify", "Show who is told when something is not well, and what they were not told yet."),
    "simulate": _Command("simulate", "Be the devices: an HTTP server that answers as the firmware does."),
}
"""Every command, in the order in which they are listed."""

_PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


def load_command(name: str) -> Any:  # noqa: ANN401 -- a command of typer's, which has no public name for it
    """The command itself, from its module."""
    alone = typer.Typer(add_completion=False, **_PLAIN)
    module = importlib.import_module(f"air_pipeline.cli.{COMMANDS[name].module}")
    alone.command(name)(getattr(module, f"{name}_" if iskeyword(name) else name))
    return typer.main.get_command(alone)


class _LazyGroup(TyperGroup):
    """The list of commands; the module of one is imported once it is called or completed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else command, rest


app = typer.Typer(
    name="air-pipeline",
    help="Air-quality readings that you can defend.",
    no_args_is_help=True,
    cls=_LazyGroup,
    **_PLAIN,
)

for _name, _command in COMMANDS.items():
    app.command(_name, help=_command.help, short_help=_command.help)(
        lambda: None
    )  # its place in the list; `resolve_command` gives what is called


def _version(wanted: bool) -> None:  # noqa: FBT001 -- typer's callback
    if wanted:
        say(version_of("air-pipeline"))
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
    except AirPipelineError as error:  # any other is a mistake of ours: its traceback says where
        say(str(error), err=True)
        sys.exit(error.exit_status)

"""The command `report`: the page of a day."""

import os
import sys
import webbrowser
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from air_pipeline.cli.options import ConfigOption, JsonOption, use_config
from air_pipeline.cli.output import OutputError
from air_pipeline.cli.terminal import say, show_json
from air_pipeline.days.calendar import check_over
from air_pipeline.deployment import Deployment, open_deployment
from air_pipeline.places import DataPlace
from air_pipeline.storage.commit import torn
from air_pipeline.storage.day_files import DayNotBuilt, built_days, day_file
from air_pipeline.storage.pages import page_file
from air_pipeline.times import instant


def report(
    day: Annotated[
        str | None, typer.Argument(metavar="[DATE]", help="Such as 2026-11-21.", show_default="the newest built day")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the page to a file.", show_default=False)
    ] = None,
    show: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open it in a browser.", show_default="where there is a display"),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the page of a built day, or write it to a file; prints where it is.

    Example: air-pipeline report 2026-11-21 -o saturday.html
    """
    use_config(config)
    deployment = open_deployment()
    chosen = _day(deployment, day)
    page = page_file(deployment.data, chosen)
    if page.exists and (why := torn(deployment.data, chosen)):
        say(f"{chosen} is being built again, or was half replaced: {why}", err=True)
    path: DataPlace
    if output is not None:
        path = output.absolute()
        try:
            output.write_bytes(page.read() if page.exists else _made(deployment, chosen).encode())
        except OSError as error:
            raise OutputError(f"{output} cannot be written: {error.strerror or error}") from error
    else:
        path = page.path
        if not page.exists:
            page.publish(_made(deployment, chosen))
    if as_json:
        show_json({"date": chosen.isoformat(), "path": str(path)})
    else:
        say(str(path))
    if show or (show is None and output is None and not as_json and _display()):
        _open(path)


def _day(deployment: Deployment, text: str | None) -> date:
    """The day that is meant: one that is built."""
    if text is None:
        built = built_days(deployment.data, "daily_aggregates")
        if not built:
            check_over(deployment.settings, deployment.settings.start, deployment.now())  # says from when on
            raise DayNotBuilt("no day has been built yet; build those that are over with: air-pipeline build")
        return built[-1]
    zone = deployment.settings.zone
    day = instant(text, zone, deployment.now()).astimezone(zone).date()
    try:
        day_file(deployment.data, "daily_aggregates", day).metadata()
    except DayNotBuilt:  # whose remedy is to build it
        check_over(deployment.settings, day, deployment.now())  # says from when on
        raise
    return day


def _made(deployment: Deployment, day: date) -> str:
    """The page, made from the day's tables."""
    from air_pipeline.health.page import unwell_of_day  # all three with pandas and pyarrow, half a second:
    from air_pipeline.reports.gathering import gather  # who asks where a page is, is spared them
    from air_pipeline.reports.page import page_of

    return page_of(gather(deployment, day), unwell_of_day(deployment, day))


def _display() -> bool:
    """Whether somebody sits at a terminal on a machine with a screen."""
    return sys.stdout.isatty() and (
        sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    )


def _open(path: DataPlace) -> None:

    if not webbrowser.open(path.as_uri()):
        say("No browser could be opened; open the file yourself.", err=True)

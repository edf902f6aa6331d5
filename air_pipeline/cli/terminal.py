"""What a command prints: sentences for people, values as JSON for programs; the only place that writes them.

Whatever is in them came from devices, servers or files: no character of it does anything to a terminal, and no address
shows its secrets.
"""

import json
import sys

import typer

from air_pipeline.processing import local_time
from air_pipeline.showing import plain_json, plain_lines, without_secrets_in


def say(text: str, *, mark: str = "", colour: str | None = None, err: bool = False) -> None:
    """Prints a sentence or several lines.

    Args:
        text: what is said.
        mark: what stands before it, in a colour.
        colour: which.
        err: whether it is said beside what is asked for, on the standard error.
    """
    begin = f"{typer.style(mark, fg=colour)} " if mark else ""
    typer.echo(begin + plain_lines(without_secrets_in(text)), err=err)


def unit_text(unit: str) -> str:
    """A unit as a person sees it behind a value: a plain number has none, not another 1."""
    return "" if unit == "1" else unit


def say_places(text: str) -> None:
    """Prints what is our own, with addresses of ours that are to be opened, whole: nothing in them is secret."""
    typer.echo(plain_lines(text))


def show_rows_as_text(text: str) -> None:
    """Prints rows of CSV or JSON as they are; in a terminal without what does something to it."""
    encodable = text.encode("utf-8", "backslashreplace").decode()
    typer.echo(plain_lines(text) if sys.stdout.isatty() else encodable, nl=False)


def show_json(value: object) -> None:
    """Prints a value as JSON."""
    typer.echo(plain_json(json.dumps(value, ensure_ascii=False, indent=2)))


def utc_text(slot: int) -> str:
    """A slot, ms UTC, for people and programs."""
    return local_time.utc_text(slot, "milliseconds")

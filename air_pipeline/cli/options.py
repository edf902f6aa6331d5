"""Options that several commands share, and how rows are shown or written."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The configuration file.", envvar="AIR_PIPELINE_CONFIG", show_default="./devices.yaml"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class OutputError(Exception):
    """A file cannot be written; the message names it and says why."""


def _csv_or_parquet(output: Path | None) -> Path | None:
    if output is not None and output.suffix not in {".csv", ".parquet"}:
        raise typer.BadParameter(f"{output} ends in neither .csv nor .parquet")
    return output


OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Write the rows to a .csv or .parquet file.",
        show_default=False,
        callback=_csv_or_parquet,
    ),
]
DevicesArgument = Annotated[list[str] | None, typer.Argument(help="Ids of devices; all without.", show_default=False)]


def use_config(config: Path | None) -> None:
    """Makes the file that was named that of this process and of those it starts."""
    if config is not None:
        os.environ["AIR_PIPELINE_CONFIG"] = str(config)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, and nothing elsewhere; what it gives is called with each advance."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda number: bar.advance(task, number)


def show_json(value: object) -> None:
    """Prints a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows under their column names; plain where the output is no terminal."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=SIMPLE)
    for row in rows:
        table.add_row(*("–" if cell is None else str(cell) for cell in row))
    console = Console()
    console.print(table, no_wrap=not console.is_terminal, crop=False)


def show_rows(frame: "pd.DataFrame", output: Path | None, *, as_json: bool) -> None:
    """Writes rows to a file (.csv, .parquet), or prints them as CSV or JSON lines.

    Raises:
        OutputError: the file cannot be written.
    """
    if output is not None:
        write = frame.to_csv if output.suffix == ".csv" else frame.to_parquet
        try:
            write(output)
        except OSError as error:
            raise OutputError(f"{output} cannot be written: {error.strerror or error}") from error
        typer.echo(f"{len(frame)} rows written to {output}", err=True)
    elif as_json:
        rows = frame.reset_index()
        if len(rows):
            typer.echo(rows.to_json(orient="records", lines=True, date_format="iso", double_precision=15), nl=False)
    else:
        typer.echo(frame.to_csv(), nl=False)

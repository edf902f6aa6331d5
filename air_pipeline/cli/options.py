"""Options that several commands share, and how rows are shown or written."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the rows to a .csv or .parquet file.", show_default=False)
]
DevicesArgument = Annotated[list[str] | None, typer.Argument(help="Ids of devices; all without.", show_default=False)]


def use_config(config: Path | None) -> None:
    """Makes the file that was named that of this process and of those it starts."""
    if config is not None:
        os.environ["AIR_PIPELINE_CONFIG"] = str(config)


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
        typer.BadParameter: the file's ending says neither.
    """
    if output is not None:
        if output.suffix == ".csv":
            frame.to_csv(output)
        elif output.suffix == ".parquet":
            frame.to_parquet(output)
        else:
            raise typer.BadParameter(f"{output} ends in neither .csv nor .parquet", param_hint="--output")
        typer.echo(f"{len(frame)} rows written to {output}", err=True)
    elif as_json:
        typer.echo(frame.reset_index().to_json(orient="records", lines=True, date_format="iso"), nl=False)
    else:
        typer.echo(frame.to_csv(), nl=False)


def compact(values: Mapping[str, Any]) -> str:
    """Values in one line, such as `dht22_temperature 27.9, …`."""
    return ", ".join(f"{name} {value:g}" for name, value in values.items())

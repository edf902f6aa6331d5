"""What a command prints for programs and people alike: values as JSON, times."""

import json

import typer

from air_pipeline.processing.local_time import from_epoch_ms


def show_json(value: object) -> None:
    """Prints a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def utc_text(slot: int) -> str:
    """A slot, ms UTC, for people and programs."""
    return from_epoch_ms(slot).isoformat(timespec="milliseconds").replace("+00:00", "Z")

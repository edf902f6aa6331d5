"""The command `outbox`: what waits to be stored."""

from contextlib import closing, nullcontext
from typing import Annotated

import typer

from air_pipeline.cli.display import show_table
from air_pipeline.cli.options import ConfigOption, JsonOption, use_config
from air_pipeline.cli.terminal import show_json, utc_text
from air_pipeline.collection.collector_state import NOTHING_WAITS
from air_pipeline.collection.outbox import existing_outbox
from air_pipeline.collection.outbox_rows import Quarantined
from air_pipeline.environment import read_environment

_MOST_SHOWN = 100
_WITHIN_S = 30.0


def outbox(
    config: ConfigOption = None,
    release: Annotated[
        bool, typer.Option("--release", help="Put what is in quarantine back, to be tried again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what waits to be stored, and what the store would not take.

    Example: air-pipeline outbox --json
    """
    use_config(config)
    environment = read_environment()
    environment.state.check_store(environment.store)
    status = NOTHING_WAITS
    quarantined: list[Quarantined] = []
    box = existing_outbox(environment.state.outbox, _WITHIN_S)
    with nullcontext() if box is None else closing(box):
        if box is not None:
            if release:
                typer.echo(f"{box.release()} polls put back into the outbox", err=True)
            status, quarantined = box.status(), box.quarantined(_MOST_SHOWN)
        elif release:
            typer.echo("there is no outbox yet, so nothing is in quarantine", err=True)
    oldest = utc_text(status.oldest) if status.oldest is not None else None
    rows = [(q.device, "" if q.observed_at is None else utc_text(q.observed_at), q.reason) for q in quarantined]
    if as_json:
        show_json(
            {
                "pending": status.pending,
                "oldest": oldest,
                "failures": status.failures,
                "error": status.error,
                "quarantined": status.quarantined,
                "quarantine": [dict(zip(("device", "observed_at", "reason"), row, strict=True)) for row in rows],
            }
        )
        return
    typer.echo(
        f"{status.pending} polls wait for {environment.store}" + (f", the oldest since {oldest}" if oldest else "")
    )
    if status.error:
        typer.echo(f"the last attempt failed ({status.failures} in a row): {status.error}")
    typer.echo(f"{status.quarantined} polls are in quarantine")
    if rows:
        show_table(("device", "slot (UTC)", "reason"), rows)

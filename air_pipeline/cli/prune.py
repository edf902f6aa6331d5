"""The command `prune`: what Dagster keeps of old runs and reports goes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from air_pipeline.cli.options import ConfigOption, JsonOption, use_config
from air_pipeline.cli.terminal import say, show_json
from air_pipeline.environment import read_environment
from air_pipeline.instance.home import home_of_dagster
from air_pipeline.instance.pruning import KEPT_DAYS
from air_pipeline.instance.pruning import prune as prune_storage
from air_pipeline.replacing import remove_leftovers_below


def prune(
    days: Annotated[int, typer.Option("--older-than", metavar="DAYS", help="What is older goes.", min=1)] = KEPT_DAYS,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make Dagster's history smaller: details and logs of old runs, old reports. `up` does it once a day.

    No reading, no table, no run and no day's status goes: only what runs and sensors said meanwhile, but for the last.
    Everything may run meanwhile.

    Example: air-pipeline prune --dry-run
    """
    use_config(config)
    environment = read_environment()
    environment.state.check_version()
    pruned = prune_storage(home_of_dagster(environment), datetime.now(UTC), timedelta(days=days), dry=dry)
    # An object store has nothing half written under any name.
    leftovers = remove_leftovers_below(environment.data) if isinstance(environment.data, Path) and not dry else []
    if as_json:
        show_json(
            {
                "runs": pruned.runs,
                "logs": pruned.logs,
                "reports": pruned.reports,
                "check_evaluations": pruned.evaluations,
                "freed_bytes": pruned.freed,
                "leftovers": len(leftovers),
                "notes": pruned.notes,
            }
        )
        return
    say(
        f"older than {days} days: the details of {pruned.runs} runs, {pruned.logs} logs, {pruned.reports} reports"
        f" ({pruned.evaluations} of them of checks); {pruned.freed / 1e6:.1f} MB {'would be ' if dry else ''}freed"
    )
    if leftovers:
        say(f"{len(leftovers)} files that a killed build left half written")
    for note in pruned.notes:
        say(note, err=True)

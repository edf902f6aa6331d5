"""The command `restore`: a state directory from a backup."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from air_pipeline.cli.options import ConfigOption, use_config
from air_pipeline.cli.terminal import say
from air_pipeline.collection.outbox import Outbox
from air_pipeline.days.range import plan_range
from air_pipeline.deployment import open_deployment
from air_pipeline.environment import Environment, read_environment
from air_pipeline.errors import AirPipelineError
from air_pipeline.restoring import (
    Backup,
    RestoreError,
    check_nothing_runs,
    examine_backup,
    finish_interrupted,
    in_use,
    kept_as,
)
from air_pipeline.restoring import restore as put_back
from air_pipeline.settings.marks import marks_file
from air_pipeline.words import some_days

_PARTS = {
    "outbox.sqlite": "the outbox",
    "readings.sqlite": "the readings",
    "dagster": "the history of Dagster",
    "devices.last-valid.yaml": "the last valid devices.yaml",
    "marks.last-valid.yaml": "the last valid marks.yaml",
}
_MOST_DAYS = 3


def restore(
    backup: Annotated[Path, typer.Argument(help="The directory that deploy/backup made.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else it is only said what would be done.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put a state directory aside that is not empty; it is kept.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Put a backup of the state directory back, as it was when deploy/backup made it.

    Every file of it is looked at first. Killed in between, the old state directory stands, or the restored one whole:
    start it again.

    Example: air-pipeline restore /backup/air_pipeline-2026-11-21 --yes
    """
    use_config(config)
    environment = read_environment()
    now = datetime.now(UTC)
    check_nothing_runs(environment.state)
    if yes and (done := finish_interrupted(environment.state, now)) == str(backup.absolute()):
        say(f"{environment.state} is the one of {done} already: a restore that was interrupted is finished now")
        _say_what_now(environment)
        return
    found = examine_backup(backup, environment)
    _say_plan(found, environment, now)
    if in_use(environment.state) and not replace:
        raise RestoreError(
            f"{environment.state} is not empty, so nothing was changed; with --replace it is put aside, and kept"
        )
    if not yes:
        say("nothing was changed; to do it, add --yes")
        return
    kept = put_back(found, environment.state, now)
    say(f"restored{f'; what was there is kept in {kept}' if kept else ''}")
    _say_what_now(environment)


def _say_plan(backup: Backup, environment: Environment, now: datetime) -> None:
    parts = [words for name, words in _PARTS.items() if backup.has(name)]
    parts += [f"{backup.days} days of tables" if backup.days else "no tables, which are built again"]
    say(f"{backup.path}, of {backup.made:%Y-%m-%d %H:%M} UTC, {backup.size / 1e6:.1f} MB, is whole and has:")
    say(f"  {', '.join(parts)}")
    if backup.omitted_data:
        say(f"  its tables are left out, as AIR_PIPELINE_DATA is {environment.data}")
    say(f"it becomes {environment.state}, for this user alone")
    if in_use(environment.state):
        say(f"  which is not empty, and is kept as {kept_as(environment.state, now)}")
    if environment.influxdb is not None:
        say(f"  its readings are those of {environment.store}, which is not touched")


def _say_what_now(environment: Environment) -> None:
    state, config = environment.state, environment.config
    for file, copy in ((config, state.last_valid), (marks_file(config), state.last_valid_marks)):
        if not file.exists() and (file == config or copy.exists()):
            say(f"{file} is not there; the last valid one is: cp {copy} {file}")
    try:
        _say_what_becomes_of_days(environment)
    except AirPipelineError as error:
        say(f"what becomes of the days cannot be said now: {error}")
    say("slots since the backup that are not in the store are missing. To go on: air-pipeline up; air-pipeline doctor")


def _say_what_becomes_of_days(environment: Environment) -> None:
    with closing(Outbox(environment.state.outbox)) as box:
        if waiting := box.status().pending:
            say(f"{waiting} polls wait in the outbox; the next collector delivers them")
        deployment = open_deployment(strict=False, keep=False)  # who restores may be another user
        with closing(deployment.store):
            plan = plan_range(deployment, None, None, force=False)
        box.mark_late(plan.wanted)  # so that the schedule looks at them, however old they are
    say(f"{len(plan.current)} days are built from what the store holds")
    if plan.wanted:
        named = some_days(plan.wanted, _MOST_DAYS)
        say(f"{len(plan.wanted)} days ({named}) are built by themselves, newest first, once air-pipeline up runs")
    for reason in plan.shrunk.values():
        say(reason)

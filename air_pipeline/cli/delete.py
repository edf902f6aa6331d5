"""The command `delete`: what a device said, for good."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer

from air_pipeline.cli.display import bar_if_long
from air_pipeline.cli.history import ALL_TIME, days_around, lines_of, say_held
from air_pipeline.cli.options import ConfigOption, use_config
from air_pipeline.cli.terminal import say
from air_pipeline.collection.histories import HistoryError, delete_history, held_days, nothing_collecting
from air_pipeline.days.deleted import remember_deletion
from air_pipeline.deployment import open_deployment
from air_pipeline.notifying.telling import rename_subject
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.times import interval

_EARLIEST = "1900-01-01"


def delete(
    device: Annotated[str, typer.Argument(help="Whose readings; all only of one that devices.yaml has no more.")],
    start: Annotated[
        str | None, typer.Option("--from", help="Only from this time.", show_default="the first reading")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only up to this time.", show_default="the last")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else it is only said what would be done.")] = False,
    config: ConfigOption = None,
) -> None:
    """Delete what a device said, all of it or a part, from the store and from what waits. There is no way back.

    Stop what collects. The days that were built from it are built again without it by themselves, though they are then
    built from less. Interrupted, start it again.

    Example: air-pipeline delete garage --from 2026-11-01 --to 2026-11-03
    """
    use_config(config)
    deployment = open_deployment()
    known = {one.id: one.zone for one in deployment.settings.devices}
    part = start is not None or end is not None
    span = ALL_TIME
    if part:
        zone = known.get(device, deployment.settings.zone)
        since, until = interval(start or _EARLIEST, end, zone, datetime.now(UTC))
        span = epoch_ms(since), epoch_ms(until)
    with nothing_collecting(deployment.environment.state) as box, closing(deployment.store) as store:
        days = held_days(store, device, *span)
        say_held(device, days, box.polls_of(device, *span), "is deleted", f"in {store.identity}")
        if device in known and not part:
            place = lines_of(deployment.environment.config, device)
            raise HistoryError(
                f"{place} says id: {device}: take the device out of devices.yaml first, or name a part (--from, --to)"
            )
        if not yes:
            say("nothing was changed; to do it, add --yes")
            return
        touched = remember_deletion(deployment, device, days_around(days), *span)
        with bar_if_long("deleting days") as progress:
            for done, _ in enumerate(delete_history(store, box, device, days, span, forget=not part), start=1):
                progress(done, len(days))
    if not part:
        rename_subject(deployment.environment.state, device, None)
    say(f"deleted; {len(touched)} built days are built again without it by themselves, or now: air-pipeline build")

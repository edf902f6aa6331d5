"""The command `rename`: another id for a device."""

from contextlib import closing
from typing import Annotated

import typer

from air_pipeline.cli.display import bar_if_long
from air_pipeline.cli.history import ALL_TIME, days_around, lines_of, say_held
from air_pipeline.cli.options import ConfigOption, use_config
from air_pipeline.cli.terminal import say
from air_pipeline.collection.histories import HistoryError, held_days, nothing_collecting, rename_history
from air_pipeline.days.deleted import remember_deletion
from air_pipeline.deployment import open_deployment
from air_pipeline.marking import rename_marks
from air_pipeline.notifying.telling import rename_subject


def rename(
    device: Annotated[str, typer.Argument(help="The id that it has.")],
    name: Annotated[str, typer.Argument(help="The id that it gets, which devices.yaml has already.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else it is only said what would be done.")] = False,
    config: ConfigOption = None,
) -> None:
    """Give everything that is known of a device to another id: readings, what waits, its last slot.

    Stop what collects, then change the id in devices.yaml, then rename. Days are built again by themselves.
    Interrupted, start it again.

    Example: air-pipeline rename living-room lounge --yes
    """
    use_config(config)
    deployment = open_deployment()
    config_file = deployment.environment.config
    known = {one.id for one in deployment.settings.devices}
    with nothing_collecting(deployment.environment.state) as box, closing(deployment.store) as store:
        days = held_days(store, device, *ALL_TIME)
        say_held(device, days, box.polls_of(device, *ALL_TIME), f"becomes {name}'s", f"in {store.identity}")
        if device == name:
            raise HistoryError(f"{device} has that id already")
        if device in known:
            place = lines_of(config_file, device)
            raise HistoryError(f"{place} still says id: {device}; change it to id: {name}, then rename")
        if name not in known:
            raise HistoryError(f"{config_file} has no device {name}; give the device that id there, then rename")
        if not yes:
            say("nothing was changed; to do it, add --yes")
            return
        remember_deletion(deployment, device, days_around(days), *ALL_TIME)
        with bar_if_long("renaming days") as progress:
            for done, _ in enumerate(rename_history(store, box, device, name, days), start=1):
                progress(done, len(days))
    rename_subject(deployment.environment.state, device, name)
    rename_marks(deployment, device, name)
    say(f"{device} is {name} now; its days are built again by themselves, or now: air-pipeline build")

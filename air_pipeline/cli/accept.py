"""The command `accept`: another device goes on with a history."""

from typing import Annotated

import typer

from air_pipeline.accepting import accept_identity
from air_pipeline.cli.options import ConfigOption, use_config
from air_pipeline.cli.terminal import say
from air_pipeline.collection.asking import ask_devices, bound_to
from air_pipeline.devices.document import may_say_who, same_identity
from air_pipeline.environment import read_environment
from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import read_settings
from air_pipeline.showing import without_secrets


def accept(
    device: Annotated[str, typer.Argument(help="The id whose history it goes on with.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else it is only said what would be done.")] = False,
    config: ConfigOption = None,
) -> None:
    """Take the device that answers now for one of devices.yaml.

    What it says of itself is written there as its identity. Until then another device at an address is rejected, so
    that no two exchange their histories. A running collector takes it up by itself.

    Example: air-pipeline accept living-room --yes
    """
    use_config(config)
    environment = read_environment()
    environment.state.check_version()
    settings = read_settings(environment.config)
    known = settings.device(device)
    if not may_say_who(known):
        raise SettingsError(f"a device of kind {known.kind} does not say which one it is: there is nothing to accept")
    bound = known.identity or bound_to(environment).get(device, "")
    [asked] = ask_devices(environment, [known], may_ask=settings.collector != "external")
    answers = asked.identity or (bound if asked.poll is not None and asked.poll.outcome.has_reading else "")
    if not answers:
        why = f": {asked.reason}" if asked.reason else "; nothing that tells one from another is in its document"
        raise SettingsError(f"it is not known which device answers for {device}{why}; nothing was changed")
    where = f"{environment.config} says identity: {known.identity}" if known.identity else f"it was {bound or 'any'}"
    say(f"{device}: {where}; {answers} answers at {without_secrets(known.url)}")
    if same_identity(answers, known.identity or ""):
        say("that is the same; there is nothing to accept")
        return
    if not yes:
        say("nothing was changed; to do it, add --yes")
        return
    accept_identity(environment.config_here(), device, answers)
    say(f"{environment.config} says identity: {answers} of {device} now; a running collector takes that up by itself")

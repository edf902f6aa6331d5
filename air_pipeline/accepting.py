"""Another device goes on with the history of one: its identity is written into `devices.yaml`.

Belongs here: the change of the file, whole and on the disk. Does not: where in its text (`settings.identity`), asking
the device (`collection`).
"""

from pathlib import Path

from air_pipeline.replacing import alone_in, replace_file, rights_of
from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import settings_text
from air_pipeline.settings.identity import with_identity
from air_pipeline.showing import flow_text


def accept_identity(config: Path, device: str, identity: str) -> None:
    """Writes which device an entry is of; everything else in the file stays as it is.

    Args:
        config: the file.
        device: the id of the entry.
        identity: what the device says of itself.

    Raises:
        SettingsError: the file is not valid, or cannot be changed; the message says the line to write by hand.
    """
    file = config.resolve()  # a link stays, and what it leads to is replaced
    by_hand = f"write below id: {device} by hand: identity: {flow_text(identity)}"
    try:
        with alone_in(file.parent):
            edited = with_identity(settings_text(file), str(config), device, identity)
            if edited is None:
                raise SettingsError(f"{config}: the entry of {device} is written in a way of its own; {by_hand}")
            replace_file(file, edited, rights_of(file))
    except OSError as error:
        raise SettingsError(f"{config}: cannot be written ({error.strerror or error}); {by_hand}") from error

"""The last that is known of each device, as a terminal or a program wants it.

Belongs here: which of the polls there are is the last one of now. Does not: frames (`frames`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from air_pipeline.deployment import Deployment
from air_pipeline.processing.local_time import epoch_ms, from_epoch_ms


class LastKnown(NamedTuple):
    """The last that is known of one device, however long ago.

    Attributes:
        device: its id.
        polled_at: the slot of its last poll, in the deployment's zone; None where there is none.
        outcome: what became of that.
        observed_at: the slot of its last reading, likewise.
        values: those of that reading, by series.
    """

    device: str
    polled_at: datetime | None = None
    outcome: str | None = None
    observed_at: datetime | None = None
    values: Mapping[str, float] = MappingProxyType({})


def last_known(deployment: Deployment, devices: Sequence[str] | None = None) -> list[LastKnown]:
    """The last that is known of devices, once each in their order; of those of now without.

    Raises:
        SettingsError: one of them is none.
        StoreError: the store cannot be read.
    """
    settings = deployment.settings
    named = [settings.known.get(name) or settings.device(name) for name in dict.fromkeys(devices or ())]
    latest = deployment.store.latest(*settings.present(epoch_ms(deployment.now())))

    def local(slot: int | None) -> datetime | None:
        return None if slot is None else from_epoch_ms(slot).astimezone(settings.zone)

    found = []
    for device in settings.devices if devices is None else named:
        if (last := latest.get(device.id)) is None:
            found.append(LastKnown(device.id))
        else:
            polled, read = local(last.poll.observed_at), local(last.reading_at)
            found.append(LastKnown(device.id, polled, last.poll.outcome.value, read, last.values))
    return found

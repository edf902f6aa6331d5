"""The past of a simulated device: the polls that a collector would have made, to seed histories with."""

from collections.abc import Iterator
from types import MappingProxyType

from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator.firmware import values_at
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.settings import Device

ANSWER_MS = 40.0
"""What an ESP8266 on a quiet network takes."""
_CHUNK = 10_000


def polls_between(device: Device, profile: Profile, start: int, end: int) -> Iterator[Poll]:
    """One `ok` poll for each slot of the device in [start, end), ms UTC, with what it would have said.

    Series that the simulated station does not have are left out.
    """
    import numpy as np

    interval = device.interval_ms
    slots = np.arange(-(-start // interval) * interval, end, interval, dtype=np.int64)
    wanted = {parameter.series for parameter in device.parameters}
    for first in range(0, len(slots), _CHUNK):
        chunk = slots[first : first + _CHUNK]
        values = {series: column.tolist() for series, column in values_at(profile, chunk).items() if series in wanted}
        for place, slot in enumerate(chunk.tolist()):
            yield Poll(
                device=device.id,
                observed_at=slot,
                outcome=Outcome.OK,
                duration_ms=ANSWER_MS,
                interval_s=interval / 1000,
                http_status=200,
                values=MappingProxyType({series: column[place] for series, column in values.items()}),
            )

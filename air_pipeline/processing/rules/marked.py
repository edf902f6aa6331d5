"""What people say of values by hand.

Belongs here: the one rule of marks. Does not: where they are kept (`settings.marks`).
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.rules.measuring import Measured, rule
from air_pipeline.processing.station import Station
from air_pipeline.settings import Verdict

_FLAGS: Mapping[Verdict, Flag] = MappingProxyType({"suspect": Flag.SUSPECT, "bad": Flag.BAD, "good": Flag.GOOD})
_NO_MARK = -1


@rule("marks", says="{note}", of_means=True)
def marked(station: Station) -> Iterator[tuple[str, Measured]]:
    """Somebody marked the time by hand: bad or suspect, as they said; or good, whatever the other rules say.

    The amount is how many marks count for the slot: one, the last in their order of those that it lies in.
    """
    at = station.slots.at
    for series in station:
        marks = [mark for mark in station.device.marks if mark.is_of(series.name)]
        counts = np.full(len(at), _NO_MARK)
        for place, mark in enumerate(marks):
            first, end = np.searchsorted(at, [mark.start, mark.end])
            counts[first:end] = place
        for place, mark in enumerate(marks):
            here = np.where(counts == place, 1.0, np.nan)
            yield series.name, Measured(here, _FLAGS[mark.verdict], most=0.0, note=mark.reason)

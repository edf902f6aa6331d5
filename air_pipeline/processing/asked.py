"""Which series a device was asked for in each slot: the past is what was polled then.

Belongs here: what polls say, slot by slot. Does not: looking up what polls outside of the slots say (`days.presence`).
"""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from air_pipeline.devices.polls import AskedFor
from air_pipeline.processing.station import Places


def asked_series(
    own: Mapping[str, Places], said: Mapping[int, Collection[str]], opening: AskedFor
) -> dict[str, Places]:
    """Series to the slots in which the device was asked for it.

    What a poll says that it was asked for holds from its slot on, until another one says something else. As long as
    nothing was said, the series of a slot are those of the last poll that has something of any series. What came was
    asked for in any case.

    Args:
        own: series to the slots whose poll has a value or a problem of it.
        said: the place of a slot to the series that its poll says it was asked for.
        opening: what holds before the first slot.
    """
    if not own:
        return {}
    something = np.column_stack(list(own.values()))
    asked = np.empty_like(something)
    asked[:] = _row(own, opening.series)
    if not opening.is_said and len(asked):
        last = np.maximum.accumulate(np.where(something.any(axis=1), np.arange(len(asked)), -1))
        asked[last >= 0] = something[last[last >= 0]]
    for place in sorted(said):
        asked[place:] = _row(own, said[place])
    asked |= something
    return {name: asked[:, place] for place, name in enumerate(own)}


def _row(names: Iterable[str], chosen: Collection[str]) -> Places:
    return np.array([name in chosen for name in names], dtype=bool)

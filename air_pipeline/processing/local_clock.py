"""What the local clock shows at many instants at once: `local_time` for arrays.

Belongs here: arrays of instants. Does not: local days and hours.
"""

from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from air_pipeline.processing.local_time import stretches


def utc_offset_minutes(instants_ms: npt.NDArray[np.int64], zone: ZoneInfo) -> npt.NDArray[np.int16]:
    """Local minus UTC in whole minutes (rounded down) at each instant, given in ms since 1970 UTC, in any order."""
    return (_offsets_s(instants_ms, zone) // 60).astype(np.int16)


def local_clock_ms(instants_ms: npt.NDArray[np.int64], zone: ZoneInfo) -> npt.NDArray[np.int64]:
    """What the local clock shows at each instant: ms since 1970-01-01T00:00 on that clock, for naive timestamps."""
    return instants_ms + _offsets_s(instants_ms, zone) * 1000


def _offsets_s(instants_ms: npt.NDArray[np.int64], zone: ZoneInfo) -> npt.NDArray[np.int64]:
    if not len(instants_ms):
        return np.empty(0, dtype=np.int64)
    seconds = instants_ms // 1000
    tiles = stretches(int(seconds.min()), int(seconds.max()) + 1, zone)
    starts = np.array([stretch.start for stretch in tiles], dtype=np.int64)
    offsets = np.array([stretch.offset for stretch in tiles], dtype=np.int64)
    return offsets[np.searchsorted(starts, seconds, side="right") - 1]

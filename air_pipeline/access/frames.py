"""Readings as frames.

Belongs here: columns and index of what is no day's table. Does not: what is asked (`archive`).
"""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import pandas as pd

from air_pipeline.access.last_known import LastKnown
from air_pipeline.processing.local_time import epoch_ms

_NO_READINGS = pd.DataFrame({"device": []}, index=pd.DatetimeIndex([], dtype="datetime64[ms, UTC]", name="observed_at"))


def latest_frame(known: Sequence[LastKnown], zone: ZoneInfo) -> tuple[pd.DataFrame, list[str]]:
    """The frame of `Archive.latest`, and its series."""
    rows = [{"device": device, "outcome": outcome, **values} for device, _, outcome, _, values in known]
    first = ["device", "polled_at", "outcome", "observed_at"]
    series = sorted({name for row in rows for name in row} - set(first))
    frame = pd.DataFrame(rows, columns=[*first, *series]).set_index("device")
    for column in ("polled_at", "observed_at"):
        slots = [None if (at := getattr(last, column)) is None else epoch_ms(at) for last in known]
        instants = pd.to_datetime(pd.Series(slots, frame.index, dtype="Int64"), unit="ms", utc=True)
        frame[column] = instants.dt.as_unit("ms").dt.tz_convert(zone)
    return frame, series


def history_frame(
    readings: Sequence[pd.DataFrame], wanted: Sequence[str] | None, zone: ZoneInfo
) -> tuple[pd.DataFrame, list[str]]:
    """The frame of `Archive.history` from the readings of each device, and its series."""
    some = [frame for frame in readings if len(frame)] or [*readings[:1]] or [_NO_READINGS]
    joined = pd.concat(some) if len(some) > 1 else some[0]
    names = sorted(set(joined.columns) - {"device"}) if wanted is None else list(wanted)
    return joined.reindex(columns=["device", *names]).tz_convert(zone), names

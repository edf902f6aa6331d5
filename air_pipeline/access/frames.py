"""Readings as frames.

Belongs here: columns and index of what is no day's table. Does not: what is asked (`archive`).
"""

from collections.abc import Sequence
from typing import Any, cast
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from air_pipeline.access.last_known import LastKnown
from air_pipeline.processing.local_time import epoch_ms

_NO_READINGS = pd.DataFrame(index=pd.DatetimeIndex([], dtype="datetime64[ms, UTC]", name="observed_at"))


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
    readings: Sequence[tuple[str, pd.DataFrame]], wanted: Sequence[str] | None, zone: ZoneInfo
) -> tuple[pd.DataFrame, list[str]]:
    """The frame of `Archive.history` from devices with their readings, and its series."""
    some = [(device, frame) for device, frame in readings if len(frame)] or readings[:1]
    joined = pd.concat([frame for _, frame in some] or [_NO_READINGS]) if len(some) != 1 else some[0][1]
    names = sorted(joined.columns) if wanted is None else list(wanted)
    if names != list(joined.columns):
        joined = joined.reindex(columns=names)
    joined = joined.tz_convert(zone)
    devices = [pa.repeat(pa.scalar(device, pa.large_string()), len(frame)) for device, frame in some]
    joined.insert(0, "device", pd.array(cast("Any", pa.chunked_array(devices, pa.large_string())), dtype="str"))
    return joined, names

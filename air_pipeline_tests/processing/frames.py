"""Frames as stores return them, for tests."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from air_pipeline.catalogue import Parameter
from air_pipeline.devices.polls import Flag, Outcome
from air_pipeline.processing.observations import OUTCOME_TYPE, DeviceObservations, local_index
from air_pipeline.settings import Device

FIRST = Parameter("first", "temperature", "°C", "temperature", (-40.0, 80.0))
SECOND = Parameter("second", "temperature", "°C", "temperature", (-55.0, 125.0))
UNKNOWN = Parameter("third", "dust", "µg/m³", "dust")

SMALL = Device("small", "http://small/", "Europe/Warsaw", parameters=(FIRST, SECOND, UNKNOWN))
"""A device with a shared parameter and a series of which no range is known."""

FLAGS = [int(flag) for flag in Flag]


def index(at: Sequence[int]) -> pd.DatetimeIndex:
    instants = np.array(at, dtype=np.int64).view("datetime64[ms]")
    return pd.DatetimeIndex(instants, name="observed_at").tz_localize("UTC")


def readings(at: Sequence[int], **series: Sequence[float]) -> pd.DataFrame:
    return pd.DataFrame({name: np.array(series[name], dtype=float) for name in sorted(series)}, index=index(at))


def polls(
    at: Sequence[int],
    interval_s: float | Sequence[float] = 10.0,
    outcome: str | Sequence[str] = "ok",
    problems: str | Sequence[str | None] = "",
    cycle: Sequence[str | None] | None = None,
) -> pd.DataFrame:
    columns = {"outcome": outcome, "duration_ms": 41.0, "http_status": 200.0, "interval_s": interval_s}
    columns |= {"problems": problems, "body": None, "series": None, "cycle": cycle}
    frame = pd.DataFrame(columns, index=index(at))
    return frame.astype({"duration_ms": float, "http_status": float, "interval_s": float, "outcome": "str"})


def observations(
    device: Device,
    at: Sequence[int],
    values: Mapping[str, Sequence[float]],
    flags: Mapping[str, Sequence[int]] | None = None,
) -> DeviceObservations:
    """Values with flags of their own; without flags: 1 where there is a value, else 9."""
    where = local_index(np.array(at, dtype=np.int64), device.zone)
    wide = pd.DataFrame({name: np.array(values[name], dtype=float) for name in sorted(values)}, index=where)
    given = np.where(wide.isna(), Flag.MISSING, Flag.GOOD)
    frame = (
        pd.DataFrame(given, index=where, columns=wide.columns) if flags is None else pd.DataFrame(flags, index=where)
    )
    frame = frame[wide.columns].astype(np.int8)
    bits = frame.isin([Flag.SUSPECT, Flag.BAD]).astype(np.int32)
    outcome = pd.Series(
        pd.Categorical([Outcome.OK.value] * len(where), dtype=OUTCOME_TYPE), index=where, name="poll_outcome"
    )
    return DeviceObservations(device.id, wide, frame, bits, outcome)


def flagged_values(size: int) -> st.SearchStrategy[tuple[list[float], list[int]]]:
    """Values of few kinds with flags that fit them."""
    pair = st.sampled_from(FLAGS).flatmap(
        lambda flag: st.tuples(
            st.just(float("nan")) if flag == Flag.MISSING else st.integers(-400, 9000).map(lambda n: n / 100),
            st.just(flag),
        )
    )
    pairs = st.lists(pair, min_size=size, max_size=size)
    return pairs.map(lambda rows: ([value for value, _ in rows], [flag for _, flag in rows]))

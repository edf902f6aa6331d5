"""The observations of one device as wide frames, and as rows of the `observations` table.

Belongs here: the two shapes and the way between them. Does not: how values come to their flags (`flags`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from air_pipeline.devices.polls import Outcome
from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.local_clock import local_clock_ms, utc_offset_minutes
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.processing.schemas import arrow_schema

OUTCOME_TYPE = pd.CategoricalDtype([outcome.value for outcome in Outcome])


class ProcessingError(AirPipelineError):
    """What was read cannot be processed. The message says which device, what is wrong, what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class DeviceObservations:
    """The observations of one device: wide frames with a row a slot and a column a series, sorted by name.

    All share one index `observed_at`: the slots, tz-aware in the device's zone, ms, rising.

    Attributes:
        device: its id.
        values: float64 in the series' units, NaN where there is none.
        flags: int8, see `devices.polls.Flag`.
        rules: int32, the bits of the rules that spoke.
        poll_outcome: categorical (`OUTCOME_TYPE`), missing where there was no poll.
    """

    device: str
    values: pd.DataFrame
    flags: pd.DataFrame
    rules: pd.DataFrame
    poll_outcome: "pd.Series[str]"

    @property
    def at(self) -> npt.NDArray[np.int64]:
        """The slots in ms since 1970 UTC."""
        return self.values.index.asi8  # type: ignore[attr-defined,no-any-return]

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the index."""
        return ZoneInfo(str(self.values.index.tz))  # type: ignore[attr-defined]

    @property
    def series(self) -> list[str]:
        """The names of the series, sorted."""
        return [str(name) for name in self.values.columns]

    def between(self, start: datetime, end: datetime) -> "DeviceObservations":
        """The observations of [start, end), aware datetimes."""
        first, last = np.searchsorted(self.at, [epoch_ms(start), epoch_ms(end)])
        rows = slice(int(first), int(last))
        return DeviceObservations(
            self.device,
            self.values.iloc[rows],
            self.flags.iloc[rows],
            self.rules.iloc[rows],
            self.poll_outcome.iloc[rows],
        )


def local_index(at: npt.NDArray[np.int64], zone: ZoneInfo) -> pd.DatetimeIndex:
    """The index `observed_at` of a device's frames: instants in ms since 1970 UTC, shown in a zone."""
    return pd.DatetimeIndex(at.view("datetime64[ms]"), name="observed_at").tz_localize("UTC").tz_convert(zone)


def observations_table(observations: DeviceObservations) -> pa.Table:
    """One device's rows of the `observations` table: by series, then by slot."""
    at, zone, series = observations.at, observations.zone, observations.series
    rows = len(at) * len(series)

    def of_each_slot(slots: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.tile(slots, len(series))

    def of_each_series(frame: pd.DataFrame) -> npt.NDArray[Any]:
        return frame.to_numpy().T.ravel()

    def text(codes: npt.NDArray[Any], names: list[str]) -> "pa.DictionaryArray[Any, Any]":
        indices: Any = pa.array(codes.astype(np.int32), mask=codes < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))

    values = of_each_series(observations.values)
    outcome = observations.poll_outcome.cat
    columns = {
        "device": text(np.zeros(rows, np.int32), [observations.device]),
        "series": text(np.repeat(np.arange(len(series), dtype=np.int32), len(at)), series),
        "observed_at": pa.array(of_each_slot(at), pa.int64()).cast(pa.timestamp("ms", "UTC")),
        "local_time": pa.array(of_each_slot(local_clock_ms(at, zone)), pa.int64()).cast(pa.timestamp("ms")),
        "utc_offset_minutes": pa.array(of_each_slot(utc_offset_minutes(at, zone))),
        "value": pa.array(values, mask=np.isnan(values)),
        "flag": pa.array(of_each_series(observations.flags)),
        "rules": pa.array(of_each_series(observations.rules)),
        "poll_outcome": text(of_each_slot(outcome.codes.to_numpy()), list(outcome.categories)),
    }
    schema = arrow_schema("observations")
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def observations_from_table(rows: pa.Table, zone: ZoneInfo) -> DeviceObservations:
    """The inverse of `observations_table`: the rows of one device as wide frames in a zone.

    Raises:
        ProcessingError: the rows are of several devices or none, or its series do not have the same slots.
    """
    devices = rows.column("device").unique().to_pylist()
    if len(devices) != 1:
        raise ProcessingError(f"rows of one device are needed; these are of {len(devices)}")
    device = str(devices[0])
    series_column = rows.column("series").combine_chunks()
    series = [str(name) for name in series_column.unique().to_pylist()]
    slots, odd = divmod(rows.num_rows, len(series))
    at = rows.column("observed_at").cast(pa.int64()).to_numpy().reshape(-1, slots) if not odd else np.empty((0, 0))
    if odd or not (at == at[0]).all() or series != sorted(series):
        raise ProcessingError(
            f"the observations of {device} are not by series, each with the same slots; build the day again"
        )
    index = local_index(at[0], zone)

    def wide(name: str) -> pd.DataFrame:
        return pd.DataFrame(rows.column(name).to_numpy().reshape(-1, slots).T, index=index, columns=series)

    outcome = rows.column("poll_outcome").slice(0, slots).to_pandas().astype(OUTCOME_TYPE)
    return DeviceObservations(
        device, wide("value"), wide("flag"), wide("rules"), pd.Series(outcome.array, index=index, name="poll_outcome")
    )

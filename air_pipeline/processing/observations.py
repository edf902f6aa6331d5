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

from air_pipeline.devices.polls import OF_SLOTS
from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.local_clock import local_clock_ms, utc_offset_minutes
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.processing.schemas import arrow_schema

OUTCOME_TYPE = pd.CategoricalDtype([outcome.value for outcome in OF_SLOTS])

NOT_ASKED = 0
"""In the place of a flag where a device was not asked for a series: there is no observation, and no row of it."""


class ProcessingError(AirPipelineError):
    """What was read cannot be processed. The message says which device, what is wrong, what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class DeviceObservations:
    """The observations of one device: wide frames with a row a slot and a column a series, sorted by name.

    All share one index `observed_at`: the slots, tz-aware in the device's zone, ms, rising.

    Attributes:
        device: its id.
        values: float64 in the series' units, NaN where there is none.
        flags: int8, see `devices.polls.Flag`; `NOT_ASKED` where there is no observation.
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
    def count(self) -> int:
        """How many observations there are."""
        return int((self.flags.to_numpy() != NOT_ASKED).sum())

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the index."""
        return ZoneInfo(str(self.values.index.tz))  # type: ignore[attr-defined]

    @property
    def series(self) -> list[str]:
        """The names of the series, sorted."""
        return [str(name) for name in self.values.columns]

    def between(self, start: datetime, end: datetime) -> "DeviceObservations":
        """The observations of [start, end), aware datetimes; of the series that there are some of in it."""
        first, last = np.searchsorted(self.at, [epoch_ms(start), epoch_ms(end)])
        rows = slice(int(first), int(last))
        flags = self.flags.iloc[rows]
        there = (flags.to_numpy() != NOT_ASKED).any(axis=0) if len(flags) else slice(None)
        return DeviceObservations(
            self.device,
            self.values.iloc[rows].loc[:, there],
            flags.loc[:, there],
            self.rules.iloc[rows].loc[:, there],
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
    table = pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
    asked = of_each_series(observations.flags) != NOT_ASKED
    return table if asked.all() else table.filter(pa.array(asked))


def observations_from_table(rows: pa.Table, zone: ZoneInfo) -> DeviceObservations:
    """The inverse of `observations_table`: the rows of one device as wide frames in a zone.

    Raises:
        ProcessingError: the rows are of several devices or none, or not in the order of the table's key.
    """
    devices = rows.column("device").unique().to_pylist()
    if len(devices) != 1:
        raise ProcessingError(f"rows of one device are needed; these are of {len(devices)}")
    device = str(devices[0])
    names: Any = rows.column("series").combine_chunks()
    codes = names.indices.to_numpy()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    series = [str(name) for name in names.dictionary.take(pa.array(codes[starts])).to_pylist()]
    at = rows.column("observed_at").cast(pa.int64()).to_numpy()
    of_series = np.repeat(np.arange(len(series)), np.diff(starts, append=len(at)))
    rises = (np.diff(at) > 0) | (np.diff(of_series) > 0)
    if series != sorted(set(series)) or not rises.all():
        raise ProcessingError(f"the observations of {device} are not by series and slot; build the day again")
    slots = at[of_series == 0]
    if len(slots) * len(series) == len(at) and (at.reshape(-1, len(slots)) == slots).all():
        places = np.arange(len(at))  # each has the same slots
    else:
        slots = np.unique(at)
        places = of_series * len(slots) + np.searchsorted(slots, at)
    index, size = local_index(slots, zone), len(slots) * len(series)

    def wide(name: str, otherwise: float, dtype: type[np.generic]) -> pd.DataFrame:
        cells = np.full(size, otherwise, dtype=dtype)
        cells[places] = rows.column(name).to_numpy()
        return pd.DataFrame(cells.reshape(-1, len(slots)).T, index=index, columns=series)

    outcomes = np.full(size, -1, dtype=np.int8)
    outcomes[places] = rows.column("poll_outcome").to_pandas().astype(OUTCOME_TYPE).cat.codes
    outcome = pd.Categorical.from_codes(outcomes.reshape(-1, len(slots)).max(axis=0), dtype=OUTCOME_TYPE)
    return DeviceObservations(
        device,
        wide("value", np.nan, np.float64),
        wide("flag", NOT_ASKED, np.int8),
        wide("rules", 0, np.int32),
        pd.Series(outcome, index=index, name="poll_outcome"),
    )

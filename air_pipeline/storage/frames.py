"""The frames that every store gives, so that two stores with the same polls give the same bits.

Belongs here: dtypes, index and order of columns. Does not: where the numbers come from.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from air_pipeline.devices.polls import Outcome
from air_pipeline.storage.fields import MAY_BE_MISSING, POLL_COLUMNS, POLL_NUMBERS, POLL_TEXTS

_WITH_READING = [outcome.value for outcome in Outcome if outcome.has_reading]
_WITH_STATUS = [outcome.value for outcome in Outcome if outcome.has_status]
_SHOWN_WITH = {
    "http_status": _WITH_STATUS,
    "body": [Outcome.REJECTED.value],
    "cycle": _WITH_READING,
    "identity": _WITH_READING,
}
"""Field to the outcomes that may have it."""


def readings_frame(
    times: npt.NDArray[np.int64], series: Sequence[str], values: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """Slots and numbers as the frame of `ReadingStore.readings`, without series that have no value.

    Args:
        times: of the slots, ms UTC, rising.
        series: the names.
        values: series × slots, NaN where there is none; the frame's own from here on.
    """
    has_some = set(np.flatnonzero((~np.isnan(values)).any(axis=1)).tolist())
    places = [place for _, place in sorted(zip(series, range(len(series)), strict=True)) if place in has_some]
    if places != list(range(len(series))):
        values = values[places]
    names = pd.Index([series[place] for place in places], dtype="str")
    return _once_a_slot(pd.DataFrame(values.T, index=_slots(times), columns=names, copy=False))


def polls_frame(
    times: npt.NDArray[np.int64],
    numbers: Mapping[str, npt.NDArray[np.float64]],
    texts: Mapping[str, Any],
) -> pd.DataFrame:
    """Slots (ms UTC, rising), numbers and texts (or None; lists or Arrow) as the frame of `ReadingStore.polls`."""
    index = _slots(times)
    nowhere = pa.nulls(len(index), pa.string())
    columns: dict[str, pd.Series] = {}
    for name in POLL_COLUMNS:
        if name in POLL_NUMBERS:
            columns[name] = pd.Series(numbers.get(name, np.full(len(index), np.nan)), index=index, dtype="float64")
        else:
            column = pd.Series(pd.array(texts.get(name, nowhere), dtype="str"), index=index)
            if name not in MAY_BE_MISSING:
                columns[name] = column.fillna("")
            else:  # an empty text says no more than none
                columns[name] = column.where(column != "") if name in texts else column
    columns["http_status"] = columns["http_status"].where(columns["http_status"] > 0)
    # What an earlier poll of the same slot left, where points are merged field by field, is not shown.
    for name, outcomes in _SHOWN_WITH.items():
        if columns[name].notna().any():
            columns[name] = columns[name].where(columns["outcome"].isin(outcomes))
    return _once_a_slot(pd.DataFrame(columns, index=index, columns=pd.Index(POLL_COLUMNS, dtype="str")))


def readings_of_rows(series: Sequence[str], parts: Iterable[Sequence[tuple[Any, ...]]]) -> pd.DataFrame:
    """Rows of a slot and a value (or None) a series, a part at a time, as `readings_frame`."""
    arrays = [np.empty((0, 1 + len(series)))]
    arrays += [np.array(part, dtype="float64") for part in parts]  # ms are exact in a float64, None becomes NaN
    columns = np.ascontiguousarray(np.concatenate(arrays).T)
    return readings_frame(columns[0].astype("int64"), series, columns[1:])


def polls_of_rows(
    parts: Iterable[Sequence[tuple[Any, ...]]],
    names: Sequence[str] = POLL_COLUMNS,
    rare_parts: Iterable[Sequence[tuple[Any, ...]]] = (),
    rare_names: Sequence[str] = (),
) -> pd.DataFrame:
    """Rows of a slot and some fields of a poll, a part at a time, as `polls_frame`.

    Args:
        parts: a row a poll.
        names: the fields in them.
        rare_parts: rows of those polls that have any of some other fields, which are texts.
        rare_names: these fields.
    """
    rows, rare = _poll_rows(parts, names), _poll_rows(rare_parts, rare_names)
    times = rows["observed_at"].to_numpy()
    places = np.full(len(times), -1)
    places[np.searchsorted(times, rare["observed_at"].to_numpy())] = np.arange(len(rare))
    row_of_each = pa.array(places, mask=places < 0)
    return polls_frame(
        times,
        {name: rows[name].to_numpy() for name in names if name in POLL_NUMBERS},
        {name: rows[name] for name in names if name in POLL_TEXTS}
        | {name: rare[name].take(row_of_each) for name in rare_names},
    )


def _poll_rows(parts: Iterable[Sequence[tuple[Any, ...]]], names: Sequence[str]) -> pa.Table:
    types = {name: pa.float64() if name in POLL_NUMBERS else pa.string() for name in names}
    schema = pa.schema({"observed_at": pa.int64(), **types})
    return pa.Table.from_batches((_batch(part, schema) for part in parts), schema).combine_chunks()


def _batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(zip(*rows, strict=True), schema.types, strict=True)
    return pa.record_batch([pa.array(column, of) for column, of in columns], schema=schema)


def _slots(times: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(times.astype("datetime64[ms]"), tz="UTC", name="observed_at")


def _once_a_slot(frame: pd.DataFrame) -> pd.DataFrame:
    # Only points that others wrote, at fractions of a ms, can share one.
    return frame if frame.index.is_unique else frame[~frame.index.duplicated(keep="last")]

"""The frames that every store gives, so that two stores with the same polls give the same bits.

Belongs here: dtypes, index and order of columns. Does not: where the numbers come from.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from air_pipeline.devices.polls import Outcome
from air_pipeline.storage.fields import MAY_BE_MISSING, POLL_COLUMNS, POLL_NUMBERS, POLL_TEXTS

Strings: TypeAlias = "pa.ChunkedArray[pa.StringScalar]"

WITH_READING = tuple(outcome.value for outcome in Outcome if outcome.has_reading)
"""The outcomes of polls that have a reading."""
_SHOWN_WITH = {
    "http_status": tuple(outcome.value for outcome in Outcome if outcome.has_status),
    "body": (Outcome.REJECTED.value,),
    "cycle": WITH_READING,
    "identity": WITH_READING,
}
"""Field to the outcomes that may have it."""
_OUTCOMES = {outcomes: pa.array(outcomes, pa.string()) for outcomes in _SHOWN_WITH.values()}
_UTC_MS = pd.DatetimeTZDtype("ms", "UTC")


def readings_frame(
    times: npt.NDArray[np.int64], series: Sequence[str], values: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """Slots and numbers as the frame of `ReadingStore.readings`, without series that have no value.

    Args:
        times: of the slots, ms UTC, rising, none twice.
        series: the names.
        values: series × slots, NaN where there is none; the frame's own from here on.
    """
    by_name = [place for _, place in sorted(zip(series, range(len(series)), strict=True))]
    places = [place for place in by_name if not np.isnan(values[place, :1]).all() or not np.isnan(values[place]).all()]
    if places != list(range(len(series))):
        values = values[places]
    names = pd.Index([series[place] for place in places], dtype="str")
    return pd.DataFrame(values.T, index=_slots(times), columns=names, copy=False)


def polls_frame(
    times: npt.NDArray[np.int64], numbers: Mapping[str, npt.NDArray[np.float64]], texts: Mapping[str, Strings]
) -> pd.DataFrame:
    """Slots (ms UTC, rising, none twice), numbers and texts (null: none) as the frame of `ReadingStore.polls`."""
    nowhere = pa.chunked_array([pa.nulls(len(times), pa.string())])
    said = {name: texts.get(name, nowhere) for name in POLL_TEXTS} | {
        name: texts.get(name, nowhere).fill_null(pa.scalar("")) for name in POLL_TEXTS if name not in MAY_BE_MISSING
    }
    # What an earlier poll of the same slot left, where points are merged field by field, is not shown.
    shown = cache(lambda outcomes: pc.is_in(said["outcome"], value_set=_OUTCOMES[outcomes]))
    for name in MAY_BE_MISSING:
        if said[name].null_count < len(times):  # an empty text says no more than none
            is_shown = pc.not_equal(said[name], pa.scalar(""))
            if name in _SHOWN_WITH:
                is_shown = pc.and_(is_shown, shown(_SHOWN_WITH[name]))
            said[name] = pc.if_else(is_shown, said[name], None)
    columns: dict[str, Any] = {name: pd.array(cast("Any", column), dtype="str") for name, column in said.items()}
    columns |= {name: numbers.get(name, np.full(len(times), np.nan)) for name in POLL_NUMBERS}
    status = columns["http_status"]
    is_shown = (status > 0) & shown(_SHOWN_WITH["http_status"]).to_numpy()
    columns["http_status"] = np.where(is_shown, status, np.nan)
    return pd.DataFrame(columns, index=_slots(times), columns=pd.Index(POLL_COLUMNS, dtype="str"))


def texts_at(
    times: npt.NDArray[np.int64], of_times: npt.NDArray[np.int64], texts: Mapping[str, Strings]
) -> dict[str, Strings]:
    """Texts of some slots at all of these, null elsewhere; both rise, and each of the some is one of these."""
    rows = np.full(len(times), -1)
    rows[np.searchsorted(times, of_times)] = np.arange(len(of_times))
    row_of_each = pa.array(rows, mask=rows < 0)
    return {name: column.take(row_of_each) for name, column in texts.items()}


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
    return polls_frame(
        times,
        {name: rows[name].to_numpy() for name in names if name in POLL_NUMBERS},
        {name: rows[name] for name in names if name in POLL_TEXTS}
        | texts_at(times, rare["observed_at"].to_numpy(), {name: rare[name] for name in rare_names}),
    )


def _poll_rows(parts: Iterable[Sequence[tuple[Any, ...]]], names: Sequence[str]) -> pa.Table:
    types = {name: pa.float64() if name in POLL_NUMBERS else pa.string() for name in names}
    schema = pa.schema({"observed_at": pa.int64(), **types})
    return pa.Table.from_batches((_batch(part, schema) for part in parts), schema).combine_chunks()


def _batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(zip(*rows, strict=True), schema.types, strict=True)
    return pa.record_batch([pa.array(column, of) for column, of in columns], schema=schema)


def _slots(times: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(times.astype("datetime64[ms]"), dtype=_UTC_MS, name="observed_at")

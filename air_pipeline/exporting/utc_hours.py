"""Means of whole UTC hours, from days that are local.

Belongs here: what a UTC hour holds, and when it is complete. Does not: how a file of them looks (`openair`,
`airmonitor`).

A table's hour is one of the local clock. Where the zone is whole hours from UTC, and no clock was put by less, it is a
UTC hour too, and its row is taken. Elsewhere (India, Lord Howe) a local hour begins at :30 UTC: there the hours are
made from the observations, by the same rule: complete with 75 % valid of what was expected. An hour that reaches into a
day that is not built is not known, and left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from air_pipeline.devices.polls import Flag
from air_pipeline.exporting.selection import BuiltDay, Selection
from air_pipeline.processing.aggregates import COMPLETE_SHARE
from air_pipeline.storage.day_files import day_file

HOUR_MS = 3_600_000
_HOURLY = ("series", "hour_start", "expected_count", "valid_count", "mean")
_OBSERVED = ("series", "observed_at", "value", "flag")
_PIECES = {"expected": "int64", "valid": "int64", "mean": "float64"}


@dataclass(frozen=True, slots=True)
class DeviceHours:
    """UTC hours of one device that a day made known.

    Attributes:
        device: whose.
        means: a row an hour, in order: index `hour`, its start in ms UTC; a column a series; NaN where the hour is not
            complete, or the device does not have the series.
    """

    device: str
    means: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Begun:
    """An hour that the device's last day ends in: what is known of it, and how much of it."""

    until: int
    pieces: pd.DataFrame


def utc_hours(selection: Selection) -> Iterator[tuple[BuiltDay, list[DeviceHours]]]:
    """Each built day with the UTC hours that it completes, by device; an hour comes once, each device's in order.

    Raises:
        TableError: a file cannot be read.
    """
    begun: dict[str, _Begun] = {}
    for built in selection.days:
        found = []
        hourly = day_file(selection.data, "hourly_aggregates", built.day)
        tables = dict(hourly.device_columns(_HOURLY, built.windows))
        for device, (start, end) in sorted(built.windows.items()):
            before = begun.get(device)
            first = start if before is None else max(start, before.until)  # a device that moved has an overlap
            if first >= end:
                continue
            rows = tables[device]
            if first == start and _on_utc_hours(rows):
                pieces = _of_hours(rows)
            else:
                pieces = _of_observations(selection, built, device, first, end)
            if before is not None and before.until == first:
                pieces = pd.concat([before.pieces, pieces])
                first = min(first, _floor(before.until))
            known = range(-(-first // HOUR_MS) * HOUR_MS, _floor(end), HOUR_MS)
            begun[device] = _Begun(end, pieces[pieces.index.get_level_values("hour") >= _floor(end)])
            hours = [hour for hour in known if selection.start <= hour and hour + HOUR_MS <= selection.end]
            if hours:
                found.append(DeviceHours(device, _means(pieces, hours, list(selection.units))))
        yield built, found


def _floor(at: int) -> int:
    return at // HOUR_MS * HOUR_MS


def _on_utc_hours(rows: pa.Table) -> bool:
    return not (_ms(rows, "hour_start") % HOUR_MS).any()


def _of_hours(rows: pa.Table) -> pd.DataFrame:
    index = pd.MultiIndex.from_arrays([_texts(rows), _ms(rows, "hour_start")], names=["series", "hour"])
    columns: dict[str, Any] = {
        "expected": rows.column("expected_count").to_numpy(),
        "valid": rows.column("valid_count").to_numpy(),
        "mean": rows.column("mean").to_numpy(),
    }
    return pd.DataFrame(columns, index).astype(_PIECES)


def _of_observations(selection: Selection, built: BuiltDay, device: str, start: int, end: int) -> pd.DataFrame:
    """What [start, end) of a device's day adds to each UTC hour that it touches."""
    observations = day_file(selection.data, "observations", built.day)
    tables = [table for _, table in observations.device_columns(_OBSERVED, {device})]
    rows = pa.concat_tables(tables)
    at = _ms(rows, "observed_at")
    frame = pd.DataFrame(
        {
            "series": _texts(rows),
            "hour": at // HOUR_MS * HOUR_MS,
            "value": rows.column("value").to_numpy(),
            "valid": rows.column("flag").to_numpy() <= Flag.NOT_EVALUATED,
        }
    )[(at >= start) & (at < end)]
    by_hour = frame.assign(value=frame["value"].where(frame["valid"])).groupby(["series", "hour"], observed=True)
    pieces: pd.DataFrame = by_hour.agg(expected=("valid", "size"), valid=("valid", "sum"), mean=("value", "mean"))
    return pieces.astype(_PIECES)


def _means(pieces: pd.DataFrame, hours: Sequence[int], series: Sequence[str]) -> pd.DataFrame:
    """The mean of each complete hour; one of two pieces is weighted by their valid observations."""
    whole = pieces[~pieces.index.duplicated(keep=False)]
    parts = pieces[pieces.index.duplicated(keep=False)]
    if len(parts):
        weighted = parts.assign(sum=(parts["mean"] * parts["valid"]).fillna(0.0))
        joined = weighted.groupby(level=["series", "hour"])[["expected", "valid", "sum"]].sum()
        joined["mean"] = joined["sum"] / joined["valid"].where(joined["valid"] > 0)
        whole = pd.concat([whole, joined.drop(columns="sum")])
    complete = (whole["expected"] > 0) & (whole["valid"] >= COMPLETE_SHARE * whole["expected"])
    wide = whole["mean"].where(complete).unstack("series")  # noqa: PD010 - keys are unique
    return wide.reindex(index=pd.Index(hours, name="hour"), columns=pd.Index(series))


def _ms(rows: pa.Table, column: str) -> Any:  # noqa: ANN401 - an array of int64
    return rows.column(column).cast(pa.int64()).to_numpy()


def _texts(rows: pa.Table) -> Any:  # noqa: ANN401 - an array of texts
    return rows.column("series").combine_chunks().cast(pa.string()).to_numpy(zero_copy_only=False)

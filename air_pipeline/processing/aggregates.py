"""Hourly and daily aggregates of one device's observations.

Belongs here: counts, coverage and statistics of hours and local days. Does not: flags. Everything is computed from the
observations as they are in their file; statistics are over valid observations, those flagged 1 or 2.

Complete is what has 75 % (EU directive 2008/50/EC, annex VII); the statistics are OpenAQ's summary: mean, min, max, sd,
median, 2nd and 98th percentile. Means come from `groupby`, which adds up each series by itself in the order of its
slots: the last digits of `DataFrame.mean` depend on what other series stand beside it.
"""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.columns import TABLES, TableName
from air_pipeline.processing.local_time import LocalHour, day_window, epoch_ms, local_hours
from air_pipeline.processing.observations import DeviceObservations, ProcessingError
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.settings import Device

COMPLETE_SHARE = 0.75
"""Of an hour's expected observations, and of a day's hours: EU directive 2008/50/EC, annex VII."""
WINDOW_MS = 8 * 3_600_000
"""Of the running mean: 8 hours, as for ozone and CO in EU directive 2008/50/EC, annex VII and XI."""
WINDOW_LEAST_MS = 6 * 3_600_000
"""Complete hours that a window needs: 75 % of it, from the same annex."""
LONGEST_INTERVAL_MS = 3_600_000
"""No interval is longer than an hour, so no observation stands for more."""
DAYTIME = range(6, 22)
"""Local clock hours of `mean_06_22`."""

_COUNTS = ("expected_count", "observed_count", "valid_count", "suspect_count", "bad_count", "missing_count")
_PERCENTILES = {"p02": 0.02, "median": 0.5, "p98": 0.98}

Grid = npt.NDArray[Any]
"""A row a series, a column an hour (or the day)."""


def hourly_aggregates(device: Device, observations: DeviceObservations, day: date) -> pd.DataFrame:
    """A row for each series and hour of the device's local day, as `columns.HOURLY_AGGREGATES` has it.

    Args:
        device: its settings: zone and units.
        observations: of that day, or of more; what is outside of the day is left out.
        day: the local date.

    Returns:
        A long frame that fits `violations.frame_schema("hourly_aggregates")`; no rows where nothing was expected.

    Raises:
        ProcessingError: the settings do not know one of the series.
    """
    start, end = day_window(day, device.zone)
    observations = observations.between(start, end)
    if not len(observations.at):
        return _empty("hourly_aggregates")
    hours = local_hours(start, end, device.zone)
    codes = _hour_of_each(observations.at, hours)
    grids = _counts(observations.flags, codes, len(hours))
    grids |= _coverage(grids)
    grids["is_complete"] = (grids["expected_count"] > 0) & (grids["coverage"] >= COMPLETE_SHARE)
    grids |= _statistics(_valid(observations), codes, len(hours))

    series = len(observations.series)
    columns: dict[str, Any] = {name: grid.ravel() for name, grid in grids.items()}
    columns["device"] = device.id
    columns["series"] = np.repeat(np.array(observations.series, dtype=object), len(hours))
    columns["unit"] = np.repeat(np.array(_units(device, observations), dtype=object), len(hours))
    starts = np.array([epoch_ms(hour.start_utc) for hour in hours], dtype="datetime64[ms]")
    columns["hour_start"] = pd.DatetimeIndex(np.tile(starts, series)).tz_localize("UTC")
    columns["hour_start_local"] = np.tile(np.array([hour.local_start for hour in hours], "datetime64[ms]"), series)
    columns["utc_offset_minutes"] = np.tile([hour.utc_offset_minutes for hour in hours], series)
    return _typed("hourly_aggregates", columns)


def daily_aggregates(device: Device, observations: DeviceObservations, hourly: pd.DataFrame, day: date) -> pd.DataFrame:
    """A row for each series of the device's local day, as `columns.DAILY_AGGREGATES` has it.

    Args:
        device: its settings: zone, units and thresholds.
        observations: of that day, or of more; what is outside of the day is left out.
        hourly: what `hourly_aggregates` gave for them.
        day: the local date.

    Returns:
        A long frame that fits `violations.frame_schema("daily_aggregates")`; no rows where nothing was expected.

    Raises:
        ProcessingError: the settings do not know one of the series, or `hourly` is not of these observations.
    """
    start, end = day_window(day, device.zone)
    observations = observations.between(start, end)
    if not len(observations.at):
        return _empty("daily_aggregates")
    hours = local_hours(start, end, device.zone)
    names = observations.series
    if len(hourly) != len(names) * len(hours) or list(hourly["series"].unique()) != names:
        raise ProcessingError(
            f"the hourly aggregates of {device.id} on {day} are of other observations; build the day again"
        )

    def of_hours(column: str) -> Grid:
        return hourly[column].to_numpy().reshape(len(names), len(hours))

    valid = _valid(observations)
    grids = {name: of_hours(name).sum(axis=1) for name in _COUNTS}
    grids |= _coverage(grids)
    grids |= _statistics(valid, np.zeros(len(valid), dtype=np.intp), 1)
    columns: dict[str, Any] = {name: grid.ravel() for name, grid in grids.items()}
    complete = of_hours("is_complete")
    columns["hour_count"] = len(hours)
    columns["complete_hours"] = complete.sum(axis=1)
    # Some hours at least, so that something was expected.
    columns["is_complete"] = columns["complete_hours"] >= math.ceil(COMPLETE_SHARE * len(hours))

    in_daytime = np.array([hour.local_start.hour in DAYTIME for hour in hours])[_hour_of_each(observations.at, hours)]
    halves = valid.groupby(in_daytime).mean().reindex([True, False])
    columns["mean_06_22"], columns["mean_22_06"] = halves.to_numpy()
    columns["max_8h_mean"] = _max_8h_mean(hours, of_hours("mean"), complete)
    columns["exceedance_minutes"] = _exceedance_minutes(device, valid, spacing_ms(observations.at, epoch_ms(end)))
    columns |= {"device": device.id, "series": names, "unit": _units(device, observations)}
    columns |= {"day_start": pd.Timestamp(start), "day_end": pd.Timestamp(end), "timezone": device.timezone}
    columns["hours_in_day"] = (end - start).total_seconds() / 3600
    return _typed("daily_aggregates", columns)


def aggregates_table(table: TableName, frame: pd.DataFrame) -> pa.Table:
    """A frame of aggregates as an Arrow table with the table's schema."""
    return pa.Table.from_pandas(frame, schema=arrow_schema(table)).replace_schema_metadata()  # without pandas' own


def spacing_ms(at: npt.NDArray[np.int64], end: int) -> npt.NDArray[np.int64]:
    """The time for which each slot stands, in ms, found from the slots alone.

    That is the distance to the next slot: the interval in force, as slots are expected without a gap. The last slot
    repeats the distance before it; a lone slot stands until `end`. None stands for more than the longest interval.

    Args:
        at: slots in ms, rising.
        end: the end of the day in ms.
    """
    if not len(at):
        return np.empty(0, dtype=np.int64)
    last = at[-1] - at[-2] if len(at) > 1 else end - at[-1]
    return np.asarray(np.minimum(np.append(np.diff(at), last), LONGEST_INTERVAL_MS), dtype=np.int64)


def _hour_of_each(at: npt.NDArray[np.int64], hours: Sequence[LocalHour]) -> npt.NDArray[np.intp]:
    starts = np.array([epoch_ms(hour.start_utc) for hour in hours], dtype=np.int64)
    return np.asarray(np.searchsorted(starts, at, side="right") - 1, dtype=np.intp)


def _valid(observations: DeviceObservations) -> pd.DataFrame:
    """The values of the valid observations; NaN elsewhere."""
    return observations.values.where(observations.flags <= Flag.NOT_EVALUATED)  # noqa: PD011 - a frame of ours


def _counts(flags: pd.DataFrame, codes: npt.NDArray[np.intp], hours: int) -> dict[str, Grid]:
    kinds, series = max(Flag) + 1, flags.shape[1]
    places = codes[:, np.newaxis] + hours * np.arange(series)
    found = np.bincount((places * kinds + flags.to_numpy()).ravel(), minlength=series * hours * kinds)
    of_flag = np.moveaxis(found.reshape(series, hours, kinds), -1, 0)
    observed = of_flag[Flag.GOOD : Flag.BAD + 1].sum(axis=0)
    return {
        "expected_count": observed + of_flag[Flag.MISSING],
        "observed_count": observed,
        "valid_count": of_flag[Flag.GOOD] + of_flag[Flag.NOT_EVALUATED],
        "suspect_count": of_flag[Flag.SUSPECT],
        "bad_count": of_flag[Flag.BAD],
        "missing_count": of_flag[Flag.MISSING],
    }


def _coverage(counts: dict[str, Grid]) -> dict[str, Grid]:
    expected = counts["expected_count"]
    coverage = np.full(expected.shape, np.nan)
    np.divide(counts["valid_count"], expected, out=coverage, where=expected > 0)
    return {"coverage": coverage}


def _statistics(valid: pd.DataFrame, codes: npt.NDArray[np.intp], groups: int) -> dict[str, Grid]:
    """The statistics of each group of rows; NaN where a group has no valid value."""
    grouped = valid.groupby(codes)
    found = {"mean": grouped.mean(), "min": grouped.min(), "max": grouped.max(), "sd": grouped.std(ddof=1)}
    percentiles = grouped.quantile(np.array(list(_PERCENTILES.values())), interpolation="linear")
    found |= {name: percentiles.loc[(slice(None), share), :].droplevel(1) for name, share in _PERCENTILES.items()}
    return {name: frame.reindex(range(groups)).to_numpy().T for name, frame in found.items()}


def _max_8h_mean(hours: Sequence[LocalHour], means: Grid, complete: Grid) -> npt.NDArray[np.float64]:
    """For each series the greatest mean over 8 elapsed hours that begin with an hour row and end inside the day.

    A window's value is the mean of the means of its complete hours, weighted by their length; those must amount to 6 h.
    Only hours wholly inside the window count.
    """
    starts = np.array([epoch_ms(hour.start_utc) for hour in hours])
    ends = np.array([epoch_ms(hour.end_utc) for hour in hours])
    weights = np.where(complete, ends - starts, 0)
    weighted = np.where(complete, means, 0.0) * weights
    greatest = np.full(len(means), np.nan)
    for first in np.flatnonzero(starts + WINDOW_MS <= ends[-1]):
        inside = slice(first, np.searchsorted(ends, starts[first] + WINDOW_MS, side="right"))
        covered = weights[:, inside].sum(axis=1)
        value = np.full(len(means), np.nan)
        np.divide(weighted[:, inside].sum(axis=1), covered, out=value, where=covered >= WINDOW_LEAST_MS)
        greatest = np.fmax(greatest, value)
    return greatest


def _exceedance_minutes(device: Device, valid: pd.DataFrame, spacing: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    found = np.full(valid.shape[1], np.nan)
    for place, series in enumerate(valid.columns):
        if series in device.thresholds:
            found[place] = spacing[(valid[series] > device.thresholds[series]).to_numpy()].sum() / 60_000
    return found


def _units(device: Device, observations: DeviceObservations) -> list[str]:
    unknown = [series for series in observations.series if series not in device.units]
    if unknown:
        raise ProcessingError(
            f"{device.id} has observations of {', '.join(unknown)}, which its settings do not name; build the day again"
        )
    return [device.units[series] for series in observations.series]


def _typed(table: TableName, columns: dict[str, Any]) -> pd.DataFrame:
    types = {"string": "str", "dictionary": "category", "instant": "datetime64[ms, UTC]", "clock": "datetime64[ms]"}
    frame = pd.DataFrame(columns, columns=list(TABLES[table].column_names))
    return frame.astype({column.name: types.get(column.type, column.type) for column in TABLES[table].columns})


def _empty(table: TableName) -> pd.DataFrame:
    return _typed(table, {name: [] for name in TABLES[table].column_names})

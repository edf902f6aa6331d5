"""Means of whole UTC hours, from days that are local.

Belongs here: what a UTC hour holds, and when it is complete. Does not: how a file of them looks (`openair`,
`airmonitor`).

A table's hour is one of the local clock. Where the zone is whole hours from UTC, and no clock was put by less, it is a
UTC hour too, and its row is taken. Elsewhere (India, Lord Howe) a local hour begins at :30 UTC: there the hours are
made from the observations, by the same rule: complete with 75 % valid of what was expected. An hour that reaches into a
day that is not built is not known, and left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from air_pipeline.devices.polls import Flag
from air_pipeline.exporting.selection import BuiltDay, Selection
from air_pipeline.processing.aggregates import COMPLETE_SHARE
from air_pipeline.storage.day_files import day_file

HOUR_MS = 3_600_000
_HOURLY = ("series", "hour_start", "expected_count", "valid_count", "mean")
_OBSERVED = ("series", "observed_at", "value", "flag")


@dataclass(frozen=True, slots=True)
class DeviceHours:
    """UTC hours of one device that a day made known.

    Attributes:
        device: whose.
        hours: the begin of each, ms UTC, in order.
        means: a row an hour, a column a series of the selection; NaN where the hour is not complete, or the device does
            not have the series.
    """

    device: str
    hours: npt.NDArray[np.int64]
    means: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What a device's day holds of each UTC hour that it touches: a row an hour from `first` on, a column a series."""

    first: int
    expected: npt.NDArray[np.int64]
    valid: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]  # of the valid ones; NaN where there are none

    def add(self, before: "_Pieces", row: int) -> None:
        """Adds a row of the day before to the first one here; means of two pieces are weighted by what is valid."""
        valid = self.valid[0] + before.valid[row]
        total = np.nan_to_num(self.mean[0]) * self.valid[0] + np.nan_to_num(before.mean[row]) * before.valid[row]
        alone = (self.valid[0] == 0) | (before.valid[row] == 0)  # then to the last digit
        weighted = np.divide(total, valid, out=np.full(len(valid), np.nan), where=valid > 0)
        self.mean[0] = np.where(alone, np.where(before.valid[row] > 0, before.mean[row], self.mean[0]), weighted)
        self.valid[0] = valid
        self.expected[0] += before.expected[row]

    def means(self, rows: slice) -> npt.NDArray[np.float64]:
        """The means of hours, where they are complete."""
        expected = self.expected[rows]
        complete = (expected > 0) & (self.valid[rows] >= COMPLETE_SHARE * expected)
        return np.where(complete, self.mean[rows], np.nan)


def utc_hours(selection: Selection) -> Iterator[tuple[BuiltDay, list[DeviceHours]]]:
    """Each built day with the UTC hours that it completes, by device; an hour comes once, each device's in order.

    Raises:
        TableError: a file cannot be read.
    """
    begun: dict[str, tuple[int, _Pieces]] = {}  # until when a device's last day was, and what that held
    for built in selection.days:
        found = []
        hourly = day_file(selection.data, "hourly_aggregates", built.day)
        for device, rows in hourly.device_columns(_HOURLY, built.windows):
            start, end = built.windows[device]
            until, before = begun.get(device, (start, None))
            first = max(start, until)  # a device that moved has an overlap
            if first >= end:
                continue
            if first == start and not (_ms(rows, "hour_start") % HOUR_MS).any():
                pieces = _of_hours(selection, rows, start, end)
            else:
                pieces = _of_observations(selection, built, device, first, end)
            known = -(-first // HOUR_MS) * HOUR_MS
            if before is not None and until == first and first % HOUR_MS:
                pieces.add(before, len(before.mean) - 1)
                known = pieces.first
            begun[device] = end, pieces
            hours = np.arange(known, end // HOUR_MS * HOUR_MS, HOUR_MS)
            hours = hours[(hours >= selection.start) & (hours <= selection.end - HOUR_MS)]
            if len(hours):
                row = int(hours[0] - pieces.first) // HOUR_MS
                found.append(DeviceHours(device, hours, pieces.means(slice(row, row + len(hours)))))
        yield built, found


def _of_hours(selection: Selection, rows: pa.Table, start: int, end: int) -> _Pieces:
    """The rows of a table whose hours are UTC hours."""
    pieces = _empty(selection, start, end)
    column = selection.places(rows)
    wanted = column >= 0
    cells = (_ms(rows, "hour_start")[wanted] - pieces.first) // HOUR_MS, column[wanted]
    for grid, name in ((pieces.expected, "expected_count"), (pieces.valid, "valid_count"), (pieces.mean, "mean")):
        grid[cells] = rows.column(name).to_numpy()[wanted]
    return pieces


def _of_observations(selection: Selection, built: BuiltDay, device: str, start: int, end: int) -> _Pieces:
    """What [start, end) of a device's day adds to each UTC hour that it touches."""
    pieces = _empty(selection, start, end)
    observations = day_file(selection.data, "observations", built.day)
    rows = pa.concat_tables([table for _, table in observations.device_columns(_OBSERVED, {device})])
    at, column = _ms(rows, "observed_at"), selection.places(rows)
    wanted = (column >= 0) & (at >= start) & (at < end)
    cell = ((at - pieces.first) // HOUR_MS * len(selection.units) + column)[wanted]
    valid = (rows.column("flag").to_numpy() <= Flag.NOT_EVALUATED)[wanted]

    def by_cell(cells: Any, weights: Any = None) -> Any:  # noqa: ANN401 - arrays
        return np.bincount(cells, weights, pieces.mean.size).reshape(pieces.mean.shape)

    pieces.expected[:] = by_cell(cell)
    pieces.valid[:] = by_cell(cell[valid])
    total = by_cell(cell[valid], rows.column("value").to_numpy()[wanted][valid])
    np.divide(total, pieces.valid, out=pieces.mean, where=pieces.valid > 0)
    return pieces


def _empty(selection: Selection, start: int, end: int) -> _Pieces:
    first = start // HOUR_MS * HOUR_MS
    shape = (-(-end // HOUR_MS) * HOUR_MS - first) // HOUR_MS, len(selection.units)
    return _Pieces(first, np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, np.nan))


def _ms(rows: pa.Table, column: str) -> Any:  # noqa: ANN401 - an array of int64
    return rows.column(column).cast(pa.int64()).to_numpy()

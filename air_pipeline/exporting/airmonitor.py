"""Hourly CSV for AirMonitor: one series of all devices, a row a UTC hour without a gap, a column a device.

Belongs here: the two tables of its data model. Does not: what an hour holds (`utc_hours`).

AirMonitor (R) keeps a `mts_monitor`: `data` with `datetime` (UTC) and a column a deployment, `meta` with a row a
deployment in the same order and the columns of its `coreMetadataNames`. Sources: its vignette "Data Model",
`monitor_isValid` and `coreMetadataNames` in its R/AirMonitor.R, where the names of units are too.
"""

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from air_pipeline.exporting.cf_names import parameter_of
from air_pipeline.exporting.openair import texts_of_hours
from air_pipeline.exporting.positions import Position
from air_pipeline.exporting.selection import ExportError, Selection
from air_pipeline.exporting.utc_hours import HOUR_MS, DeviceHours, utc_hours
from air_pipeline.exporting.writing import Progress, whole_text
from air_pipeline.processing.local_time import epoch_ms

META = (
    "deviceDeploymentID",
    "deviceID",
    "deviceType",
    "deviceDescription",
    "deviceExtra",
    "pollutant",
    "units",
    "dataIngestSource",
    "dataIngestURL",
    "dataIngestUnitID",
    "dataIngestExtra",
    "dataIngestDescription",
    "locationID",
    "locationName",
    "longitude",
    "latitude",
    "elevation",
    "countryCode",
    "stateCode",
    "countyName",
    "timezone",
    "houseNumber",
    "street",
    "city",
    "postalCode",
    "AQSID",
    "fullAQSID",
)
"""Columns that `monitor$meta` must have."""

_POLLUTANTS = {"pm25": "PM2.5", "o3": "OZONE"}
"""Parameters whose name there is not ours in capitals."""
_UNITS = {"µg/m³": "UG/M3", "ppm": "PPM", "ppb": "PPB", "°C": "C", "%": "PERCENT", "hPa": "MILLIBAR", "mm": "MM"}


def meta_path(target: Path) -> Path:
    """Where the table of deployments is, beside that of the hours."""
    return target.with_name(f"{target.stem}_meta{target.suffix}")


def write_airmonitor(
    selection: Selection,
    target: Path,
    positions: Mapping[str, Position],
    progress: Progress = lambda _done, _days: None,
) -> int:
    """Writes a CSV file of hours and one of deployments beside it; says how many hours there are.

    Raises:
        ExportError: the selection has several series, or a file cannot be written.
        TableError: a day's file cannot be read.
    """
    if len(selection.units) > 1:
        raise ExportError(f"AirMonitor has one series at a time: choose by --series {' or '.join(selection.units)}")
    axis = _Axis(list(selection.zones))
    with whole_text(target) as file:
        file.write(",".join(["datetime", *axis.devices]) + "\n")
        for done, (built, found) in enumerate(utc_hours(selection)):
            progress(done, len(selection.days))
            axis.add(found)
            # No later day has an instant before this one's UTC midnight, in any zone.
            axis.write(file, until=epoch_ms(datetime.combine(built.day, time(), UTC)))
        axis.write(file)
        with whole_text(meta_path(target)) as meta:
            table = csv.DictWriter(meta, META, lineterminator="\n")
            table.writeheader()
            table.writerows(_deployment(device, selection, positions.get(device)) for device in axis.devices)
    return axis.written


class _Axis:
    """The hours of all devices on one axis, written as soon as no day can add to them."""

    def __init__(self, devices: list[str]) -> None:
        self.devices = devices
        self.written = 0
        self._next: int | None = None
        self._waiting: dict[int, dict[str, float]] = {}

    def add(self, found: Iterable[DeviceHours]) -> None:
        for hours in found:
            for hour, mean in zip(hours.hours.tolist(), hours.means[:, 0].tolist(), strict=True):
                self._waiting.setdefault(hour, {})[hours.device] = mean

    def write(self, file: TextIO, until: int | None = None) -> None:
        """Writes the hours before an instant, or all, and those that nobody has between them."""
        over = sorted(hour for hour in self._waiting if until is None or hour < until)
        if not over:
            return
        first = over[0] if self._next is None else self._next
        hours = np.arange(first, over[-1] + HOUR_MS, HOUR_MS)
        found = [self._waiting.pop(hour, {}) for hour in hours.tolist()]
        rows = pd.DataFrame(found, texts_of_hours(hours), self.devices, dtype="float64")
        rows.to_csv(file, header=False, lineterminator="\n")
        self.written += len(rows)
        self._next = over[-1] + HOUR_MS


def _deployment(device: str, selection: Selection, position: Position | None) -> dict[str, object]:
    """A device's row of the deployments; what nobody knows is empty, which R reads as NA."""
    ((series, unit),) = selection.units.items()
    parameter = parameter_of(series, selection.means)
    row: dict[str, object] = {
        "deviceDeploymentID": device,
        "deviceID": device,
        "deviceDescription": series,
        "pollutant": _POLLUTANTS.get(parameter, parameter.upper()),
        "units": _UNITS.get(unit, unit),
        "dataIngestSource": "air_pipeline",
        "dataIngestUnitID": device,
        "locationID": device,
        "locationName": device,
        "timezone": selection.zones[device],
    }
    if position is not None:
        row |= {"longitude": position.longitude, "latitude": position.latitude, "elevation": position.altitude}
    return row

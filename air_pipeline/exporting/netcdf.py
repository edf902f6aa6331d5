"""Observations as NetCDF by the CF conventions: values, flags and the rules that spoke, of all devices.

Belongs here: dimensions, variables and attributes. Does not: names of parameters and units (`cf_names`).

A discrete sampling geometry of time series, as an indexed ragged array (CF 1.11, 9.3.4): devices have slots of their
own, and days are appended one after the other. h5netcdf is asked for when it is needed: it is an extra.
"""

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from air_pipeline.catalogue import of_name
from air_pipeline.devices.polls import Flag
from air_pipeline.exporting.cf_names import UNITS, parameter_of, standard_name
from air_pipeline.exporting.positions import Position
from air_pipeline.exporting.selection import ExportError, Selection
from air_pipeline.exporting.writing import Progress, whole_file
from air_pipeline.naming import distinct
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.settings.calibration import CALIBRATED
from air_pipeline.storage.day_files import day_file

_COLUMNS = ("series", "observed_at", "value", "flag", "rules")
_AT_ONCE = 65_536
"""Slots that are gathered in memory (and a chunk of the file), at least; a device's day more at most."""
_OURS = ("station", "obs", "station_name", "station_index", "time", "latitude", "longitude", "altitude")
"""Dimensions and variables that are no series: of several altitudes the mean would be called altitude."""
_NOT_ASKED = 0
"""The flag where the device was not asked for the series: no fill value, for which readers take flags for floats."""


@dataclass(frozen=True, slots=True)
class _Slots:
    """Slots of one device: arrays by variable, a row a slot."""

    station: int
    at: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    flags: npt.NDArray[np.int8]
    rules: npt.NDArray[np.int32]


def write_netcdf(
    selection: Selection,
    target: Path,
    positions: Mapping[str, Position],
    progress: Progress = lambda _done, _days: None,
) -> int:
    """Writes a NetCDF 4 file and says how many slots it has.

    Raises:
        ExportError: h5netcdf is not installed, a device has no position, or the file cannot be written.
        TableError: a day's file cannot be read.
    """
    if homeless := [device for device in selection.zones if device not in positions]:
        raise ExportError(
            f"a time series of the CF conventions has a place: say where {homeless[0]} stands, "
            f"by --position {homeless[0]}=52.23,21.01 (degrees north and east); without an id, all do there"
        )
    h5netcdf = _h5netcdf()
    written = 0
    with whole_file(target) as partial, _Sink(partial) as sink:
        with h5netcdf.File(sink, "w") as file:
            _describe(file, selection, positions)
            gathered: list[_Slots] = []
            for slots in _slots(selection, progress):
                gathered.append(slots)
                if sum(len(one.at) for one in gathered) >= _AT_ONCE:
                    written = _append(file, selection, gathered, written)
                    gathered = []
                    sink.check()
            written = _append(file, selection, gathered, written)
        sink.check()
    return written


class _Sink(FileIO):
    """A file that takes what finds no room, and says it afterwards: HDF5 cannot close one that refuses."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r+")
        self._error: OSError | None = None

    def write(self, data: Any) -> int:  # noqa: ANN401 - a buffer
        left = memoryview(data).cast("B")
        length = len(left)
        while len(left) and self._error is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self._error = error
        return length

    def check(self) -> None:
        """Raises the error that a write ended in."""
        if self._error is not None:
            raise self._error


def variables(series: Iterable[str]) -> Mapping[str, str]:
    """Series to its variable: begins with a letter, and has letters, digits and underscores alone (CF 2.3)."""
    return distinct(series, _variable, lambda name, n: f"{_variable(name)}_{n}", _OURS, ("", "_flag", "_rules"))


def _variable(series: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_]", "_", series)
    return plain if plain[0].isalpha() else f"series_{plain}"


def _h5netcdf() -> Any:  # noqa: ANN401 - a module without types
    try:
        import h5netcdf  # an extra, of some megabytes: only who writes NetCDF has it
    except ImportError:
        raise ExportError(
            "NetCDF is written with h5netcdf, which is not installed; install it: "
            f"{sys.executable} -m pip install 'air-pipeline[netcdf]'"
        ) from None
    return h5netcdf


def _describe(file: Any, selection: Selection, positions: Mapping[str, Position]) -> None:  # noqa: ANN401
    devices = list(selection.zones)
    file.dimensions = {"station": len(devices), "obs": None}
    rules = np.array(list(RULE_BITS.values()), np.int32)
    _set(
        file,
        Conventions="CF-1.11",
        featureType="timeSeries",
        title=f"Observations of {', '.join(devices)}",
        source=f"air_pipeline {version('air-pipeline')}: low-cost sensors, polled at slots",
        history="flagged and exported by air_pipeline; values are as the devices gave them",
        comment="A slot is the instant at which a device was due; flag 9 is a slot without a value.",
    )
    _set(
        file.create_variable("station_name", ("station",), data=np.array(devices, dtype=object), dtype=_text()),
        long_name="device",
        cf_role="timeseries_id",
    )
    places = [positions[device] for device in devices]
    for name, unit, axis, numbers in (
        ("latitude", "degrees_north", "Y", [place.latitude for place in places]),
        ("longitude", "degrees_east", "X", [place.longitude for place in places]),
        ("altitude", "m", "Z", [np.nan if place.altitude is None else place.altitude for place in places]),
    ):
        if np.isnan(numbers).all():
            continue
        made = file.create_variable(name, ("station",), "f8", fillvalue=np.nan if axis == "Z" else None, data=numbers)
        _set(made, standard_name=name, long_name=name, units=unit, axis=axis)
        if axis == "Z":
            _set(made, positive="up")
    _set(
        file.create_variable("station_index", ("obs",), "i4", **_packed()),
        long_name="which device the observation is of",
        instance_dimension="station",
    )
    _set(
        file.create_variable("time", ("obs",), "f8", **_packed()),
        standard_name="time",
        long_name="slot",
        units="seconds since 1970-01-01T00:00:00Z",
        units_metadata="leap_seconds: none",
        calendar="proleptic_gregorian",
        axis="T",
    )
    coordinates = " ".join(name for name in ("time", "latitude", "longitude", "altitude") if name in file.variables)
    names = variables(selection.units)
    for series, unit in selection.units.items():
        name = names[series]
        made = file.create_variable(name, ("obs",), "f8", fillvalue=np.nan, **_packed())
        _describe_series(made, series, unit, selection.means)
        _set(file.variables[name], coordinates=coordinates, ancillary_variables=f"{name}_flag {name}_rules")
        _set(
            file.create_variable(f"{name}_flag", ("obs",), "i1", **_packed()),
            standard_name="aggregate_quality_flag",
            long_name=f"quality flag of {series} (QARTOD)",
            flag_values=np.array([_NOT_ASKED, *(int(flag) for flag in Flag)], np.int8),
            flag_meanings=" ".join(["not_asked", *(flag.name.lower() for flag in Flag)]),
            coordinates=coordinates,
        )
        _set(
            file.create_variable(f"{name}_rules", ("obs",), "i4", **_packed()),
            standard_name="quality_flag",
            long_name=f"rules that spoke of {series}",
            flag_masks=rules,
            flag_meanings=" ".join(RULE_BITS),
            coordinates=coordinates,
        )


def _describe_series(made: Any, series: str, unit: str, means: Collection[str]) -> None:  # noqa: ANN401
    parameter, raw = parameter_of(series, means), series.removesuffix(CALIBRATED)
    description = of_name(raw).description or f"{parameter} of {raw.removesuffix(f'_{parameter}')}"
    if parameter == raw:
        description = f"mean of {raw} over the device's sensors"
    if raw != series:
        description += ", calibrated by hand"
    _set(made, long_name=description, cell_methods="time: point")
    if unit in UNITS:
        _set(made, units=UNITS[unit])
        if unit == "°C":
            _set(made, units_metadata="temperature: on_scale")
    else:
        _set(made, comment=f"in {unit}")
    if (name := standard_name(series, unit, means)) is not None:
        _set(made, standard_name=name)


def _slots(selection: Selection, progress: Progress) -> Iterator[_Slots]:
    stations = {device: number for number, device in enumerate(selection.zones)}
    for done, built in enumerate(selection.days):
        progress(done, len(selection.days))
        observations = day_file(selection.data, "observations", built.day)
        for device, rows in observations.device_columns(_COLUMNS, built.windows):
            slots = _of_rows(selection, stations[device], rows)
            if len(slots.at):
                yield slots


def _of_rows(selection: Selection, station: int, rows: pa.Table) -> _Slots:
    """Rows a series and slot as rows a slot."""
    place = selection.places(rows)
    at = rows.column("observed_at").cast(pa.int64()).to_numpy()
    wanted = (place >= 0) & (at >= selection.start) & (at < selection.end)
    slots, row = np.unique(at[wanted], return_inverse=True)
    cells, shape = (row, place[wanted]), (len(slots), len(selection.units))
    values, flags = np.full(shape, np.nan), np.full(shape, _NOT_ASKED, np.int8)
    rules = np.zeros(shape, np.int32)
    for grid, column in ((values, "value"), (flags, "flag"), (rules, "rules")):
        grid[cells] = rows.column(column).to_numpy()[wanted]
    return _Slots(station, slots, values, flags, rules)


def _append(file: Any, selection: Selection, gathered: Sequence[_Slots], written: int) -> int:  # noqa: ANN401
    """Writes slots behind those that are there; how many there are then."""
    if not gathered:
        return written
    total = written + sum(len(one.at) for one in gathered)
    file.resize_dimension("obs", total)
    new = slice(written, total)
    stations = [np.full(len(one.at), one.station, np.int32) for one in gathered]
    file.variables["station_index"][new] = np.concatenate(stations)
    file.variables["time"][new] = np.concatenate([one.at for one in gathered]) / 1000
    for number, name in enumerate(variables(selection.units).values()):
        file.variables[name][new] = np.concatenate([one.values[:, number] for one in gathered])
        file.variables[f"{name}_flag"][new] = np.concatenate([one.flags[:, number] for one in gathered])
        file.variables[f"{name}_rules"][new] = np.concatenate([one.rules[:, number] for one in gathered])
    return total


def _packed() -> dict[str, Any]:
    return {"chunks": (_AT_ONCE // 4,), "compression": "gzip", "compression_opts": 4, "shuffle": True}


def _text() -> Any:  # noqa: ANN401 - h5py's type of a text
    import h5py  # with h5netcdf

    return h5py.string_dtype()


def _set(thing: Any, **attributes: object) -> None:  # noqa: ANN401
    for name, value in attributes.items():
        thing.attrs[name] = value

"""Series may be called as columns and variables of an export are, or alike when spelt there: each is in it once."""

import csv
from dataclasses import replace

import pytest
import xarray

from air_pipeline.catalogue import Parameter
from air_pipeline.exporting.airmonitor import write_airmonitor
from air_pipeline.exporting.netcdf import write_netcdf
from air_pipeline.exporting.openair import write_openair
from air_pipeline.exporting.positions import Position
from air_pipeline.exporting.selection import select
from air_pipeline.settings import Device
from air_pipeline_tests.days.deployments import DAY, HOUR, build, deployment, poll, window

NAMES = (
    *("a floor_temperature", "b floor_temperature", "roof temperature"),
    *("3d altitude", "b altitude", "a-b pm25", "a.b pm25", "a b_pm25", "b pm25", "b pm25_flag"),
    *("3d time", "b time", "3d site", "b site", "3d date", "b date"),
)
"""Sensor and parameter; of what two measure, the mean is called as the parameter."""
UNITS = {"floor_temperature": "°C", "temperature": "°C"}


@pytest.fixture(scope="module")
def selection(tmp_path_factory):
    pairs = [name.split() for name in NAMES]
    parameters = tuple(Parameter(sensor, name, UNITS.get(name, "m"), f"{sensor} {name}") for sensor, name in pairs)
    hall = Device("hall", "http://hall/", "Europe/Warsaw", interval_ms=HOUR, parameters=parameters)
    deployed = deployment(tmp_path_factory.mktemp("names"), hall)
    values = {one.series: float(number) for number, one in enumerate(parameters, start=-3)}
    start, end = window(DAY, hall)
    deployed.store.write([poll(at, interval_ms=HOUR, values=values) for at in range(start, end, HOUR)])
    build(deployed, DAY)
    return select(deployed)


@pytest.fixture(scope="module")
def netcdf(selection, tmp_path_factory):
    target = tmp_path_factory.mktemp("netcdf") / "air.nc"
    write_netcdf(selection, target, {"hall": Position(52.23, 21.01, 110.0)})
    return target


def test_each_series_is_a_variable_of_its_own(netcdf):
    with xarray.open_dataset(netcdf, engine="netcdf4") as file:
        assert float(file["altitude"][0]) == 110.0
        found = {name: float(file[name][0]) for name in map(str, file.variables) if file[name].dims == ("obs",)}
    assert (
        found.items()
        >= {
            "series_3d_altitude": 0.0,
            "b_altitude": 1.0,
            "altitude_2": 0.5,
            "a_b_pm25": 2.0,
            "a_b_pm25_2": 3.0,
            "a_b_pm25_3": 4.0,
            "b_pm25": 5.0,
            "b_pm25_flag": 2.0,
            "b_pm25_flag_2": 6.0,
            "time_2": 7.5,
            "site": 9.5,
        }.items()
    )


def test_the_mean_of_a_parameter_is_of_that_and_of_no_sensor_called_as_its_name_begins(selection, netcdf, tmp_path):
    """`floor_temperature` of two sensors is no temperature of the air, by a sensor that is called floor."""
    assert (selection.means >= {"floor_temperature"}, "roof_temperature" in selection.means) == (True, False)
    with xarray.open_dataset(netcdf, engine="netcdf4") as file:
        said = {name: file[name].attrs for name in ("floor_temperature", "a_floor_temperature", "roof_temperature")}
    assert said["floor_temperature"]["long_name"] == "mean of floor_temperature over the device's sensors"
    names = [attributes.get("standard_name") for attributes in said.values()]
    assert names == [None, None, "air_temperature"]
    alone = replace(selection, units={"floor_temperature": "°C"})
    write_airmonitor(alone, tmp_path / "air.csv", {})
    with (tmp_path / "air_meta.csv").open(newline="") as file:
        assert [row["pollutant"] for row in csv.DictReader(file)] == ["FLOOR_TEMPERATURE"]


def test_each_series_is_a_column_of_its_own(selection, tmp_path):
    write_openair(selection, tmp_path / "air.csv")
    with (tmp_path / "air.csv").open(newline="") as file:
        header, first, *_ = csv.reader(file)
    assert len(set(header)) == len(header)
    row = dict(zip(header, first, strict=True))
    assert row["site"] == "hall"
    assert row["date"].endswith(":00:00")
    assert {name: float(row[name]) for name in ("a.b_pm25", "a.b_pm25.2", "a_b_pm25", "site.2", "date.2")} == {
        "a.b_pm25": 2.0,
        "a.b_pm25.2": 3.0,
        "a_b_pm25": 4.0,
        "site.2": 9.5,
        "date.2": 11.5,
    }

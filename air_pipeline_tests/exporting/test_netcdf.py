"""NetCDF is read back by xarray and netCDF-C, which had no part in writing it, and checked by IOOS' checker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import xarray

from air_pipeline.catalogue import STATION
from air_pipeline.exporting.netcdf import write_netcdf
from air_pipeline.exporting.positions import Position
from air_pipeline.exporting.selection import ExportError, select
from air_pipeline.settings import Device
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.collection.disks import fill, small_disk
from air_pipeline_tests.days.deployments import AFTER, DAY, HOUR, MINUTE, build, deployment, poll, window

PLACES = {"hall": Position(52.23, 21.01, 110.0), "roof-1": Position(28.61, 77.21)}


def station(at, dropped):
    """A poll of the whole station, some values unbelievable, some not there."""
    numbers = {part.series: 20.0 + at // MINUTE % 7 for part in STATION if part.series != dropped}
    if at // HOUR % 5 == 0:
        numbers["dht22_temperature"] = 200.0
    return poll(at, values=numbers)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Two days of a whole station, and of one part elsewhere that is asked half an hour apart; and their file."""
    folder = tmp_path_factory.mktemp("netcdf")
    hall = Device("hall", "http://hall/", "Europe/Warsaw", interval_ms=10 * MINUTE, parameters=STATION)
    part = Device("roof-1", "http://roof/", "Asia/Kolkata", interval_ms=30 * MINUTE, parameters=STATION[:1])
    deployed = deployment(folder, hall, part)
    for day in (DAY, AFTER):
        start, end = window(day, hall)
        slots = [at for at in range(start, end, 10 * MINUTE) if at // MINUTE % 70]
        deployed.store.write([station(at, "bmp180_pressure" if at // HOUR % 3 else "") for at in slots])
        start, end = window(day, part)
        deployed.store.write(
            [
                poll(at, "roof-1", interval_ms=30 * MINUTE, values={"dht22_temperature": 0.1 * (at // HOUR % 9)})
                for at in range(start, end, 30 * MINUTE)
            ]
        )
        build(deployed, day)
    target = folder / "air.nc"
    assert write_netcdf(select(deployed), target, PLACES) == 2 * (144 + 48)
    return deployed, target


def test_every_observation_comes_back_with_its_flag_and_its_rules(exported):
    deployed, target = exported
    found = {}
    with xarray.open_dataset(target, engine="netcdf4") as file:
        names = [name.removesuffix("_flag") for name in map(str, file.variables) if name.endswith("_flag")]
        devices = file["station_name"].to_numpy()[file["station_index"].to_numpy()]
        times = file["time"].to_numpy().astype("datetime64[ms]").astype("int64")
        for name in names:
            cells = zip(
                devices,
                times,
                file[name].to_numpy(),
                file[f"{name}_flag"].to_numpy(),
                file[f"{name}_rules"].to_numpy(),
                strict=True,
            )
            found |= {(device, name, at): (value, flag, rules) for device, at, value, flag, rules in cells if flag}
    expected = {}
    for day in (DAY, AFTER):
        for row in day_file(deployed.data, "observations", day).read_table().to_pylist():
            at = round(row["observed_at"].timestamp() * 1000)
            expected[row["device"], row["series"], at] = (row["value"], row["flag"], row["rules"])
    assert found.keys() == expected.keys()
    assert {flag for _, flag, _ in found.values()} >= {1, 4, 9}
    for key, (value, flag, rules) in expected.items():
        assert found[key][1:] == (flag, rules)
        assert found[key][0] == value or (value is None and found[key][0] != found[key][0])


def test_a_variable_says_what_it_is_and_where_its_flags_are(exported):
    with xarray.open_dataset(exported[1], engine="netcdf4") as file:
        humidity, flags = file["dht22_humidity"], file["dht22_humidity_flag"]
        assert humidity.attrs == {
            "standard_name": "relative_humidity",
            "long_name": "relative humidity, ±2 % (Aosong AM2302)",
            "units": "percent",
            "cell_methods": "time: point",
            "ancillary_variables": "dht22_humidity_flag dht22_humidity_rules",
        }
        assert flags.attrs["flag_meanings"] == "not_asked good not_evaluated suspect bad missing"
        assert flags.attrs["flag_values"].tolist() == [0, 1, 2, 3, 4, 9]
        assert flags.dtype == "int8"
        rules = file["dht22_temperature_rules"]
        masks = dict(zip(rules.attrs["flag_meanings"].split(), rules.attrs["flag_masks"].tolist(), strict=True))
        flagged = rules.where(file["dht22_temperature"] == 200.0, drop=True)
        assert len(flagged)
        assert (flagged.astype("int32") & masks["sensor_range"]).all()
        assert "standard_name" not in file["mq135_co2"].attrs  # an index is no mole fraction
        assert file["mq135_co2"].attrs["units"] == "1e-6"
        assert file.attrs["featureType"] == "timeSeries"
        assert file["latitude"].to_numpy().tolist() == [52.23, 28.61]
        assert file["altitude"].to_numpy().tolist()[0] == 110.0


def test_a_checker_of_the_cf_conventions_finds_nothing(exported, tmp_path):
    report = tmp_path / "report.json"
    checker = Path(sys.executable).with_name("compliance-checker")
    command = [checker, "--test=cf:1.11", "--criteria=strict", "--format=json", f"--output={report}"]
    command += ["--skip-checks=check_domain_variables"]  # ends in an error of its own at any ragged array (6.1.0)
    ran = subprocess.run([*command, exported[1]], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = json.loads(report.read_text(encoding="utf-8"))["cf:1.11"]
    assert (said["high_count"], said["medium_count"], said["low_count"]) == (0, 0, 0)
    assert said["possible_points"] == said["scored_points"] > 100


def test_without_its_library_the_command_that_installs_it_is_said(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    with pytest.raises(ExportError) as refused:
        write_netcdf(select(exported[0]), tmp_path / "air.nc", PLACES)
    assert str(refused.value).endswith(f"install it: {sys.executable} -m pip install 'air-pipeline[netcdf]'")
    assert list(tmp_path.iterdir()) == []


def test_a_device_without_a_place_is_asked_for_it(exported, tmp_path):
    with pytest.raises(ExportError, match=r"say where roof-1 stands, by --position roof-1=52\.23,21\.01"):
        write_netcdf(select(exported[0]), tmp_path / "air.nc", {"hall": PLACES["hall"]})


def test_a_file_that_finds_no_room_is_not_there(exported, tmp_path):
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        fill(disk, leave=8192)
        with pytest.raises(ExportError, match=r"air\.nc cannot be written"):
            write_netcdf(select(exported[0]), disk / "air.nc", PLACES)
        assert [path.name for path in disk.iterdir() if not path.name.startswith("filler")] == []

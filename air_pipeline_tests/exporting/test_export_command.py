"""The command export: what it writes, and what it says to a person who asked for something else."""

from datetime import UTC, date, datetime, timedelta

import pytest

from air_pipeline.deployment import Deployment
from air_pipeline.devices.simulator import Simulator
from air_pipeline.settings.file import read_settings
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.days.deployments import build
from air_pipeline_tests.running_pipeline import write_devices, yesterday


@pytest.fixture
def home(tmp_path, monkeypatch, capsys):
    """Two devices, whose yesterday is built."""
    shell = Shell(tmp_path, monkeypatch, capsys)
    with Simulator(["attic", "cellar"]) as simulator:
        write_devices(shell.config, simulator, {"attic": "10m", "cellar": "10m"}, date(2026, 11, 1))
    shell.seed(0, [yesterday()], 600_000)
    after = datetime.now(UTC) + timedelta(hours=1)  # of its grace, also shortly after midnight
    build(Deployment(shell.environment, read_settings(shell.config), now=lambda: after), yesterday())
    return shell


def test_export_writes_what_is_built_and_says_what_is_not(home):
    done = home("export", "openair", "attic", "--series", "dht22_temperature", "--from", "-2d", "-o", "hours.csv")
    assert (done.status, done.out) == (0, "")
    assert done.err == (
        f"not built, and so left out: {yesterday() - timedelta(days=1)}\n"
        "24 hours written to hours.csv; dht22_temperature in °C\n"
    )
    lines = (home.folder / "hours.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "date,site,dht22_temperature"
    assert len(lines) == 1 + 24
    done = home("export", "airmonitor", "--series", "temperature", "--position", "52.2,21", "-o", "air.csv")
    assert done.err == "24 hours written to air.csv, and 2 devices to air_meta.csv; temperature in °C\n"
    done = home("export", "netcdf", "--from", "-2d", "--to", "-12h", "--position", "52.2,21", "-o", "air.nc")
    assert done.status == 0
    assert "slots written to air.nc; bmp180_altitude in m" in done.err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("openair", "-o", "x.parquet"), 2, "x.parquet does not end in .csv"),
        (("openair", "-o", "no/x.csv"), 1, "no/x.csv cannot be written: there is no directory no; make it first"),
        (("openair", "atic", "-o", "x.csv"), 2, "did you mean attic?"),
        (("openair", "--series", "dht22_temprature", "-o", "x.csv"), 2, "did you mean dht22_temperature?"),
        (("openair", "--from", "tomorow", "-o", "x.csv"), 2, "'tomorow' is not a time"),
        (
            ("openair", "--from", "2026-11-01", "--to", "2026-11-02", "-o", "x.csv"),
            1,
            "is built, and only built days are exported; build it with: air-pipeline build --from 2026-11-01",
        ),
        (
            ("airmonitor", "-o", "x.csv"),
            1,
            "AirMonitor has one series at a time: choose by --series bmp180_altitude or",
        ),
        (
            ("netcdf", "--position", "attic=52,21", "-o", "x.nc"),
            1,
            "say where cellar stands, by --position cellar=52.23,",
        ),
        (("netcdf", "-o", "x.csv"), 2, "x.csv does not end in .nc"),
        (("airmonitor", "--position", "attic=52", "-o", "x.csv"), 2, "'attic=52' is no position; write it as"),
        (("airmonitor", "--position", "91,0", "-o", "x.csv"), 2, "'91,0' is nowhere on the earth; write it as"),
        (("airmonitor", "--position", "hall=52,21", "-o", "x.csv"), 2, "'hall' is not exported"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(home, arguments, status, said):
    assert said in home.refused("export", *arguments, status=status)
    assert list(home.folder.glob("x*")) == []

"""Which files are read for the checks of a day, and when again."""

import os

import pytest

from air_pipeline.errors import AirPipelineError
from air_pipeline.health.tallies import tallies_of
from air_pipeline.storage.day_files import day_file
from air_pipeline_tests.days.deployments import DAY, MINUTE, build, deployment, device, poll, seed, window


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A day of three devices: one is well, one out of its sensor's range, one was never there."""
    deployed = deployment(tmp_path_factory.mktemp("tallies"), device("hall"), device("attic"), device("cellar"))
    seed(deployment(deployed.data.parent, device("hall")))
    deployed.store.write([poll(at, "attic", -300.0) for at in range(*window(), 10 * MINUTE)])
    build(deployed)
    yield deployed
    deployed.store.close()


def test_each_device_of_which_something_was_expected_is_counted(built):
    found = tallies_of(built.data, DAY).devices
    assert list(found) == ["attic", "hall"]  # the cellar was never polled
    attic, hall = found["attic"]["first_temperature"], found["hall"]["first_temperature"]
    assert (attic.flagged, attic.spoken_by("sensor_range"), hall.flagged) == (144, 144, 0)


def test_rows_of_devices_that_are_well_are_not_read(built, monkeypatch):
    read = []
    columns = type(day_file(built.data, "observations", DAY)).device_columns

    def noted(file, names, devices=None):
        read.append((file.table, devices))
        return columns(file, names, devices)

    monkeypatch.setattr("air_pipeline.storage.day_files.DayFile.device_columns", noted)
    again(built, "daily_aggregates")
    tallies_of(built.data, DAY)
    assert read == [("daily_aggregates", None), ("observations", {"attic"})]


def again(built, table):
    """As if the file of a table had been replaced."""
    path = day_file(built.data, table, DAY).path
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))


@pytest.mark.parametrize("table", ["observations", "daily_aggregates"])
def test_a_file_that_was_replaced_is_read_again_and_no_other(built, table):
    before = tallies_of(built.data, DAY)
    assert tallies_of(built.data, DAY) is before
    again(built, table)
    assert tallies_of(built.data, DAY) is not before


def test_of_a_day_without_its_observations_nothing_can_be_told(built):
    path = day_file(built.data, "observations", DAY).path
    away = path.rename(path.with_suffix(".away"))
    try:
        with pytest.raises(AirPipelineError, match="has no observations yet"):
            tallies_of(built.data, DAY)
    finally:
        away.rename(path)

"""What all questions have in common: names, units, errors, steps."""

import traceback

import pytest

from air_pipeline.access import Archive, open_archive
from air_pipeline.settings import SettingsError
from air_pipeline.storage.store import StoreError
from air_pipeline.times import TimeError
from air_pipeline_tests.access.archives import DEVICES, NOW
from air_pipeline_tests.days.deployments import (
    AFTER,
    BEFORE,
    DAY,
    build,
    deployment,
    device,
    seed,
)


def test_an_archive_is_opened_by_the_environment_or_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="there is no such file"):
        open_archive()
    text = "timezone: Europe/Warsaw\nstart: 2026-11-01\ndevices:\n  - id: hall\n    url: http://10.0.0.1/\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert open_archive("mine.yaml").devices == ["hall"]
    assert open_archive(tmp_path / "mine.yaml").units()["dht22_temperature"] == "°C"


def test_an_archive_knows_its_devices_and_units(archive):
    assert archive.devices == ["hall", "attic", "tokyo"]
    assert archive.units() == {"first_temperature": "°C"}


@pytest.mark.parametrize("method", ["history", "observations", "hourly", "daily"])
def test_an_empty_time_and_an_unknown_device_are_told(archive, method):
    ask = getattr(archive, method)
    with pytest.raises(TimeError, match="is empty; put the earlier one first"):
        ask("2026-11-22", "2026-11-21")
    with pytest.raises(TimeError, match="is not a time"):
        ask("tomorrow")
    with pytest.raises(TimeError, match=r"2026-12-01 00:00 \(Europe/Warsaw\) is in the future"):
        ask("2026-12-01")
    with pytest.raises(SettingsError, match=r"there is no device 'hal' in devices\.yaml; did you mean hall\?"):
        ask("2026-11-21", devices=["attic", "hal"])
    with pytest.raises(
        SettingsError, match=r"there is no device 'zzz' in devices\.yaml; there are: hall, attic, tokyo"
    ):
        ask("2026-11-21", devices="zzz")


def test_flux_is_a_matter_of_influxdb(archive):
    with pytest.raises(StoreError, match="speaks no Flux: Flux needs InfluxDB"):
        archive.flux('from(bucket: "air")')


@pytest.mark.parametrize("method", ["history", "observations", "hourly", "daily"])
def test_an_unknown_series_is_answered_with_the_nearest(stations, method):
    ask = getattr(stations, method)
    with pytest.raises(SettingsError, match=r"'first_temprature'; did you mean first_temperature\?"):
        ask(DAY, AFTER, series="first_temprature")
    with pytest.raises(SettingsError, match=r"'humidity'; there are: other_humidity$"):
        ask(DAY, AFTER, series="humidity")  # a parameter: of which sensor?
    with pytest.raises(SettingsError, match="'zzz'; there are: first_temperature, other_humidity"):
        ask(DAY, AFTER, series=["first_temperature", "zzz"])


@pytest.mark.parametrize("method", ["history", "observations", "hourly", "daily"])
def test_a_series_that_only_some_devices_have_may_be_asked_for(stations, method):
    assert len(getattr(stations, method)(DAY, AFTER, devices="hall", series="first_temperature"))
    found = getattr(stations, method)(DAY, AFTER, series="other_humidity")
    assert "attic" in found["device"].unique().tolist()


def test_every_frame_knows_the_units_of_its_series(stations):
    assert stations.history(DAY, AFTER).attrs["units"] == {"first_temperature": "°C"}
    assert stations.latest().attrs["units"] == {"first_temperature": "°C"}
    both = {"first_temperature": "°C", "other_humidity": "%"}
    for answer in (stations.observations, stations.hourly, stations.daily):
        assert answer(DAY, AFTER).attrs["units"] == both
        assert answer(DAY, AFTER, series="other_humidity").attrs["units"] == {"other_humidity": "%"}
    assert stations.resample("hour", DAY, AFTER).attrs["units"] == both


def test_an_error_for_a_person_brings_no_others_along(tmp_path):
    deployed = deployment(tmp_path, device("hall"), now=NOW)
    deployed.environment.state.path.mkdir()
    deployed.environment.state.readings.write_text("no database at all", encoding="utf-8")
    with pytest.raises(StoreError) as raised:
        Archive(deployed).history("-1d")
    shown = "".join(traceback.format_exception(raised.value))
    assert shown.count("Traceback") == 1
    assert "sqlite3." not in shown


def test_the_steps_of_a_question_are_told(tmp_path):
    deployed = deployment(tmp_path, *DEVICES, now=NOW)
    seed(deployed, [BEFORE, DAY])
    build(deployed, BEFORE)
    told = []
    with Archive(deployed, lambda done, steps: told.append((done, steps))) as archive:
        archive.daily("2026-11-10", AFTER)
    assert told == [(number, 4) for number in range(5)]  # and none for the days before the first poll

"""The simulated world: plausible, repeatable, and the same whether it is asked for one instant or for many."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.catalogue import CLEAN_AIR_RATIO, GAS_CURVES, STATION
from air_pipeline.devices.document import read_document
from air_pipeline.devices.simulator import Profile, document_at
from air_pipeline.devices.simulator.arrays import values_at
from air_pipeline.settings import Device

DEVICE = Device("living-room", "http://192.168.1.32/circumstances", "Europe/Warsaw")
NOW_MS = 1_780_000_000_000
TWO_WEEKS = np.arange(NOW_MS, NOW_MS + 14 * 86_400_000, 10_000)
TIMES = st.integers(0, 4_000_000_000_000)
PROFILES = st.builds(Profile, st.sampled_from(["living-room", "garage", "d7"]), st.integers(0, 2**63))


def test_a_document_has_the_firmwares_shape():
    text = document_at(Profile("living-room", 1), NOW_MS).decode()
    number = r'"-?\d+\.\d\d"'
    shape = (
        r'\{"nodemcu":\{"mq135":\{"co":N,"co2":N,"alcohol":N,"nh4":N,"aceton":N,"toulen":N\},'
        r'"bmp180":\{"temperature":N,"pressure":N,"seaLevelPressure":N,"altitude":N\},'
        r'"ds18b20":\{"temperature":N\},"dht22":\{"temperature":N,"humidity":N\}\}\}'
    )
    assert re.fullmatch(shape.replace("N", number), text)


@given(PROFILES, TIMES)
def test_every_healthy_document_is_read_whole(profile, time_ms):
    document = read_document(document_at(profile, time_ms), DEVICE)
    assert (document.rejection, document.problems, document.notes) == ("", (), ())
    assert len(document.values) == len(STATION)
    for parameter in STATION:
        low, high = parameter.sensor_range
        assert low <= document.values[parameter.series] <= high


@settings(deadline=None)
@given(PROFILES, st.lists(TIMES, min_size=1, max_size=40), st.none() | st.floats(0, 2e9))
def test_a_history_equals_the_documents_of_its_times(profile, times_ms, booted_at):
    profile = Profile(profile.device, profile.seed, booted_at)
    history = values_at(profile, np.array(times_ms))
    for place, time_ms in enumerate(times_ms):
        document = read_document(document_at(profile, time_ms), DEVICE)
        assert document.values == {series: values[place] for series, values in history.items()}


def test_the_seed_decides_everything():
    assert document_at(Profile("a", 1), NOW_MS) == document_at(Profile("a", 1), NOW_MS)
    others = {document_at(profile, NOW_MS) for profile in (Profile("a", 1), Profile("a", 2), Profile("b", 1))}
    assert len(others) == 3


def test_the_device_measures_every_two_seconds():
    start = NOW_MS
    told = [document_at(Profile("a"), start + step * 500) for step in range(40)]
    assert all(told[place] == told[place - place % 4] for place in range(40))
    assert len(set(told)) == 10


@pytest.mark.parametrize("booted_at", [None, NOW_MS / 1000 - 7200])
def test_the_gases_invert_to_one_ratio(booted_at):
    history = values_at(Profile("a", 5, booted_at), TWO_WEEKS[::97])
    low = np.full(len(TWO_WEEKS[::97]), -np.inf)
    high = np.full(len(TWO_WEEKS[::97]), np.inf)
    for series, (scale, exponent, offset) in GAS_CURVES.items():
        printed = history[series] - offset
        low = np.maximum(low, ((printed + 0.0051) / scale) ** (1 / exponent))
        high = np.minimum(high, ((printed - 0.0051) / scale) ** (1 / exponent))
    assert (low <= high).all()


def test_at_its_start_the_device_takes_the_air_for_clean():
    values = values_at(Profile("a", 5, NOW_MS / 1000), np.array([NOW_MS]))
    assert values["mq135_co"][0] == pytest.approx(605.18 * CLEAN_AIR_RATIO**-3.937, abs=0.01)
    assert values["mq135_co"][0] == 3.91
    assert values["mq135_co2"][0] == 402.83


def test_two_weeks_are_plausible():
    history = values_at(Profile("living-room", 1), TWO_WEEKS)
    ratio = history["bmp180_sea_level_pressure"] / history["bmp180_pressure"]
    assert np.abs(ratio - 1.01797).max() < 0.0005
    assert np.abs(history["bmp180_altitude"] - 150).max() < 1
    temperatures = np.stack([values for series, values in history.items() if series.endswith("temperature")])
    assert np.abs(temperatures - np.median(temperatures, axis=0)).max() < 3
    detrended = [
        values - np.convolve(values, np.ones(8640) / 8640, "same")
        for values in (temperatures[0], history["dht22_humidity"])
    ]
    assert np.corrcoef(*(part[8640:-8640] for part in detrended))[0, 1] < -0.3
    for series in ("dht22_humidity", "bmp180_pressure", "mq135_co"):
        moved = np.flatnonzero(np.diff(history[series]))
        assert np.diff(moved).max() < 180, f"{series} is flat for half an hour"
    assert np.abs(np.diff(history["dht22_temperature"])).max() <= 0.3
    assert np.abs(np.diff(history["bmp180_pressure"])).max() < 0.2


def test_sensors_have_their_resolution():
    history = values_at(Profile("living-room", 1), TWO_WEEKS[:5000])
    for series in ("dht22_temperature", "dht22_humidity", "bmp180_temperature"):
        assert np.allclose(history[series] * 10, np.rint(history[series] * 10))
    eighths = np.round(history["ds18b20_temperature"] * 128) / 128  # eight probes in steps of 1/16
    assert np.abs(eighths - history["ds18b20_temperature"]).max() < 0.0051

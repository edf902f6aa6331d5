"""Each kind as the simulator speaks it, asked over HTTP, in one deployment: its days, its units, its faults."""

from datetime import date

import numpy as np
import pytest

from air_pipeline.deployment import Deployment
from air_pipeline.devices.assemble import make_poll
from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.polls import Outcome, poll_from_json, poll_to_json
from air_pipeline.devices.simulator import Profile, Simulator, document_at
from air_pipeline.devices.simulator.faults import is_of
from air_pipeline.devices.simulator.speaking import SPEAKERS, air_at
from air_pipeline.environment import Environment
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.settings.file import parse_settings
from air_pipeline.state import StateDirectory
from air_pipeline_tests.days.deployments import LATER, build, window
from air_pipeline_tests.devices.getting import get

DAY = date(2026, 11, 21)
HALF_AN_HOUR = 1_800_000
SENSORS = {
    "airrohr": "{sds011: [pm25, pm10], bme280: [temperature, humidity, pressure]}",
    "tasmota": "{bme280: [temperature, humidity, pressure], scd40: [co2], sds011: [pm25, pm10]}",
    "esphome": "{room: {temperature: {key: room_temperature}, humidity: {key: Room Humidity},"
    " pressure: {key: room_pressure}}, sds011: {pm25: {key: dust}}}",
    "json": "{room: {temperature: {path: \"parts[?name=='room'].t | [0]\"}, humidity: {path: 'parts[1].h'},"
    " pressure: {path: 'parts[1].p_kPa', sent_in: kPa}}, sds011: {pm25: {path: 'parts[0].pm[0]'}}}",
    "prometheus": "{room: {temperature: {key: 'room_temperature_celsius{place=\"room\"}'},"
    " pressure: {key: air_pressure_pascals, sent_in: Pa}}, sds011: {pm25: {key: 'dust{size=\"2.5\"}'}}}",
}
TEMPERATURE = {
    "airgradient": "sht40_temperature",
    "shelly": "shelly_temperature",
    **dict.fromkeys(("airrohr", "tasmota", "purpleair"), "bme280_temperature"),
    **dict.fromkeys(("esphome", "json", "prometheus"), "room_temperature"),
}
WHO = {"airgradient": "616972677261", "purpleair": "70:75:72:70:6c:65", "shelly": "7368656C6C79"}
WITHIN = {"purpleair": 0.3}  # whole °F


def settings_of(simulator, kinds=tuple(KINDS)):
    """A device of every kind, each with its sensors."""
    lines = ["timezone: UTC", "start: 2026-11-01", "interval: 30m", "devices:"]
    for kind in kinds:
        lines += [f"  - id: {kind}", f"    url: {simulator.url(kind)}", f"    kind: {kind}", "    timeout: 5s"]
        lines += [f"    sensors: {SENSORS[kind]}"] if kind in SENSORS else []
        lines += [f"    identity: '{WHO[kind]}'"] if kind in WHO else []
    return parse_settings("\n".join(lines))


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """What was observed, hour by hour too, and what of it was so: faults at 06:00, 08:00 and 10:00 for an hour."""
    now = [0.0]
    start, end = window(
        DAY, parse_settings(f"timezone: UTC\nstart: {DAY}\ndevices: [{{id: a, url: http://a/}}]").devices[0]
    )
    path = tmp_path_factory.mktemp("kinds")
    profiles = [Profile(kind, 7, kind=kind) for kind in KINDS]
    with Simulator(profiles, clock=lambda: now[0]) as simulator:
        settings = settings_of(simulator)
        environment = Environment(path / "devices.yaml", StateDirectory(path / "state"), path / "data")
        deployed = Deployment(environment, settings, now=lambda: LATER)
        slots = list(range(start, end, HALF_AN_HOUR))
        polls = []
        for number, slot in enumerate(slots):
            now[0] = slot / 1000
            for hour, fault in ((6, "missing_sensor"), (8, "stuck"), (10, "other_device")):
                for kind in SPEAKERS if number in {2 * hour, 2 * hour + 2} else ():
                    begins = number == 2 * hour and is_of(fault, kind)
                    simulator.set_fault(kind, fault if begins else None)
            polls += [make_poll(device, slot, get(device.url, 30.0), 1.0)[0] for device in settings.devices]
        polls = [poll_from_json(poll_to_json(poll)) for poll in polls]  # as the outbox keeps them
        deployed.store.write(polls)
        observations, hourly, *_ = build(deployed, DAY)
    return settings, slots, polls, observations, hourly


def test_every_kind_comes_out_with_its_values_in_our_units(day):
    settings, slots, _, observations, hourly = day
    units = {series: unit for device in settings.devices for series, unit in device.units.items()}
    said = dict(hourly[["series", "unit"]].drop_duplicates().itertuples(index=False))
    assert said == {series: units[series] for series in said}
    assert {said["room_pressure"], said["bme280_pressure"], said["pms5003-a_pm25"]} == {"hPa", "µg/m³"}
    for kind, series in TEMPERATURE.items():
        rows = observations[(observations["device"] == kind) & (observations["series"] == series)]
        true = [air_at(Profile(kind, 7, kind=kind), slot / 1000).temperature for slot in slots]
        well = np.r_[0:16, 18:48]  # from 08:00 on it is stuck for an hour
        apart = np.abs(rows["value"].to_numpy() - np.array(true))[well]
        assert np.nanmax(apart) <= WITHIN.get(kind, 0.01), kind
        assert set(rows["flag"].iloc[:12]) <= {1, 2}, kind
    pressures = observations[observations["series"].str.endswith("_pressure") & observations["value"].notna()]
    assert set(pressures["device"]) == {"nodemcu", "airrohr", "tasmota", "purpleair", "esphome", "json", "prometheus"}
    assert pressures["value"].between(900, 1100).all()


def test_a_part_that_fails_is_missing_for_an_hour_and_nothing_else_is(day):
    _, slots, _, observations, _ = day
    failing = {"shelly": "shelly_humidity", "airgradient": "pms5003_pm25", "purpleair": "pms5003-b_pm25"}
    for kind in SPEAKERS:
        rows = observations[observations["device"] == kind]
        missing = rows[(rows["flag"] == 9)]
        of = failing.get(kind, "sds011_pm25")
        at = missing[missing["series"] == of]["observed_at"].astype("int64")
        assert [slots.index(int(one)) for one in at if int(one) < slots[20]] == [12, 13], kind
        assert TEMPERATURE[kind] not in set(missing[missing["poll_outcome"] == "partial"]["series"])


def test_a_cycle_that_is_told_twice_is_suspect(day):
    _, slots, _, observations, _ = day
    rows = observations[(observations["device"] == "airrohr") & (observations["series"] == "bme280_pressure")]
    spoke = (rows["rules"] & RULE_BITS["same_cycle"]) != 0
    # The first stuck slot is of the cycle that is its own; the second is of the same one.
    assert [slots.index(int(at)) for at in rows["observed_at"].astype("int64")[spoke]] == [17]
    assert set(rows["flag"][spoke]) == {3}
    others = observations[observations["device"] != "airrohr"]
    assert not (others["rules"] & RULE_BITS["same_cycle"]).any()


def test_another_device_at_an_address_gives_this_one_nothing(day):
    _, slots, polls, observations, _ = day
    rejected = {(poll.device, slots.index(poll.observed_at)) for poll in polls if poll.outcome is Outcome.REJECTED}
    assert rejected == {(kind, place) for kind in WHO for place in (20, 21)}
    rows = observations[observations["observed_at"].astype("int64").isin(slots[20:22])]
    assert set(rows[rows["device"].isin(WHO)]["flag"]) == {9}
    assert 9 not in set(rows[~rows["device"].isin(WHO)]["flag"])


OUTCOMES = {
    **dict.fromkeys(("bom", "text_plain", "stuck"), Outcome.OK),
    **dict.fromkeys(("login_page", "empty", "truncated_json", "boot", "other_device"), Outcome.REJECTED),
    **dict.fromkeys(("http_500", "redirect"), Outcome.HTTP_ERROR),
    **dict.fromkeys(("huge", "gzip_bomb"), Outcome.TOO_LARGE),
    **dict.fromkeys(("refuse", "reset", "truncate"), Outcome.UNREACHABLE),
    "missing_sensor": Outcome.PARTIAL,
}


def test_every_fault_of_every_kind_is_an_outcome():
    with Simulator([Profile(kind, kind=kind) for kind in SPEAKERS]) as simulator:
        for device in settings_of(simulator, SPEAKERS).devices:
            for fault, outcome in OUTCOMES.items():
                if not is_of(fault, device.kind):
                    continue
                if fault == "truncated_json" and device.kind in {"esphome", "prometheus"}:  # lines, each by itself
                    outcome = Outcome.PARTIAL  # noqa: PLW2901
                simulator.set_fault(device.id, fault)
                poll, _ = make_poll(device, 0, get(device.url, 30.0), 1.0)
                assert poll.outcome is outcome, (device.id, fault)


def test_an_airrohr_of_the_simulator_repeats_itself_until_it_measures_again():
    profile = Profile("garage", 7, kind="airrohr")
    said = [document_at(profile, (145 * 10_000_000 + second) * 1000) for second in (0, 144, 145, 150)]
    assert said[0] == said[1] != said[2] == said[3]

"""What one broken part makes of a day is said once, wherever it is said: Dagster, `doctor`, a message, the page."""

import json
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import dagster as dg
import pytest

from air_pipeline.days.calendar import device_days
from air_pipeline.definitions import build_definitions
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.health import Level
from air_pipeline.health.days import days_current, days_unbroken
from air_pipeline.health.kept import days_kept
from air_pipeline.health.measuring import OF_A_DAY, complete, devices_covered, mq135_zero_kept
from air_pipeline.health.page import unwell_of_day
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.health.tallies import tallies_of
from air_pipeline.storage.pages import page_file
from air_pipeline_tests.assets.small_deployments import NOON, WHOLE, build, deployment_in, failures, real_instance
from air_pipeline_tests.cli.in_this_process import give_doctor_time, in_this_process
from air_pipeline_tests.days.deployments import build as build_tables
from air_pipeline_tests.health.sensors import DEVICES, polls_of
from air_pipeline_tests.notifying.receivers import Hook

FOUND = {
    "ds18b20_measuring": {
        "dead-string": "it measured nothing in 50% of the slots (−127 or 85 °C, or no value)",
        "half-string": "about 2 of 8 probes were gone: ",
        "loose-plug": "probes dropped out or came back 6 times",
        "silent-string": "it measured nothing in 12% of the slots (−127 or 85 °C, or no value)",
    },
    "dht22_moving": {"frozen": "both of its values stood still in 19% of the slots, while others moved"},
    "thermometers_agreeing": {"sunny": "ds18b20_temperature was 9."},
    "interval_fits": {"hasty": "57% of its values are of the measuring cycle of the one before: a cycle takes 280 s"},
    "mq135_zero_kept": {"restarted": "it restarted, and 46% of its gas values are of the warm-up"},
    "devices_covered": {"silent": "it gave readings in 62% of its slots"},
    "values_believed": {"gasless": "mq135_acetone, mq135_alcohol, mq135_co and 3 more: 17% suspect or bad, most by "},
    "complete": {
        "half-dumb": "dht22_humidity (coverage 62%), dht22_temperature (coverage 62%)",
        "new": "bmp180_altitude (1 of 24 hours complete), bmp180_pressure (1 of 24 hours complete), ",
    },
}
"""Check to device to how that begins what it says of it: of no other device it says anything."""


class Day:
    """A day of devices with faults, built by the job of Dagster."""

    def __init__(self, directory, hook):
        self.day = NOON.date() - timedelta(days=1)
        devices = [{"id": name, "url": f"http://127.0.0.1:9/{name}"} for name in DEVICES]
        told = {"webhook": hook.url(), "wait": "0s"}
        more = {"interval": "120s", "start": self.day.isoformat(), "collector": "external", "notify": told}
        self.deployment = deployment_in(directory, *devices, **more)
        for one in device_days(self.deployment.settings, self.day):
            self.deployment.store.write(list(polls_of(one)))
        with real_instance(directory) as instance:
            self.result = build(self.deployment, instance, self.day, only=WHOLE)
            assert failures(self.result) == {}
            self.told = self._told(instance, hook)

    def _told(self, instance, hook):
        sensor = build_definitions(self.deployment).resolve_sensor_def("notify")
        with dg.build_sensor_context(instance, resources={"deployment": self.deployment}) as context:
            sensor.evaluate_tick(context)
        return [item for body in hook.bodies for item in body["items"]]


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    with Hook() as hook:
        one = Day(tmp_path_factory.mktemp("sensors"), hook)
        yield one
        one.deployment.store.close()


def test_dagster_has_one_mark_a_check_and_day_and_counts_devices_and_observations(day):
    evaluations = {one.check_name: one for one in day.result.get_asset_check_evaluations()}
    for check in OF_A_DAY:
        one = evaluations[check.name]
        assert (one.passed, one.partition, one.severity) == (False, day.day.isoformat(), dg.AssetCheckSeverity.WARN)
        if check is complete:  # of the table itself: all that are not, whatever the reason
            continue
        assert one.description.startswith(f"{len(FOUND[check.name])} of {len(DEVICES)} devices ")
        for device, text in FOUND[check.name].items():
            assert f"{device} ({day.day}: {text}" in one.description
        numbers = {name: number.value for name, number in one.metadata.items()}
        assert (numbers["devices"], numbers["devices_not_well"]) == (len(DEVICES), len(FOUND[check.name]))
        assert numbers["observations"] > 10


def test_doctor_says_each_once_with_what_to_do(day, monkeypatch, capsys):
    monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(day.deployment.environment.config))
    monkeypatch.setenv("AIR_PIPELINE_STATE", str(day.deployment.environment.state))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    give_doctor_time(monkeypatch)
    _, out, _ = in_this_process(monkeypatch, capsys, "doctor", "--json")
    lines = [one for one in json.loads(out) if one["subject"] == "sensors"]
    assert [one["level"] for one in lines] == ["warning"] * len(OF_A_DAY)
    for check, line in zip(OF_A_DAY, lines, strict=True):
        assert line["text"].startswith(f"{len(FOUND[check.name])} of {len(DEVICES)} {check.many}: ")
        assert all(f"{device} ({day.day}: {text}" in line["text"] for device, text in FOUND[check.name].items())
        assert line["remedy"]


def test_a_person_is_told_of_each_device_once(day):
    told = [(one["check"], one["subject"]) for one in day.told if one["subject"]]
    # One restart, one outage: neither is news on the day after.
    at_once = {name: found for name, found in FOUND.items() if name not in {mq135_zero_kept.name, devices_covered.name}}
    assert sorted(told) == sorted((name, device) for name, found in at_once.items() for device in found)
    assert all(one["detail"] and one["remedy"] for one in day.told)


class Page(HTMLParser):
    """The items under `What to look at`."""

    def __init__(self, text):
        super().__init__()
        self.items, self._is_in = [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._is_in = (self._is_in or ("class", "unwell") in attributes) and tag in {"ul", "li", "b"}
        if self._is_in and tag == "li":
            self.items.append("")

    def handle_endtag(self, tag):
        self._is_in = self._is_in and tag != "ul"

    def handle_data(self, text):
        if self._is_in and self.items:
            self.items[-1] += text


def test_the_page_of_the_day_names_each_once_in_the_order_of_devices(day):
    items = Page(page_file(day.deployment.data, day.day).path.read_text(encoding="utf-8")).items
    expected = sorted((device, text) for found in FOUND.values() for device, text in found.items())
    assert all(item.startswith(": ".join(one)) for item, one in zip(items, expected, strict=True)), items
    assert all(item.count(". ") and item.strip().endswith(".") for item in items)


def test_a_healthy_device_and_one_that_was_held_for_an_hour_are_not_named(day):
    named = {device for found in FOUND.values() for device in found}
    assert set(DEVICES) - named == {"well", "clumsy"}


def test_nothing_is_read_twice_while_no_file_changes(day, monkeypatch):
    seen = seen_by_dagster(day.deployment)
    found = [list(check.findings(seen)) for check in OF_A_DAY]
    monkeypatch.setattr("air_pipeline.storage.day_files.DayFile.device_columns", pytest.fail)
    assert [list(check.findings(seen)) for check in OF_A_DAY] == found
    assert all(one.level is not Level.UNKNOWN for of_check in found for one in of_check)


@pytest.mark.slow
def test_of_a_healthy_fortnight_nothing_is_said(tmp_path):
    """Three devices, polled every ten seconds, in a world that the limits were not chosen for."""
    days = [NOON.date() - timedelta(days=number) for number in range(1, 15)]
    names = ("attic", "hall", "living-room")
    deployed = deployment_in(
        tmp_path, *({"id": name, "url": f"http://127.0.0.1:9/{name}"} for name in names), interval="10s"
    )
    for day in reversed(days):
        for one in device_days(deployed.settings, day):
            deployed.store.write(list(polls_between(one.device, Profile(one.device.id, 14), one.start, one.end)))
    for day in days:
        build_tables(deployed, day)
        assert unwell_of_day(deployed, day) == []
        assert set(tallies_of(deployed.data, day).devices) == set(names)
    seen = replace(seen_by_dagster(deployed), by_dagster=False)  # as for a person, for whom days are compared
    for of_all_days in (days_unbroken, days_current, days_kept):
        [found] = of_all_days.findings(seen)
        assert found.level is Level.OK, (of_all_days.name, found.text)
        assert found.numbers.get("days", len(days)) == len(days)
        assert {number for name, number in found.numbers.items() if name != "days"} == {0}
    deployed.store.close()

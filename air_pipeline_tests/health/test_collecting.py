"""What the checks of collecting find, as functions of what is seen."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from air_pipeline.collection.collector_state import CollectorState
from air_pipeline.collection.lease import Holder
from air_pipeline.collection.outbox import OutboxStatus
from air_pipeline.collection.recorder import Recording
from air_pipeline.collection.report import DeviceState, Report
from air_pipeline.collection.setting_aside import Aside
from air_pipeline.environment import read_environment
from air_pipeline.health import Level
from air_pipeline.health.checks import CHECKS, checks_of, summaries
from air_pipeline.health.seen import Seen
from air_pipeline.settings import Device, Settings, SettingsError

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
NOW_S = NOW.timestamp()
NOW_MS = round(NOW_S * 1000)
RUNS = CollectorState(Holder(pid=7, since=NOW_S - 3600, leased=True), has_begun=True)
JUST_STARTED = CollectorState(Holder(pid=7, since=NOW_S - 10, leased=True), has_begun=True)
DEVICES = tuple(Device(name, f"http://{name}/", "Europe/Warsaw") for name in ("attic", "hall"))
OF_ANOTHER = (
    "another device answers at this address: it says that it is a1, and b2 answered before; write the address that hall"
    " has now, or, if this one takes its place: air-pipeline accept hall"
)


def waiting(pending=0, oldest=None, quarantined=0, failures=0, error=""):
    return CollectorState(
        RUNS.running, has_begun=True, outbox=OutboxStatus(pending, oldest, quarantined, failures, 0.0, error)
    )


def seen(state=RUNS, *silent, store_error="", mistake=None, devices=DEVICES, **more):
    settings = Settings("Europe/Warsaw", NOW.date(), devices, **more)
    report = Report(NOW_MS - 60_000, NOW_MS, {}, silent, len(devices), state, store_error)
    return Seen(read_environment({}), NOW, settings, mistake, reported=report, by_dagster=True)


def found(check, of):
    """The check's findings in one, as Dagster shows them."""
    [named] = [one for one in CHECKS if one.name == check]
    return named.summary(list(named.findings(of)), NOW)


def test_there_is_a_finding_of_every_check_of_raw_readings():
    checks = checks_of("raw_readings")
    assert [one.check for one in summaries(checks, seen(), NOW)] == [check.name for check in checks]


def test_without_an_answer_of_the_store_nothing_is_said_of_devices():
    of = seen(store_error="away")
    assert found("devices_reporting", of).level is Level.UNKNOWN
    assert "devices_reporting" not in [one.check for one in summaries(checks_of("raw_readings"), of, NOW)]


@pytest.mark.parametrize(
    ("check", "of", "level", "text"),
    [
        ("collector_running", seen(), Level.OK, "process 7, since 2026-03-20 12:00:00+01:00"),
        ("collector_running", seen(CollectorState(has_begun=True)), Level.FAILURE, "none runs"),
        ("devices_reporting", seen(), Level.OK, "well: 2 of 2"),
        (
            "devices_reporting",
            seen(RUNS, DeviceState("hall", 6, 0, "timeout")),
            Level.WARNING,
            "1 of 2 devices gave no reading lately: hall (timeout)",
        ),
        (
            "devices_reporting",
            seen(RUNS, DeviceState("attic", 0, 0, ""), DeviceState("hall", 6, 0, "timeout")),
            Level.FAILURE,
            "2 of 2 devices gave no reading lately: attic (not polled), hall (timeout)",
        ),
        ("devices_reporting", seen(JUST_STARTED, DeviceState("hall", 0, 0, "")), Level.OK, "well: 2 of 2"),
        (  # a clock that was set back has it start in the future
            "devices_reporting",
            seen(replace(RUNS, running=Holder(pid=7, since=NOW_S + 3600, leased=True)), DeviceState("hall", 0, 0, "")),
            Level.WARNING,
            "1 of 2 devices gave no reading lately: hall (not polled)",
        ),
        (
            "devices_reporting",
            seen(JUST_STARTED, DeviceState("attic", 0, 0, ""), DeviceState("hall", 2, 0, "timeout")),
            Level.WARNING,
            "1 of 2 devices gave no reading lately: hall (timeout)",
        ),
        ("devices_themselves", seen(), Level.OK, "well: 2 of 2"),
        (
            "devices_themselves",
            seen(CollectorState(RUNS.running, notes={"hall": OF_ANOTHER, "attic": "odd"})),
            Level.WARNING,
            "1 of 2 devices are answered for by others: hall (another device answers at this address: it says that ",
        ),
        (
            "documents_known",
            seen(CollectorState(RUNS.running, notes={"hall": OF_ANOTHER})),
            Level.OK,
            "well: 2 of 2",
        ),
        ("outbox_draining", seen(), Level.OK, "0 polls wait"),
        ("outbox_draining", seen(waiting(9, NOW_MS - 60_000, error="away")), Level.OK, "9 polls wait"),
        (
            "outbox_draining",
            seen(waiting(9, NOW_MS - 180_000, error="away")),
            Level.FAILURE,
            "9 polls wait, the oldest since 2026-03-20T11:57:00Z: away",
        ),
        (
            "outbox_draining",
            seen(waiting(9, NOW_MS - 180_000)),
            Level.FAILURE,
            "9 polls wait, the oldest since 2026-03-20T11:57:00Z: no collector delivers them",
        ),
        ("polls_recorded", seen(), Level.OK, "what is polled is on the disk"),
        (
            "polls_recorded",
            seen(replace(RUNS, recording=Recording("no room", waiting=7))),
            Level.FAILURE,
            "7 polls wait in memory, as the disk refuses them: no room",
        ),
        (
            "polls_recorded",
            seen(replace(RUNS, recording=Recording(dropped=3, first=NOW_MS - 60_000, last=NOW_MS, at=NOW_S - 60))),
            Level.WARNING,
            "3 polls of the slots from 2026-03-20 11:59:00 to 2026-03-20 12:00:00 UTC are lost",
        ),
        ("polls_recorded", seen(replace(RUNS, recording=Recording(dropped=3, at=NOW_S - 90_000))), Level.OK, "what is"),
        ("outbox_whole", seen(), Level.OK, "none was damaged"),
        (
            "outbox_whole",
            seen(replace(RUNS, asides=(Aside("outbox.damaged-1.sqlite", saved=41, is_done=True),))),
            Level.WARNING,
            "it was damaged and set aside as outbox.damaged-1.sqlite, of which 41 polls were saved",
        ),
        ("quarantine_empty", seen(), Level.OK, "no poll was set aside"),
        ("quarantine_empty", seen(waiting(quarantined=3)), Level.WARNING, "the store will not take 3 polls"),
        ("configuration_valid", seen(), Level.OK, ""),
        ("documents_known", seen(), Level.OK, "well: 2 of 2"),
        (
            "documents_known",
            seen(CollectorState(RUNS.running, notes={"hall": "new", "attic": "odd"})),
            Level.WARNING,
            "2 of 2 devices send something that is not known: attic (odd), hall (new)",
        ),
    ],
)
def test_what_each_check_finds(check, of, level, text):
    one = found(check, of)
    assert one.level is level
    assert one.text.startswith(text)
    assert bool(one.remedy) is one.is_bad


def test_numbers_have_the_same_names_whatever_was_found():
    well, ill = seen(), seen(CollectorState(), DeviceState("hall", 6, 0, "timeout"))
    for check in checks_of("raw_readings"):
        assert found(check.name, well).numbers.keys() == found(check.name, ill).numbers.keys()
    assert found("devices_reporting", ill).numbers == {"devices": 2, "not_reporting": 1}


def test_an_external_collector_is_for_the_operator_to_start():
    one = found("collector_running", seen(CollectorState(has_begun=True), collector="external"))
    assert one.level is Level.FAILURE
    assert one.remedy.endswith("so start air-pipeline collect")


def test_nothing_passes_by_a_collector_that_runs_elsewhere():
    """What is in its outbox and memory cannot be looked at here; what reached the store can."""
    elsewhere = seen(CollectorState(), DeviceState("hall", 6, 0, "timeout"), collector="external")
    told = {one.check for one in summaries(checks_of("raw_readings"), elsewhere, NOW)}
    assert not told & {"collector_running", "outbox_draining", "polls_recorded", "outbox_whole", "quarantine_empty",
                       "documents_known", "devices_themselves"}  # fmt: skip
    assert {"devices_reporting", "configuration_valid"} <= told
    one = found("outbox_draining", elsewhere)
    assert one.level is Level.UNKNOWN
    assert "none ever ran here or told of itself through the store" in one.text


def test_a_mistake_in_the_configuration_is_told_with_its_place():
    one = found("configuration_valid", seen(mistake=SettingsError("devices.yaml:3: that will not do; write it so")))
    assert one.level is Level.WARNING
    assert one.text == "devices.yaml:3: that will not do (the last valid configuration is in force)"
    assert one.remedy == "write it so"


def test_several_mistakes_are_told_as_they_are():
    one = found("configuration_valid", seen(mistake=SettingsError("a.yaml:3: one; do this\na.yaml:4: two; do that")))
    assert one.text.startswith("a.yaml:3: one; do this\na.yaml:4: two; do that")
    assert one.remedy == "put it right"


def test_at_most_twenty_devices_are_named():
    devices = tuple(Device(f"d{number}", f"http://d{number}/", "Europe/Warsaw") for number in range(60))
    silent = [DeviceState(f"d{number}", 1, 0, "timeout") for number in range(50)]
    one = found("devices_reporting", seen(RUNS, *silent, devices=devices))
    assert one.text.startswith("50 of 60 devices gave no reading lately: ")
    assert one.text.count("(timeout)") == 20
    assert one.text.endswith(" and 30 more")
    assert one.remedy.endswith("ask it: air-pipeline poll")


def test_a_device_that_is_not_polled_is_neither_well_nor_unwell():
    over = Device("attic", "http://attic/", "Europe/Warsaw", until=date(2026, 3, 1))
    [reporting] = [one for one in CHECKS if one.name == "devices_reporting"]
    assert [one.subject for one in reporting.findings(seen(devices=(over, DEVICES[1])))] == ["hall"]


def test_before_anything_was_started_the_missing_collector_is_no_failure(tmp_path):
    nothing = Seen(read_environment({"AIR_PIPELINE_STATE": str(tmp_path)}), NOW, Settings("UTC", NOW.date(), DEVICES))
    assert found("collector_running", nothing).level is Level.WARNING


def test_where_no_device_is_polled_that_is_said_and_is_well():
    over = Device("attic", "http://attic/", "Europe/Warsaw", until=date(2026, 3, 1))
    assert found("devices_reporting", seen(devices=(over,))).text == "no device is polled now"


def test_whether_a_collector_runs_is_known_though_its_outbox_cannot_be_read(tmp_path):
    environment = read_environment({"AIR_PIPELINE_STATE": str(tmp_path)})
    environment.state.outbox.write_bytes(b"no database " * 1000)
    damaged = Seen(environment, NOW, Settings("UTC", NOW.date(), DEVICES))
    assert (found("collector_running", damaged).level, found("outbox_draining", damaged).level) == (Level.FAILURE,) * 2
    assert "damaged or no SQLite file" in found("outbox_draining", damaged).text

"""Faults: what each makes of a document, and when a script lets it happen."""

import pytest

from air_pipeline.catalogue import STATION
from air_pipeline.devices.document import read_document
from air_pipeline.devices.polls import Flag, Outcome
from air_pipeline.devices.simulator import Fault, Flaky, Profile, document_at, read_script
from air_pipeline.settings import Device

DEVICE = Device("a", "http://192.168.1.32/circumstances", "Europe/Warsaw")
PROFILE = Profile("a", 1)
NOW_MS = 1_780_000_000_000


def read(fault, **options):
    return read_document(document_at(PROFILE, NOW_MS, Fault(fault, options, NOW_MS / 1000 - 3600)), DEVICE)


@pytest.mark.parametrize(
    ("fault", "outcome", "problems"),
    [
        ("boot", Outcome.PARTIAL, 12),
        ("dht22_frozen", Outcome.OK, 0),
        ("ds18b20_probes", Outcome.OK, 0),
        ("bmp180_garbage", Outcome.OK, 0),
        ("mq135_off", Outcome.OK, 0),
        ("nan", Outcome.PARTIAL, 2),
        ("inf", Outcome.PARTIAL, 6),
        ("missing_sensor", Outcome.PARTIAL, 2),
        ("unknown_sensor", Outcome.OK, 0),
        ("renamed_top_level", Outcome.OK, 0),
        ("bom", Outcome.OK, 0),
        ("text_plain", Outcome.OK, 0),
        ("login_page", Outcome.REJECTED, 0),
        ("empty", Outcome.REJECTED, 0),
        ("truncated_json", Outcome.REJECTED, 0),
        ("two_documents", Outcome.REJECTED, 0),
        ("invalid_utf8", Outcome.PARTIAL, 2),
    ],
)
def test_a_fault_of_the_document_has_its_outcome(fault, outcome, problems):
    document = read(fault)
    assert (document.outcome, len(document.problems)) == (outcome, problems)


def test_the_payload_of_the_boot_is_the_firmwares():
    document = read("boot")
    assert document.values == {"ds18b20_temperature": 0.0}
    assert {(problem.value, problem.flag) for problem in document.problems} == {("", Flag.MISSING)}


def test_a_frozen_dht22_shows_the_values_of_its_last_good_moment():
    frozen, then = read("dht22_frozen"), read_document(document_at(PROFILE, NOW_MS - 3_600_000), DEVICE)
    now = read_document(document_at(PROFILE, NOW_MS), DEVICE)
    assert frozen.values["dht22_humidity"] == then.values["dht22_humidity"] != now.values["dht22_humidity"]
    assert frozen.values["bmp180_pressure"] == now.values["bmp180_pressure"]


@pytest.mark.parametrize("dropped", range(9))
def test_dropped_probes_count_as_minus_127(dropped):
    true = read_document(document_at(PROFILE, NOW_MS), DEVICE).values["ds18b20_temperature"]
    mean = read("ds18b20_probes", dropped=dropped).values["ds18b20_temperature"]
    assert mean == pytest.approx(true - dropped * (127 + true) / 8, abs=0.0051)


def test_a_probe_that_was_reset_shows_85():
    true = read_document(document_at(PROFILE, NOW_MS), DEVICE).values["ds18b20_temperature"]
    assert read("ds18b20_probes", instead=85.0).values["ds18b20_temperature"] == pytest.approx(
        true + (85 - true) / 8, abs=0.0051
    )


def test_a_gas_sensor_that_is_off_shows_zeros_and_400():
    values = read("mq135_off").values
    assert [values[p.series] for p in STATION if p.sensor == "mq135"] == [0.0, 400.0, 0.0, 0.0, 0.0, 0.0]


def test_an_unknown_fault_or_option_is_refused_by_name():
    with pytest.raises(ValueError, match=r"no fault is called 'rain'; there are: refuse, hang"):
        Fault("rain")
    with pytest.raises(ValueError, match=r"'slow' has no option 'minutes'; it has: seconds"):
        Fault("slow", {"minutes": 3})


SCRIPT = """
- {device: a, after: 60, for: 120, fault: hang}
- {device: "*", at: 2026-11-21T08:00:00Z, for: 3600, fault: ds18b20_probes, options: {dropped: 2}}
- {device: a, at: 2026-11-21T08:10:00Z, for: 6, fault: boot}
"""
EIGHT_S = 1_795_248_000.0  # 2026-11-21T08:00:00Z


def test_a_script_says_what_is_wrong_and_since_when():
    script = read_script(SCRIPT)

    def name(device, time_s):
        fault = script.fault_at(device, time_s, started_s=1000.0)
        return fault and fault.name

    assert [name("a", 1000.0 + after) for after in (0, 59.9, 60, 179.9, 180)] == [None, None, "hang", "hang", None]
    assert name("b", 1100.0) is None
    fault = script.fault_at("b", EIGHT_S + 5)
    assert (fault.name, fault.option("dropped"), fault.since_s) == ("ds18b20_probes", 2, EIGHT_S)
    assert name("b", EIGHT_S - 1) is None
    assert name("b", EIGHT_S + 3600) is None
    assert name("a", EIGHT_S + 601) == "boot"
    assert name("b", EIGHT_S + 601) == "ds18b20_probes"


def test_a_script_knows_when_a_device_started():
    script = read_script(SCRIPT)
    assert script.booted_at("a", EIGHT_S) is None
    assert script.booted_at("a", EIGHT_S + 7000) == EIGHT_S + 600
    assert script.booted_at("b", EIGHT_S + 7000) is None


def test_an_empty_script_is_a_script():
    assert read_script("").fault_at("a", 0.0) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no YAML"),
        ("a: b", "a list of entries"),
        ("- 3", "entry 1 of the script is no mapping"),
        ("- {fault: hang}\n- {fault: rain}", "entry 2 of the script: no fault is called 'rain'"),
        ("- {fault: 3}", "fault is to be a name"),
        ("- {device: a}", "fault is to be a name"),
        ("- {fault: hang, options: 3}", "options a mapping"),
        ("- {fault: hang, afterwards: 3}", "afterwards is not known; there are: after, at, device"),
        ("- {fault: hang, after: soon}", "after is to be a number of seconds, not 'soon'"),
        ("- {fault: hang, for: -1}", "for is to be a number of seconds, not -1"),
        ("- {fault: hang, at: soon}", "at is to be a UTC time such as"),
        ("- {fault: hang, at: 2026-11-21, after: 3}", "not both"),
    ],
)
def test_a_mistake_in_a_script_is_named_with_its_place(text, words):
    with pytest.raises(ValueError, match=words):
        read_script(text)


def test_flaky_devices_fail_as_often_as_said_and_repeatably():
    flaky = Flaky(0.2, seed=4, faults=("hang", "nan"))
    faults = [flaky.fault_at("a", 10.0 * slot) for slot in range(5000)]
    names = [fault.name for fault in faults if fault]
    assert 0.17 < len(names) / 5000 < 0.23
    assert 0.4 < names.count("nan") / len(names) < 0.6
    assert faults == [flaky.fault_at("a", 10.0 * slot) for slot in range(5000)]
    assert faults != [Flaky(0.2, seed=5, faults=("hang", "nan")).fault_at("a", 10.0 * slot) for slot in range(5000)]
    assert Flaky(0.0).fault_at("a", 0.0) is None
    assert Flaky(1.0).fault_at("a", 0.0) is not None

"""What `devices.yaml` says, and what holds where it says nothing."""

from datetime import date, time, timedelta
from types import MappingProxyType

import pytest

from air_pipeline.catalogue import STATION, Parameter
from air_pipeline.settings import Device, Settings, SettingsError
from air_pipeline.settings.calibration import Calibration
from air_pipeline.settings.file import parse_settings, read_settings
from air_pipeline.settings.notify import Email, Notify
from air_pipeline_tests.settings.files import DESIGN, NOTIFY, ONE, TWO, mistake, only_device


def test_who_is_told_is_exactly_this():
    said = NOTIFY.replace("22:00-", "23:30 - ").replace("08:00", "23:00")
    assert parse_settings(ONE + said).notify == Notify(
        webhooks=("https://example.org/hook",),
        email=Email(("me@example.org",), "air@example.org", "smtp.example.org", 587, "starttls", "me"),
        quiet_hours=(time(23, 30), time(7)),
        in_quiet_hours="nothing",
        digest=time(23),
        wait=timedelta(seconds=90),
    )
    assert parse_settings(ONE).notify is None


def test_what_notify_leaves_out_has_its_default():
    assert parse_settings(ONE + "notify: {webhook: $AIR_HOOK}\n").notify == Notify(
        ("$AIR_HOOK",), None, None, "grave", None, timedelta(minutes=5)
    )


@pytest.mark.parametrize(
    ("server", "meant"),
    [
        ("smtp.example.org", ("smtp.example.org", 587, "starttls")),
        ("smtp.example.org:25", ("smtp.example.org", 25, "starttls")),
        ("smtps://smtp.example.org", ("smtp.example.org", 465, "tls")),
        ("plain://localhost", ("localhost", 25, "plain")),
        ("plain://[::1]:1025", ("::1", 1025, "plain")),
    ],
)
def test_a_mail_server_is_reached_unencrypted_only_when_said(server, meant):
    email = parse_settings(ONE + f"notify: {{email: {{to: a@b.c, from: d@e.f, server: '{server}'}}}}\n").notify.email
    assert (email.host, email.port, email.security) == meant


def test_no_address_of_a_webhook_is_in_a_text():
    address = "https://example.org/very-secret"
    assert "secret" not in repr(parse_settings(ONE + f"notify: {{webhook: {address}}}\n"))
    for wrong in (address + " ", address.replace("//", "//me:pass@"), "ftp://very-secret"):
        assert "very-secret" not in mistake(ONE + f"notify: {{webhook: '{wrong}'}}\n")


@pytest.mark.parametrize(
    ("clock", "over_midnight", "by_day"),
    [(time(21, 59), 0, 0), (time(22), 1, 0), (time(6, 59), 1, 0), (time(7), 0, 0), (time(12), 0, 1), (time(13), 0, 0)],
)
def test_quiet_hours_may_go_over_midnight(clock, over_midnight, by_day):
    assert Notify(quiet_hours=(time(22), time(7))).is_quiet(clock) is bool(over_midnight)
    assert Notify(quiet_hours=(time(12), time(13))).is_quiet(clock) is bool(by_day)
    assert not Notify().is_quiet(clock)


def test_the_full_example_says_exactly_this():
    assert parse_settings(DESIGN) == Settings(
        timezone="Europe/Warsaw",
        start=date(2026, 11, 1),
        grace=timedelta(minutes=15),
        collector="dagster",
        devices=(
            Device("living-room", "http://192.168.1.32/circumstances", "Europe/Warsaw"),
            Device(
                "garage",
                "http://192.168.1.33/circumstances",
                "Asia/Tokyo",
                interval_ms=10_000,
                timeout_s=5.0,
                since=date(2026, 11, 5),
                until=date(2027, 3, 1),
                payload_key="nodemcu",
                parameters=(
                    *(parameter for parameter in STATION if parameter.sensor == "dht22"),
                    Parameter("sds011", "pm25", "µg/m³", "PM2.5", (0.0, 999.9)),
                ),
                expected_range={"dht22_temperature": (5.0, 40.0)},
                thresholds={"sds011_pm25": 25.0},
                rules={"dht22_temperature": {"max_rate": 0.5}},
                warm_up=timedelta(hours=48),
            ),
        ),
    )


def test_a_limit_of_the_catalogue_is_replaced_or_off_and_a_series_without_one_is_given_one():
    lines = "{dht22_temperature: {max_rate: 2, frozen: off}, bmp180_altitude: {max_spike: 5}}"
    limits = parse_settings(ONE + f"    rules: {lines}\n").devices[0].limits
    usual = parse_settings(ONE).devices[0].limits
    assert usual["dht22_temperature"] == {"max_rate": 0.5, "max_spike": 3.0, "max_apart": 5.0, "frozen": 0.1}
    assert limits["dht22_temperature"] == {"max_rate": 2.0, "max_spike": 3.0, "max_apart": 5.0}
    assert (usual["bmp180_altitude"], limits["bmp180_altitude"]) == ({}, {"max_spike": 5.0})


def test_thermometers_are_compared_by_themselves_only_where_they_are_those_of_the_station():
    device = parse_settings(ONE + "    sensors: {dht22: [temperature], ds18b20: [temperature]}\n").devices[0]
    assert all("max_apart" not in limits for limits in device.limits.values())


def test_what_is_left_out_has_its_default():
    assert parse_settings(ONE) == Settings(
        timezone="Europe/Warsaw",
        start=date(2026, 11, 1),
        grace=timedelta(minutes=15),
        collector="dagster",
        devices=(
            Device(
                "hall",
                "http://10.0.0.1/circumstances",
                "Europe/Warsaw",
                interval_ms=10_000,
                timeout_s=5.0,
                since=None,
                until=None,
                payload_key=None,
                parameters=STATION,
                expected_range={},
                thresholds={},
                rules={},
                warm_up=timedelta(hours=48),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("said", "interval_ms", "timeout_s"),
    [
        ("", 10_000, 5.0),
        ("interval: 2s", 2_000, 2.0),
        ("interval: 5s", 5_000, 5.0),
        ("interval: 1h", 3_600_000, 5.0),
        ("timeout: 8s", 10_000, 8.0),
        ("interval: 2s\ntimeout: 8s", 2_000, 8.0),
        ("    interval: 2s", 2_000, 2.0),
        ("    timeout: 700ms", 10_000, 0.7),
        ("    interval: 3s\ninterval: 1m\ntimeout: 4s", 3_000, 4.0),
        ("    timeout: 1s\ntimeout: 4s", 10_000, 1.0),
    ],
)
def test_the_timeout_is_5_s_or_the_interval_whichever_is_less_unless_said(said, interval_ms, timeout_s):
    device = only_device(ONE + said + "\n")
    assert (device.interval_ms, device.timeout_s) == (interval_ms, timeout_s)


def test_the_settings_of_all_devices_hold_where_a_device_says_nothing():
    devices = parse_settings(TWO + "    timezone: Asia/Tokyo\n    interval: 1m\ninterval: 30s\n").devices
    assert [(device.timezone, device.interval_ms) for device in devices] == [
        ("Europe/Warsaw", 30_000),
        ("Asia/Tokyo", 60_000),
    ]


def test_settings_cannot_be_changed():
    parsed = parse_settings(DESIGN)
    device = parsed.devices[1]
    with pytest.raises(AttributeError):
        parsed.timezone = "UTC"
    with pytest.raises(AttributeError):
        device.since = None
    for mapping in (device.thresholds, device.expected_range, device.rules, device.rules["dht22_temperature"]):
        assert isinstance(mapping, MappingProxyType)


def test_words_that_yaml_1_1_takes_for_booleans_are_words():
    device = only_device(ONE.replace("hall", "on") + "    sensors: {mics: {no: {unit: ppb}}}\n")
    assert device.id == "on"
    assert [parameter.series for parameter in device.parameters] == ["mics_no"]


def test_the_line_that_a_device_report_proposes_can_be_added():
    device = only_device(ONE + "    sensors: {SDS011: {pm25: {key: PM2.5, unit: µg/m³}}}\n")
    assert [(p.sensor, p.key, p.series) for p in device.parameters] == [("SDS011", "PM2.5", "SDS011_pm25")]


def test_a_known_parameter_keeps_what_is_not_said_otherwise():
    device = only_device(ONE + "    sensors: {dht22: {humidity: {sensor_range: [5, 95]}, temperature: }}\n")
    known = {parameter.series: parameter for parameter in STATION}
    humidity, temperature = device.parameters
    assert temperature == known["dht22_temperature"]
    assert humidity.sensor_range == (5.0, 95.0)
    assert (humidity.key, humidity.unit, humidity.resolution) == ("humidity", "%", 0.1)


def test_a_device_can_take_over_what_another_one_says():
    text = ONE.replace("- id", "- &hall\n    id") + "    interval: 1m\n    timeout: 2s\n"
    first, second = parse_settings(text + "  - {<<: *hall, id: attic, url: http://b/, timeout: 3s}\n").devices
    assert (first.id, first.interval_ms, first.timeout_s) == ("hall", 60_000, 2.0)
    assert (second.id, second.interval_ms, second.timeout_s) == ("attic", 60_000, 3.0)


def test_a_mistake_in_what_overrides_is_shown_where_it_is():
    text = ONE.replace("- id", "- &hall\n    id") + "    timeout: 2s\n"
    said = mistake(text + "  - <<: *hall\n    id: attic\n    url: http://b/\n    timeout: 3\n")
    assert said.startswith("devices.yaml:11: devices[2].timeout: 3 is not a duration")


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter():
    assert parse_settings("\ufeff" + DESIGN.replace("\n", "\r\n")) == parse_settings(DESIGN)


def test_means_of_shared_parameters_have_ranges_and_thresholds_too():
    device = only_device(ONE + "    expected_range: {temperature: [5, 40]}\n    thresholds: {temperature: 30}\n")
    assert device.expected_range == {"temperature": (5.0, 40.0)}
    assert device.thresholds == {"temperature": 30.0}


def test_a_series_is_calibrated_from_local_times_on_and_gives_a_series_of_its_own():
    entries = """
      temperature:
        - {since: 2026-11-05, gain: 0.92, offset: 1.1, reason: beside the reference}
        - {since: 2026-11-07T12:00, gain: 1.02, reason: again}
        - {since: 2026-11-08T12:00+05:00, offset: -1, reason: after the repair}
      dht22_humidity: {since: 2026-11-06, gain: -1, reason: wired the wrong way round}
"""
    one = only_device(ONE + f"    timezone: Asia/Tokyo\n    calibrate:{entries}")
    hour = 3_600_000
    midnight = 1_793_804_400_000  # of 2026-11-05 in Tokyo
    assert one.calibrations == {
        "temperature": (
            Calibration(midnight, 0.92, 1.1, "beside the reference"),
            Calibration(midnight + 60 * hour, 1.02, 0.0, "again"),
            Calibration(midnight + 88 * hour, 1.0, -1.0, "after the repair"),
        ),
        "dht22_humidity": (Calibration(midnight + 24 * hour, -1.0, 0.0, "wired the wrong way round"),),
    }
    assert one.units["temperature_calibrated"] == "°C"
    assert one.units["dht22_humidity_calibrated"] == "%"
    assert one.digest != only_device(ONE + "    timezone: Asia/Tokyo\n").digest


def test_the_example_that_is_to_be_copied_is_valid(pytestconfig):
    example_file = read_settings(pytestconfig.rootpath / "devices.example.yaml")
    assert [device.id for device in example_file.devices] == ["living-room"]


@pytest.mark.parametrize(
    ("url", "variables", "filled"),
    [
        ("http://admin:$PASSWORD@a/c", {"PASSWORD": "p@ss/w:rd"}, "http://admin:p%40ss%2Fw%3Ard@a/c"),
        ("$STATION", {"STATION": "http://me:pw@a:81/c"}, "http://me:pw@a:81/c"),
        ("http://a/c?key=$KEY&x=%24KEY", {"KEY": "1 2"}, "http://a/c?key=1%202&x=%24KEY"),
        ("http://a/c", {}, "http://a/c"),
    ],
)
def test_an_address_may_name_variables_of_the_environment(url, variables, filled):
    text = f"{{timezone: UTC, start: 2026-11-01, devices: [{{id: a, url: '{url}'}}]}}"
    (device,) = parse_settings(text, variables=variables).devices
    assert device.url == filled
    assert all(value not in repr(device) for value in variables.values())


@pytest.mark.parametrize(
    ("url", "variables", "words"),
    [
        ("http://admin:$PASSWORD@a/c", {}, "$PASSWORD of the environment is not set"),
        ("$STATION", {"STATION": "me:hunter2@a"}, "is no address with what the environment says of its $NAME"),
    ],
)
def test_a_variable_that_is_not_set_or_no_address_is_named_and_not_shown(url, variables, words):
    text = f"timezone: UTC\nstart: 2026-11-01\ndevices:\n  - {{id: a, url: '{url}'}}"
    with pytest.raises(SettingsError) as raised:
        parse_settings(text, variables=variables)
    assert f"devices.yaml:4: devices[1].url: {words}" in str(raised.value)
    assert "hunter2" not in str(raised.value)

import json
from datetime import date, time, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import air_pipeline.settings.yaml
from air_pipeline.catalogue import STATION, Parameter
from air_pipeline.settings import Device, Settings, SettingsError
from air_pipeline.settings.calibration import Calibration
from air_pipeline.settings.file import parse_settings, read_settings, settings_text
from air_pipeline.settings.notify import Email, Notify

DESIGN = """\
timezone: Europe/Warsaw      # required
start: 2026-11-01            # required: the first local date to build; earlier when history is imported
interval: 10s                # 1s … 1h; default 10s
timeout: 5s                  # the whole exchange; default: 5s or the interval, whichever is less
grace: 15m                   # after the end of the last device's day
collector: dagster           # or external: something else runs `air-pipeline collect`
devices:
  - id: living-room          # [a-z0-9][a-z0-9_-]{0,62}
    url: http://192.168.1.32/circumstances
  - id: garage
    url: http://192.168.1.33/circumstances
    timezone: Asia/Tokyo     # optional, as all that follows; interval and timeout too
    since: 2026-11-05        # expected from its first poll, or from here, until:
    until: 2027-03-01
    payload_key: nodemcu     # which top-level object, where a document has several
    sensors:                 # what this device has, if not the five parts of the NodeMCU station
      dht22: [temperature, humidity]
      sds011:                # a sensor that the catalogue does not know
        pm25: {key: PM2.5, unit: µg/m³, sensor_range: [0, 999.9]}
    expected_range: {dht22_temperature: [5, 40]}   # outside: suspect
    thresholds: {sds011_pm25: 25}                  # for exceedance minutes
    rules: {dht22_temperature: {max_rate: 0.5}}    # overrides of the catalogue's rule parameters
    warm_up: 48h             # gases after a recognized reboot
"""

NOTIFY = """\
notify:
  webhook: https://example.org/hook
  email: {to: [me@example.org], from: air@example.org, server: smtp.example.org:587, user: me}
  quiet_hours: 22:00-07:00
  in_quiet_hours: nothing
  digest: 08:00
  wait: 90s
"""

# Five lines: what is appended stands from line 6 on, indented in the device.
ONE = """\
timezone: Europe/Warsaw
start: 2026-11-01
devices:
  - id: hall
    url: http://10.0.0.1/circumstances
"""
TWO = ONE + "  - id: attic\n    url: http://10.0.0.2/circumstances\n"


def mistake(text):
    with pytest.raises(SettingsError) as raised:
        parse_settings(text)
    return str(raised.value)


def only_device(text):
    (device,) = parse_settings(text).devices
    return device


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


MISTAKES = [
    # The file as a whole.
    ("", 1, "is not a mapping of settings; begin with a line such as timezone: Europe/Warsaw"),
    ("- hall\n", 1, "is not a mapping of settings; begin with"),
    ("devices: [\n", 2, "is not valid YAML: expected the node content, but found '<stream end>'; look at colons"),
    ("timezone: a: b\n", 1, "is not valid YAML: mapping values are not allowed here"),
    (ONE + "\tgrace: 1m\n", 6, "is not valid YAML: found character '\\t' that cannot start any token"),
    (ONE + "# \x07\n", 6, "is not valid YAML: it has the character '\\x07'"),
    (ONE + "---\n" + ONE, 6, "is not valid YAML: but found another document"),
    (ONE + "start: 2026-11-02\n", 6, "is not valid YAML: the key 'start' is there twice; keep one"),
    (ONE + "    id: porch\n", 6, "is not valid YAML: the key 'id' is there twice; keep one"),
    (ONE + "1: 2\n", 6, "is not valid YAML: the key '1' is not a text; put it in quotes"),
    (ONE + "[a]: 2\n", 6, "is not valid YAML: the key something is not a text; put it in quotes"),
    (ONE + "grace: !!python/name:os.system\n", 6, "could not determine a constructor for the tag"),
    (ONE + "grace: !!int x\n", 6, "is not valid YAML: found no number"),
    (ONE + "grace: " + "9" * 5000 + "\n", 6, "is not valid YAML: found no number"),
    (ONE + "grace: !!map x\n", 6, "is not valid YAML: expected a mapping node, but found scalar"),
    (ONE + "grace: *nowhere\n", 6, "is not valid YAML: found undefined alias 'nowhere'"),
    (ONE + "grace: &a [*a]\n", 6, "grace: [[[...]]] is not a duration"),
    (ONE + "grace: " + "[" * 5_000 + "\n", 6, "is not valid YAML: it is nested too deeply"),
    (ONE + "grace: " + "[" * 40 + "]" * 40 + "\n", 6, "grace: [[[...]]] is not a duration"),
    # What is missing and what is unknown.
    (ONE.replace("timezone: Europe/Warsaw", ""), 1, "timezone is missing; add timezone: Europe/Warsaw"),
    (ONE.replace("start: 2026-11-01", ""), 1, "start is missing; add start: 2026-11-01"),
    (ONE.split("devices", maxsplit=1)[0], 1, "devices is missing; add devices: and below it - id: … with its url: …"),
    (TWO.replace("    url: http://10.0.0.2/circumstances\n", ""), 6, "devices[2]: url is missing; add url: http://"),
    (TWO.replace("id: attic\n    ", ""), 6, "devices[2]: id is missing; add id: living-room"),
    (ONE + "grase: 1m\n", 6, "grase: unknown key; did you mean grace?"),
    (ONE + "    intervall: 1m\n", 6, "devices[1].intervall: unknown key; did you mean interval?"),
    (ONE + "    TimeZone: UTC\n", 6, "devices[1].TimeZone: unknown key; did you mean timezone?"),
    (ONE + "zzz: red\n", 6, "zzz: unknown key; known are: timezone, start, interval, timeout, grace, collector"),
    (
        ONE + "    zzz: red\n",
        6,
        "devices[1].zzz: unknown key; known are: id, url, kind, identity, timezone, interval, timeout",
    ),
    (ONE + '"a\\nb": red\n', 6, "'a\\nb': unknown key"),
    # Who is told.
    (ONE + "notify: {}\n", 6, "notify: names nobody to tell; add webhook: https://example.org/hook, or email:"),
    (ONE + "notify: 7\n", 6, "notify: is not a mapping; write notify: {webhook: https://example.org/hook}"),
    (ONE + "notify: {webhok: x}\n", 6, "notify.webhok: unknown key; did you mean webhook?"),
    (ONE + "notify:\n  webhook: example.org\n", 7, "notify.webhook[1]: is not an address; write it as https://"),
    (ONE + "notify: {webhook: [https://u:p@a/]}\n", 6, "notify.webhook[1]: has a user or password in it; put the"),
    (ONE + "notify: {webhook: $A-B}\n", 6, "notify.webhook[1]: '$A-B' is not a variable of the environment; write"),
    (ONE + "notify: {webhook: [$A, $A]}\n", 6, "notify.webhook: has the same address twice; keep one"),
    (ONE + NOTIFY.replace("to: [me@", "to: [me"), 8, "notify.email.to[1]: 'meexample.org' is not a mail address"),
    (ONE + NOTIFY.replace("[me@example.org]", "[]"), 8, "notify.email.to: names nobody; add to: me@example.org"),
    (ONE + NOTIFY.replace("user: ", "usr: "), 8, "notify.email.usr: unknown key; did you mean user?"),
    (ONE + NOTIFY.replace(" from: air@example.org,", ""), 8, "notify.email: from is missing; add from: air@"),
    (ONE + NOTIFY.replace("server: ", "server: smtp://"), 8, "'smtp' is none of the ways to a mail server; write smtp"),
    (ONE + NOTIFY.replace(":587", ":0"), 8, "notify.email.server: 'smtp.example.org:0' is not a mail server; write"),
    (ONE + NOTIFY.replace("server: ", "server: plain://"), 8, "notify.email.user: a password would travel unencrypted"),
    (ONE + NOTIFY.replace("-07:00", "-7"), 9, "notify.quiet_hours: '22:00-7' is not a part of the day; write it as"),
    (ONE + NOTIFY.replace("-07:00", "-22:00"), 9, "notify.quiet_hours: '22:00-22:00' is empty; write two different"),
    (ONE + NOTIFY.replace("nothing", "grav"), 10, "notify.in_quiet_hours: 'grav' is none of grave, nothing; did you"),
    (ONE + NOTIFY.replace(" 08:00", " 24:00"), 11, "notify.digest: '24:00' is not a time of day; write it as 08:00"),
    (ONE + NOTIFY.replace("08:00", "23:00"), 11, "notify.digest: 23:00 is inside quiet_hours; choose a time outside"),
    (ONE + NOTIFY.replace("90s", "2d"), 12, "notify.wait: '2d' is out of bounds; write something from 0s to 1d"),
    # Zones, dates, durations, choices.
    (
        ONE.replace("Europe/Warsaw", "Europe/Warsw"),
        1,
        "timezone: 'Europe/Warsw' is not an IANA time zone; did you mean",
    ),
    (ONE.replace("Europe/Warsaw", "europe/warsaw"), 1, "is not an IANA time zone; did you mean Europe/Warsaw?"),
    (ONE.replace("Europe/Warsaw", "+01:00"), 1, "'+01:00' is not an IANA time zone; write one such as Europe/Warsaw"),
    (ONE.replace("Europe/Warsaw", "../zone"), 1, "'../zone' is not an IANA time zone"),
    (ONE.replace("Europe/Warsaw", "localtime"), 1, "'localtime' is not an IANA time zone"),
    (ONE.replace("Europe/Warsaw", "right/UTC"), 1, "'right/UTC' is not an IANA time zone; did you mean"),
    (ONE + "    timezone: [a]\n", 6, "devices[1].timezone: ['a'] is not an IANA time zone"),
    (ONE.replace("2026-11-01", "2026-11-31"), 2, "start: '2026-11-31' is not a date; write it as 2026-11-01"),
    (ONE.replace("2026-11-01", "20261101"), 2, "start: 20261101 is not a date"),
    (ONE.replace("2026-11-01", "2026-W44-7"), 2, "start: '2026-W44-7' is not a date"),
    (ONE.replace("2026-11-01", "1969-12-31"), 2, "start: 1969-12-31 is out of bounds; write a date from 1970-01-01 to"),
    (ONE + "    until: 9999-12-31\n", 6, "devices[1].until: 9999-12-31 is out of bounds"),
    (ONE + "    since: |\n      a\n      b\n", 6, "devices[1].since: 'a\\nb\\n' is not a date"),
    (ONE + "interval: 10\n", 6, "interval: 10 is not a duration; write a number and a unit, such as 10s, 15m or 48h"),
    (ONE + "interval: 1:30\n", 6, "interval: '1:30' is not a duration"),
    (ONE + "interval: ١٠s\n", 6, "interval: '١٠s' is not a duration"),
    (ONE + "interval: 999ms\n", 6, "interval: '999ms' is out of bounds; write something from 1s to 1h"),
    (ONE + "    interval: 3601s\n", 6, "devices[1].interval: '3601s' is out of bounds; write something from 1s to 1h"),
    (ONE + f"    interval: {'9' * 400}h\n", 6, "is out of bounds; write something from 1s to 1h"),
    (ONE + "    timeout: 0s\n", 6, "devices[1].timeout: '0s' is out of bounds; write something from 100ms to 1h"),
    (ONE + "grace: -1m\n", 6, "grace: '-1m' is not a duration"),
    (ONE + "grace: 8d\n", 6, "grace: '8d' is out of bounds; write something from 0s to 7d"),
    (ONE + "    warm_up: 49h\n", 6, "devices[1].warm_up: '49h' is out of bounds; write something from 0s to 48h"),
    (ONE + "collector: externel\n", 6, "collector: 'externel' is none of dagster, external; did you mean external?"),
    (ONE + "collector: {}\n", 6, "collector: {} is none of dagster, external"),
    # Devices and their addresses.
    (ONE.split("devices", maxsplit=1)[0] + "devices:\n", 3, "devices: is not a list; begin each device with - id: …"),
    (ONE.split("devices", maxsplit=1)[0] + "devices: []\n", 3, "devices: there is none; add - id: living-room"),
    (ONE + "  - attic\n", 6, "devices[2]: is not a device; begin it with - id: … and add its url: …"),
    (ONE.replace("hall", "Hall"), 4, "devices[1].id: 'Hall' is not a device id; use at most 63 of a-z, 0-9, _ and -"),
    (ONE.replace("hall", "a" * 64), 4, "is not a device id; use at most 63"),
    (ONE.replace("hall", "12"), 4, "devices[1].id: 12 is not a text for YAML; put it in quotes"),
    (TWO.replace("attic", "hall"), 6, "devices[2].id: 'hall' is also device 1; give each its own id"),
    (
        ONE.replace("http://", ""),
        5,
        "devices[1].url: '10.0.0.1/circumstances' is not an address; write it as http://192",
    ),
    (ONE.replace("http", "ftp"), 5, "is not an address"),
    (ONE.replace("10.0.0.1", "10.0.0.1:99999"), 5, "is not an address"),
    (ONE.replace("10.0.0.1", ""), 5, "is not an address"),
    (ONE.replace("10.0.0.1", "a..b"), 5, "is not an address"),
    (ONE.replace("10.0.0.1", "[::1"), 5, "is not an address"),
    (ONE.replace("10.0.0.1", "a b"), 5, "is not an address"),
    (ONE.replace("10.0.0.1", "²"), 5, "is not an address"),
    (
        TWO.replace("10.0.0.2", "10.0.0.1"),
        7,
        "devices[2].url: http://10.0.0.1/circumstances is also the address of 'hall'",
    ),
    (TWO.replace("10.0.0.2", "10.0.0.1:80"), 7, "is also the address of 'hall'; poll each device once"),
    (ONE + "    since: 2026-11-05\n    until: 2026-11-05\n", 7, "2026-11-05 is not after since (2026-11-05)"),
    (
        ONE + "    payload_key: 5\n",
        6,
        "devices[1].payload_key: 5 is not a text; put it in quotes, as the device spells it",
    ),
    (ONE.replace("10.0.0.1", "küche.test"), 5, "its name is not ASCII: write it as xn--kche-0ra.test"),
    # Sensors and units.
    (ONE + "    sensors: {}\n", 6, "devices[1].sensors: there is none; name some, or leave sensors out for the usual"),
    (ONE + "    sensors: [dht22]\n", 6, "devices[1].sensors: is not a mapping; write sensors: {dht22: [temperature"),
    (ONE + "    sensors:\n      dht_22: [humidity]\n", 7, "sensors.dht_22: 'dht_22' is not a sensor id; use"),
    (
        ONE + "    sensors:\n      dht22: []\n",
        7,
        "sensors.dht22: names no parameters; write them as [temperature, humidity]",
    ),
    (
        ONE + "    sensors:\n      dht22: [tempreature]\n",
        7,
        "dht22.tempreature: the catalogue does not know this parameter",
    ),
    (ONE + "    sensors:\n      dht22: [tempreature]\n", 7, "did you mean temperature?"),
    (
        ONE + "    sensors:\n      sds011: [pm25]\n",
        7,
        "sds011.pm25: the catalogue does not know this parameter of sds011",
    ),
    (ONE + "    sensors:\n      sds011: [pm25]\n", 7, "say its unit: {pm25: {unit: …}}"),
    (ONE + "    sensors:\n      sds011:\n        pm25: {key: PM2.5}\n", 8, "say its unit: {pm25: {unit: …}}"),
    (ONE + "    sensors:\n      sds011:\n        pm25: {unit: 5}\n", 8, "pm25: unit: 5 is not a text"),
    (
        ONE + "    sensors:\n      sds011:\n        pm25: {unite: a}\n",
        8,
        "pm25: unknown key 'unite'; did you mean unit?",
    ),
    (ONE + "    sensors:\n      sds011:\n        pm25: µg/m³\n", 8, "pm25: is not a mapping; write it as {key: PM2.5"),
    (
        ONE + "    sensors:\n      sds011:\n        PM25: {unit: a}\n",
        8,
        "'PM25' is not a parameter name; use at most 40 of",
    ),
    (ONE + "    sensors:\n      a:\n        b: {unit: c, resolution: 0}\n", 8, "resolution: 0 is not more than 0"),
    (ONE + "    sensors:\n      a:\n        b: {unit: c, sensor_range: [2, 1]}\n", 8, "sensor_range: [2, 1] is empty"),
    (
        ONE + "    sensors:\n      a:\n        b: {unit: c, sensor_range: [1]}\n",
        8,
        "[1] is not a range; write it as [5, 40]",
    ),
    (
        ONE + "    sensors:\n      a:\n        b: {unit: c}\n        d: {unit: c, key: b}\n",
        9,
        "key 'b' is also that of b",
    ),
    (
        ONE + "    sensors:\n      dht22:\n        temperature: {unit: K}\n",
        8,
        "dht22.temperature: dht22 reports temperature in °C, not in K; leave unit out",
    ),
    (
        TWO + "    sensors:\n      tmp36:\n        temperature: {unit: K}\n",
        10,
        "temperature is in K here and in °C for dht22 of 'hall'; use one unit, or call this parameter something else",
    ),
    (
        ONE + "    sensors:\n      a:\n        c: {unit: K}\n      b:\n        c: {unit: °C}\n",
        10,
        "c is in °C here and in K for a of 'hall'",
    ),
    (
        TWO.replace("10.0.0.1/circumstances\n", "10.0.0.1/\n    sensors: {SDS011: {pm25: {unit: a}}}\n")
        + "    sensors:\n      sds011: {pm25: {unit: a}}\n",
        10,
        "sensors.sds011: is elsewhere written SDS011; write it in one way",
    ),
    (
        ONE
        + "    sensors:\n      a:\n        b_c: {unit: K}\n      b:\n        c: {unit: K}\n        a_b_c: {unit: K}\n"
        "      c:\n        a_b_c: {unit: K}\n",
        11,
        "the mean over sensors would be called a_b_c, as a series is; rename one",
    ),
    (ONE + "    sensors: {a: {b: [1]}}\n", 6, "devices[1].sensors.a.b: is not a mapping; write it as {key: PM2.5"),
    # Ranges, thresholds, rules.
    (ONE + "    expected_range: {dht22_temprature: [5, 40]}\n", 6, "no such series; did you mean dht22_temperature?"),
    (ONE + "    expected_range: {dht22_temperature: 5}\n", 6, "expected_range.dht22_temperature: 5 is not a range"),
    (ONE + "    expected_range: {dht22_temperature: [40, 5]}\n", 6, "[40, 5] is empty; write the lower bound first"),
    (ONE + "    expected_range: {dht22_temperature: [.nan, 5]}\n", 6, "nan is not a number"),
    (ONE + "    thresholds: {mq135_co3: 5}\n", 6, "the device has no such series; did you mean mq135_co"),
    (ONE + "    thresholds: {zzz: 5}\n", 6, "the device has no such series; it has: dht22_temperature, dht22_humidity"),
    (
        ONE + "    thresholds: {mq135_co2: no}\n",
        6,
        "thresholds.mq135_co2: 'no' is not a number; write it as 1000 or 0.5",
    ),
    (ONE + f"    thresholds: {{mq135_co2: 1{'0' * 400}}}\n", 6, "is not a number"),
    (ONE + "    thresholds:\n", 6, "thresholds: is not a mapping; write thresholds: {mq135_co2: 1000}"),
    (ONE + "    thresholds:\n      1: 5\n", 7, "the key '1' is not a text; put it in quotes"),
    (ONE + "    rules: {temperature: {max_rate: 1}}\n", 6, "rules.temperature: the device has no such series"),
    (ONE + "    rules:\n      dht22_humidity: {max_rat: 1}\n", 7, "unknown rule parameter; did you mean max_rate?"),
    (ONE + "    rules:\n      dht22_humidity: {x: 1}\n", 7, "unknown rule parameter; known are: max_rate"),
    (ONE + "    rules:\n      dht22_humidity: {max_rate: -1}\n", 7, "-1 is not more than 0"),
    (
        ONE + "    rules:\n      dht22_humidity: {max_rate: on}\n",
        7,
        "'on' is not a number; write it as 1000",
    ),
    (
        ONE + "    rules:\n      dht22_humidity: {max_ratio_error: 1}\n",
        7,
        "unknown rule parameter; did you mean max_rate?",
    ),
    (ONE + "    rules:\n      dht22_humidity: 1\n", 7, "rules.dht22_humidity: is not a mapping; write {max_rate: 0.5}"),
    (ONE + "    calibrate: 1\n", 6, "calibrate: is not a mapping; write calibrate: {dht22_temperature: [{since:"),
    *(
        (
            f"{ONE}    calibrate:\n      {series}:\n" + "".join(f"        - {{{entry}}}\n" for entry in entries),
            line,
            words,
        )
        for series, entries, line, words in (
            ("dht22_pressure", ["since: 2026-11-01, reason: x"], 7, "no such series; did you mean dht22_temperature?"),
            ("dht22_humidity", ["reason: x"], 8, "since is missing; add since: 2026-11-01"),
            ("dht22_humidity", ["since: 2026-11-01"], 8, "reason is missing; add reason: beside the reference for two"),
            ("dht22_humidity", ["since: soon, reason: x"], 8, "'soon' is not a time; write it as 2026-11-21T08:00"),
            ("dht22_humidity", ["since: 2026-11-01, reason: x, gain: 0"], 8, "0 would make the same of every value"),
            ("dht22_humidity", ["since: 2026-11-01, reason: x, gain: no"], 8, "'no' is not a number"),
            ("dht22_humidity", ["since: 2026-11-01, reason: x, gian: 1"], 8, "unknown key; did you mean gain?"),
            ("dht22_humidity", ["since: 2026-11-01, reason: ''"], 8, "'' is not a text"),
            ("dht22_humidity", ["since: 2026-11-02, reason: x"] * 2, 9, "is that of the entry before, too; keep one"),
            (
                "dht22_humidity",
                ["since: 2026-11-02, reason: x", "since: 2026-11-01, reason: x"],
                9,
                "is before that of the entry before; put the earlier one first",
            ),
        )
    ),
    (ONE + "    calibrate: {dht22_humidity: []}\n", 6, "dht22_humidity: there is none; add - {since: 2026-11-01"),
    (ONE + "    calibrate: {dht22_humidity: 0.92}\n", 6, "is not a mapping; write {since: 2026-11-01, gain: 0.92"),
    (
        ONE + "    sensors:\n      a:\n        t: {unit: m}\n        t_calibrated: {unit: m}\n"
        "    calibrate: {a_t: {since: 2026-11-01, reason: x}}\n",
        10,
        "would be called a_t_calibrated, as another series is; rename that one",
    ),
]


@pytest.mark.parametrize(
    ("text", "line", "words"), MISTAKES, ids=[f"{line}-{words}"[:60] for _, line, words in MISTAKES]
)
def test_a_mistake_is_one_line_with_its_place_and_remedy(text, line, words):
    said = mistake(text)
    assert said.startswith(f"devices.yaml:{line}: ")
    assert words in said
    assert len(said.splitlines()) == 1
    assert len(said) < 400


def test_each_mistake_has_a_line_of_its_own():
    said = mistake(TWO.replace("hall", "Hall").replace("2026-11-01", "soon") + "    intervall: 1m\n    timeout: 9\n")
    places = [line.split(": ")[0] for line in said.splitlines()]
    assert sorted(places) == [f"devices.yaml:{line}" for line in (2, 4, 8, 9)]


def test_errors_call_the_file_by_its_name(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(ONE + "grase: 1m\n", encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        read_settings(path)
    assert str(raised.value) == f"{path}:6: grase: unknown key; did you mean grace?"


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


def test_without_libyaml_everything_is_the_same(monkeypatch):
    fast = parse_settings(DESIGN)
    monkeypatch.setattr(air_pipeline.settings.yaml, "_FastLoader", air_pipeline.settings.yaml._Loader)
    assert parse_settings(DESIGN) == fast
    for text, line, words in MISTAKES:
        said = mistake(text)
        assert said.startswith(f"devices.yaml:{line}: ")
        assert words in said


def test_an_endless_document_of_aliases_ends():
    laughs = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert "timezone is missing" in mistake("l0: &l0 [ha]\n" + laughs)


def test_missing_and_unreadable_files_are_named(tmp_path):
    with pytest.raises(SettingsError) as raised:
        read_settings(tmp_path / "devices.yaml")
    assert str(raised.value) == (
        f"{tmp_path / 'devices.yaml'}: there is no such file;"
        " air-pipeline init writes one, or name another in AIR_PIPELINE_CONFIG"
    )
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory\); make it a file"):
        settings_text(tmp_path)
    (tmp_path / "latin").write_bytes("# Büro\n# Küche\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"latin:1: is not UTF-8 text; save the file as UTF-8"):
        settings_text(tmp_path / "latin")


def test_the_example_that_is_to_be_copied_is_valid(pytestconfig):
    example_file = read_settings(pytestconfig.rootpath / "devices.example.yaml")
    assert [device.id for device in example_file.devices] == ["living-room"]


UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


@settings(deadline=None)
@given(st.integers(1_000, 3_600_000))
def test_a_duration_can_be_written_in_any_units(milliseconds):
    left, parts = milliseconds, []
    for unit, size in reversed(UNITS_MS.items()):
        number, left = divmod(left, size)
        parts += [f"{number}{unit}"] if number else []
    for text in ("".join(parts), f"{milliseconds}ms", f"{milliseconds / 1000:.3f}s"):
        assert only_device(f"{ONE}    interval: {text}\n").interval_ms == milliseconds


@settings(deadline=None)
@given(st.integers(0, 10**8))
def test_an_interval_outside_its_bounds_is_refused(milliseconds):
    text = f"{ONE}    interval: {milliseconds}ms\n"
    if 1_000 <= milliseconds <= 3_600_000:
        assert only_device(text).interval_ms == milliseconds
    else:
        assert "is out of bounds; write something from 1s to 1h" in mistake(text)


def mistakes(text):
    """The lines of what is said of a text; none if it is settings. Anything else than a SettingsError comes through."""
    try:
        parse_settings(text)
    except SettingsError as error:
        return str(error).split("\n")
    return []


def told_with_its_place(line):
    return line.startswith("devices.yaml:") and line.isprintable()


@settings(deadline=None)
@given(st.text() | st.text(alphabet="abc:-[]{}&*!|>?#'\"%@,<=\n \t019\\xuU\ud800\x00"))
@example("[" * 100_000)
@example("- " * 100_000)
@example('"\\uD800": 1')
@example("a: !!timestamp x")
@example("a: !!bool x")
@example("a: !!binary é")
@example("!!set {a, b}")
@example("=: 1")
def test_no_text_makes_anything_but_a_settings_error(text):
    assert all(map(told_with_its_place, mistakes(text)))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.dates()
    | st.binary(max_size=3)
    | st.sampled_from(["10s", "2026-11-01", "Europe/Warsaw", "http://a/", "temperature", "dht22", "10" * 3000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def places(node, path=()):
    yield path
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        yield from places(value, (*path, key))


VALID = yaml.safe_load(DESIGN)
PLACES = [place for place in places(VALID) if place]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), ANYTHING, st.none() | st.text())
def test_nothing_anywhere_in_a_valid_document_makes_anything_but_a_settings_error(place, value, key):
    document = yaml.safe_load(DESIGN)
    *way, last = place
    node = document
    for part in way:
        node = node[part]
    if key is not None and isinstance(node, dict):
        node[key] = value
    else:
        node[last] = value
    assert all(map(told_with_its_place, mistakes(yaml.safe_dump(document, allow_unicode=True))))


NAMES = st.text("a0_-./\\~$ \n\0%A", max_size=6) | st.sampled_from(
    ["..", "../x", "/etc", "a/..", "con", "a" * 64, "-rf"]
)


@given(NAMES, NAMES, NAMES)
def test_no_name_that_is_accepted_is_more_than_the_name_of_one_file(device, sensor, parameter):
    """Whatever path is ever made of one, it stays in its folder."""
    text = f"{{timezone: UTC, start: 2026-11-01, devices: [{{id: {json.dumps(device)}, url: 'http://a/',"
    text += f" sensors: {{{json.dumps(sensor)}: {{{json.dumps(parameter)}: {{unit: V}}}}}}}}]}}"
    try:
        (found,) = parse_settings(text).devices
    except SettingsError:
        return
    for name in (found.id, *found.units, *(one.sensor for one in found.parameters)):
        assert (Path("/data") / name).resolve() == Path("/data") / name
        assert Path(name).parts == (name,)
        assert not name.startswith(("-", "."))


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

"""Each mistake in `devices.yaml` is a line with its place and what would be right."""

import pytest

import air_pipeline.settings.yaml
from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import parse_settings, read_settings, settings_text
from air_pipeline_tests.settings.files import DESIGN, NOTIFY, ONE, TWO, mistake

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
        "devices[1].zzz: unknown key; known are: id, url, kind, identity, collector, timezone, interval",
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
    (ONE + "    collector: external\n", 6, "devices[1].collector: 'external' is said of the whole file; here stands a"),
    (ONE + "    collector: Edge 1\n", 6, "devices[1].collector: 'Edge 1' is no name of a collector; use at most 63 of"),
    (ONE + "    collector: 7\n", 6, "devices[1].collector: 7 is no name of a collector"),
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

"""`air-pipeline init`: a devices.yaml that fits the devices, and never an invalid one."""

import contextlib
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.catalogue import STATION
from air_pipeline.cli import init as beginning
from air_pipeline.cli.init import device_address, machine_zone
from air_pipeline.collection.lease import CollectorLock
from air_pipeline.devices.document import DocumentUnusable
from air_pipeline.devices.introduction import introduce
from air_pipeline.devices.simulator import Simulator
from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import parse_settings, read_settings
from air_pipeline.settings.template import Entry, new_configuration
from air_pipeline_tests.cli.test_commands import Shell
from air_pipeline_tests.devices.raw_server import answering, http

ZONE = ("--timezone", "Europe/Warsaw")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["station"]) as running:
        yield running


def written(document: object, units: dict[tuple[str, str], str] | None = None) -> str:
    lines = introduce(json.dumps(document).encode()).lines(units)
    return new_configuration("Europe/Warsaw", date(2026, 11, 22), [Entry("one", "http://one/", tuple(lines))])


def test_a_station_needs_its_address_and_nothing_else(shell: Shell, simulator: Simulator) -> None:
    ran = shell("init", simulator.url("station"), "--id", "living-room", *ZONE)
    assert (ran.status, ran.err) == (0, "")
    assert "living-room: answers, with" in ran.out
    assert ran.out.splitlines()[-1].endswith("air-pipeline up")
    settings = read_settings(shell.config)
    [device] = settings.devices
    assert (device.id, device.url) == ("living-room", simulator.url("station"))
    assert (device.parameters, device.payload_key) == (STATION, None)
    assert settings.timezone == "Europe/Warsaw"
    text = shell.config.read_text(encoding="utf-8")
    assert "\n# interval: 10s" in text
    assert "\n    # expected_range:" in text
    assert simulator.requests("station").most_at_once == 1
    assert len(simulator.requests("station").times_ms) == 1
    assert shell("poll").status == 0


def test_every_commented_example_is_a_setting() -> None:
    text = new_configuration("Europe/Warsaw", date(2026, 11, 22), [Entry("one", "http://one/")])
    on = [line.replace("# ", "", 1) if line.lstrip().startswith("# ") and ": " in line else line
          for line in text.splitlines() if not line.startswith(("# The", "# A", "    # What"))]  # fmt: skip
    settings = parse_settings("\n".join(on))
    assert settings.collector == "external"
    assert settings.devices[0].timezone == "Asia/Tokyo"


def test_a_file_that_is_there_is_kept(shell: Shell, simulator: Simulator) -> None:
    shell.config.write_text("mine", encoding="utf-8")
    assert "--force" in shell.refused("init", simulator.url("station"), *ZONE, status=2)
    assert shell.config.read_text(encoding="utf-8") == "mine"
    assert not simulator.requests("station").times_ms
    assert shell("init", simulator.url("station"), *ZONE, "--force").status == 0
    assert read_settings(shell.config)


def test_a_device_that_does_not_answer_is_named_with_what_to_do(shell: Shell, simulator: Simulator) -> None:
    simulator.set_fault("station", "login_page")
    ran = shell("init", simulator.url("station"), "--id", "attic", *ZONE)
    assert ran.status == 1
    assert "attic: rejected, status 200: the answer is a web page" in ran.err
    assert "another machine may have its address" in ran.err
    assert not shell.config.exists()
    assert shell("init", simulator.url("station"), "--id", "attic", *ZONE, "--force").status == 0
    assert read_settings(shell.config).devices[0].id == "attic"


def test_what_is_wrong_is_said_before_a_device_is_asked(shell: Shell, simulator: Simulator) -> None:
    url = simulator.url("station")
    assert "is not an IANA time zone" in shell.refused("init", url, "--timezone", "Warsaw/Europe", status=2)
    assert "'A room' is not a device id" in shell.refused("init", url, "--id", "A room", *ZONE, status=2)
    assert "is also the address of" in shell.refused("init", url, url, *ZONE, status=2)
    assert "is not an address" in shell.refused("init", "http://", *ZONE, status=2)
    assert "2 --id for 1 devices" in shell.refused("init", url, "--id", "a", "--id", "b", *ZONE, status=2)
    assert "name at least one device" in shell.refused("init", *ZONE, status=2)
    assert not simulator.requests("station").times_ms
    assert not shell.config.exists()


def test_a_device_that_is_being_polled_is_not_asked_besides_and_another_one_is(
    shell: Shell, simulator: Simulator
) -> None:
    url = simulator.url("station")
    valid = new_configuration("Europe/Warsaw", date(2026, 11, 1), [Entry("attic", url)])
    with CollectorLock(shell.environment.state):
        shell.environment.state.last_valid.write_text(valid, encoding="utf-8")
        assert "already collects" in shell.refused("init", url, *ZONE, status=1)
        assert not simulator.requests("station").times_ms
        shell.environment.state.last_valid.write_text(valid.replace(url, "http://127.0.0.1:9/"), encoding="utf-8")
        assert shell("init", url, *ZONE).status == 0
    assert len(simulator.requests("station").times_ms) == 1


def test_a_file_that_cannot_be_written_is_a_sentence(shell: Shell, simulator: Simulator) -> None:
    (shell.folder / "file").write_text("")
    said = shell("init", simulator.url("station"), *ZONE, "--config", str(shell.folder / "file" / "devices.yaml"))
    assert said.status == 2
    assert "cannot be written" in said.err


def test_on_a_terminal_everything_is_asked(
    shell: Shell, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["Europe/Warsaw", "ADDRESS", "garage", "µg/m³", "", ""])
    monkeypatch.setattr(beginning, "_on_a_terminal", lambda: True)
    document = {"air": {"sds011": {"PM2.5": "3.1", "PM10": "5"}}}
    with answering(http(json.dumps(document).encode())) as server:
        monkeypatch.setattr(
            "typer.prompt", lambda *_, default=None, **__: next(answers).replace("ADDRESS", server.url) or default
        )
        assert shell("init").status == 0
    [device] = read_settings(shell.config).devices
    assert device.id == "garage"
    assert device.payload_key == "air"
    assert [(p.sensor, p.name, p.key, p.unit) for p in device.parameters] == [("sds011", "pm25", "PM2.5", "µg/m³")]


def test_what_nobody_knows_the_unit_of_is_a_comment_that_only_lacks_it() -> None:
    document = {"nodemcu": {"dht22": {"temperature": "1", "humidity": "2", "dewPoint": "3"}}}
    text = written(document)
    [device] = parse_settings(text).devices
    assert device.payload_key is None
    assert [p.series for p in device.parameters] == ["dht22_temperature", "dht22_humidity"]
    [comment] = [line for line in text.splitlines() if "fill in" in line]
    filled = comment.split("fill in what is measured: ")[1].replace("?", "°C")
    sensors = yaml.safe_load(filled)
    assert sensors["dht22"]["dew_point"] == {"key": "dewPoint", "unit": "°C"}
    again = parse_settings(text.replace("      dht22: [temperature, humidity]", f"      {filled}"))
    assert [p.series for p in again.devices[0].parameters][-1] == "dht22_dew_point"


def test_several_objects_name_the_one_with_sensors() -> None:
    document = {"wifi": {"signal": "-60"}, "sensebox": {"dht22": {"temperature": "1", "humidity": "2"}}}
    [device] = parse_settings(written(document)).devices
    assert device.payload_key == "sensebox"


NAMES = st.one_of(
    st.sampled_from(
        ["nodemcu", "dht22", "bmp180", "temperature", "humidity", "PM2.5", "null", "1e3", "no", "a b", "µ"]
    ),
    st.text(max_size=60),
)
DOCUMENTS = st.dictionaries(NAMES, st.dictionaries(NAMES, st.dictionaries(NAMES, st.just("1"), max_size=4), max_size=4))


@given(DOCUMENTS, st.dictionaries(st.tuples(NAMES, NAMES), NAMES, max_size=3), NAMES)
def test_whatever_a_device_says_the_file_is_valid(
    document: dict[str, object], units: dict[tuple[str, str], str], unit: str
) -> None:
    try:
        introduction = introduce(json.dumps(document).encode())
    except DocumentUnusable:
        return
    for known in (units, dict.fromkeys(introduction.unknown, unit)):
        text = new_configuration(
            "Europe/Warsaw", date(2026, 11, 22), [Entry("one", "http://one/", tuple(introduction.lines(known)))]
        )
        assert [device.id for device in parse_settings(text).devices] == ["one"]


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_document_or_none(body: bytes) -> None:
    with contextlib.suppress(DocumentUnusable):
        assert introduce(body).sensors


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("192.168.1.32", "http://192.168.1.32/circumstances"),
        ("192.168.1.32:8080", "http://192.168.1.32:8080/circumstances"),
        ("station.local/", "http://station.local/circumstances"),
        ("http://station.local", "http://station.local/circumstances"),
        ("http://station.local/air", "http://station.local/air"),
        ("https://[fe80::1]:81/air?x=1", "https://[fe80::1]:81/air?x=1"),
    ],
)
def test_an_address_is_what_people_write(text: str, url: str) -> None:
    assert device_address(text) == url
    with pytest.raises(SettingsError):
        device_address("what is this")


def test_the_zone_is_that_of_the_machine(tmp_path: Path) -> None:
    zones = tmp_path / "zoneinfo" / "Asia"
    zones.mkdir(parents=True)
    (zones / "Tokyo").write_text("")
    link = tmp_path / "localtime"
    link.symlink_to(zones / "Tokyo")
    assert machine_zone({}, link) == "Asia/Tokyo"
    assert machine_zone({"TZ": ":Europe/Paris"}, link) == "Europe/Paris"
    assert machine_zone({"TZ": "CET-1CEST"}, link) == "Asia/Tokyo"
    assert machine_zone({}, tmp_path / "none") is None


@pytest.mark.parametrize("name", ["123", "null", "1e3", "no", "a-b"])
def test_an_id_that_yaml_would_take_for_something_else_is_a_text(name: str) -> None:
    text = new_configuration("Europe/Warsaw", date(2026, 11, 22), [Entry(name, "http://one/")])
    assert [device.id for device in parse_settings(text).devices] == [name]


def test_ids_come_from_host_names(shell: Shell, simulator: Simulator) -> None:
    url = simulator.url("station")
    others = [url.replace("127.0.0.1", host) for host in ("localhost", "Living_Room.invalid")]
    assert shell("init", url, *others, *ZONE, "--force").status == 0
    assert [device.id for device in read_settings(shell.config).devices] == ["device-1", "localhost", "living_room"]

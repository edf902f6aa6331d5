"""`air-pipeline init`: a devices.yaml that fits the devices, and never an invalid one."""

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from air_pipeline.catalogue import STATION
from air_pipeline.cli import init as beginning
from air_pipeline.cli.init import device_address, machine_zone
from air_pipeline.collection.lease import CollectorLock
from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.recognizing import PATHS
from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline.devices.simulator.speaking import SAY_WHO, SPEAKERS
from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import read_settings
from air_pipeline.settings.template import Entry, new_configuration
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.devices.raw_server import answering, http

ZONE = ("--timezone", "Europe/Warsaw")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["station"]) as running:
        yield running


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


@pytest.mark.parametrize("kind", sorted(SPEAKERS.keys() - {"json", "prometheus"}))
def test_of_every_kind_the_address_is_enough(shell: Shell, kind: str) -> None:
    with Simulator([Profile("garage", kind=kind)]) as simulator:
        address = f"127.0.0.1:{simulator.port}"
        ran = shell("init", address, "--id", "garage", *ZONE)
        assert (ran.status, ran.err) == (0, "")
        assert f"garage: answers as a device of kind {kind}, with " in ran.out
        [device] = read_settings(shell.config).devices
        assert (device.kind, device.url) == (kind, f"http://{address}{KINDS[kind].path}")
        assert device.interval_ms == {"airrohr": 150_000, "purpleair": 120_000}.get(kind, 10_000)
        assert (device.identity is not None) is (kind in SAY_WHO)
        assert simulator.requests("garage").times_ms[1:] == []
        ran = shell("poll")
        assert ran.out.startswith("garage: ok (")
        assert "not stored" not in ran.out


def test_an_esphome_without_metrics_is_known_by_its_events(shell: Shell) -> None:
    with Simulator([Profile("garage", kind="esphome")]) as simulator:
        url = simulator.url("garage").replace("/metrics", "/events")
        ran = shell("init", url, *ZONE)
        assert (ran.status, ran.err) == (0, "")
        [device] = read_settings(shell.config).devices
        assert (device.kind, device.url) == ("esphome", url)
        named = {(one.key, one.unit) for one in device.parameters}
        assert named == {
            ("Room Temperature", "°C"),
            ("Room Humidity", "%"),
            ("Room Pressure", "hPa"),
            ("Dust", "µg/m³"),
        }
        assert shell("poll").status == 0


def test_what_is_read_before_a_device_has_measured_is_what_is_usual(shell: Shell) -> None:
    with Simulator([Profile("garage", kind="airrohr")]) as simulator:
        simulator.set_fault("garage", "boot")
        ran = shell("init", f"127.0.0.1:{simulator.port}", "--id", "garage", *ZONE)
        assert "garage: answers as a device of kind airrohr, without values yet" in ran.out
    assert read_settings(shell.config).devices[0].parameters == KINDS["airrohr"].usual


NO_KIND = "is a page of no kind that is known; write it as url, and kind:"
TO_WRITE = {
    "json": f"/status.json {NO_KIND} json, and a path for each parameter under sensors; numbers stand at uptime,"
    " parts[0].pm[0], parts[0].pm[1], parts[1].t, parts[1].h,",
    "prometheus": f"/metrics {NO_KIND} prometheus, and a key for each parameter under sensors, such as"
    " room_temperature_celsius, room_humidity_ratio, ",
}


@pytest.mark.parametrize(("kind", "says"), TO_WRITE.items())
def test_of_what_is_not_known_it_says_what_to_write(shell: Shell, kind: str, says: str) -> None:
    with Simulator([Profile("garage", kind=kind)]) as simulator:
        url = f"http://127.0.0.1:{simulator.port}"
        address = f"{url}/status.json" if kind == "json" else url
        ran = shell("init", address, "--id", "garage", *ZONE)
    assert ran.status == 1
    assert f"{url}{says}" in ran.err
    assert not shell.config.exists()


def test_a_device_that_hangs_or_wants_a_login_is_not_asked_on(shell: Shell, simulator: Simulator) -> None:
    address = f"127.0.0.1:{simulator.port}"
    simulator.set_fault("station", "refuse")
    assert shell("init", address, *ZONE).status == 1
    assert len(simulator.requests("station").times_ms) == 1
    with answering(http(b"", status="401 Unauthorized")) as server:
        ran = shell("init", server.url.removesuffix("/"), "--id", "one", *ZONE)
        assert "status 401" in ran.err
        assert len(server.requests) == 1


def test_a_login_that_is_wanted_with_status_200_is_called_that(shell: Shell) -> None:
    """As a Tasmota with a password does at its path, after it knew nothing of the paths of others."""
    warning = b'{"WARNING":"Need user=<username>&password=<password>"}'
    with answering(http(warning)) as server:
        ran = shell("init", server.url.removesuffix("/circumstances"), "--id", "plug", *ZONE)
        assert len(server.requests) == 1
    assert ran.status == 1
    said = " ".join(ran.err.split())
    assert "plug: wants a login, as a device of kind tasmota → say its own before the address, with" in said


@pytest.mark.parametrize("place", [1, len(PATHS) - 1])
def test_a_401_is_a_login_wherever_it_comes(shell: Shell, place: int) -> None:
    """Nothing is asked after it, whichever kind answers there."""
    asked: list[str] = []

    class Device(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(401 if len(asked) == place + 1 else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Device) as server:
        threading.Thread(target=server.serve_forever).start()
        ran = shell("init", f"127.0.0.1:{server.server_port}", "--id", "one", *ZONE)
        server.shutdown()
    assert asked == list(PATHS[: place + 1])
    said = " ".join(ran.err.split())
    assert "one: wants a login: the device answered with status 401" in said


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
    assert machine_zone({}, link) == ("Asia/Tokyo", f"by {link}")
    assert machine_zone({"TZ": ":Europe/Paris"}, link) == ("Europe/Paris", "by TZ")
    zone, how = machine_zone({"TZ": "CET-1CEST"}, link)
    assert zone == "Asia/Tokyo"
    assert "TZ is 'CET-1CEST', which is no IANA name" in how
    assert machine_zone({}, tmp_path / "none") == (None, "")


@pytest.mark.parametrize("unusable", ["CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Warszawa", "<+03>-3"])
def test_the_zone_that_was_taken_is_told_and_what_became_of_an_unusable_tz(
    shell: Shell, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, unusable: str
) -> None:
    monkeypatch.setenv("TZ", "Europe/Paris")
    assert "Days are those of Europe/Paris, by TZ;" in shell("init", simulator.url("station")).out
    monkeypatch.setenv("TZ", unusable)
    ran = shell("init", simulator.url("station"), "--force")
    assert f"TZ is '{unusable}', which is no IANA name" in ran.out + ran.err
    if ran.status == 0:  # this machine has a zone besides
        assert f"Days are those of {read_settings(shell.config).timezone}, by /etc/localtime" in ran.out


def test_ids_come_from_host_names(shell: Shell, simulator: Simulator) -> None:
    url = simulator.url("station")
    others = [url.replace("127.0.0.1", host) for host in ("localhost", "Living_Room.invalid")]
    assert shell("init", url, *others, *ZONE, "--force").status == 0
    assert [device.id for device in read_settings(shell.config).devices] == ["device-1", "localhost", "living_room"]

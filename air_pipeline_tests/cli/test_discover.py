"""`air-pipeline init --discover`: devices that tell the network of themselves, from their announcements to the file."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from zeroconf import ServiceInfo

from air_pipeline.cli import init as beginning
from air_pipeline.devices import discovering
from air_pipeline.devices.discovering import Announced, announced
from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline.settings.file import parse_settings, read_settings
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.devices.test_ways_to_devices import needs_a_network

SCRIPT = Path(__file__).parents[1] / "devices" / "network_of_announcements.py"
ZONE = ("--timezone", "UTC")


@pytest.mark.slow
def test_what_tells_of_itself_is_listed_asked_and_written() -> None:
    """What is heard of and does not answer is named and left out; what is none of ours is not asked."""
    needs_a_network()
    script = [sys.executable, "-m", f"air_pipeline_tests.devices.{SCRIPT.stem}"]
    ran = subprocess.run(["unshare", "-n", *script], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    status, out, err, config, polls, ports = json.loads(ran.stdout)
    assert status == 0, err
    assert re.search(
        rf"1  airgradient  airgradient_84fce612f5b8 \(84fce612f5b8\)  127.0.0.1:{ports['airgradient']}"
        rf"  airgradient_84fce612f5b8.local:{ports['airgradient']}",
        out,
    )
    assert "printer" not in out
    assert "shellyht-00aa11: unreachable" in err
    devices = {one.id: one for one in parse_settings(config).devices}
    kinds = {name: one.kind for name, one in devices.items()}
    assert kinds == {
        "airgradient_84fce612f5b8": "airgradient",
        "airrohr-1234567": "airrohr",
        "shellyhtg3-aabbccddeeff": "shelly",
        "tasmota-112233-0001": "tasmota",
    }
    assert {one.url for one in devices.values()} >= {f"http://127.0.0.1:{ports['shelly']}/rpc/Shelly.GetStatus"}
    assert devices["airgradient_84fce612f5b8"].identity == "616972677261"  # as its document says, not what was heard
    assert {one["device"]: one["outcome"] for one in polls} == dict.fromkeys(kinds, "ok")


def service(kind: str, name: str, port: int = 80, host: str = "", **said: str) -> ServiceInfo:
    return ServiceInfo(
        f"_{kind}._tcp.local.",
        f"{name}._{kind}._tcp.local.",
        port,
        properties=said,
        server=f"{host or name}.local.",
        addresses=[socket.inet_pton(socket.AF_INET6, "fd12::7"), socket.inet_aton("192.168.1.40")],
    )


@pytest.mark.parametrize(
    ("services", "found"),
    [
        ([service("http", "printer", path="/")], []),
        ([service("prometheus-http", "exporter", 9100)], []),
        ([service("http", "router", PATH="/config")], []),
        (
            [service("http", "shellyplusht-aabb", gen="2"), service("shelly", "shellyplusht-aabb", gen="2")],
            [("shelly", "shellyplusht-aabb", "", 80)],
        ),
        (  # its own protocol is at another port than its pages
            [
                service("http", "attic", 8080),
                service("esphomelib", "attic", 6053, mac="aabbccddeeff", version="2026.8.0"),
                service("prometheus-http", "attic", 8081),
            ],
            [("esphome", "attic", "aabbccddeeff", 8081)],
        ),
        ([service("esphomelib", "attic", 6053, mac="aabb")], [("esphome", "attic", "aabb", 80)]),
        ([service("http", "airRohr-1", PATH="/config")], [("airrohr", "airRohr-1", "", 80)]),
        ([service("airgradient", "µ", serialno="1\x1b")], [("airgradient", "µ", r"1\x1b", 80)]),
    ],
)
def test_a_device_is_known_by_what_its_firmware_announces(services: list[ServiceInfo], found: list[object]) -> None:
    said = announced(services)
    assert [(one.kind, one.name, one.identity, one.port) for one in said] == found
    assert {one.address for one in said} <= {"192.168.1.40"}


def test_on_a_terminal_it_is_chosen_which_and_by_which_name(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator([Profile("one", kind="airgradient")]) as simulator:
        heard = [
            Announced("airgradient", "Hall", "", "localhost", "127.0.0.1", simulator.port),
            Announced("airgradient", "Attic", "", "attic.local", "127.0.0.1", 9),
        ]
        answers = iter(["UTC", "1", "hall"])
        monkeypatch.setattr(discovering, "discover", lambda: heard)
        monkeypatch.setattr(beginning, "_on_a_terminal", lambda: True)
        monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
        monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
        assert shell("init", "--discover").status == 0
        [device] = read_settings(shell.config).devices
        assert (device.id, device.url) == ("hall", f"http://localhost:{simulator.port}/measures/current")


@pytest.mark.parametrize("heard", [[], [Announced("shelly", "a", "", "a.local", "127.0.0.1", 9)]])
def test_where_nothing_is_heard_or_answers_nothing_is_written(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, heard: list[Announced]
) -> None:
    monkeypatch.setattr(discovering, "discover", lambda: heard)
    ran = shell("init", "--discover", *ZONE)
    assert ran.status == 2
    assert "name devices by their addresses: air-pipeline init 192.168.1.32" in ran.err
    assert not shell.config.exists()
    assert shell("init", "--discover", "--force", *ZONE).status == (0 if heard else 2)


def test_only_who_listens_loads_what_listens() -> None:
    code = "import sys; from air_pipeline.cli import init; print('zeroconf' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "False"

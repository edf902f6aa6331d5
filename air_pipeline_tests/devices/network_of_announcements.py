"""To be run in a network namespace of its own: devices that tell of themselves, and `init --discover` of a user.

Real services by zeroconf on loopback, a simulated device behind each of its own kind; prints what became of it as JSON.
"""

import json
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from zeroconf import DNSOutgoing, DNSPointer, ServiceInfo, Zeroconf

from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline_tests.waiting import WITHIN_S, wait_for

SAID = {
    "airgradient": ("_airgradient", "airgradient_84fce612f5b8", {"vendor": "AirGradient", "serialno": "84fce612f5b8"}),
    "airrohr": ("_http", "airRohr-1234567", {"PATH": "/config"}),
    "shelly": ("_shelly", "shellyhtg3-aabbccddeeff", {"gen": "3"}),
    "tasmota": ("_http", "tasmota-112233-0001", {"devicetype": "tasmota"}),
    "printer": ("_http", "printer", {"path": "/"}),
    "gone": ("_http", "shellyht-00aa11", {}),
}
"""Kind to what it says; of the last two, one is none of ours and one does not answer."""


NAMES_ALONE = 450
"""Of so many the network has the name, and nobody says where they are: one after the other that takes minutes."""
_ANSWER, _PTR, _IN, _AT_ONCE = 0x8400, 12, 1, 30


def tell_names(network: Zeroconf, over: threading.Event) -> None:
    """Tells the names again and again, as who listens begins at a time of his own."""
    told = [f"shelly-{number}._http._tcp.local." for number in range(NAMES_ALONE)]
    while not over.wait(0.5):
        for begin in range(0, NAMES_ALONE, _AT_ONCE):
            message = DNSOutgoing(_ANSWER)
            for name in told[begin : begin + _AT_ONCE]:
                message.add_answer_at_time(DNSPointer("_http._tcp.local.", _PTR, _IN, 4500, name), 0)
            network.send(message)


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with ExitStack() as opened:
        network = opened.enter_context(Zeroconf(interfaces=["127.0.0.1"]))
        ports = {}
        for kind, (service, name, said) in SAID.items():
            ports[kind] = 9
            if kind not in {"printer", "gone"}:
                ports[kind] = opened.enter_context(Simulator([Profile(kind, kind=kind)])).port
            network.register_service(
                ServiceInfo(
                    f"{service}._tcp.local.",
                    f"{name}.{service}._tcp.local.",
                    ports[kind],
                    properties=said,
                    server=f"{name}.local.",
                    addresses=[socket.inet_aton("127.0.0.1")],
                )
            )
        over = threading.Event()
        teller = threading.Thread(target=tell_names, args=(network, over))
        teller.start()
        opened.callback(teller.join)
        opened.callback(over.set)
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        place = ["--config", str(folder / "devices.yaml")]
        air_pipeline = [sys.executable, "-m", "air_pipeline"]

        def ran() -> subprocess.CompletedProcess[str]:
            init = [*air_pipeline, "init", "--discover", "--timezone", "UTC", *place]
            (folder / "devices.yaml").unlink(missing_ok=True)
            return subprocess.run(init, cwd=folder, check=False, capture_output=True, text=True, timeout=WITHIN_S)

        def found_all() -> subprocess.CompletedProcess[str] | None:
            said = ran()
            return said if all(name in said.stdout for _, name, _ in SAID.values() if name != "printer") else None

        said = wait_for(found_all, "each device that tells of itself")
        poll = subprocess.run(
            [*air_pipeline, "poll", "--json", *place], cwd=folder, check=False, capture_output=True, text=True
        )
        config = (folder / "devices.yaml").read_text()
        sys.stdout.write(
            json.dumps([said.returncode, said.stdout, said.stderr, config, json.loads(poll.stdout), ports])
        )


if __name__ == "__main__":
    main()

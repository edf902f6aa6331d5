"""To be run in a network namespace of its own: many addresses of one machine, each a device with its own temperature.

Asks them by the commands as a user would, and prints what `poll --json` says. What is no device has no way to it: an
address without a route, and those of which the routing table says unreachable, prohibited, black hole.
"""

import json
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

OURS = {"127.0.0.1": 11.11, "::1": 22.22, "fd12::7": 33.33, "fd12::80": 44.44, "fd12::7:80": 55.55, "fe80::7": 66.66}
"""Address to the temperature that it says."""
WAYS = {"no-route": "10.9.9.9", "unreachable": "192.168.1.32", "prohibit": "192.168.1.33", "blackhole": "192.168.1.34",
        "no-route-6": "[fd99::1]", "unreachable-6": "[fd13::32]", "prohibit-6": "[fd13::33]"}  # fmt: skip


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _device(address: str, temperature: float) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(socket.getaddrinfo(f"{address}%lo" if address.startswith("fe80") else address, 80, family)[0][4])
    listener.listen()
    body = json.dumps({"nodemcu": {"ds18b20": {"temperature": temperature}}}).encode()
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def serve() -> None:
        while True:
            accepted, _ = listener.accept()
            with accepted:
                accepted.recv(4096)
                accepted.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()


def main(urls: list[str]) -> None:
    _ip("link", "set", "lo", "up")
    for address in OURS:
        if address not in {"127.0.0.1", "::1"}:
            _ip("addr", "add", f"{address}/{64 if address.startswith('fe80') else 128}", "dev", "lo")
    for way, address in WAYS.items():
        if not way.startswith("no-route"):
            _ip("route", "add", way.removesuffix("-6"), address.strip("[]"))
    for address, temperature in OURS.items():
        _device(address, temperature)
    air_pipeline = [sys.executable, "-m", "air_pipeline"]
    with tempfile.TemporaryDirectory() as folder:
        place = ["--config", str(Path(folder) / "devices.yaml")]
        wanted = [*urls, *WAYS.values()]
        init = [*air_pipeline, "init", *wanted, "--timezone", "UTC", "--force", *place]
        said = subprocess.run(init, cwd=folder, check=True, capture_output=True, text=True)
        poll = [*air_pipeline, "poll", "--json", *place]
        polled = json.loads(subprocess.run(poll, cwd=folder, check=False, capture_output=True, text=True).stdout)
    sys.stdout.write(json.dumps({"init": said.stdout + said.stderr, "polls": dict(zip(wanted, polled, strict=True))}))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Sites: networks in which a collector reaches its own devices and the store, and nobody else reaches these devices.

Each is two network namespaces, the collector's and the devices', with a wire (veth) between them and one from the
collector to this machine. There is no route but to the other end of a wire.
"""

import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from air_pipeline_tests.needs import go_without

DEVICES_PORT = 8080
"""In a namespace of its own nobody else has it."""
_ADDRESSES_OF_A_SITE = 4


@dataclass(frozen=True)
class Site:
    """One of them.

    Attributes:
        collector: the namespace of the collector.
        devices: the namespace of the devices.
        address: of the devices.
    """

    collector: str
    devices: str
    address: str

    def url(self, device: str) -> str:
        """Where a device is asked, by who reaches it."""
        return f"http://{self.address}:{DEVICES_PORT}/{device}/circumstances"


def inside(namespace: str) -> list[str]:
    """What comes before a command that is run in a namespace."""
    return ["nsenter", f"--net=/run/netns/{namespace}"]


@contextmanager
def sites(number: int) -> Iterator[tuple[str, list[Site]]]:
    """So many sites, gone at the end; and the address at which all of their collectors reach this machine.

    The test is skipped where there is no right to make them (in CI: fails).
    """
    for tool in ("ip", "nsenter"):
        if shutil.which(tool) is None:
            go_without(f"{tool} is not there; .ci/run installs it by apt")
    try:
        network, mark = _free_network(), secrets.token_hex(3)
        _ip("netns", "add", mark)
        _ip("netns", "del", mark)
    except subprocess.CalledProcessError as error:
        go_without(f"no network namespace can be made here: {error.stderr.decode().strip()}")
    here = f"{network}.1"
    with ExitStack() as stack:
        elsewhere = ("unreachable", f"{network}.0/24")  # else the way to everywhere would be one
        _ip("route", "add", *elsewhere)
        stack.callback(_ip, "route", "del", *elsewhere)
        made = [_made(stack, f"air{mark}{one}", network, here, 2 + one * _ADDRESSES_OF_A_SITE) for one in range(number)]
        yield here, made


def _made(stack: ExitStack, name: str, network: str, here: str, first: int) -> Site:
    collector, devices = f"{name}c", f"{name}d"
    for namespace in (collector, devices):
        _ip("netns", "add", namespace)
        stack.callback(_ip, "netns", "del", namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")
    _ip("link", "add", name, "type", "veth", "peer", "name", "store", "netns", collector)
    stack.callback(_ip, "link", "del", name)
    _ip("-n", collector, "link", "add", "devices", "type", "veth", "peer", "name", "site", "netns", devices)
    own, towards, address = (f"{network}.{first + more}" for more in range(3))
    _wired([], name, here, own)
    _wired(["-n", collector], "store", own, here)
    _wired(["-n", collector], "devices", towards, address)
    _wired(["-n", devices], "site", address, towards)
    return Site(collector, devices, address)


def _wired(where: Sequence[str], wire: str, near: str, far: str) -> None:
    _ip(*where, "addr", "add", near, "peer", far, "dev", wire)
    _ip(*where, "link", "set", wire, "up")


def _free_network() -> str:
    """The first three bytes of private addresses to which this machine has no route but the one to everywhere."""
    while True:
        network = f"10.{secrets.randbelow(255)}.{secrets.randbelow(255)}"
        ways = _ip("-o", "route", "show", "table", "all", "to", "match", f"{network}.1").splitlines()
        if all(way.startswith("default") for way in ways):
            return network


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True).stdout.decode()

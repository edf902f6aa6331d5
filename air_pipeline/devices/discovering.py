"""Devices that tell the local network of themselves (mDNS, DNS-SD: RFC 6762, 6763), as far as that says their kind.

Belongs here: which announcement is of which kind, and listening for a while. Does not: asking what was found, by which
kind and identity are known for sure (`cli.init`). Loaded by whoever listens: no other command pays for it.

What each firmware announces, by its source:

- AirGradient: `_airgradient._tcp` with `serialno`;
- Shelly: `_shelly._tcp` (second generation and later), `_http._tcp` as `shelly…` (the first);
- ESPHome: `_esphomelib._tcp` with `mac`, at the port of its own protocol; its pages are where `_prometheus-http._tcp`
  or `_http._tcp` of the same host says;
- airRohr: `_http._tcp` with `PATH=/config`, and Tasmota, where SetOption55 is on, with `devicetype=tasmota`.

A NodeMCU station and a PurpleAir announce nothing that would tell them.
"""

import asyncio
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from zeroconf import Error, ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from air_pipeline.devices.kinds.json_text import shown

LISTEN_S = 3.0
"""So long is listened: a device answers within a second, and one that sleeps does not at all."""
_LOCAL = ".local."
_AIRGRADIENT, _SHELLY, _ESPHOME, _METRICS, _HTTP = (
    f"_{name}._tcp{_LOCAL}" for name in ("airgradient", "shelly", "esphomelib", "prometheus-http", "http")
)
_TYPES = (_AIRGRADIENT, _SHELLY, _ESPHOME, _METRICS, _HTTP)
_WEB_PORT = 80
_ADDRESS_WITHIN_MS = 1_000
_MOST_SERVICES = 500
"""More is no network of anybody's devices."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A device that told of itself.

    Attributes:
        kind: of which it is.
        name: as it calls itself.
        identity: its serial number or MAC, where it tells; empty where not.
        host: its name in `.local`.
        address: an address of it.
        port: where its pages answer.
    """

    kind: str
    name: str
    identity: str
    host: str
    address: str
    port: int

    def where(self, *, local: bool) -> str:
        """Where it is asked: by its name in `.local`, or by its address."""
        host = self.host if local else f"[{self.address}]" if ":" in self.address else self.address
        return host if self.port == _WEB_PORT else f"{host}:{self.port}"


def discover(listen_s: float = LISTEN_S) -> list[Announced]:
    """Listens for a while; the devices of a known kind, each once, by kind and name.

    Raises:
        OSError: this machine has no network to listen to.
    """
    found = _Found()
    with Zeroconf() as network:
        browser = ServiceBrowser(network, list(_TYPES), found)
        time.sleep(listen_s)
        browser.cancel()
        services = []
        for kind_of_service, name in found.names()[:_MOST_SERVICES]:
            with suppress(Error):  # a name that none may have
                services.append(ServiceInfo(kind_of_service, name))
        if network.loop is not None:
            asyncio.run_coroutine_threadsafe(_ask(network, services), network.loop).result()
    return announced(services)


async def _ask(network: Zeroconf, services: Iterable[ServiceInfo]) -> None:
    """Asks all services at once where they are: of those that are gone each would be waited for."""
    asked = (service.async_request(network, _ADDRESS_WITHIN_MS) for service in services)
    await asyncio.gather(*asked, return_exceptions=True)


class _Found(ServiceListener):
    """Collects the names of services, in a thread of zeroconf's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[tuple[str, str], None] = {}

    def names(self) -> list[tuple[str, str]]:
        with self._lock:
            return list(self._names)

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        del zc
        with self._lock:
            self._names[type_, name] = None

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        del zc
        with self._lock:
            self._names.pop((type_, name), None)


def announced(services: Iterable[ServiceInfo]) -> list[Announced]:
    """The devices that services are of; one that is told of by several is one, at the port of its pages."""
    devices: dict[tuple[str, str], Announced] = {}
    pages: dict[str, int] = {}
    for service in services:
        host = (service.server or "").rstrip(".")
        addresses = service.parsed_addresses()
        if not host or not addresses or not service.port:
            continue
        if service.type in {_METRICS, _HTTP}:
            pages[host] = service.port if service.type == _METRICS else pages.get(host, service.port)
        said = _texts(service)
        name = shown(service.name.removesuffix(f".{service.type}"))
        kind = _kind_of(service.type, name, said)
        if kind:
            identity = shown(said.get("serialno") or said.get("mac") or "")
            address = min(addresses, key=lambda one: ":" in one)  # IPv4, where there is one
            known = devices.get((kind, host))
            port = _WEB_PORT if service.type == _ESPHOME else service.port
            if known is None or (not known.identity and identity):
                devices[kind, host] = Announced(kind, name, identity, host, address, port)
    esphome = (replace(one, port=pages.get(one.host, one.port)) for one in devices.values() if one.kind == "esphome")
    others = (one for one in devices.values() if one.kind != "esphome")
    return sorted([*others, *esphome], key=lambda one: (one.kind, one.name))


def _kind_of(kind_of_service: str, name: str, said: Mapping[str, str]) -> str:
    if kind_of_service in _BY_SERVICE:
        return _BY_SERVICE[kind_of_service]
    if kind_of_service == _METRICS:
        return ""  # anybody's
    if name.lower().startswith("shelly"):
        return "shelly"
    if said.get("devicetype") == "tasmota":
        return "tasmota"
    return "airrohr" if said.get("path") == "/config" and name.lower().startswith("airrohr") else ""


_BY_SERVICE: Mapping[str, str] = {_AIRGRADIENT: "airgradient", _SHELLY: "shelly", _ESPHOME: "esphome"}


def _texts(service: ServiceInfo) -> dict[str, str]:
    """What a service says of itself, by names in small letters."""
    return {
        key.decode("utf-8", "replace").lower(): (value or b"").decode("utf-8", "replace")
        for key, value in service.properties.items()
    }

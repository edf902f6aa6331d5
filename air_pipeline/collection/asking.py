"""Asking devices by hand, without storing: one GET each, or the last poll while a collector holds the lock."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic, time

from air_pipeline.collection.lease import holder
from air_pipeline.collection.schedule import slot_at
from air_pipeline.devices.assemble import make_poll
from air_pipeline.devices.client import get
from air_pipeline.devices.polls import Poll
from air_pipeline.environment import Environment
from air_pipeline.settings import Device
from air_pipeline.storage.opening import open_store

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a device after asking.

    Attributes:
        device: the device.
        poll: the poll; None if a collector runs and has polled it never yet.
        live: whether the device was asked now; else it is the last poll of the running collector.
        reason: what went wrong, in words; empty if nothing did.
        notes: what it sends that the settings do not know.
    """

    device: Device
    poll: Poll | None
    live: bool
    reason: str = ""
    notes: tuple[str, ...] = ()


def ask_devices(place: Environment, devices: Sequence[Device]) -> list[Asked]:
    """Asks each device once, unless a collector runs: a device gets one request at a time, ever.

    Raises:
        StoreError: a collector runs and the store does not say what it stored.
    """
    if holder(place.state) is not None:
        store = open_store(place.influxdb, place.state)
        latest = store.latest()
        store.close()
        return [Asked(d, latest[d.id].poll if d.id in latest else None, live=False) for d in devices]
    with ThreadPoolExecutor(min(len(devices), _AT_ONCE)) as pool:
        return list(pool.map(_ask, devices))


def _ask(device: Device) -> Asked:
    began = monotonic()
    slot = slot_at(int(time() * 1000), device.interval_ms)
    answer = get(device.url, device.timeout_s)
    poll, document = make_poll(device, slot, answer, round((monotonic() - began) * 1000))
    reason = answer.reason or (document.rejection if document else "")
    return Asked(device, poll, live=True, reason=reason, notes=document.notes if document else ())

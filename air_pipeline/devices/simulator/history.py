"""The past of a simulated device: the polls that a collector would have made, to seed histories with."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from types import MappingProxyType

import numpy as np

from air_pipeline.devices.answers import Answer
from air_pipeline.devices.assemble import make_poll
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.response import read_response
from air_pipeline.devices.simulator.arrays import unit, values_at
from air_pipeline.devices.simulator.faults import Fault, Reply, reply_at
from air_pipeline.devices.simulator.speaking import SPEAKERS
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.settings import Device

ANSWER_MS = 40.0
"""What an ESP8266 on a quiet network takes."""
ANSWER_SPREAD_MS = 15.0
"""How much more or less it takes now and then."""
_CHUNK = 10_000
_DAY_MS = 86_400_000
"""zlib's `wbits` for a gzip header."""

FaultAt = Callable[[str, float], Fault | None]
"""What is wrong with a device (its id) at an instant (seconds since 1970 UTC), such as `Script.fault_at`."""


def polls_between(
    device: Device, profile: Profile, start: int, end: int, fault_at: FaultAt | None = None
) -> Iterator[Poll]:
    """One poll for each slot of the device in [start, end), ms UTC, with what it would have said.

    The first of all, and of each UTC day, states the series that the device was asked for, and the first which device
    it is, as a collector does. Series that the simulated device does not have are left out of a station's polls.
    Without `fault_at` every poll of a station is `ok`.
    """
    interval = device.interval_ms
    slots = np.arange(-(-start // interval) * interval, end, interval, dtype=np.int64)
    wanted = {parameter.series for parameter in device.parameters}
    asked = tuple(parameter.series for parameter in device.parameters)
    first_of_days = set(slots[np.flatnonzero(np.diff(slots // _DAY_MS, prepend=-1))].tolist())
    rejected: str | None = None
    identity = ""
    is_station = profile.kind not in SPEAKERS
    for first in range(0, len(slots), _CHUNK):
        chunk = slots[first : first + _CHUNK]
        columns = values_at(profile, chunk) if is_station else {}  # what others say is read as it is said
        values = {series: column.tolist() for series, column in columns.items() if series in wanted}
        spread = unit(chunk / 1000, zlib.crc32(device.id.encode()))
        took = np.rint(ANSWER_MS + ANSWER_SPREAD_MS * spread).tolist()
        for place, slot in enumerate(chunk.tolist()):
            said = asked if slot in first_of_days else None
            fault = fault_at(device.id, slot / 1000) if fault_at else None
            if fault is not None or not is_station:
                poll, rejected = _asked(device, profile, slot, fault, took[place], rejected)
                is_news = poll.identity is not None and poll.identity != identity
                identity = poll.identity or identity
                yield replace(poll, series=said, identity=identity if is_news else None)
                continue
            yield Poll(
                device=device.id,
                observed_at=slot,
                outcome=Outcome.OK,
                duration_ms=took[place],
                interval_s=interval / 1000,
                http_status=HTTPStatus.OK.value,
                values=MappingProxyType({series: column[place] for series, column in values.items()}),
                series=said,
            )


def _asked(
    device: Device, profile: Profile, slot: int, fault: Fault | None, took_ms: float, rejected: str | None
) -> tuple[Poll, str | None]:
    """The poll of a slot, and the last rejected body: one that comes again is not kept again."""
    answer, waited_s = answer_to(reply_at(profile, slot / 1000, fault), device.timeout_s)
    poll, document = make_poll(device, slot, answer, took_ms + waited_s * 1000)
    if document and document.identity and poll.outcome.has_reading:
        poll = replace(poll, identity=document.identity)
    if poll.outcome is Outcome.TIMEOUT:
        poll = replace(poll, duration_ms=float(round(device.timeout_s * 1000)))
    if poll.body is None:
        return poll, rejected
    return (replace(poll, body=None) if poll.body == rejected else poll), poll.body


def answer_to(reply: Reply, timeout_s: float) -> tuple[Answer, float]:
    """What a client makes of a reply, and how many seconds it waited for it beyond what a quick answer takes."""
    waited_s = reply.delay_s
    if reply.drip_from is not None:
        waited_s += (len(reply.data) - reply.drip_from) * reply.drip_s
    if reply.hang or waited_s >= timeout_s:
        return Answer(Outcome.TIMEOUT, None), timeout_s
    answer = read_response(reply.data, "", is_over=True).answer
    return (Answer(Outcome.UNREACHABLE, None) if reply.reset or answer is None else answer), waited_s

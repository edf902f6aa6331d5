"""What devices answer, or answered the running collector: what it means, and what to do."""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

from air_pipeline.collection.asking import Asked, ask_devices
from air_pipeline.collection.schedule import polled_between
from air_pipeline.devices.client import Failure
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.diagnosis import Finding, Level
from air_pipeline.environment import Environment
from air_pipeline.settings import Device

LONGEST_S = 5.0
"""For one device; the firmware answers within one second."""
ASK_WITHIN_S = 5.0
"""After that no more devices are asked, so that all of them have answered, or not, within ten seconds."""
_SLOTS = 3
_MOST_SERIES = 4

_NETWORK = "see that it is switched on and in this network; the router may have given it another address"
_REMEDIES: Mapping[Failure, str] = {
    Failure.NAME: "correct the name in its url, or write the IP address that the router shows for it",
    Failure.REFUSED: "the machine is there and nothing listens at that port: correct the port in its url, or restart"
    " the device; another machine may have its address now",
    Failure.CERTIFICATE: "write http:// in its url, or give it a certificate that this machine trusts",
    Failure.TLS: "write http:// in its url: the firmware speaks no TLS",
    Failure.TIMEOUT: f"{_NETWORK}; one that is slow needs a longer timeout in devices.yaml",
    Failure.CLOSED: "restart the device: its memory runs out when it is asked by several at once",
    Failure.CUT: "restart the device; if it happens again, its network is bad",
    Failure.BROKEN: "restart the device; if it happens again, its network is bad",
    Failure.NOT_HTTP: "something else than the firmware answers: correct the port in its url",
}
_OTHER_MACHINE = "another machine may have its address now: look for the device in the router, and correct its url"
_REMEDIES_OF_OUTCOMES: Mapping[Outcome, str] = {
    Outcome.TIMEOUT: _REMEDIES[Failure.TIMEOUT],
    Outcome.UNREACHABLE: f"{_NETWORK}, or the address or port in its url is wrong; which of these, air-pipeline poll"
    " says while no collector runs",
    Outcome.TOO_LARGE: _OTHER_MACHINE,
    Outcome.SKIPPED: "it takes longer than its interval: set a longer interval",
}
_NO_WAY = {os.strerror(number) for number in (errno.EHOSTUNREACH, errno.ENETUNREACH)}


def look_at_devices(environment: Environment, devices: Iterable[Device], now: datetime) -> Iterator[Finding]:
    """One GET each, or the last poll of the running collector."""
    polled = []
    for device in devices:
        since, until = polled_between(device)
        if since <= now.timestamp() * 1000 < until:
            polled.append(device)
        else:
            text = f"is not polled now, by its since and until ({device.since or '…'} to {device.until or '…'})"
            yield Finding(f"device {device.id}", Level.OK, text)
    if polled:
        for asked in ask_devices(environment, polled, longest_s=LONGEST_S, within_s=ASK_WITHIN_S):
            yield finding_of(asked, now)


def finding_of(asked: Asked, now: datetime) -> Finding:
    """What the answer of one device means and what to do."""
    subject, poll = f"device {asked.device.id}", asked.poll
    if poll is None:
        text = asked.reason or "no poll of the running collector is known yet"
        return Finding(subject, Level.UNKNOWN, text, f"air-pipeline poll {asked.device.id}")
    text = _said(asked, poll)
    if asked.live and poll.outcome is Outcome.TIMEOUT and asked.device.timeout_s > LONGEST_S:
        text = f"no answer within {LONGEST_S:g} s; by its timeout it may take {asked.device.timeout_s:g} s"
        return Finding(subject, Level.UNKNOWN, text, f"wait for it: air-pipeline poll {asked.device.id}")
    if not poll.outcome.has_reading:
        return Finding(subject, Level.FAILURE, text, _remedy(asked, poll))
    oldest = now - timedelta(milliseconds=_SLOTS * asked.device.interval_ms, seconds=asked.device.timeout_s + 60)
    if not asked.live and poll.observed_at < oldest.timestamp() * 1000:
        return Finding(subject, Level.WARNING, f"{text}; it was not polled since", "see collector.log, or the store")
    if poll.problems:
        missing = [f"{problem.series} ({problem.reason})" for problem in poll.problems]
        more = f" and {len(missing) - _MOST_SERIES} more" if len(missing) > _MOST_SERIES else ""
        text = f"{text}, without {', '.join(missing[:_MOST_SERIES])}{more}"
        remedy = "see to the sensor; if the device has none, name under sensors those that it has"
        return Finding(subject, Level.WARNING, text, "; ".join([*asked.notes, remedy]))
    if asked.notes:
        return Finding(subject, Level.WARNING, f"{text}; it {'; it '.join(asked.notes)}", _remedy_of_notes(asked))
    return Finding(subject, Level.OK, text)


def _said(asked: Asked, poll: Poll) -> str:
    text = poll.outcome.value
    if poll.http_status is not None:
        text += f", status {poll.http_status}"
    if not asked.live:
        at = datetime.fromtimestamp(poll.observed_at / 1000, asked.device.zone)
        text += f", last poll of the running collector {at.isoformat(sep=' ', timespec='seconds')}"
    return f"{text}: {asked.reason}" if asked.reason else text


def _remedy_of_notes(asked: Asked) -> str:
    return f"change the entry of {asked.device.id} in devices.yaml as said, or leave it: what is known is stored"


def _remedy(asked: Asked, poll: Poll) -> str:
    if any(words in asked.reason for words in _NO_WAY):
        return f"there is no way to its network: {_NETWORK}"
    for failure, remedy in _REMEDIES.items():
        if asked.reason.startswith(failure):
            return remedy
    match poll.outcome:
        case Outcome.HTTP_ERROR:
            return _remedy_of_status(poll.http_status)
        case Outcome.REJECTED:
            return _remedy_of_document(asked)
        case other:
            return _REMEDIES_OF_OUTCOMES.get(other, _NETWORK)


def _remedy_of_document(asked: Asked) -> str:
    if "web page" in asked.reason:
        return _OTHER_MACHINE
    if asked.notes:
        return f"it {'; it '.join(asked.notes)}"
    return f"see what it answers: curl {asked.device.url}; the firmware answers at /circumstances"


def _remedy_of_status(status: int | None) -> str:
    if status is None:
        return _REMEDIES[Failure.NOT_HTTP]
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return "correct the path of its url: the firmware answers at /circumstances"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return f"it asks for a login, as the firmware never does: {_OTHER_MACHINE}"
    if status < HTTPStatus.BAD_REQUEST:
        return "redirects are not followed: write the address it leads to as its url"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "restart the device; if it happens again, ask it less often"
    return _OTHER_MACHINE

"""What devices answer, or answered the running collector: what it means, and what to do."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

from air_pipeline.collection.asking import Asked, ask_devices
from air_pipeline.devices.answers import Failure
from air_pipeline.devices.document import other_identity
from air_pipeline.devices.kinds import DEFAULT, KINDS
from air_pipeline.devices.kinds.tasmota import WANTS_LOGIN
from air_pipeline.devices.login import without_login
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.health import Finding, check, failure, fine, unknown, warning
from air_pipeline.health.seen import Seen
from air_pipeline.processing.local_time import epoch_ms, from_epoch_ms
from air_pipeline.settings import Device
from air_pipeline.showing import without_secrets
from air_pipeline.words import some

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
    Failure.NO_WAY: f"there is no way to its network: {_NETWORK}",
    Failure.LOOK_UP: "write the IP address that the router shows for it in its url: names are looked up slowly here, as"
    " those in .local often are",
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


@check(
    means="Every device answers, or answered the running collector, with a document that is used as it is.",
    remedy="See that it has power and network; ask it: air-pipeline poll {subject}",
    title="device {subject}",
)
def devices_answer(seen: Seen) -> Iterator[Finding]:
    """One GET each, or the last poll of the running collector."""
    settings = seen.deployment.settings
    polled = []
    for device in [settings.device(name) for name in seen.asked] or settings.devices:
        if device.is_polled_at(epoch_ms(seen.now)):
            polled.append(device)
        else:
            text = f"is not polled now, by its since and until ({device.since or '…'} to {device.until or '…'})"
            yield fine(text, device.id)
    if polled:
        for asked in ask_devices(
            seen.environment, settings, polled, may_ask=seen.may_ask, longest_s=LONGEST_S, within_s=ASK_WITHIN_S
        ):
            yield finding_of(asked, seen.now)


def finding_of(asked: Asked, now: datetime) -> Finding:
    """What the answer of one device means and what to do."""
    name, poll = asked.device.id, asked.poll
    if poll is None:
        text = asked.reason or "no poll of the running collector is known yet"
        return unknown(text, f"air-pipeline poll {name}", name)
    text = _said(asked, poll)
    if asked.live and poll.outcome is Outcome.TIMEOUT and asked.device.timeout_s > LONGEST_S:
        text = f"no answer within {LONGEST_S:g} s; by its timeout it may take {asked.device.timeout_s:g} s"
        return unknown(text, f"wait for it: air-pipeline poll {name}", name)
    if asked.device.sleeps is not None and not poll.outcome.is_answer:
        return fine(f"{text}; it sleeps", name)
    if not poll.outcome.has_reading:
        return failure(text, _remedy(asked, poll), name)
    oldest = now - timedelta(milliseconds=_SLOTS * asked.device.interval_ms, seconds=asked.device.timeout_s + 60)
    if not asked.live and poll.observed_at < epoch_ms(oldest):
        return warning(f"{text}; it was not polled since", "see collector.log, or the store", name)
    if poll.problems:
        missing = [f"{problem.series} ({problem.reason})" for problem in poll.problems]
        remedy = "see to the sensor; if the device has none, name under sensors those that it has"
        return warning(f"{text}, without {some(missing, _MOST_SERIES)}", "; ".join([*asked.notes, remedy]), name)
    if asked.notes:
        return warning(f"{text}; it {'; it '.join(asked.notes)}", _remedy_of_notes(asked), name)
    return fine(text, name)


def _said(asked: Asked, poll: Poll) -> str:
    text = poll.outcome.value
    if poll.http_status is not None:
        text += f", status {poll.http_status}"
    if not asked.live:
        at = from_epoch_ms(poll.observed_at).astimezone(asked.device.zone)
        text += f", last poll of the running collector {at.isoformat(sep=' ', timespec='seconds')}"
    return f"{text}: {asked.reason}" if asked.reason else text


def _remedy_of_notes(asked: Asked) -> str:
    return f"change the entry of {asked.device.id} in devices.yaml as said, or leave it: what is known is stored"


def _remedy(asked: Asked, poll: Poll) -> str:
    for kind, remedy in _REMEDIES.items():
        if asked.reason.startswith(kind):
            return remedy
    match poll.outcome:
        case Outcome.HTTP_ERROR:
            return _remedy_of_status(poll.http_status, asked.device)
        case Outcome.REJECTED:
            return _remedy_of_document(asked)
        case other:
            return _REMEDIES_OF_OUTCOMES.get(other, _NETWORK)


def _remedy_of_document(asked: Asked) -> str:
    if other_identity(asked.reason):
        return f"look for {asked.device.id} in the router, and correct its url; if this one takes its place, accept it"
    if asked.reason.startswith(WANTS_LOGIN):
        return _remedy_of_status(HTTPStatus.UNAUTHORIZED, asked.device)
    if "web page" in asked.reason:
        return _OTHER_MACHINE
    if asked.notes:
        return f"it {'; it '.join(asked.notes)}"
    return f"see what it answers: curl {without_secrets(asked.device.url)}; {_where_it_answers(asked.device)}"


def _where_it_answers(device: Device) -> str:
    kind = KINDS[device.kind]
    who = "the firmware" if kind.name == DEFAULT else f"a device of kind {kind.name}"
    return f"{who} answers at {kind.path}" if kind.path else "its kind is json: what answers is for you to know"


def _remedy_of_status(status: int | None, device: Device) -> str:
    if status is None:
        return _REMEDIES[Failure.NOT_HTTP]
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return f"correct the path of its url: {_where_it_answers(device)}"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        where = "auth" if device.access.user is not None else "url" if without_login(device.url)[1] else ""
        if where:
            return f"correct user and password of its {where} in devices.yaml; or {_OTHER_MACHINE}"
        return f"if it has a login, say so in devices.yaml: auth: {{user: …, password: $NAME}}; else {_OTHER_MACHINE}"
    if status < HTTPStatus.BAD_REQUEST:
        return "redirects are not followed: write the address it leads to as its url"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "restart the device; if it happens again, ask it less often"
    return _OTHER_MACHINE

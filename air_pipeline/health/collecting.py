"""Whether collecting goes as it should: the collector, the devices, what waits for the store."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from air_pipeline.collection.collector_state import CollectorState
from air_pipeline.collection.outbox import OutboxError
from air_pipeline.collection.recorder import FORGET_AFTER_S
from air_pipeline.collection.report import silent_devices
from air_pipeline.deployment import settings_stamp
from air_pipeline.devices.document import other_identity
from air_pipeline.health import Finding, check, failure, fine, unknown, warning
from air_pipeline.health.seen import Seen
from air_pipeline.processing.local_time import epoch_ms, from_epoch_ms, utc_text
from air_pipeline.settings import Device
from air_pipeline.words import some

LONGEST_WAIT = timedelta(minutes=2)
"""An outbox drains if nothing has waited in it for longer than two attempts at a store that is there."""
MOST_DEVICES = 3


def _each(states: Mapping[str, CollectorState]) -> Iterator[tuple[str, str, CollectorState]]:
    """Each collector: its name, the same as a subject where there are several, and how it stands."""
    for name, state in states.items():
        yield name, name if len(states) > 1 else "", state


def _at(subject: str) -> str:
    return f" at {subject}" if subject else ""


def _not_known(seen: Seen, name: str, state: CollectorState) -> str:
    """Why nothing is known of a collector, which runs elsewhere if at all; empty where something is."""
    is_external = seen.settings is not None and seen.settings.collector == "external"
    is_here = name == seen.environment.collector
    if state.running is not None or state.has_begun or (is_here and not is_external):
        return ""
    if state.unanswered:
        who = "the collector elsewhere" if is_here else name
        return f"the store does not say what {who} tells of itself: {state.unanswered}"
    if is_here:
        return "devices.yaml says collector: external, and none ever ran here or told of itself through the store"
    return f"{name} has never told of itself through the store"


def _of_devices(seen: Seen, look: Callable[[Device, str], Finding]) -> Iterator[Finding]:
    """What a look at each device and what was noted of it finds, as far as something is known of its collector."""
    why = {name: _not_known(seen, name, state) for name, state in seen.processes.items()}
    if all(why.values()):
        yield unknown(next(iter(why.values())))
        return
    for device in seen.deployment.settings.devices:
        if why[device.collector]:
            yield unknown(why[device.collector], subject=device.id)
        else:
            yield look(device, seen.collectors[device.collector].notes.get(device.id, ""))


@check(
    asset="raw_readings",
    means="A collector runs, each that devices name. Without one no slot of its devices is polled.",
    remedy="See that `air-pipeline up` (or `collect`) runs, and what collector.log in the state directory says.",
    title="collector",
    many="collectors do not run",
    bad="no collector runs",
    good="a collector runs again",
)
def collector_running(seen: Seen) -> Iterator[Finding]:
    """Whether each collector runs; where one never did here, that is no failure yet."""
    settings = seen.deployment.settings
    for name, subject, state in _each(seen.processes):
        if state.running is not None:
            since = datetime.fromtimestamp(state.running.since, settings.zone).isoformat(sep=" ", timespec="seconds")
            where = f", elsewhere, as {state.told_by} told at {utc_text(state.told_at)}" if state.told_at else ""
            yield fine(f"process {state.running.pid}, since {since}{where}", subject, {"collectors": 1})
        elif state.unanswered or (name == seen.environment.collector and _not_known(seen, name, state)):
            why = _not_known(seen, name, state)
            yield unknown(why, "look where it runs, or start it here: air-pipeline collect", subject)
        else:
            yield _none_runs(seen, name, subject, state)


def _none_runs(seen: Seen, name: str, subject: str, state: CollectorState) -> Finding:
    settings, numbers = seen.deployment.settings, {"collectors": 0}
    devices = [device.id for device in settings.devices if device.collector == name]
    polls = f", so nobody polls {some(devices, MOST_DEVICES)}" if subject else ""
    if state.told_at or name != seen.environment.collector:
        since = (
            f"nothing since {utc_text(state.told_at)}" if state.told_at else "nothing of itself through the store yet"
        )
        remedy = "see there that it runs and reaches the store: air-pipeline doctor"
        return failure(f"{name}, which runs elsewhere, has told {since}{polls}", remedy, subject, numbers)
    if settings.collector == "external":
        remedy = "devices.yaml says collector: external, so start air-pipeline collect"
    elif state.is_wanted:  # so the sensor wants it
        remedy = f"Dagster wants one and it does not stay up: see {seen.environment.state.collector_log}"
    else:
        remedy = "air-pipeline up starts one, while the sensor collect is on"
    is_grave = state.has_begun or seen.by_dagster  # which runs to collect
    text = f"none runs here{polls}" if subject else "none runs: devices are not polled"
    return (failure if is_grave else warning)(text, remedy, subject, numbers)


@check(
    asset="raw_readings",
    means="The collectors agree who polls which device: no two of them have one name, and none waits for another.",
    remedy="Give all collectors the same devices.yaml, and each a name of its own: AIR_PIPELINE_COLLECTOR.",
    title="collector",
    many="collectors are not at one with the others",
    bad="the collectors do not agree who polls what",
    good="the collectors agree who polls what again",
)
def collectors_agree(seen: Seen) -> Iterator[Finding]:
    """Which collectors have a rival of the same name, devices that wait, other settings, or no device at all."""
    for name, subject, state in _each(seen.processes):
        found = _disagreement(seen, name, state)
        if why := _not_known(seen, name, state):
            yield unknown(why, subject=subject)
        elif found is None:
            yield fine("each device is one collector's", subject, {"collectors_apart": 0})
        else:
            yield replace(found, subject=subject, numbers={"collectors_apart": 1}, patience=LONGEST_WAIT)


def _disagreement(seen: Seen, name: str, state: CollectorState) -> Finding | None:
    settings = seen.deployment.settings
    if state.running is None:
        return None
    if state.rival:
        where = f"on {state.host}" if state.host else "here"
        return failure(
            f"two processes collect as {name}: process {state.running.pid} {where}, and {state.rival}",
            "their devices are asked twice: stop one of them, or give it another name: AIR_PIPELINE_COLLECTOR",
        )
    if state.waits:
        devices, why = list(state.waits), next(iter(state.waits.values()))
        found = warning(
            f"{some(devices, MOST_DEVICES)} not begun yet by {name}: {why or 'the store was not asked yet'}",
            "give all collectors the same devices.yaml; one that is stopped is waited for 75 s",
        )
        return replace(found, since=from_epoch_ms(round(state.waits_since * 1000)))
    if name not in settings.collectors:
        return warning(f"{name} runs, and no device is of it", f"say collector: {name} of a device, or stop it")
    if state.shares and state.shares != settings.shares:
        changed = settings_stamp(seen.environment.config)
        found = warning(f"by the devices.yaml of {name}, other devices are its own than by the one here")
        return replace(found, since=from_epoch_ms(changed[0] // 1_000_000) if isinstance(changed, tuple) else None)
    return None


@check(
    asset="raw_readings",
    means="Every device gave a reading in the last five minutes (three slots, if those take longer; one that sleeps, in"
    " twice the time for which it does).",
    remedy="See that it has power and network; ask it: air-pipeline poll {subject}",
    title="device {subject}",
    many="devices gave no reading lately",
    bad="{subject} gives no readings",
    good="{subject} gives readings again",
)
def devices_reporting(seen: Seen) -> Iterator[Finding]:
    """Which of the devices that are polled are silent; it is grave where all of them are."""
    report = seen.report
    if report.store_error:
        yield unknown(f"the store did not answer: {report.store_error}")
        return
    silent = {
        state.device: state.outcome or "not polled"
        for state in silent_devices(report, seen.deployment.settings, seen.now)
    }
    found = failure if len(silent) == report.expected else warning
    polled = [device for device in seen.deployment.settings.devices if device.is_polled_at(epoch_ms(seen.now))]
    if not polled:
        yield fine("no device is polled now", numbers={"devices": 0, "not_reporting": 0})
    for device in polled:
        if device.id in silent:
            yield found(silent[device.id], subject=device.id, numbers={"devices": 1, "not_reporting": 1})
        else:
            yield fine("gives readings", device.id, {"devices": 1, "not_reporting": 0})


@check(
    asset="raw_readings",
    means="What is polled reaches the store. While it does not, polls wait in the outbox; none is lost.",
    remedy="See that the store runs and takes the token; nothing is lost, readings wait: air-pipeline outbox",
    title="outbox",
    bad="readings do not reach the store",
    good="readings reach the store again",
)
def outbox_draining(seen: Seen) -> Iterator[Finding]:
    """Whether what was polled waits for longer than it should."""
    try:
        states = seen.collectors
    except OutboxError as error:
        what, _, remedy = str(error).partition(". ")
        yield failure(what, remedy)
        return
    for name, subject, state in _each(states):
        status = state.outbox
        numbers = {"pending": status.pending, "failures": status.failures}
        if why := _not_known(seen, name, state):
            yield unknown(why, subject=subject)
        elif status.oldest is None or seen.now - from_epoch_ms(status.oldest) <= LONGEST_WAIT:
            yield fine(f"{status.pending} polls wait" if state.has_begun else "nothing waits", subject, numbers)
        else:
            reason = status.error or "no collector delivers them"
            do = (
                "put right what the store says" if status.error else "start the collector: air-pipeline up (or collect)"
            )
            text = f"{status.pending} polls wait{_at(subject)}, the oldest since {utc_text(status.oldest)}: {reason}"
            yield failure(text, f"{do}; nothing is lost", subject, numbers)


@check(
    asset="raw_readings",
    means="What is polled is on the disk within moments. While the disk refuses, polls wait in memory, up to 64 MiB.",
    remedy="Make room on the disk of the state directory, or have it writable again; do not stop the collector before.",
    title="recording",
    bad="the disk refuses what is polled",
    good="what is polled is on the disk again",
)
def polls_recorded(seen: Seen) -> Iterator[Finding]:
    """Whether polls wait in the memory of a collector, and whether any were lost there lately."""
    for name, subject, state in _each(seen.processes):
        why = _not_known(seen, name, state)
        yield unknown(why, subject=subject) if why else _recorded(seen, subject, state)


def _recorded(seen: Seen, subject: str, state: CollectorState) -> Finding:
    found = state.recording
    numbers = {"waiting_in_memory": 0, "polls_lost": 0, "slots_unconfirmed": found.unconfirmed}
    if found.refused and state.running is not None:
        numbers |= {"waiting_in_memory": found.waiting, "polls_lost": found.dropped}
        text = (
            f"{found.waiting} polls wait in memory{_at(subject)}, as the disk refuses them:"
            f" {found.refused}{found.and_lost}"
        )
        return failure(text, "", subject, numbers)
    if found.dropped and 0 <= seen.now.timestamp() - found.at < FORGET_AFTER_S:
        numbers["polls_lost"] = found.dropped
        text = f"{found.lost}{_at(subject)}: the disk refused them for too long"
        return warning(text, "see that it keeps room", subject, numbers)
    return fine("what is polled is on the disk", subject, numbers)


@check(
    asset="raw_readings",
    means="There is no poll that the store will not take, so none was set aside.",
    remedy="See why: air-pipeline outbox; try them again: air-pipeline outbox --release",
    title="outbox",
    bad="the store will not take some polls",
    good="no poll is set aside any more",
)
def quarantine_empty(seen: Seen) -> Iterator[Finding]:
    """Whether polls were set aside; of an outbox that cannot be read that is said by the look at what drains."""
    try:
        states = seen.collectors
    except OutboxError:
        return
    for name, subject, state in _each(states):
        number = state.outbox.quarantined
        if why := _not_known(seen, name, state):
            yield unknown(why, subject=subject)
        elif not number:
            yield fine("no poll was set aside", subject, {"quarantined": 0})
        else:
            reasons = "; ".join(dict.fromkeys(state.reasons))
            text = f"the store will not take {number} polls, so they were set aside{_at(subject)}: {reasons}"
            remedy = f"put right what the store says, then{_at(subject)}: air-pipeline outbox --release"
            yield warning(text, remedy, subject, {"quarantined": number})


@check(
    asset="raw_readings",
    means="No outbox was found damaged. One that was is set aside, and what can be read of it is delivered.",
    remedy="See that the disk is well, and remove the file once you need it no more",
    title="outbox",
    bad="the outbox was damaged",
    good="no damaged outbox is left",
)
def outbox_whole(seen: Seen) -> Iterator[Finding]:
    """Which outboxes were set aside, and what was saved of them."""
    try:
        states = seen.collectors
    except OutboxError:
        return
    for name, subject, state in _each(states):
        asides = state.asides
        if why := _not_known(seen, name, state):
            yield unknown(why, subject=subject)
        elif not asides:
            yield fine("none was damaged", subject, {"damaged": 0})
        else:
            saved = "; ".join(f"{one.file}, of which {one.saved} polls were saved" for one in asides)
            going_on = "" if all(one.is_done for one in asides) else "; it is still being read"
            numbers = {"damaged": len(asides), "saved": sum(one.saved for one in asides)}
            text = f"it was damaged{_at(subject)} and set aside as {saved}{going_on}"
            yield warning(text, "", subject, numbers)


@check(
    asset="raw_readings",
    means="At each address answers the device whose history is kept under its id, as far as it says which one it is.",
    remedy="Write the address that {subject} has now; or, if this one takes its place: air-pipeline accept {subject}",
    title="device {subject}",
    many="devices are answered for by others",
    bad="another device answers at the address of {subject}",
    good="{subject} itself answers again",
)
def devices_themselves(seen: Seen) -> Iterator[Finding]:
    """At which addresses another device answers, which is rejected."""

    def look(device: Device, note: str) -> Finding:
        if other_identity(note):
            text = note.partition("; write the address")[0]
            return warning(text, subject=device.id, numbers={"devices_of_others": 1})
        return fine("no other device answers for it", device.id, {"devices_of_others": 0})

    return _of_devices(seen, look)


@check(
    asset="raw_readings",
    means="Devices send nothing that devices.yaml and the catalogue do not know.",
    remedy="Name it under `sensors` of the device in devices.yaml, or leave it.",
    title="device {subject}",
    many="devices send something that is not known",
    bad="{subject} sends something that is not known",
    good="everything that {subject} sends is known",
)
def documents_known(seen: Seen) -> Iterator[Finding]:
    """What each device sends that is not known."""

    def look(device: Device, note: str) -> Finding:
        if note and not other_identity(note):
            return warning(note, subject=device.id, numbers={"devices_with_unknowns": 1})
        return fine("everything that it sends is known", device.id, {"devices_with_unknowns": 0})

    return _of_devices(seen, look)

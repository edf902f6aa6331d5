"""Whether collecting goes as it should: the collector, the devices, what waits for the store."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from air_pipeline.collection.outbox import OutboxError
from air_pipeline.collection.recorder import FORGET_AFTER_S
from air_pipeline.collection.report import silent_devices
from air_pipeline.devices.document import other_identity
from air_pipeline.health import Finding, check, failure, fine, unknown, warning
from air_pipeline.health.seen import Seen
from air_pipeline.processing.local_time import epoch_ms, from_epoch_ms, utc_text

LONGEST_WAIT = timedelta(minutes=2)
"""An outbox drains if nothing has waited in it for longer than two attempts at a store that is there."""


def _not_known(seen: Seen) -> str:
    """Why nothing is known of a collector, which runs elsewhere if at all; empty where something is."""
    found = seen.process
    if seen.deployment.settings.collector != "external" or found.running is not None or found.has_begun:
        return ""
    if found.unanswered:
        return f"the store does not say what the collector elsewhere tells of itself: {found.unanswered}"
    return "devices.yaml says collector: external, and none ever ran here or told of itself through the store"


@check(
    asset="raw_readings",
    means="A collector runs. Without one no slot is polled.",
    remedy="See that `air-pipeline up` (or `collect`) runs, and what collector.log in the state directory says.",
    title="collector",
    bad="no collector runs",
    good="a collector runs again",
)
def collector_running(seen: Seen) -> Iterator[Finding]:
    """Whether a collector runs; where one never did, that is no failure yet."""
    state, settings = seen.process, seen.deployment.settings
    if state.running is not None:
        since = datetime.fromtimestamp(state.running.since, settings.zone).isoformat(sep=" ", timespec="seconds")
        where = f", elsewhere, as {state.told_by} told at {utc_text(state.told_at)}" if state.told_at else ""
        yield fine(f"process {state.running.pid}, since {since}{where}", numbers={"collectors": 1})
        return
    if why := _not_known(seen):
        yield unknown(why, "look where it runs, or start it here: air-pipeline collect")
        return
    if state.told_at:
        what = f"{state.told_by}, which runs elsewhere, has told nothing since {utc_text(state.told_at)}"
        remedy = "see there that it runs and reaches the store: air-pipeline doctor"
        yield failure(what, remedy, numbers={"collectors": 0})
        return
    if settings.collector == "external":
        remedy = "devices.yaml says collector: external, so start air-pipeline collect"
    elif state.is_wanted:  # so the sensor wants it
        remedy = f"Dagster wants one and it does not stay up: see {seen.environment.state.collector_log}"
    else:
        remedy = "air-pipeline up starts one, while the sensor collect is on"
    is_grave = state.has_begun or seen.by_dagster  # which runs to collect
    yield (failure if is_grave else warning)("none runs: devices are not polled", remedy, numbers={"collectors": 0})


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
    silent = {state.device: state.outcome or "not polled" for state in silent_devices(report, seen.now)}
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
        status = seen.collector.outbox
    except OutboxError as error:
        what, _, remedy = str(error).partition(". ")
        yield failure(what, remedy)
        return
    if why := _not_known(seen):
        yield unknown(why)
        return
    numbers = {"pending": status.pending, "failures": status.failures}
    if status.oldest is None or seen.now - from_epoch_ms(status.oldest) <= LONGEST_WAIT:
        yield fine(f"{status.pending} polls wait" if seen.collector.has_begun else "nothing waits", numbers=numbers)
        return
    reason = status.error or "no collector delivers them"
    do = "put right what the store says" if status.error else "start the collector: air-pipeline up (or collect)"
    text = f"{status.pending} polls wait, the oldest since {utc_text(status.oldest)}: {reason}"
    yield failure(text, f"{do}; nothing is lost", numbers=numbers)


@check(
    asset="raw_readings",
    means="What is polled is on the disk within moments. While the disk refuses, polls wait in memory, up to 64 MiB.",
    remedy="Make room on the disk of the state directory, or have it writable again; do not stop the collector before.",
    title="recording",
    bad="the disk refuses what is polled",
    good="what is polled is on the disk again",
)
def polls_recorded(seen: Seen) -> Iterator[Finding]:
    """Whether polls wait in the memory of the collector, and whether any were lost there lately."""
    if why := _not_known(seen):
        yield unknown(why)
        return
    found = seen.process.recording
    numbers = {"waiting_in_memory": 0, "polls_lost": 0, "slots_unconfirmed": found.unconfirmed}
    if found.refused and seen.process.running is not None:
        numbers |= {"waiting_in_memory": found.waiting, "polls_lost": found.dropped}
        text = f"{found.waiting} polls wait in memory, as the disk refuses them: {found.refused}{found.and_lost}"
        yield failure(text, numbers=numbers)
    elif found.dropped and 0 <= seen.now.timestamp() - found.at < FORGET_AFTER_S:
        numbers["polls_lost"] = found.dropped
        yield warning(f"{found.lost}: the disk refused them for too long", "see that it keeps room", numbers=numbers)
    else:
        yield fine("what is polled is on the disk", numbers=numbers)


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
        number = seen.collector.outbox.quarantined
    except OutboxError:
        return
    if why := _not_known(seen):
        yield unknown(why)
        return
    if not number:
        yield fine("no poll was set aside", numbers={"quarantined": 0})
        return
    reasons = "; ".join(dict.fromkeys(seen.collector.reasons))
    text = f"the store will not take {number} polls, so they were set aside: {reasons}"
    yield warning(
        text, "put right what the store says, then: air-pipeline outbox --release", numbers={"quarantined": number}
    )


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
        asides = seen.collector.asides
    except OutboxError:
        return
    if why := _not_known(seen):
        yield unknown(why)
        return
    if not asides:
        yield fine("none was damaged", numbers={"damaged": 0})
        return
    saved = "; ".join(f"{one.file}, of which {one.saved} polls were saved" for one in asides)
    going_on = "" if all(one.is_done for one in asides) else "; it is still being read"
    numbers = {"damaged": len(asides), "saved": sum(one.saved for one in asides)}
    yield warning(f"it was damaged and set aside as {saved}{going_on}", numbers=numbers)


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
    if why := _not_known(seen):
        yield unknown(why)
        return
    for device in seen.deployment.settings.devices:
        note = seen.collector.notes.get(device.id, "")
        if other_identity(note):
            text = note.partition("; write the address")[0]
            yield warning(text, subject=device.id, numbers={"devices_of_others": 1})
        else:
            yield fine("no other device answers for it", device.id, {"devices_of_others": 0})


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
    if why := _not_known(seen):
        yield unknown(why)
        return
    for device in seen.deployment.settings.devices:
        note = seen.collector.notes.get(device.id)
        if note and not other_identity(note):
            yield warning(note, subject=device.id, numbers={"devices_with_unknowns": 1})
        else:
            yield fine("everything that it sends is known", device.id, {"devices_with_unknowns": 0})

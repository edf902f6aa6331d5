"""The store of readings and what waits for it: whether it is there, takes what is written and keeps it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

from air_pipeline.collection.outbox import OutboxError, existing_outbox
from air_pipeline.collection.report import LONGEST_WAIT
from air_pipeline.diagnosis import Finding, Level
from air_pipeline.diagnosis.clock import look_at_servers_clock
from air_pipeline.environment import Environment
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb_examination import examine_influxdb
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import StoreError, StoreUnavailable

ANSWER_WITHIN_S = 2.5
"""For each of four requests at most, so that a server that hangs is told from one that is slow within ten seconds."""
_MOST_REASONS = 3


def look_at_store(environment: Environment) -> Iterator[Finding]:
    """Whether the store is there, and lets us read and write."""
    try:
        yield from (
            _influxdb(environment.influxdb, environment.store) if environment.influxdb else _embedded(environment)
        )
    except StoreError as error:
        what, _, remedy = str(error).partition(": ")
        remedy = remedy or "see what answers there"
        if isinstance(error, StoreUnavailable):
            remedy += " What is polled meanwhile waits in the outbox; nothing is lost"
        yield Finding("store", Level.FAILURE, what, remedy)


def _influxdb(connection: InfluxConnection, name: str) -> Iterator[Finding]:
    examined = examine_influxdb(connection, ANSWER_WITHIN_S)
    version = f" (version {examined.version})" if examined.version else ""
    if not examined.bucket_there:
        text = f"there is no bucket '{connection.bucket}' yet; the first reading makes it, if the token may"
        yield Finding("store", Level.WARNING, text, "if it has another name, correct INFLUXDB_V2_BUCKET")
    elif examined.retention_s:
        text = f"{name}{version} forgets readings after {timedelta(seconds=examined.retention_s)}"
        remedy = "set the bucket's retention to never, or days cannot be computed again after that"
        yield Finding("store", Level.WARNING, text, remedy)
    else:
        yield Finding("store", Level.OK, f"{name}{version}: the token may read and write")
    yield from look_at_servers_clock(connection.url, examined.ahead_s)


def _embedded(environment: Environment) -> Iterator[Finding]:
    with closing(open_store(None, environment.state)) as store:
        known = store.latest()
    last = max((latest.poll.observed_at for latest in known.values()), default=None)
    devices = "1 device" if len(known) == 1 else f"{len(known)} devices"
    said = f"polls of {devices}, the last of {_utc(last)}" if last is not None else "nothing in it yet"
    yield Finding("store", Level.OK, f"the embedded store: {said}")


def look_at_outbox(environment: Environment, now: datetime) -> Iterator[Finding]:
    """What waits for the store, and what it would not take."""
    try:
        box = existing_outbox(environment.state.outbox)
        if box is None:
            yield Finding("outbox", Level.OK, "nothing has been collected here yet")
            return
        with closing(box):
            status, quarantined = box.status(), box.quarantined(_MOST_REASONS)
    except OutboxError as error:
        what, _, remedy = str(error).partition("; ")
        yield Finding("outbox", Level.FAILURE, what, remedy)
        return
    waited = timedelta(seconds=now.timestamp() - status.oldest / 1000) if status.oldest is not None else timedelta()
    if waited > LONGEST_WAIT:
        reason = status.error or "no collector delivers them"
        text = f"{status.pending} polls wait, the oldest since {_utc(status.oldest)}: {reason}"
        remedy = (
            "put right what the store says" if status.error else "start the collector: air-pipeline up (or collect)"
        )
        yield Finding("outbox", Level.FAILURE, text, f"{remedy}; nothing is lost")
    else:
        yield Finding("outbox", Level.OK, f"{status.pending} polls wait")
    if status.quarantined:
        reasons = "; ".join(dict.fromkeys(one.reason for one in quarantined))
        text = f"the store will not take {status.quarantined} polls, so they were set aside: {reasons}"
        remedy = "put right what the store says, then: air-pipeline outbox --release"
        yield Finding("outbox", Level.WARNING, text, remedy)


def _utc(slot: int | None) -> str:
    return datetime.fromtimestamp((slot or 0) / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

"""The store of readings: whether it is there, takes what is written and keeps it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

from air_pipeline.health import Finding, check, failure, fine, warning
from air_pipeline.health.seen import Seen
from air_pipeline.processing.local_time import epoch_ms, utc_text
from air_pipeline.storage.influxdb_examination import Examined
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import StoreError, StoreUnavailable


@check(
    means="The store is there, lets us read and write, and forgets nothing.",
    remedy="see what answers there",
    title="store",
)
def store_usable(seen: Seen) -> Iterator[Finding]:
    """Whether the store is there, and lets us read and write."""
    if seen.misset:  # then it is not known which one
        return
    try:
        yield _of_influxdb(seen, seen.influxdb) if seen.influxdb else _of_embedded(seen)
    except StoreError as error:
        what, _, remedy = str(error).partition(": ")
        remedy = remedy or "see what answers there"
        if isinstance(error, StoreUnavailable):
            remedy += " What is polled meanwhile waits in the outbox; nothing is lost"
        yield failure(what, remedy)


def _of_influxdb(seen: Seen, examined: Examined) -> Finding:
    name = seen.environment.store
    version = f" (version {examined.version})" if examined.version else ""
    bucket = seen.environment.influxdb.bucket if seen.environment.influxdb else ""
    if not examined.bucket_there:
        return warning(
            f"there is no bucket '{bucket}' yet; the first reading makes it, if the token may",
            "if it has another name, correct INFLUXDB_V2_BUCKET",
        )
    if examined.retention_s:
        return warning(
            f"{name}{version} forgets readings after {timedelta(seconds=examined.retention_s)}",
            "set the bucket's retention to never, or days cannot be computed again after that",
        )
    if not examined.is_compared:
        return warning(
            f"{name}{version}: it could not be compared whether the bucket that is read is the one that is written",
            "see that no DBRP mapping of its name leads elsewhere: influx v1 dbrp list",
        )
    return fine(f"{name}{version}: the token may read and write")


def _of_embedded(seen: Seen) -> Finding:
    with closing(open_store(None, seen.environment.state)) as store:
        now = epoch_ms(seen.now)
        known = store.latest(*seen.settings.present(now)) if seen.settings else store.latest(end=now)
    last = max((latest.poll.observed_at for latest in known.values()), default=None)
    if last is None:
        return fine("the embedded store: nothing in it yet")
    devices = "1 device" if len(known) == 1 else f"{len(known)} devices"
    at = utc_text(last)
    return fine(f"the embedded store: polls of {devices}, the last of {at}")

"""Whether the store answers: what is said of collectors elsewhere is said by it alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from air_pipeline.health import Finding, check, failure, fine, unknown
from air_pipeline.health.seen import Seen

LONGEST_SILENCE = timedelta(minutes=2)
"""A store that is busy, or is started again, answers before."""


@check(
    asset="raw_readings",
    means="The store answers who reads it. While it does not, what is polled waits where it is collected.",
    remedy="See that it runs and is reached from here: air-pipeline doctor; nothing is lost.",
    title="store",
    bad="the store does not answer",
    good="the store answers again",
)
def store_answering(seen: Seen) -> Iterator[Finding]:
    """Whether it answered the last look at what came in, or has not for long."""
    error = seen.report.store_error
    is_here = any(one.running is not None and not one.told_by for one in seen.processes.values())
    if not error:
        yield fine("it answers", numbers={"stores_silent": 0})
    elif is_here:
        yield unknown("the collector here says by what waits in its outbox how the store takes readings")
    else:
        silent = failure(error, numbers={"stores_silent": 1})
        yield replace(silent, patience=LONGEST_SILENCE, since=seen.store_silent_since)

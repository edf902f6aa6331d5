"""Whether what all machines share answers: the store of readings, the object store with the days, who hands runs over.

What is said of collectors elsewhere is said by the store alone. Of what a deployment on one machine has not, nothing is
found.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from air_pipeline.health import Finding, check, failure, fine, unknown, warning
from air_pipeline.health.seen import HandedOver, Seen
from air_pipeline.places import ObjectAddress
from air_pipeline.processing.local_time import epoch_ms, utc_text

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


@check(
    asset="daily_aggregates",
    means="The object store with the days answers who builds and reads them. While it does not, no day is built.",
    remedy="See that it runs and is reached from here: air-pipeline doctor; the days stay as they are.",
    title="object store",
    bad="the object store with the days does not answer",
    good="the object store with the days answers again",
)
def objects_answering(seen: Seen) -> Iterator[Finding]:
    """Whether the object store gives one small object at once; of days in a folder nothing."""
    if not isinstance(seen.environment.data, ObjectAddress):
        return
    if error := seen.objects_error:
        what, _, remedy = str(error).partition("; ")
        yield failure(what, remedy, numbers={"object_stores_silent": 1})
    else:
        yield fine(f"{seen.environment.data} answers", numbers={"object_stores_silent": 0})


@check(
    asset="daily_aggregates",
    means="Runs that are handed over to workers are taken by one: what hands them over (Redis) answers, and none has"
    " waited there for a minute.",
    remedy="See that Redis and the workers run: systemctl status air-pipeline-worker.",
    title="workers",
    bad="runs are not taken by workers",
    good="runs are taken by workers again",
)
def runs_taken(seen: Seen) -> Iterator[Finding]:
    """Whether runs get to workers; nothing where they are processes of who launches them."""
    if seen.handed_over is not None:
        yield _of_handed_over(seen.handed_over)


def _of_handed_over(now: HandedOver) -> Finding:
    numbers = {"brokers_silent": int(bool(now.silence)), "runs_untaken": now.untaken}
    if now.silence:
        remedy = "see that it runs and is reached from here (CELERY_BROKER_URL); runs that wait in it are done then"
        return failure(f"{now.broker}, which hands runs over, does not answer ({now.silence})", remedy, numbers=numbers)
    answers = f"{now.broker} answers, and " if now.broker else ""
    if not now.untaken:
        return fine(f"{answers}no run waits for a worker", numbers=numbers)
    runs = "1 run has" if now.untaken == 1 else f"{now.untaken} runs have"
    since = f" since {utc_text(epoch_ms(now.since))}" if now.since else ""
    return warning(
        f"{answers}{runs} been waiting for a worker{since}",
        "see that workers run (systemctl status air-pipeline-worker), and that they have as many places (--concurrency)"
        " as max_concurrent_runs in dagster.yaml says",
        numbers=numbers,
    )

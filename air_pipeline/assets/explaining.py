"""What becomes of a step that fails: a sentence, and another attempt where that may help.

Belongs here: which failures pass by themselves. Does not: what the errors are (each room's own).

For the underlying Dagster concept, see docs.dagster.io: op retries.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from air_pipeline.days.terms import OtherTerms
from air_pipeline.errors import AirPipelineError
from air_pipeline.instance.runs_of_days import AGAIN_TAG
from air_pipeline.storage.shelf import ShelfUnavailable
from air_pipeline.storage.store import StoreUnavailable

RETRIES = 3
RETRY_AFTER_S = 10


@contextmanager
def explained(log: dg.DagsterLogManager, attempt: int, instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Turns what can go wrong into a sentence; what may go better soon is tried again.

    Args:
        log: of the run.
        attempt: how often the step was tried before.
        instance: where the run is.
        run_id: which run.
    """
    try:
        yield
    except AirPipelineError as error:
        may_pass = isinstance(error, (StoreUnavailable, ShelfUnavailable))
        if may_pass and attempt < RETRIES:
            log.warning("%s Next attempt in %d s.", error, RETRY_AFTER_S)
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_AFTER_S) from error
        if may_pass or isinstance(error, OtherTerms):  # later it may be done, by this worker or another one
            instance.add_run_tags(run_id, {AGAIN_TAG: "true"})
        raise dg.Failure(str(error), allow_retries=False) from error

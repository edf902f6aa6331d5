"""Every run is told under which settings and versions it is to build, whoever launches it.

Belongs here: telling runs that nobody told, such as those of an asset's page and of its backfills. Does not: what is
told, and how it is compared (`days.terms`).

For the underlying Dagster concept, see docs.dagster.io: run coordinators.
"""

from functools import cached_property

import dagster as dg
from dagster._core.run_coordinator.base import SubmitRunContext

from air_pipeline.days.terms import terms_now
from air_pipeline.deployment import Deployment, open_deployment, present
from air_pipeline.errors import AirPipelineError
from air_pipeline.instance.runs_of_days import TERMS_TAG


class ToldRunCoordinator(dg.QueuedRunCoordinator):
    """Dagster's queue of runs, by the side of the code server: what is in force there when a run is queued, it is told.

    Where that cannot be read, a run is queued as it is.
    """

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Tells a run, and queues it."""
        run = context.dagster_run
        if TERMS_TAG not in run.tags:
            try:
                told = terms_now(present(self._deployment)).to_text()
            except AirPipelineError as error:
                self._logger.warning("run %s is not told under which settings it is to build: %s", run.run_id, error)
            else:
                self._instance.add_run_tags(run.run_id, {TERMS_TAG: told})
        return super().submit_run(context)

    @cached_property
    def _deployment(self) -> Deployment:
        return open_deployment(strict=False, keep=False)

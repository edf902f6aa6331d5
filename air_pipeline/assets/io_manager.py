"""How tables of a day pass between steps: as files, published once they are whole and checked.

For the underlying Dagster concept, see docs.dagster.io: I/O managers.
"""

from datetime import date
from typing import TYPE_CHECKING, cast

import dagster as dg

from air_pipeline.assets.explaining import RETRIES, RETRY_AFTER_S, explained
from air_pipeline.assets.metadata import file_metadata
from air_pipeline.deployment import Deployment
from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.columns import TableName
from air_pipeline.storage.day_files import DayFile, day_file
from air_pipeline.storage.shelf import ShelfUnavailable

if TYPE_CHECKING:  # with pyarrow
    from air_pipeline.storage.parquet import StagedDay


class TablesIOManager(dg.IOManager):
    """Publishes staged tables, and hands tables of the same day to the steps after them, unopened."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def handle_output(self, context: dg.OutputContext, obj: "StagedDay") -> None:
        """Puts the table in its place, whole."""
        # Dagster calls this while the step's generator is suspended at its `yield`, inside the `stage()` that keeps the
        # file: a step that returned its result instead would have left that block, and nothing to publish.
        step = context.step_context
        with explained(step.log, step.previous_attempt_count, step.instance, step.run_id):
            context.add_output_metadata(file_metadata(obj.publish()))

    def load_input(self, context: dg.InputContext) -> DayFile:
        """The table of the same day."""
        table = cast("TableName", context.asset_key.to_user_string())
        try:
            file = day_file(self._deployment.data, table, date.fromisoformat(context.partition_key))
            file.metadata()  # a day that was built before is a claim about a file: it must be there and be ours
        except ShelfUnavailable as error:
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_AFTER_S) from error
        except AirPipelineError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        return file

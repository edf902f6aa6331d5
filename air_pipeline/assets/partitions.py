"""The partitions of the assets of a day.

For the underlying Dagster concept, see docs.dagster.io: partitions.
"""

import dagster as dg

from air_pipeline.settings import Settings


def day_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """The local dates of the deployment's zone, from `start` on."""
    return dg.DailyPartitionsDefinition(start_date=settings.start.isoformat(), timezone=settings.timezone)

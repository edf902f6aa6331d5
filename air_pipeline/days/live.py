"""The rows of a day that has no files yet, computed from the store as they would be built: also of a day that goes on.

Belongs here: what differs from building, which is that a day may not be over. Does not: which days are asked for
(`access`).
"""

from datetime import date, datetime

import numpy as np
import pyarrow as pa

from air_pipeline.days.building import device_observations
from air_pipeline.days.presence import PresentDay
from air_pipeline.processing.aggregates import aggregates_table, daily_aggregates, hourly_aggregates
from air_pipeline.processing.columns import TableName
from air_pipeline.processing.local_time import from_epoch_ms, local_hours
from air_pipeline.processing.observations import observations_table
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.storage.store import ReadingStore


def live_rows(store: ReadingStore, table: TableName, one: PresentDay, day: date, now: datetime) -> pa.Table:
    """One device's rows of a table of its local day, as they would be built from what is stored now.

    Of a day that is not over there are the slots that are due already (see `device_observations`) and the hours that
    have begun; the hour and the day that go on are not complete.

    Raises:
        StoreError: the store cannot be read.
        ProcessingError: the store holds what cannot be flagged.
    """
    observations = device_observations(store, one, now)
    if not len(observations.at):
        return arrow_schema(table).empty_table()
    if table == "observations":
        return observations_table(observations)
    device = one.device
    hourly = hourly_aggregates(device, observations, day)
    hours = local_hours(from_epoch_ms(one.start), from_epoch_ms(one.end), device.zone)
    hourly["is_complete"] &= np.tile([hour.end_utc <= now for hour in hours], len(observations.series))
    if table == "hourly_aggregates":
        return aggregates_table(table, hourly[hourly["hour_start"] <= now])
    daily = daily_aggregates(device, observations, hourly, day)
    daily["is_complete"] &= daily["day_end"] <= now
    return aggregates_table(table, daily)

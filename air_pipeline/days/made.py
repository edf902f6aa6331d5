"""What is made of each device of a day while its observations are in memory, for tables that are written later.

Belongs here: aggregates, packed until their step. Does not: tables and their files (`building`).
"""

from collections.abc import Iterator
from datetime import date
from functools import cached_property
from typing import NamedTuple

import pyarrow as pa

from air_pipeline.processing.aggregates import aggregates_table, daily_aggregates, hourly_aggregates
from air_pipeline.processing.columns import TableName
from air_pipeline.processing.local_time import day_window, local_hours
from air_pipeline.processing.observations import DeviceObservations
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.settings import Device
from air_pipeline.storage.day_files import DayMetadata


class Packed:
    """Rows of one device after the other, in a fifth of the memory that their tables take.

    Attributes:
        count: how many there must be, counted from series and hours, not from the rows.
    """

    def __init__(self, table: TableName) -> None:
        """None yet, of a table."""
        self.count = 0
        self._sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_stream(self._sink, arrow_schema(table), options=options)

    def add(self, rows: pa.Table, count: int) -> None:
        """Those of one more device, and how many they must be; before any are taken out."""
        self._writer.write_table(rows.combine_chunks())
        self.count += count

    def __iter__(self) -> Iterator[pa.Table]:
        """The rows of each device that has some."""
        for rows in pa.ipc.open_stream(self._packed):
            yield pa.Table.from_batches([rows])

    @cached_property
    def _packed(self) -> pa.Buffer:
        self._writer.close()
        return self._sink.getvalue()


class DeviceAggregates(NamedTuple):
    """Both aggregates of one device's day, as rows of their tables."""

    hourly: pa.Table
    daily: pa.Table


class MadeInMemory:
    """The aggregates of a day, and with which observations they were made.

    Attributes:
        metadata: of these observations.
        hourly: rows of `hourly_aggregates`.
        daily: rows of `daily_aggregates`.
    """

    def __init__(self, day: date, metadata: DayMetadata) -> None:
        """Nothing yet, of a local date."""
        self._day = day
        self.metadata = metadata
        self.hourly = Packed("hourly_aggregates")
        self.daily = Packed("daily_aggregates")

    def add(self, device: Device, observations: DeviceObservations) -> DeviceAggregates:
        """Makes those of one more device, as it was asked then, from the observations of its day."""
        hourly = hourly_aggregates(device, observations, self._day)
        daily = daily_aggregates(device, observations, hourly, self._day)
        made = DeviceAggregates(
            aggregates_table("hourly_aggregates", hourly), aggregates_table("daily_aggregates", daily)
        )
        self.hourly.add(made.hourly, hour_rows(device, observations, self._day))
        self.daily.add(made.daily, len(observations.series))
        return made


def hour_rows(device: Device, observations: DeviceObservations, day: date) -> int:
    """How many rows of `hourly_aggregates` a device's day must have."""
    return len(local_hours(*day_window(day, device.zone), device.zone)) * len(observations.series)

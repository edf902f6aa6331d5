"""What the first step of a day keeps for the others, made of each device while it is in memory: nobody reads it again.

Belongs here: what is kept. Does not: how it is made (`days.building`, `reports.gathering`).

For the underlying Dagster concept, see docs.dagster.io: assets.
"""

from datetime import date

import pandas as pd

from air_pipeline.days.building import DeviceAggregates, device_aggregates
from air_pipeline.deployment import Deployment
from air_pipeline.processing.observations import DeviceObservations
from air_pipeline.reports.gathering import WorstPages
from air_pipeline.settings import Device
from air_pipeline.storage.day_files import DayMetadata


class Kept:
    """Of a day whose steps are all done by one process.

    Attributes:
        aggregates: device to its hourly and daily aggregates.
        pages: what the page shows of the worst devices.
    """

    def __init__(self, deployment: Deployment, day: date) -> None:
        """Nothing yet."""
        self.aggregates: dict[str, DeviceAggregates] = {}
        self.pages = WorstPages(deployment.settings)
        self._day = day

    def take(
        self, device: Device, observations: DeviceObservations, polls: pd.DataFrame, metadata: DayMetadata
    ) -> None:
        """Makes of a device what later steps want; see `days.building.InMemory`."""
        made = self.aggregates[device.id] = device_aggregates(device, observations, self._day)
        self.pages.add(made.daily.to_pylist(), made.hourly, observations, polls, metadata)

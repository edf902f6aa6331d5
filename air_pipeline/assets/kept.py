"""What the first step of a day keeps for the others, made of each device while it is in memory: nobody reads it again.

Belongs here: what is kept, and for whom. Does not: how it is made (`days.building`, `reports.gathering`).

For the underlying Dagster concept, see docs.dagster.io: assets.
"""

from datetime import date

import pandas as pd

from air_pipeline.days.made import MadeInMemory
from air_pipeline.deployment import Deployment
from air_pipeline.processing.observations import DeviceObservations
from air_pipeline.reports.gathering import WorstPages
from air_pipeline.settings import Device
from air_pipeline.storage.day_files import DayMetadata


class Kept:
    """Of a day whose steps are all done by one process.

    Attributes:
        made: the hourly and daily aggregates, and with which observations they were made; None where there were none.
        pages: what the page shows of the worst devices.
    """

    def __init__(self, deployment: Deployment, day: date) -> None:
        """Nothing yet."""
        self.made: MadeInMemory | None = None
        self.pages = WorstPages(deployment.settings)
        self._day = day

    def is_of(self, observations: DayMetadata) -> bool:
        """Whether it was made with the observations of a file, which another run may have put there meanwhile."""
        return self.made is not None and self.made.metadata == observations

    def take(
        self, device: Device, observations: DeviceObservations, polls: pd.DataFrame, metadata: DayMetadata
    ) -> None:
        """Makes of a device what later steps want; see `days.building.InMemory`."""
        if self.made is None:
            self.made = MadeInMemory(self._day, metadata)
        made = self.made.add(device, observations)
        self.pages.add(made.daily.to_pylist(), made.hourly, observations, polls, metadata)


_OF_RUN: dict[str, Kept] = {}
"""The run of one day under way in this process to what is kept in it: its steps are done one after the other here."""


def keep_in_run(run_id: str, kept: Kept) -> Kept:
    """Keeps for the other steps of a run what its first step begins with; what another run left is let go."""
    _OF_RUN.clear()
    return _OF_RUN.setdefault(run_id, kept)


def kept_in_run(run_id: str) -> Kept | None:
    """What the first step of a run keeps; None where it was not done by this run, or not by this process."""
    return _OF_RUN.get(run_id)

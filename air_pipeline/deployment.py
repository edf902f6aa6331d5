"""One deployment: environment, settings, store and tables, as the edges of the program need them together.

Belongs here: opening these. Does not: anything done with them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Lock

from air_pipeline.environment import Environment, check_store, environment, load_settings, remember_store
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import ReadingStore


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Deployment:
    """Where everything of one deployment is.

    Attributes:
        place: what the environment says.
        settings: what `devices.yaml` says, or said when it was last valid.
        mistake: what is wrong with `devices.yaml` now.
        now: tells the time, aware.
    """

    place: Environment
    settings: Settings
    mistake: SettingsError | None = None
    now: Callable[[], datetime] = field(default=_utc_now)
    _opening: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @property
    def store(self) -> ReadingStore:
        """The store of readings; opened at its first use, for all threads of one process."""
        with self._opening:
            return self._store

    @cached_property
    def _store(self) -> ReadingStore:
        return open_store(self.place.influxdb, self.place.state)

    def remember_store(self) -> None:
        """Binds the state directory to the store, for good; see `environment.remember_store`."""
        remember_store(self.place)

    @property
    def data(self) -> Path:
        """The directory of the Parquet tables."""
        return self.place.data


def open_deployment(config: str | Path | None = None, *, strict: bool = True) -> Deployment:
    """The deployment that the process's environment names.

    Args:
        config: the configuration file, if another than the environment's.
        strict: whether a mistake in `devices.yaml` is an error, or the last valid settings do.

    Raises:
        SettingsError: the environment or the settings cannot be used, or the store is not the one of before.
    """
    place = environment()
    if config is not None:
        place = replace(place, config=Path(config).expanduser().absolute())
    check_store(place)
    if strict:
        return Deployment(place, read_settings(place.config))
    loaded = load_settings(place)
    return Deployment(place, loaded.settings, loaded.mistake)

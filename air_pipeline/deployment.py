"""One deployment: environment, settings, store and tables, as the edges of the program need them together.

Belongs here: opening these, and noticing that the settings changed. Does not: anything done with them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock

from air_pipeline.environment import Environment, read_environment
from air_pipeline.in_force import Loaded, keep_former, load_marks, load_settings, read_former, with_former
from air_pipeline.places import DataPlace
from air_pipeline.settings import Device, Settings, SettingsError
from air_pipeline.settings.file import read_settings
from air_pipeline.settings.marks import marks_file
from air_pipeline.state import StateDirectory
from air_pipeline.storage.binding import check_days, check_days_here, remember_days
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import ReadingStore


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Deployment:
    """Where everything of one deployment is.

    Attributes:
        environment: what the environment says.
        settings: what `devices.yaml` and `marks.yaml` say, or said when they were last valid.
        mistake: what is wrong with them now.
        now: tells the time, aware.
    """

    environment: Environment
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
        return open_store(self.environment.influxdb, self.environment.state)

    def remember_store(self) -> None:
        """Binds the state directory, and the days where they are, to the store, for good.

        Raises:
            SettingsError: one of them belongs to another store, or cannot be written.
            ShelfError: the object store with the days does not answer, or refuses.
        """
        self.environment.state.remember_store(self.environment.store)
        remember_days(self.environment.data, self.environment.store)
        if not self.mistake:
            keep_former(self.settings, self.environment.state)

    @cached_property
    def data(self) -> DataPlace:
        """Where the days are, which came from the store that the environment names.

        Raises:
            SettingsError: they came from another one.
            ShelfError: the object store with the days does not answer, or refuses.
        """
        check_days(self.environment.data, self.environment.store)
        return self.environment.data


def open_deployment(config: str | Path | None = None, *, strict: bool = True, keep: bool = True) -> Deployment:
    """The deployment that the process's environment names.

    Args:
        config: the configuration file, if another than the environment's.
        strict: whether a mistake in `devices.yaml` or `marks.yaml` is an error, or the last valid settings do.
        keep: whether valid settings, if they are not to be strict, are kept as the last valid ones.

    Raises:
        SettingsError: the environment or the settings cannot be used, or the store is not the one of before.
    """
    environment = read_environment()
    if config is not None:
        environment = replace(environment, config=Path(config).expanduser().absolute())
    environment.state.check_store(environment.store)
    check_days_here(environment.data, environment.store)
    if strict:
        settings = with_former(read_settings(environment.config), environment.state)
        loaded = load_marks(settings, environment.config, environment.state, keep=keep)
        if loaded.mistake:
            raise loaded.mistake
        return Deployment(environment, loaded.settings)
    loaded = load_settings(environment.config, environment.state, keep=keep)
    return Deployment(environment, loaded.settings, loaded.mistake)


def present(deployment: Deployment) -> Deployment:
    """The deployment with what its files say now, rather than when the definitions were loaded.

    Of an invalid file the last valid one is in force, and the mistake is there.
    """
    environment = deployment.environment
    try:
        stamps = map(settings_stamp, (environment.config, marks_file(environment.config)))
        loaded = _loaded(environment, *stamps)
    except SettingsError as mistake:  # and there is no last valid one
        return replace(deployment, mistake=mistake)
    former = _former(environment.state, settings_stamp(environment.state.former))
    return replace(deployment, settings=replace(loaded.settings, former=former), mistake=loaded.mistake)


def settings_stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes whenever a file does; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=1)
def _loaded(environment: Environment, *stamps: tuple[int, int, int] | None) -> Loaded:
    """The settings at these stamps: reading a thousand devices takes a second, and a tick should not."""
    del stamps
    return load_settings(environment.config, environment.state)


@lru_cache(maxsize=1)
def _former(state: StateDirectory, stamp: tuple[int, int, int] | None) -> tuple[Device, ...]:
    del stamp
    return read_former(state).devices

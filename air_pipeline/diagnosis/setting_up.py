"""What the user has set: the configuration file, the environment, the directories."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from air_pipeline.diagnosis import Finding, Level
from air_pipeline.environment import Environment, read_environment
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.state import Loaded, load_settings


@dataclass(frozen=True, slots=True)
class SetUp:
    """What could be made of what the user has set.

    Attributes:
        environment: where everything is.
        store_known: whether the environment says which store is meant, and it is the one of before.
        settings: those in force; None if there are none.
        findings: what is to be said of it.
    """

    environment: Environment
    store_known: bool
    settings: Settings | None
    findings: tuple[Finding, ...]


def look_at_set_up(config: Path | None, variables: Mapping[str, str], now: datetime) -> SetUp:
    """Looks at what the user has set; nothing of it makes this raise.

    Args:
        config: the configuration file, if another than the environment's.
        variables: the environment.
        now: the time.
    """
    environment, store_known, of_environment = _environment(variables)
    if config is not None:
        environment = replace(environment, config=config.expanduser().absolute())
    settings, of_settings = _settings(environment, now)
    return SetUp(environment, store_known, settings, (*of_settings, *of_environment, *_directories(environment)))


def _environment(variables: Mapping[str, str]) -> tuple[Environment, bool, list[Finding]]:
    try:
        environment = read_environment(variables)
        environment.state.check_store(environment.store)
    except SettingsError as mistake:
        without = {name: value for name, value in variables.items() if not name.startswith("INFLUXDB_V2_")}
        return read_environment(without), False, _mistakes("environment", mistake)
    return environment, True, [Finding("environment", Level.OK, f"readings are kept in {environment.store}")]


def _mistakes(subject: str, error: SettingsError, level: Level = Level.FAILURE) -> list[Finding]:
    """A finding for each mistake: what is wrong, and what to do, which stands behind a line's last semicolon."""
    found = []
    for line in str(error).splitlines():
        what, divided, remedy = line.removeprefix("environment: ").rpartition("; ")
        found.append(Finding(subject, level, what if divided else remedy, remedy if divided else "put it right"))
    return found


def _settings(environment: Environment, now: datetime) -> tuple[Settings | None, list[Finding]]:
    try:
        loaded = load_settings(environment.config, environment.state, keep=False)
    except SettingsError as error:
        return None, _mistakes("settings", error)
    return loaded.settings, list(_of_loaded(environment, loaded, now))


def _of_loaded(environment: Environment, loaded: Loaded, now: datetime) -> Iterator[Finding]:
    settings = loaded.settings
    if loaded.mistake:
        for finding in _mistakes("settings", loaded.mistake, Level.WARNING):
            yield replace(finding, text=f"{finding.text} (the last valid configuration is in force)")
    else:
        number = len(settings.devices)
        text = f"{environment.config}: {number} device{'' if number == 1 else 's'}, days of {settings.timezone}"
        yield Finding("settings", Level.OK, text)
    if warning := start_in_the_future(settings, now):
        yield warning


def start_in_the_future(settings: Settings, now: datetime) -> Finding | None:
    """Says so, if no day will be built for a while."""
    if settings.start <= now.astimezone(settings.zone).date():
        return None
    text = f"start is {settings.start}, in the future: readings are collected, and no day before it is built"
    return Finding(
        "settings", Level.WARNING, text, "if that is not meant, set start in devices.yaml to an earlier date"
    )


def _directories(environment: Environment) -> Iterator[Finding]:
    for subject, path, name in (
        ("state directory", environment.state.path, "AIR_PIPELINE_STATE"),
        ("data directory", environment.data, "AIR_PIPELINE_DATA"),
    ):
        there = nearest(path)
        remedy = f"set {name} to a directory that this user may read and write"
        if not there.is_dir():
            yield Finding(subject, Level.FAILURE, f"{path} cannot be used, as {there} is no directory", remedy)
        elif not os.access(there, os.R_OK | os.W_OK | os.X_OK):
            yield Finding(subject, Level.FAILURE, f"{there} may not be read and written by this user", remedy)
        else:
            yield Finding(subject, Level.OK, f"{path}{'' if path.exists() else ' (made when it is needed)'}")


def nearest(path: Path) -> Path:
    """The path, or the nearest one above it that exists."""
    return next(one for one in (path, *path.parents) if os.path.lexists(one))

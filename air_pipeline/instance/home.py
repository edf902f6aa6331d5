"""Where Dagster keeps its storage, and its locks.

For the underlying Dagster concept, see docs.dagster.io: the Dagster instance.
"""

import importlib.resources
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from air_pipeline.environment import Environment
from air_pipeline.errors import AirPipelineError
from air_pipeline.replacing import open_at_once
from air_pipeline.settings import SettingsError


def home_of_dagster(environment: Environment) -> Path:
    """Where Dagster keeps its storage; nothing is made."""
    named = os.environ.get("DAGSTER_HOME")
    return Path(named).expanduser().absolute() if named else environment.state.dagster


def dagster_home(environment: Environment) -> Path:
    """Where Dagster keeps its storage: DAGSTER_HOME if it is set, else in the state directory, with our settings."""
    home = home_of_dagster(environment)
    if os.environ.get("DAGSTER_HOME"):
        if not home.is_dir():
            raise SettingsError(f"environment: DAGSTER_HOME is {home}, which is no directory; make it, or unset this")
        return home

    environment.state.make()
    settings = importlib.resources.files("air_pipeline").joinpath("dagster.yaml").read_text(encoding="utf-8")
    try:
        home.mkdir(0o700, exist_ok=True)
        with open(home / "dagster.yaml", "w", encoding="utf-8", opener=open_at_once) as file:
            file.write(settings)
    except OSError as error:
        raise SettingsError(
            f"environment: Dagster's storage {home} cannot be used ({error}); remove what is there, or give this user"
            " the right to it"
        ) from None
    return home


def is_of_files(home: Path) -> bool:
    """Whether Dagster keeps its storage in SQLite files there: `dagster.yaml` names no other kind."""
    return not _names(home, "storage")


def hands_runs_over(home: Path) -> bool:
    """Whether `dagster.yaml` names who launches runs: then they may be others' to take."""
    return _names(home, "run_launcher")


def _names(home: Path, part: str) -> bool:
    try:
        lines = (home / "dagster.yaml").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return any(line.startswith(f"{part}:") for line in lines)


@contextmanager
def opened_lock(path: Path, refused: type[AirPipelineError], what: str) -> Iterator[IO[str]]:
    """A lock's file, open for `flock`; where it is no such file, an error of this kind says of what it is the lock."""
    try:
        file = open(path, "a", opener=open_at_once)  # noqa: SIM115 -- closed below
    except OSError as error:
        raise refused(f"{what} cannot be locked ({error}): make {path} a file of this user") from None
    with file:
        yield file

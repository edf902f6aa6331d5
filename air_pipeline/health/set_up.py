"""What the user has set: the configuration file, the environment, the directories."""

import os
from collections.abc import Iterator
from pathlib import Path

from air_pipeline.health import Finding, Level, check, failure, fine, warning
from air_pipeline.health.seen import Seen
from air_pipeline.health.space import nearest
from air_pipeline.settings import SettingsError
from air_pipeline.settings.marks import misplaced
from air_pipeline.storage.binding import check_days
from air_pipeline.storage.day_files import built_days
from air_pipeline.storage.shelf import ShelfError
from air_pipeline.words import some


def _mistake(error: SettingsError, level: Level, more: str = "") -> Finding:
    """One finding of all mistakes; of a single one what to do stands behind its last semicolon."""
    lines = str(error).splitlines()
    what, divided, remedy = lines[0].removeprefix("environment: ").rpartition("; ")
    if len(lines) > 1 or not divided:
        what, remedy = str(error).removeprefix("environment: "), "put it right"
    return Finding("", "", level, f"{what}{more}", remedy)


@check(
    asset="raw_readings",
    means="devices.yaml is valid, and marks.yaml beside it. While one is not, the last valid one is in force.",
    remedy="Put it right; until then the last valid configuration is in force.",
    title="settings",
    bad="the configuration is not valid",
    good="the configuration is valid again",
)
def configuration_valid(seen: Seen) -> Iterator[Finding]:
    """Whether the configuration file and the marks are valid, and are of devices and series that there are."""
    settings, mistake = seen.settings, seen.mistake
    if settings is None:
        yield _mistake(mistake or SettingsError("there are no settings"), Level.FAILURE)
        return
    numbers = {"devices_configured": len(settings.devices)}
    if mistake is not None:
        found = _mistake(mistake, Level.WARNING, " (the last valid configuration is in force)")
        yield Finding("", "", found.level, found.text, found.remedy, numbers)
    elif unknown := misplaced(settings):
        remedy = "correct them in marks.yaml, or take them away: air-pipeline mark"
        yield Finding(
            "", "", Level.WARNING, f"there never was what some marks are of: {some(unknown, 3)}", remedy, numbers
        )
    else:
        number = len(settings.devices)
        text = f"{seen.environment.config}: {number} device{'' if number == 1 else 's'}, days of {settings.timezone}"
        yield fine(text, numbers=numbers)


@check(
    means="The first day to build has begun.",
    remedy="if that is not meant, set start in devices.yaml to an earlier date",
    title="settings",
)
def start_reached(seen: Seen) -> Iterator[Finding]:
    """Says so, if no day will be built for a while."""
    settings = seen.settings
    if settings and settings.start > seen.now.astimezone(settings.zone).date():
        yield warning(
            f"start is {settings.start}, in the future: readings are collected, and no day before it is built"
        )


@check(
    means="The environment names one store, and it is the one that the days here came from.",
    remedy="set the variables as the message says",
    title="environment",
)
def environment_usable(seen: Seen) -> Iterator[Finding]:
    """Whether it is known which store is meant."""
    if seen.misset:
        yield _mistake(seen.misset, Level.FAILURE)
    else:
        yield fine(f"readings are kept in {seen.environment.store}")


@check(
    means="The directories of the state and of the data can be read and written, and an object store answers.",
    remedy="set AIR_PIPELINE_STATE and AIR_PIPELINE_DATA to directories that this user may read and write",
    title="{subject}",
)
def directories_usable(seen: Seen) -> Iterator[Finding]:
    """Whether this user may use the directories."""
    yield _usable("state directory", seen.environment.state.path, "AIR_PIPELINE_STATE")
    if isinstance(data := seen.environment.data, Path):
        yield _usable("data directory", data, "AIR_PIPELINE_DATA")
        return
    try:
        check_days(seen.data, seen.environment.store)
        days = len(built_days(data, "daily_aggregates"))
        yield fine(f"{data} answers; {days} day{'' if days == 1 else 's'} there", "object store")
    except (ShelfError, SettingsError) as error:
        yield failure(str(error), "set it up as docs/object-stores.md says", "object store")


def _usable(subject: str, path: Path, name: str) -> Finding:
    there = path if path.is_symlink() else nearest(path)
    remedy = f"set {name} to a directory that this user may read and write"
    if not there.is_dir():
        return failure(f"{path} cannot be used, as {there} is no directory", remedy, subject)
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return failure(f"{there} may not be read and written by this user", remedy, subject)
    return fine(f"{path}{'' if path.exists() else ' (made when it is needed)'}", subject)

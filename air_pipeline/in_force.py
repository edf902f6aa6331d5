"""The settings in force: what devices.yaml and marks.yaml say, or said last when they were valid.

Belongs here: which of the two counts, and what is kept of either in the state directory. Does not: what stands in the
files (`settings`), the directory (`state`).
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from air_pipeline.settings import Device, Mark, Settings, SettingsError, known_devices
from air_pipeline.settings.file import parse_settings, read_settings, settings_text
from air_pipeline.settings.former import Former
from air_pipeline.settings.marks import marks_file, marks_text, parse_marks, read_marks
from air_pipeline.settings.remote import ConfigFile
from air_pipeline.state import StateDirectory


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and what is wrong with the files if they are not their own but the last valid ones."""

    settings: Settings
    mistake: SettingsError | None = None


def load_settings(config: ConfigFile, state: StateDirectory, *, keep: bool = True, marks: bool = True) -> Loaded:
    """The settings of the configuration file, with the marks beside it; while one is invalid, its last valid ones.

    What is wrong with marks never takes the settings away: where no valid ones have been seen before, there are none.

    Args:
        config: the configuration file.
        state: where the last valid ones are kept.
        keep: whether valid files are kept there as copies; who only looks writes nothing.
        marks: whether those are wanted: who collects has no use for them.

    Raises:
        SettingsError: the configuration file is invalid and no valid one has been seen before.
    """
    loaded = _load_devices(config, state, keep=keep)
    if not marks:
        return loaded
    with_marks = load_marks(loaded.settings, config, state, keep=keep)
    mistakes = [str(one) for one in (loaded.mistake, with_marks.mistake) if one]
    return Loaded(with_marks.settings, SettingsError("\n".join(mistakes)) if mistakes else None)


def load_marks(settings: Settings, config: ConfigFile, state: StateDirectory, *, keep: bool = True) -> Loaded:
    """The settings with the marks beside the configuration file; see `load_settings`."""
    copy = state.last_valid_marks
    try:
        text, found = _marks_now(marks_file(config), copy, settings)
    except SettingsError as mistake:
        with suppress(SettingsError):  # no copy, or one that is no longer valid
            return Loaded(replace(settings, marks=read_marks(copy, settings)), mistake)
        return Loaded(settings, mistake)
    with suppress(OSError, SettingsError):
        if keep and text is not None and not _holds(copy, text):
            state.write(copy, text)
    return Loaded(replace(settings, marks=found))


def _marks_now(file: ConfigFile, copy: Path, settings: Settings) -> tuple[str | None, tuple[Mark, ...]]:
    text = marks_text(file)
    if text is not None:
        return text, parse_marks(text, str(file), settings)
    if number := len(read_marks(copy, settings)):
        raise SettingsError(
            f"{file}: is gone, with the marks in it ({number}); put it back (cp {copy} {file}), or make an empty one if"
            f" none of them is to count any more (touch {file})"
        )
    return None, ()


def _load_devices(config: ConfigFile, state: StateDirectory, *, keep: bool) -> Loaded:
    copy = state.last_valid
    try:
        text = settings_text(config)
        settings = parse_settings(text, str(config))
    except SettingsError as mistake:
        with suppress(SettingsError):  # no copy, or one that is no longer valid: then only the mistake is left
            return Loaded(with_former(read_settings(copy), state), mistake)
        raise
    if keep:
        with suppress(OSError, SettingsError):  # without a copy, valid settings are still valid
            if not _holds(copy, text):
                state.write(copy, text)
        keep_former(settings, state)
    return Loaded(with_former(settings, state))


def read_former(state: StateDirectory) -> Former:
    """The devices and series that were ever in force; none where that cannot be read."""
    try:
        return Former.from_json(state.read(state.former))
    except (SettingsError, ValueError):
        return Former()


def with_former(settings: Settings, state: StateDirectory) -> Settings:
    """The settings with the devices and series that were in force before."""
    return replace(settings, former=read_former(state).devices)


def keep_former(
    settings: Settings,
    state: StateDirectory,
    tables: Iterable[Device] | None = None,
    also: Iterable[Device] = (),
    told: Iterable[Device] = (),
) -> None:
    """Keeps what is in force for when it is no longer, as far as the directory can be written.

    Args:
        settings: what is in force.
        state: where it is kept.
        tables: what built days say of devices, if that was looked up; it counts least.
        also: devices with series that they had elsewhere, such as those of an import.
        told: what another machine says that was in force; it counts for more than what was here.
    """
    before = read_former(state)
    known = known_devices(known_devices(settings.devices, [*told, *before.devices]).values(), [*also, *(tables or ())])
    former = Former(tuple(known[name] for name in sorted(known)), before.has_tables or tables is not None)
    if (text := former.to_json()) != before.to_json():
        with suppress(OSError, SettingsError):
            state.write(state.former, f"{text}\n")


def _holds(copy: Path, text: str) -> bool:
    try:
        return settings_text(copy) == text
    except SettingsError:
        return False

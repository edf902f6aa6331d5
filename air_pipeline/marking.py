"""Marks by hand: put into `marks.yaml`, taken away, given to another device; and which days they change.

Belongs here: one change of the file at a time, whole and on the disk. Does not: what may stand in it
(`settings.marks`), what follows from it (`processing.rules.marked`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from air_pipeline.deployment import Deployment
from air_pipeline.in_force import load_marks
from air_pipeline.processing.local_time import day_window, epoch_ms, from_epoch_ms
from air_pipeline.replacing import alone_in, replace_file, rights_of
from air_pipeline.settings import EVERY_SERIES, Mark, SettingsError
from air_pipeline.settings.marks import edited, marks_file, marks_text, parse_marks, zone_of
from air_pipeline.storage.day_files import built_days


def add_marks(deployment: Deployment, marks: Sequence[Mark]) -> None:
    """Adds marks below those that there are.

    Raises:
        SettingsError: the file is invalid, or cannot be read or written.
    """
    _change(deployment, lambda _: ({}, marks))


def remove_marks(
    deployment: Deployment, device: str, series: Sequence[str], start: int, end: int
) -> tuple[list[Mark], list[Mark]]:
    """Takes away what marks say of [start, end), ms UTC; of those that reach beyond it, the rest stays.

    Args:
        deployment: whose.
        device: its id.
        series: of marks of these; of all with `*` or none.
        start: ms UTC.
        end: ms UTC.

    Returns:
        What was taken away; and the marks of all series, which stay where only some series are named.

    Raises:
        SettingsError: the file is invalid, or cannot be read or written.
    """
    taken: list[Mark] = []
    wider: list[Mark] = []
    every = not series or EVERY_SERIES in series

    def change(marks: Sequence[Mark]) -> tuple[dict[int, list[Mark]], Sequence[Mark]]:
        instead = {}
        for place, mark in enumerate(marks):
            if mark.device != device or not mark.touches(start, end):
                continue
            if every or mark.series in series:
                taken.append(replace(mark, start=max(start, mark.start), end=min(end, mark.end)))
                rest = replace(mark, end=start), replace(mark, start=end)
                instead[place] = [part for part in rest if part.start < part.end]
            elif mark.series == EVERY_SERIES:
                wider.append(mark)
        return instead, ()

    _change(deployment, change)
    return taken, wider


def rename_marks(deployment: Deployment, device: str, name: str) -> int:
    """Gives the marks of a device to another id; how many these are.

    Raises:
        SettingsError: the file is invalid, or cannot be read or written.
    """
    renamed: dict[int, list[Mark]] = {}

    def change(marks: Sequence[Mark]) -> tuple[dict[int, list[Mark]], Sequence[Mark]]:
        renamed.update({n: [replace(mark, device=name)] for n, mark in enumerate(marks) if mark.device == device})
        return renamed, ()

    _change(deployment, change)
    return len(renamed)


def changed_days(deployment: Deployment, marks: Iterable[Mark]) -> tuple[list[date], list[date]]:
    """The local dates that marks touch up to today: those that are built, and those that are not yet."""
    settings = deployment.settings
    built = set(built_days(deployment.data, "observations"))
    touched: set[date] = set()
    for mark in marks:
        zone = zone_of(settings, mark.device)
        today = deployment.now().astimezone(zone).date()
        first = max(from_epoch_ms(mark.start).astimezone(zone).date(), min({settings.start, *built}))
        last = min(from_epoch_ms(mark.end).astimezone(zone).date(), today)
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        touched.update(day for day in days if mark.touches(*map(epoch_ms, day_window(day, zone))))
    return sorted(touched & built), sorted(touched - built)


_Change = Callable[[Sequence[Mark]], tuple[Mapping[int, Sequence[Mark]], Sequence[Mark]]]
"""From the marks that there are: the place of each that is replaced to what it becomes; and those that are added."""


def _change(deployment: Deployment, change: _Change) -> None:
    """Changes the file as it is now; who else does so meanwhile waits."""
    file = marks_file(deployment.environment.config_here()).resolve()  # a link stays, and what it leads to is replaced
    try:
        with alone_in(file.parent):
            text = marks_text(file) or ""
            instead, more = change(parse_marks(text, str(file), deployment.settings))
            if instead or more:
                replace_file(file, edited(text, str(file), deployment.settings, instead, more), rights_of(file))
    except OSError as error:
        raise SettingsError(
            f"{file}: cannot be written ({error.strerror or error}); it needs room, and a user who may write into"
            f" {file.parent}"
        ) from error
    load_marks(deployment.settings, deployment.environment.config, deployment.environment.state)  # keeps a copy

"""What a built day holds, device by device, and what of it would be lost by building it again.

Belongs here: the guard of what is built. Does not: whether a day would come out otherwise at all (`inputs`).

A device's polls and values are counted in the instants that its local day had when it was built: a zone that is moved
loses nothing that the store still has. Files of versions that did not count are counted by their rows.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from air_pipeline.days.calendar import DayError
from air_pipeline.places import DataPlace
from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.commit import committed_metadata
from air_pipeline.storage.day_files import DayFile, DayMetadata, Holding, TableError, day_file
from air_pipeline.storage.shelf import Stamp
from air_pipeline.storage.store import ReadingStore, Summary
from air_pipeline.words import some

_MOST_NAMED = 5


class DayShrunk(DayError):
    """The store now holds less of a device than the day was built from: building it again would lose something."""


class Deleted(NamedTuple):
    """How much of one device was deleted on purpose: of our own polls, and of each import."""

    polls: int = 0
    values: int = 0
    imports: Mapping[str, tuple[int, int]] = MappingProxyType({})


def held(data: DataPlace, day: date) -> Mapping[str, Holding]:
    """What the files of a day hold, whatever became of some of them; nothing if none says or can be counted."""
    is_made = False
    for one in _metadata(data, day):  # most days: the first that is read says it
        if one.holdings is not None:
            return one.holdings
        is_made = True
    file = day_file(data, "observations", day)
    try:
        return _counted(file, file.stamp()) if is_made else {}
    except (TableError, OSError, KeyError):
        return {}


def now_held(store: ReadingStore, start: int, end: int) -> Callable[[str], Holding]:
    """Tells what a store holds of a device in [start, end), ms UTC: our own polls, and apart what was imported.

    Raises:
        StoreError: it cannot say.
    """
    return holding_of(start, end, store.summaries(start, end), store.imports(start, end))


def holding_of(
    start: int, end: int, every: Mapping[str, Summary], imports: Mapping[str, Mapping[str, Summary]]
) -> Callable[[str], Holding]:
    """As `now_held`, of what the store says that it holds in [start, end): of each device, and of that each import."""

    def of_device(device: str) -> Holding:
        counts = {name: (one.polls, one.values) for name, one in imports.get(device, {}).items()}
        total = every.get(device)
        polls, values = (total.polls, total.values) if total else (0, 0)
        imported = [sum(column) for column in zip(*counts.values(), strict=True)] or [0, 0]
        return Holding(start, end, polls - imported[0], values - imported[1], dict(sorted(counts.items())))

    return of_device


def losses(
    store: ReadingStore,
    built: Mapping[str, Holding],
    expected: Collection[str],
    deleted: Mapping[str, Deleted],
    undone: Collection[str] = (),
) -> dict[str, str]:
    """Each device of which something would be lost, with what, in words.

    Args:
        store: which must still have what was built.
        built: what the day holds.
        expected: the devices that it would be built with.
        deleted: device to what of it was deleted on purpose: it is not lost.
        undone: the imports that were taken back: nothing of them is.

    Raises:
        StoreError: the store cannot say what it holds.
    """
    windows: dict[tuple[int, int], list[str]] = {}
    for device, one in sorted(built.items()):
        windows.setdefault((one.start, one.end), []).append(device)
    found = {}
    for window, devices in windows.items():
        of_now = now_held(store, *window)
        for device in devices:
            kept = {name: counts for name, counts in built[device].imports.items() if name not in undone}
            then, now = built[device]._replace(imports=kept), of_now(device)
            if lost := _lost(then, now, deleted.get(device, Deleted()), expected=device in expected):
                found[device] = f"{device} was built from {lost}"
    return dict(sorted(found.items()))


def refusal(day: date, lost: Mapping[str, str]) -> str:
    """Why a day is left as it is, and what to do."""
    return (
        f"{day} is left as it is, as something of it would be lost: {some(list(lost.values()), _MOST_NAMED)};"
        f" to build it all the same: air-pipeline build --from {day} --to {day} --force"
    )


def _lost(built: Holding, now: Holding, deleted: Deleted, *, expected: bool) -> str:
    """What would be lost of one device, in words; empty if nothing."""
    polls, values = built.polls - deleted.polls, built.values - deleted.values
    if now.polls < polls:
        return f"{built.polls} polls and the store now holds {now.polls}"
    if not expected and polls > 0:
        return f"{built.polls} polls and devices.yaml no longer expects it on that day"
    if now.values < values:
        return f"{built.values} values and the store now holds {now.values}"
    for name, (then, _) in built.imports.items():
        there, gone = now.imports.get(name, (0, 0))[0], deleted.imports.get(name, (0, 0))[0]
        # A poll of our own that comes later takes the slot of one that was imported.
        if there + gone + max(now.polls - polls, 0) < then:
            return f"{then} polls of import {name} and the store now holds {there}"
    return ""


def _metadata(data: DataPlace, day: date) -> Iterator[DayMetadata]:
    """How a day was made, as each of its tables says that can be read, whatever its columns; and as its commit says."""
    for table in TABLES:
        try:
            yield day_file(data, table, day).metadata(of_any_columns=True)
        except TableError:
            continue
    if (committed := committed_metadata(data, day)) is not None:
        yield committed


@lru_cache(maxsize=256)
def _counted(file: DayFile, stamp: Stamp | None) -> Mapping[str, Holding]:
    """What the rows of observations hold; read once for each file that is put there."""
    del stamp
    return file.holdings()

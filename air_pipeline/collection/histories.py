"""A device's history in the store and the outbox: given to another id, or deleted.

Belongs here: what must hold still for it, and the order in which it survives a kill. Does not: what becomes of the days
that were built from it (`days`).

Both go UTC day by UTC day and are finished by starting them again. A day is marked late before it is touched, so that
it is compared with what was built from it.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date

from air_pipeline.collection.lease import CollectorLock, CollectorRunning
from air_pipeline.collection.outbox import Outbox
from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.state import StateDirectory
from air_pipeline.storage.copying import copy_device, span_of
from air_pipeline.storage.store import ReadingStore
from air_pipeline.storage.written_over import mark_written_over

_DAY_MS = 86_400_000


class HistoryError(AirPipelineError):
    """A device cannot be renamed, or what it said deleted; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class HeldDay:
    """What a store holds of one device on one UTC day.

    Attributes:
        day: the date, UTC.
        start: of what is meant of it, ms UTC.
        end: its end, not included.
        polls: how many polls.
        values: how many values.
    """

    day: date
    start: int
    end: int
    polls: int
    values: int


def held_days(store: ReadingStore, device: str, start: int, end: int) -> list[HeldDay]:
    """The UTC days in [start, end), ms UTC, on which a store holds something of a device, oldest first.

    Raises:
        StoreError: it cannot say.
    """
    span = span_of(store)
    found: list[HeldDay] = []
    for midnight in range(*span, _DAY_MS) if span else ():
        edges = max(start, midnight), min(end, midnight + _DAY_MS)
        held = store.summaries(*edges).get(device) if edges[0] < edges[1] else None
        if held:
            found.append(HeldDay(from_epoch_ms(midnight).date(), *edges, held.polls, held.values))
    return found


@contextmanager
def nothing_collecting(state: StateDirectory) -> Iterator[Outbox]:
    """The outbox, while no collector may run.

    Raises:
        HistoryError: one runs.
    """
    try:
        with CollectorLock(state), closing(Outbox(state.outbox)) as box:
            yield box
    except CollectorRunning as running:
        who = f"process {running.holder.pid}" if running.holder else "another process"
        raise HistoryError(
            f"{who} collects into {state}: stop it first (air-pipeline up or collect). Nothing was changed"
        ) from None


def rename_history(
    store: ReadingStore, box: Outbox, device: str, name: str, days: Sequence[HeldDay]
) -> Iterator[HeldDay]:
    """Gives what store and outbox hold of a device to another id; yields each day of the store that is done.

    Raises:
        HistoryError: the other id has other polls in the same slots; then nothing was changed.
        StoreError: the store cannot be read or written.
        OutboxError: the outbox cannot.
    """
    if both := [slot for held in days for slot in _differing(store, device, name, held)]:
        first, last, after = (
            from_epoch_ms(slot).isoformat(timespec="seconds") for slot in (both[0], both[-1], both[-1] + 1000)
        )
        raise HistoryError(
            f"{name!r} has other polls than {device!r} in {len(both)} slots from {first} to {last}: nothing was"
            " changed. If the two are one device, delete what one of them said there, and start again:"
            f" air-pipeline delete {name} --from {first} --to {after} --yes"
        )
    mark_written_over(store, [held.day for held in days])
    box.rename(device, name)
    for held in days:
        copy_device(store, store, device, held.start, held.end, name)
        if _differing(store, device, name, held, all_of_it=True):
            raise HistoryError(
                f"what was written of {name!r} on {held.day} (UTC) is not what was read of {device!r}: something else"
                " writes there. Stop it, and start again; nothing was deleted of that day"
            )
        store.delete(device, held.start, held.end)
        mark_written_over(store, [held.day])
        yield held


def _differing(store: ReadingStore, device: str, name: str, held: HeldDay, *, all_of_it: bool = False) -> Sequence[int]:
    """The slots, ms UTC, in which another id has another poll than a device; if all of it is meant, or none."""
    span = (held.start, held.end)
    if not all_of_it and name not in store.summaries(*span):
        return ()
    here, there = store.polls(device, *span), store.polls(name, *span)
    common = here.index if all_of_it else here.index.intersection(there.index)
    said = ["outcome", "duration_ms"]
    differs = here.loc[common, said].ne(there.reindex(common)[said]).any(axis=1)
    if differs.any() or not all_of_it:
        return [int(slot) for slot in common[differs].astype("int64")]
    values = store.readings(device, *span, here)
    other = store.readings(name, *span, there).reindex(values.index)[list(values.columns)]
    return () if values.equals(other) else [held.start]


def delete_history(
    store: ReadingStore,
    box: Outbox,
    device: str,
    days: Sequence[HeldDay],
    span: tuple[int, int],
    *,
    forget: bool,
) -> Iterator[HeldDay]:
    """Deletes what store and outbox hold of a device; yields each day of the store that is done.

    Args:
        store: the readings.
        box: the outbox.
        device: its id.
        days: what the store holds of it.
        span: what is deleted of the outbox, [start, end) in ms UTC.
        forget: whether nothing is to be remembered of the device.

    Raises:
        HistoryError: something is still there afterwards.
        StoreError: the store cannot be read or written.
        OutboxError: the outbox cannot.
    """
    mark_written_over(store, [held.day for held in days])
    box.delete(device, *span, forget=forget)
    for held in days:
        store.delete(device, held.start, held.end)
        mark_written_over(store, [held.day])  # who has built it meanwhile has seen what is gone now
        if device in store.summaries(held.start, held.end):
            raise HistoryError(
                f"polls of {device!r} are still there on {held.day} (UTC): something writes there; stop it"
            )
        yield held

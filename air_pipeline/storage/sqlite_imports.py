"""What was imported into the embedded store: polls whose column `import` says with which import they came.

Belongs here: which slots our own polls have already, what there is of an import, deleting it. Does not: how any poll is
written (`sqlite`). A slot has one row: a poll of our own takes the place of one that was imported, never the reverse.
"""

import sqlite3
from collections.abc import Sequence

from air_pipeline.devices.polls import Poll
from air_pipeline.storage.store import Summary

STEP = (
    "ALTER TABLE poll ADD COLUMN import TEXT",
    # Every day is asked what there is of imports: that is found in it alone, and where there are none, at once.
    "CREATE INDEX poll_import ON poll (observed_at, device, import) WHERE import IS NOT NULL",
)
"""Part of the step to a file that knows them."""

_FOUND = "FROM poll INDEXED BY poll_import WHERE import IS NOT NULL AND observed_at >= ? AND observed_at < ?"
_OF_ONE = "device = ? AND observed_at >= ? AND observed_at < ? AND import = ?"


def written(connection: sqlite3.Connection, polls: Sequence[Poll]) -> list[Poll]:
    """The polls, one a slot, without those that were imported into slots that a poll of our own has."""
    imported: dict[str, list[int]] = {}
    for poll in polls:
        if poll.import_id is not None:
            imported.setdefault(poll.device, []).append(int(poll.observed_at))
    taken: set[tuple[str, int]] = set()
    for device, slots in imported.items():
        own = connection.execute(
            "SELECT observed_at FROM poll WHERE device = ? AND observed_at BETWEEN ? AND ? AND import IS NULL",
            (device, min(slots), max(slots)),
        )
        taken.update((device, slot) for (slot,) in own)
    return [poll for poll in polls if poll.import_id is None or (poll.device, int(poll.observed_at)) not in taken]


def found(connection: sqlite3.Connection, series: Sequence[str], start: int, end: int) -> dict[str, dict[str, Summary]]:
    """What there is of each import, by device; see `ReadingStore.imports`.

    Args:
        connection: to the file, of the version that knows imports.
        series: the columns of `air`, quoted.
        start: ms UTC.
        end: ms UTC.
    """
    sums = " + ".join(["0", *(f"({name} IS NOT NULL)" for name in series)])
    rows = connection.execute(
        f"SELECT device, import, count(*), total(duration_ms), total((SELECT {sums} FROM air WHERE"  # noqa: S608 - quoted
        f" air.device = poll.device AND air.observed_at = poll.observed_at)) {_FOUND} GROUP BY device, import",
        (start, end),
    )
    there: dict[str, dict[str, Summary]] = {}
    for device, import_id, polls, duration_ms, values in rows:
        there.setdefault(device, {})[import_id] = Summary(polls, duration_ms, int(values))
    return there


def delete(connection: sqlite3.Connection, device: str, import_id: str, start: int, end: int) -> None:
    """Deletes what came with one import; see `ReadingStore.delete_import`."""
    of_one = (device, start, end, import_id)
    connection.execute(
        f"DELETE FROM air WHERE device = ? AND observed_at IN (SELECT observed_at FROM poll WHERE {_OF_ONE})",  # noqa: S608
        (device, *of_one),
    )
    connection.execute(f"DELETE FROM poll WHERE {_OF_ONE}", of_one)  # noqa: S608 - nothing of it is given

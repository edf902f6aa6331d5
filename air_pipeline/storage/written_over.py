"""Which dates were written over by whoever changes what is stored: copies, imports, renames, deletions.

Belongs here: saying so in the store, and who else reads it. Does not: what becomes of the days (`days.inputs`).

What is written over may be as many values as before, which nothing that is counted shows: so days are built again after
each of these, whether they look changed or not.
"""

from collections.abc import Iterable
from datetime import date

from air_pipeline.storage.store import LateMark, ReadingStore

_COMMANDS = "*commands"
"""In the place of a collector's name, and none of these."""


def mark_written_over(store: ReadingStore, days: Iterable[date]) -> None:
    """Says that something of these UTC dates is written over: before it is, and once more when it was.

    Raises:
        StoreError: the store cannot be written.
    """
    store.mark_late(_COMMANDS, days)


def written_over(store: ReadingStore) -> list[LateMark]:
    """Every such mark that there ever was.

    Raises:
        StoreError: the store cannot be read.
    """
    return store.late_marks({}, _COMMANDS)

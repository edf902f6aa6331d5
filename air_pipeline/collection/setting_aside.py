"""Damaged outboxes that were set aside: their names, and what is taken from them at once.

Belongs here: files called `outbox.damaged-<time>.sqlite`. Does not: their polls (`salvage`).
"""

import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from air_pipeline.processing.local_time import is_date


@dataclass(frozen=True, slots=True)
class Aside:
    """A damaged file, and how far it was read.

    Attributes:
        file: its name.
        next_page: the first of its pages that was not read yet.
        saved: how many rows were found in those before.
        is_done: whether there is no other.
    """

    file: str
    next_page: int = 1
    saved: int = 0
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an outbox remembers beside polls.

    Attributes:
        devices: device, last slot, digest of the last rejected document, notes, identity.
        late: dates, as text.
    """

    devices: list[tuple[str, int | None, str, str, str]] = field(default_factory=list)
    late: list[tuple[str]] = field(default_factory=list)

    def take(self, row: tuple[object, ...]) -> None:
        """Takes a row in, if it is one of these."""
        match row:
            case (str(device), int() | None as last_slot, str(rejected), str(notes), *rest) if len(rest) <= 1:
                identity = rest[0] if rest else ""  # which those of an older file have not
                self.devices.append((device, last_slot, rejected, notes, str(identity or "")))
            case (str(day),) | (None, str(day)) if is_date(day):
                self.late.append((day,))


def name_aside(outbox: Path) -> Path:
    """A free name beside an outbox for it when it is damaged."""
    stem = f"{outbox.stem}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    name, number = outbox.with_name(f"{stem}{outbox.suffix}"), 2
    while name.exists():
        name, number = outbox.with_name(f"{stem}-{number}{outbox.suffix}"), number + 1
    return name


def set_aside_files(outbox: Path) -> list[Path]:
    """The damaged files beside an outbox, oldest first."""
    return sorted(outbox.parent.glob(f"{outbox.stem}.damaged-*{outbox.suffix}"))


def remembered_in(file: Path) -> Remembered:
    """What can be read of it in a moment, by SQLite itself."""
    remembered = Remembered()
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=0)) as connection,
    ):
        for query in ("SELECT * FROM devices", "SELECT day FROM late"):
            with suppress(sqlite3.Error):  # the rows after it cannot be read
                for row in connection.execute(query):
                    remembered.take(row)
    return remembered

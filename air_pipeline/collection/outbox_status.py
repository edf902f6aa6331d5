"""How delivery stands, by a few rows of the outbox.

Belongs here: what costs milliseconds, however much waits. Does not: what is said of it (`health`).
"""

from dataclasses import dataclass
from sqlite3 import Connection

from air_pipeline.collection.outbox_rows import text_of
from air_pipeline.collection.outbox_tables import OUTBOX_TABLES
from air_pipeline.storage.store import EARLIEST_MS, LATEST_MS

# Whatever is there, it is numbers and a text: a damaged page may hold anything.
_ATTEMPTS = (
    "SELECT MIN(MAX(CAST(failures AS INTEGER), 0), 1000000000), CAST(retry_at AS REAL), CAST(error AS BLOB)"
    " FROM delivery WHERE one = 1"
)


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How delivery stands.

    Attributes:
        pending: polls that the store does not have yet.
        oldest: the slot of the oldest of them, ms UTC; None if there is none.
        quarantined: polls that the store will never take.
        failures: attempts that failed since the last that did not.
        retry_at: no attempt before this time, seconds UTC.
        error: why the last attempt failed; empty if it did not.
    """

    pending: int
    oldest: int | None
    quarantined: int
    failures: int
    retry_at: float
    error: str


def status_in(connection: Connection | None) -> OutboxStatus:
    """What a file says; None is one that holds nothing yet."""
    if connection is None:
        return OutboxStatus(pending=0, oldest=None, quarantined=0, failures=0, retry_at=0.0, error="")
    if is_current(connection):
        count = "SELECT of, CAST(number AS INTEGER) FROM counts"
    else:
        count = "SELECT 'outbox', COUNT(*) FROM outbox UNION SELECT 'quarantine', COUNT(*) FROM quarantine"
    counts = dict(connection.execute(count).fetchall())
    slots = "SELECT MIN(observed_at) FROM outbox WHERE observed_at BETWEEN ? AND ?"
    (oldest,) = connection.execute(slots, (EARLIEST_MS, LATEST_MS)).fetchone()
    failures, retry_at, error = connection.execute(_ATTEMPTS).fetchone() or (0, 0.0, b"")
    return OutboxStatus(
        pending=counts.get("outbox", 0),
        oldest=None if oldest is None else int(oldest),
        quarantined=counts.get("quarantine", 0),
        failures=failures,
        retry_at=retry_at,
        error=text_of(error),
    )


def is_current(connection: Connection) -> bool:
    """Whether a file has the tables of this version; who only looks does not bring an older one up to date."""
    version: int
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version == OUTBOX_TABLES.version

"""What is in the outbox's file, from its first form on.

Belongs here: tables, and how those of an older program become today's. Does not: what is done with them (`outbox`).
"""

from air_pipeline.storage.sqlite_connections import Tables

_FIRST = (
    "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, observed_at INTEGER NOT NULL, poll TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS quarantine (
        id INTEGER PRIMARY KEY, observed_at INTEGER NOT NULL, poll TEXT NOT NULL, reason TEXT NOT NULL,
        since REAL NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS devices (
        device TEXT PRIMARY KEY, last_slot INTEGER, rejected TEXT NOT NULL DEFAULT '',
        notes TEXT NOT NULL DEFAULT ''
    )""",
    """CREATE TABLE IF NOT EXISTS delivery (
        one INTEGER PRIMARY KEY CHECK (one = 1), failures INTEGER NOT NULL, retry_at REAL NOT NULL,
        error TEXT NOT NULL
    )""",
    "CREATE TABLE IF NOT EXISTS late (day TEXT PRIMARY KEY)",
    "INSERT OR IGNORE INTO delivery VALUES (1, 0, 0, '')",
)


def _counted(table: str) -> tuple[str, ...]:
    """Keeps the number of a table's rows, as counting them reads all of it: minutes after weeks of outage."""
    change = "UPDATE counts SET number = number {} 1 WHERE of = '" + table + "'; END"  # noqa: S608 -- one of two names below
    return (
        f"INSERT INTO counts SELECT '{table}', COUNT(*) FROM {table}",  # noqa: S608 -- likewise
        f"CREATE TRIGGER {table}_came AFTER INSERT ON {table} BEGIN {change.format('+')}",
        f"CREATE TRIGGER {table}_went AFTER DELETE ON {table} BEGIN {change.format('-')}",
    )


_SECOND = (
    # AUTOINCREMENT: a number is never used again, so that whoever holds one for long cannot mean another poll.
    "ALTER TABLE outbox RENAME TO outbox_before",
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, observed_at INTEGER NOT NULL, poll TEXT NOT NULL
    )""",
    "INSERT INTO outbox SELECT id, observed_at, poll FROM outbox_before ORDER BY id",
    "DROP TABLE outbox_before",
    "CREATE INDEX outbox_by_slot ON outbox (observed_at)",
    "CREATE TABLE counts (of TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID",
    *_counted("outbox"),
    *_counted("quarantine"),
    # A mark has a number that rises whenever its day is marked again.
    "ALTER TABLE late RENAME TO late_before",
    "CREATE TABLE late (number INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL UNIQUE)",
    "INSERT INTO late SELECT rowid, day FROM late_before",
    "DROP TABLE late_before",
    # Damaged files that were set aside, and how far they were read.
    """CREATE TABLE aside (
        file TEXT PRIMARY KEY, next_page INTEGER NOT NULL DEFAULT 1, saved INTEGER NOT NULL DEFAULT 0,
        is_done INTEGER NOT NULL DEFAULT 0
    )""",
)

# Rows may say what a device was asked for: an older program would set such rows aside.
_THIRD: tuple[str, ...] = ()

# Which device each is bound to by its own word; rows may say it.
_FOURTH = ("ALTER TABLE devices ADD COLUMN identity TEXT NOT NULL DEFAULT ''",)

OUTBOX_TABLES = Tables(
    steps=(_FIRST, _SECOND, _THIRD, _FOURTH), unnumbered="late"
)  # the last that was made before versions

"""What is asked of the tables of the embedded store: its statements, with the names of columns quoted.

Belongs here: SQL alone. Does not: what it stands for (`sqlite`).
"""

from collections.abc import Sequence

KEY = ("device", "observed_at")
_EMPTY = "''"

# The devices of a table by one search each: a GROUP BY would read every row.
DEVICES = """WITH RECURSIVE known (name) AS (
    SELECT min(device) FROM {table}
    UNION ALL SELECT (SELECT min(device) FROM {table} WHERE device > name) FROM known WHERE name IS NOT NULL
)"""

FIRST_POLLS = f"""{DEVICES.format(table="poll")} SELECT name, min(observed_at) FROM known CROSS JOIN poll
ON device = name WHERE (? IS NULL OR name = ?) AND observed_at >= ? AND observed_at < ? GROUP BY name"""  # noqa: S608
EMPTIED = f"""{DEVICES.format(table="poll")} SELECT name, observed_at FROM known CROSS JOIN poll ON device = name
AND observed_at >= ? AND observed_at < ? WHERE instr(problems, ?) AND (? IS NULL OR name = ?)
ORDER BY name, observed_at"""  # noqa: S608 - nothing of it is given
OF_DEVICE = "WHERE device = ? AND observed_at >= ? AND observed_at < ?"
# By their index: the few polls that say it are not looked for among all.
ASKED = """SELECT device, series FROM poll INDEXED BY poll_series
WHERE series IS NOT NULL AND observed_at >= ? AND observed_at < ? AND (? IS NULL OR device = ?)"""
ASKED_BEFORE = f"""{DEVICES.format(table="poll")} SELECT name, (SELECT series FROM poll INDEXED BY poll_series
WHERE device = name AND series IS NOT NULL AND observed_at < ? ORDER BY observed_at DESC LIMIT 1) AS said
FROM known WHERE said IS NOT NULL AND (? IS NULL OR name = ?)"""  # noqa: S608 - nothing of it is given

IDENTITIES = f"""{DEVICES.format(table="poll")} SELECT name, (SELECT identity FROM poll INDEXED BY poll_identity
WHERE device = name AND identity IS NOT NULL ORDER BY observed_at DESC LIMIT 1) AS said
FROM known WHERE said IS NOT NULL"""  # noqa: S608 - nothing of it is given


def replace(table: str, columns: Sequence[str]) -> str:
    """The statement that writes a row in place of another one: nothing of that stays."""
    names = [quoted(name) for name in (*KEY, *columns)]
    return f"REPLACE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - quoted


def device_rows(table: str, columns: Sequence[str], *, saying: bool = False) -> str:
    """The statement for some columns of the rows of one device in an interval, in order.

    Args:
        table: which.
        columns: the columns beside the slot.
        saying: whether only rows are wanted that have a text in any of the columns.
    """
    names = ", ".join(quoted(name) for name in ("observed_at", *columns))
    only = f" AND ({' OR '.join(f'{quoted(name)} <> {_EMPTY}' for name in columns)})" if saying else ""
    return f"SELECT {names} FROM {table} {OF_DEVICE}{only} ORDER BY observed_at"  # noqa: S608 - quoted


def per_device(table: str, what: str, group: str) -> str:
    """The statement for something of the rows of each device in an interval."""
    # CROSS JOIN keeps SQLite from reading the table first.
    return (
        f"{DEVICES.format(table=table)} SELECT name, {what} FROM known CROSS JOIN {table} ON device = name "  # noqa: S608 - quoted
        f"AND observed_at >= ? AND observed_at < ? GROUP BY {group}"
    )


def quoted(name: str) -> str:
    """The name of a column as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'

"""What the outbox holds of one device: counted, renamed, deleted, within a transaction of the outbox.

Belongs here: rows of one device among those of all; one that cannot be read is nobody's. Does not: the tables
(`outbox_tables`), when it is done (`histories`).
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from sqlite3 import Connection

from air_pipeline.collection.outbox_rows import RowUnreadable, poll_of
from air_pipeline.devices.polls import Poll, poll_to_json

_TABLES = ("outbox", "quarantine")
_ALL_TIME = (-(2**63), 2**63 - 1)


def count(connection: Connection | None, device: str, start: int, end: int) -> tuple[int, int]:
    """How many polls of one device in [start, end), ms UTC, wait, and how many were set aside."""
    if connection is None:
        return 0, 0
    waiting, aside = (sum(1 for _ in _rows(connection, table, device, start, end)) for table in _TABLES)
    return waiting, aside


def rename(connection: Connection, device: str, name: str) -> None:
    """Gives everything that is here of a device to one of another name."""
    for table in _TABLES:
        for number, poll in list(_rows(connection, table, device, *_ALL_TIME)):
            text = poll_to_json(replace(poll, device=name))
            connection.execute(f"UPDATE {table} SET poll = ? WHERE id = ?", (text, number))  # noqa: S608
    connection.execute(
        "INSERT INTO devices SELECT ?, last_slot, rejected, notes, identity FROM devices WHERE device = ?"
        " ON CONFLICT (device) DO UPDATE SET last_slot ="
        " max(coalesce(last_slot, excluded.last_slot), coalesce(excluded.last_slot, last_slot)),"
        " identity = CASE identity WHEN '' THEN excluded.identity ELSE identity END",
        (name, device),
    )
    connection.execute("DELETE FROM devices WHERE device = ?", (device,))


def delete(connection: Connection, device: str, start: int, end: int, *, forget: bool) -> None:
    """Deletes the polls of a device in [start, end), ms UTC; where it is to be forgotten, its last slot too."""
    for table in _TABLES:
        for number, _ in list(_rows(connection, table, device, start, end)):
            connection.execute(f"DELETE FROM {table} WHERE id = ?", (number,))  # noqa: S608
    if forget:
        connection.execute("DELETE FROM devices WHERE device = ?", (device,))


def _rows(connection: Connection, table: str, device: str, start: int, end: int) -> Iterator[tuple[int, Poll]]:
    """The number and poll of each row of a device in one of the two tables."""
    query = f"SELECT id, poll FROM {table} WHERE observed_at >= ? AND observed_at < ? AND instr(poll, ?)"  # noqa: S608
    for number, text in connection.execute(query, (start, end, json.dumps(device))):
        try:
            poll = poll_of(text)
        except RowUnreadable:
            continue
        if poll.device == device:
            yield number, poll

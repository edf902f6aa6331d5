"""Home Assistant's long-term statistics, in its SQLite file → rows: the mean of each hour at the hour's beginning.

Belongs here: the tables `statistics` and `statistics_meta` of its recorder (db_schema.py of home-assistant/core). Does
not: what a statistic means (`mapping`).
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np

from air_pipeline.importing.instants import NONE, instants_of
from air_pipeline.importing.mapping import Meaning
from air_pipeline.importing.rows import ImportFailed, Notes, Rows

_UTC_TEXTS = "{at}+00:00"


def read_statistics(
    paths: Sequence[Path], meaning: Meaning, told: Callable[[int, int], None]
) -> tuple[Rows, Notes, Meaning]:
    """The hourly means of the statistics that the mapping names; what was not understood; the meaning with their units.

    Args:
        paths: the file `home-assistant_v2.db`; it is only read.
        meaning: of statistics (`sensor.living_room_temperature`), as columns.
        told: how many statistics of how many are read.

    Raises:
        ImportFailed: it is no such file, or has none of them.
    """
    if len(paths) != 1:
        raise ImportFailed("name one file of Home Assistant, home-assistant_v2.db")
    [path] = paths
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            return _read(connection, path, meaning, told)
    except sqlite3.Error as error:
        raise ImportFailed(f"{path} is no database of Home Assistant that can be read: {error}") from error


def _read(
    connection: sqlite3.Connection, path: Path, meaning: Meaning, told: Callable[[int, int], None]
) -> tuple[Rows, Notes, Meaning]:
    columns = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('statistics')")}
    if not columns:
        raise ImportFailed(f"{path} has no table statistics, so it is no database of Home Assistant")
    # Before 2023 a text in UTC; since then seconds since 1970.
    at = "start_ts" if "start_ts" in columns else "start"
    known = {
        name: (number, unit)
        for number, name, unit in connection.execute(
            "SELECT id, statistic_id, unit_of_measurement FROM statistics_meta"
        )
    }
    wanted = [name for name in meaning.columns if name in known]
    if not wanted:
        there = ", ".join(sorted(known)[:20])
        raise ImportFailed(f"{path} has no statistic that {meaning.name} names; it has {there or 'none'}")
    notes, parts, units = Notes(), [], dict(meaning.columns)
    for number, name in enumerate(wanted):
        told(number, len(wanted))
        series, unit = meaning.columns[name]
        units[name] = (series, unit or known[name][1])
        rows = connection.execute(
            f"SELECT {at}, mean FROM statistics WHERE metadata_id = ?",  # noqa: S608 - one of two names
            (known[name][0],),
        ).fetchall()
        notes.rows += len(rows)
        if at == "start_ts":
            times = instants_of([row[0] for row in rows], "epoch-s", None, None, notes, 1)
        else:
            times = instants_of([_UTC_TEXTS.format(at=row[0]) for row in rows], "iso", None, None, notes, 1)
        means = np.array([np.nan if row[1] is None else float(row[1]) for row in rows], np.float64)
        kept = times != NONE
        parts.append(Rows(times[kept], {series: means[kept]}))
    told(len(wanted), len(wanted))
    lacking = [name for name in meaning.columns if name not in known]
    notes.add("statistics that the mapping names are not there", len(lacking), lacking)
    return Rows.joined(parts), notes, replace(meaning, columns=units)

"""Times as tables have them → instants: with an offset, in a zone, or as seconds since 1970.

Belongs here: what a text or number means as a time. Does not: which column has it (`mapping`).

A local time without an offset that the clock showed twice could be either instant, and one that it skipped is none:
both are left out and named, unless the mapping says of which pass such times are.
"""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from air_pipeline.importing.rows import ImportFailed, Instants, Notes

NONE = np.iinfo(np.int64).min
"""Stands for no instant."""

EPOCHS = {"epoch-s": 1000.0, "epoch-ms": 1.0, "epoch-us": 1e-3, "epoch-ns": 1e-6}
"""Numbers since 1970 by what they count, each with its ms."""
_OFFSET = r"\d[Tt ]+\d.*(?:[Zz]|[+-]\d{1,2}(?::?\d{2})?)$"
_FIRST_MS, _LAST_MS = -2_208_988_800_000, 7_258_118_400_000
"""Of the years 1900 to 2199, as everywhere: what is said to be earlier or later is a mistake."""

SKIPPED = "rows at a local time that the clock skipped are left out"
TWICE = "rows at a local time that the clock showed twice are left out (which is meant says twice: first, or second)"
NO_TIME = "rows whose time is not understood are left out"

_Places = npt.NDArray[np.bool_]


def instants_of(
    texts: Sequence[Any], written: str, zone: ZoneInfo | None, twice: str | None, notes: Notes, first_row: int
) -> Instants:
    """The instants of some texts or numbers, ms UTC; `NONE` where there is none, which is noted.

    Args:
        texts: as they are in the table.
        written: how: `iso`, one of `EPOCHS`, or a format of strftime.
        zone: of those without an offset.
        twice: `first` or `second`: which pass a time means that was shown twice; None: such times are left out.
        notes: where what was not understood is noted.
        first_row: the number of the first row, for people.

    Raises:
        ImportFailed: they have no offset, and no zone is named.
    """
    skipped = ambiguous = np.zeros(len(texts), dtype=bool)
    if written in EPOCHS:
        numbers = pd.to_numeric(pd.Series(texts, dtype="object"), errors="coerce").to_numpy(np.float64, na_value=np.nan)
        at = np.floor(numbers * EPOCHS[written] + 1e-3)  # what is no exact number, as 0.1 s, is not a ms early
        known = (at >= _FIRST_MS) & (at < _LAST_MS)
        found = np.where(known, at, 0).astype(np.int64)
        found[~known] = NONE
    else:
        stripped = pd.Series(texts, dtype="str").str.strip()
        has_offset = np.zeros(len(texts), dtype=bool)
        if written == "iso" or "%z" in written:  # else what looks like one is a year: 13:05 05-12-2025
            has_offset = stripped.str.contains(_OFFSET).to_numpy(dtype=bool)
        found = np.full(len(texts), NONE)
        found[has_offset] = _with_offset(stripped[has_offset].str.replace(r"z$", "Z", regex=True), written)
        if not has_offset.all():
            local = _parsed(stripped[~has_offset], written, utc=False)
            if zone is None and local.notna().any():
                raise ImportFailed(
                    f"the times have no offset, as {texts[int(np.argmin(has_offset))]!r}: say in which zone they are,"
                    " as time: {column: …, zone: Europe/Warsaw} in the mapping (zone: UTC, if they are UTC)"
                )
            skipped, ambiguous = np.zeros_like(has_offset), np.zeros_like(has_offset)
            if zone is not None:
                found[~has_offset], skipped[~has_offset], ambiguous[~has_offset] = _in_zone(local, zone, twice)
    unknown = (found == NONE) & ~skipped & ~ambiguous
    for what, places in ((NO_TIME, unknown), (SKIPPED, skipped), (TWICE, ambiguous)):
        where = np.flatnonzero(places)[:10].tolist()
        notes.add(what, int(places.sum()), (f"row {first_row + place} ({str(texts[place])[:40]})" for place in where))
    return found


def _with_offset(texts: pd.Series, written: str) -> Instants:
    return _ms(_parsed(texts, written, utc=True))


def _parsed(texts: pd.Series, written: str, *, utc: bool) -> pd.Series:
    meant = "ISO8601" if written == "iso" else written
    if not utc:
        meant = meant.removesuffix("%z")
    found = pd.to_datetime(texts, format=meant, errors="coerce", utc=utc)
    return found.where(found.dt.year.between(1900, 2199))


def _in_zone(local: pd.Series, zone: ZoneInfo, twice: str | None) -> tuple[Instants, _Places, _Places]:
    """The instants of local times; which of them were skipped; which were shown twice and are left out for that."""
    is_time = local.notna().to_numpy(dtype=bool)
    passes = [
        local.dt.tz_localize(zone, ambiguous=np.full(len(local), is_first), nonexistent="NaT")
        for is_first in (True, False)
    ]
    first, second = map(_ms, passes)
    skipped = is_time & (first == NONE)
    if twice is not None:
        return (first if twice == "first" else second), skipped, np.zeros_like(skipped)
    ambiguous = first != second
    return np.where(ambiguous, NONE, first), skipped, ambiguous


def _ms(times: pd.Series) -> Instants:
    if times.dt.tz is not None:
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    return times.to_numpy().astype("datetime64[ms]").astype(np.int64)  # NaT is `NONE`

"""A series of a day with as many points as a picture can show, so that nothing that matters is lost.

Belongs here: which points are kept. Does not: how they are drawn (`drawing`). Pure functions of arrays.

Polled every second, a series has 86,400 points a day. The day is cut into bins of five minutes, about a pixel each:
of the valid observations in a bin its least and greatest stay, so the line is the envelope of all of them. The line is
broken wherever a slot has no valid value, but for holes of less than a minute, a fifth of a pixel. Every stretch of
missing slots, however short, and the extremes of suspect and bad values in each quarter of an hour are kept apart.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from air_pipeline.devices.polls import Flag

Floats = npt.NDArray[np.float64]
Instants = npt.NDArray[np.int64]
Flags = npt.NDArray[np.int8]

BINS = 288
MARK_BINS = 96
NARROWEST_HOLE_MS = 60_000
"""The line crosses holes that are narrower than this."""
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Elapsed hours since the start of the day, and values in the series' unit."""

    x: Floats
    y: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One series of one day, thinned.

    Attributes:
        line: the valid observations; a NaN where the line is broken. A point that stands alone is there twice.
        suspect: the marks of suspect values.
        bad: the marks of bad values; y is NaN where the device sent no number.
        gaps: stretches with missing slots, as (from, to) in elapsed hours, rounded outwards to bins.
    """

    line: Points
    suspect: Points
    bad: Points
    gaps: tuple[tuple[float, float], ...]


def thinned(at: Instants, values: Floats, flags: Flags, start: int, end: int) -> Curve:
    """The curve of one series.

    Args:
        at: the slots, ms since 1970 UTC, rising.
        values: NaN where there is none.
        flags: as in observations.
        start: of the local day, ms since 1970 UTC.
        end: of the local day; not included.
    """
    return Curve(
        line=_line(at, values, (flags == Flag.GOOD) | (flags == Flag.NOT_EVALUATED), start, end),
        suspect=_marks(at, values, flags == Flag.SUSPECT, start, end),
        bad=_marks(at, values, flags == Flag.BAD, start, end),
        gaps=_gaps(at, flags == Flag.MISSING, start, end),
    )


def _line(at: Instants, values: Floats, valid: npt.NDArray[np.bool_], start: int, end: int) -> Points:
    places = np.flatnonzero(valid & ~np.isnan(values))
    if not len(places):
        return Points(np.empty(0), np.empty(0))
    times, y = at[places], values[places]
    broken = (np.diff(places) > 1) & (np.diff(times) >= NARROWEST_HOLE_MS)
    run = np.concatenate([[0], np.cumsum(broken)])
    kept = np.union1d(_extremes(y, run * BINS + _bins(times, start, end, BINS)), _ends(run))
    alone = np.flatnonzero(np.bincount(run)[run[kept]] == 1)
    kept = np.insert(kept, alone, kept[alone])
    breaks = np.flatnonzero(np.diff(run[kept])) + 1
    x = (times[kept] - start) / _HOUR_MS
    return Points(np.insert(x, breaks, x[breaks]), np.insert(y[kept], breaks, np.nan))


def _marks(at: Instants, values: Floats, wanted: npt.NDArray[np.bool_], start: int, end: int) -> Points:
    places = np.flatnonzero(wanted)
    bins = _bins(at[places], start, end, MARK_BINS)
    without = np.isnan(values[places])
    first_without = np.flatnonzero(without)[np.unique(bins[without], return_index=True)[1]]
    with_value = np.flatnonzero(~without)
    extremes = with_value[_extremes(values[places[with_value]], bins[with_value])]
    kept = places[np.union1d(first_without, extremes).astype(np.int64)]
    return Points((at[kept] - start) / _HOUR_MS, values[kept])


def _gaps(at: Instants, missing: npt.NDArray[np.bool_], start: int, end: int) -> tuple[tuple[float, float], ...]:
    if not missing.any():
        return ()
    edges = np.diff(np.concatenate([[0], missing.astype(np.int8), [0]]))
    first, after = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    until = np.append(at, end)[after]
    width = (end - start) / BINS
    found: list[tuple[float, float]] = []
    for begin, finish in zip((at[first] - start) // width, -(-(until - start) // width), strict=True):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], float(finish))
        else:
            found.append((float(begin), float(finish)))
    hours = width / _HOUR_MS
    return tuple((begin * hours, finish * hours) for begin, finish in found)


def _bins(at: Instants, start: int, end: int, number: int) -> Instants:
    return (at - start) * number // (end - start)


def _extremes(values: Floats, group: Instants) -> Instants:
    """The places of the first least and the last greatest value of each group; groups rise, and none is below 0."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    if not len(starts):
        return starts
    sizes = np.diff(starts, append=len(group))
    least = np.flatnonzero(values == np.repeat(np.minimum.reduceat(values, starts), sizes))
    greatest = np.flatnonzero(values == np.repeat(np.maximum.reduceat(values, starts), sizes))
    is_first = np.diff(group[least], prepend=-1) > 0
    is_last = np.diff(group[greatest], append=group[-1] + 1) > 0
    return np.union1d(least[is_first], greatest[is_last])


def _ends(run: Instants) -> Instants:
    """The places of the first and the last of each run."""
    new = np.flatnonzero(np.diff(run)) + 1
    return np.unique(np.concatenate([[0], new, new - 1, [len(run) - 1]]))

"""Rows at any times → values at slots, with the intervals that the rows themselves have. Pure.

Belongs here: the rule by which a row gets its slot, intervals, stretches and gaps. Does not: reading rows, and what of
them comes into a store that has polls already (`planning`).

A row goes to the slot at or before it; one that came at most a quarter of the interval early belongs to the next slot,
as a clock or a timer that runs a little ahead of the slot means that one. So a time is true to within one interval. Of
rows that share a slot each series has its last value. Whatever the order in which rows come, the outcome is the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd

from air_pipeline.devices.polls import Flag, Problem
from air_pipeline.importing.rows import ImportFailed, Instants, Numbers, Rows

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
ENDS_AFTER_MS = DAY_MS
"""After a longer silence nothing was expected; a shorter one is missed slots, as of a device that did not answer."""
USUAL_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 150, 180, 240, 300, 600, 900, 1200, 1800, 3600)
"""Intervals that people set."""
_NEARLY = 0.02
"""So near to one of these, a pace is that one: clocks differ."""
_SHORT_S = 10
"""Below it a pace is rounded up: of a pace of 1.4 s, slots of 1 s would be a third empty."""
_FEWEST = 5
"""Steps in a day, of which it has an interval of its own."""
_SAME_MS = 500
"""Rows nearer than this are parts of one: values of one poll that were stored one after the other."""

NOT_A_NUMBER = "not a number in what was imported"
NOT_THERE = "no value in what was imported"


@dataclass(frozen=True)
class Aligned:
    """Values at slots.

    Attributes:
        slots: ms UTC, rising, each once.
        interval_ms: the interval in force at each.
        series: each with its values; NaN: none.
        spoilt: series to slots in which it had a text that is no number, and no value, with that text.
        shared: how many rows have a value in whose place a later row of their slot has another.
    """

    slots: Instants
    interval_ms: Instants
    series: Mapping[str, Numbers]
    spoilt: Mapping[str, Mapping[int, str]]
    shared: int

    def __len__(self) -> int:
        return len(self.slots)

    def without(self, places: np.ndarray) -> "Aligned":
        """Without some slots."""
        kept = ~places
        values = {name: column[kept] for name, column in self.series.items()}
        return Aligned(self.slots[kept], self.interval_ms[kept], values, self.spoilt, self.shared)

    def stretches(self) -> list[tuple[int, int]]:
        """The first place of each stretch and the one after its last: between two is more than a day of silence."""
        if not len(self):
            return []
        breaks = np.flatnonzero(self._silences() > ENDS_AFTER_MS) + 1
        edges = [0, *breaks.tolist(), len(self)]
        return list(pairwise(edges))

    def gaps(self) -> list[tuple[int, int]]:
        """From when to when, ms UTC, there is nothing for more than an hour."""
        places = np.flatnonzero(self._silences() > HOUR_MS)
        ends = self.slots + self.interval_ms
        return [(int(ends[place]), int(self.slots[place + 1])) for place in places]

    def missing(self) -> int:
        """How many slots of the stretches have no row."""
        silences = self._silences()
        inside = silences <= ENDS_AFTER_MS
        return int((np.maximum(silences[inside], 0) // self.interval_ms[:-1][inside]).sum())

    def _silences(self) -> Instants:
        return np.diff(self.slots) - self.interval_ms[:-1]

    def problems(self, places: slice) -> Iterator[tuple[Problem, ...]]:
        """What each slot of some places lacks: a series is missed between its first and its last value of a stretch."""
        lacking = {name: lacks[places] for name, lacks in self._lacking.items()}
        for place, slot in enumerate(self.slots[places].tolist()):
            found = []
            for name, lacks in lacking.items():
                if (text := self.spoilt.get(name, {}).get(slot)) is not None:
                    found.append(Problem(name, text[:100], Flag.BAD, NOT_A_NUMBER))
                elif lacks[place]:
                    found.append(Problem(name, None, Flag.MISSING, NOT_THERE))
            yield tuple(found)

    @cached_property
    def _lacking(self) -> dict[str, np.ndarray]:
        stretches = self.stretches()
        return {name: self._lacking_of(~np.isnan(values), stretches) for name, values in self.series.items()}

    def _lacking_of(self, there: np.ndarray, stretches: list[tuple[int, int]]) -> np.ndarray:
        lacking = np.zeros(len(self), dtype=bool)
        for first, last in stretches:
            having = np.flatnonzero(there[first:last])
            if len(having):
                span = slice(first + having[0], first + having[-1] + 1)
                lacking[span] = ~there[span]
        return lacking


def align(rows: Rows, interval_ms: int | None = None) -> Aligned:
    """Gives rows their slots.

    Args:
        rows: of one device.
        interval_ms: of all of them; None: as each UTC day's rows have it.

    Raises:
        ImportFailed: they are more than an hour apart.
    """
    frame = pd.DataFrame(dict(rows.series), index=range(len(rows)))
    frame.insert(0, "", rows.times)
    frame = frame.sort_values(list(frame.columns), na_position="first", ignore_index=True)
    times = frame.pop("").to_numpy(np.int64)
    intervals = np.full(len(times), interval_ms, np.int64) if interval_ms else _intervals(times, frame)
    slots = _slots(times, intervals)
    frame["_interval"] = intervals
    in_slots = frame.groupby(slots, sort=True).last()  # of each column, leaving out what is missing
    taken = in_slots.index.to_numpy(np.int64)
    texts = _in_slots(rows.spoilt, times, slots)
    values = {name: in_slots[name].to_numpy(np.float64) for name in rows.series}
    return Aligned(
        slots=taken,
        interval_ms=in_slots["_interval"].to_numpy(np.int64),
        series=values,
        spoilt={name: _without_value(said, taken, values[name]) for name, said in texts.items() if name in values},
        shared=_overruled(frame[list(rows.series)], slots),
    )


def usual_interval(step_ms: float) -> int:
    """The interval, in ms, of rows that are so far apart."""
    step_s = step_ms / 1000
    nearest = min(USUAL_S, key=lambda usual: abs(usual - step_s))
    if abs(nearest - step_s) <= _NEARLY * nearest:
        return nearest * 1000
    return max(int(-(-step_s // 1)) if step_s < _SHORT_S else round(step_s), 1) * 1000


def _slots(times: Instants, intervals: Instants) -> Instants:
    slots: Instants = (times + intervals // 4) // intervals * intervals
    return slots


def _intervals(times: Instants, values: pd.DataFrame) -> Instants:
    """The interval at each of some rising instants: that of its UTC day, or of the nearest day before that has one.

    It is that of the series that came most often: rows of two sensors may take turns.
    """
    every = _steps(times)
    if every.empty:
        return np.full(len(times), 60_000, np.int64)
    pace = _paces([_steps(times[values[name].notna()]) for name in values])
    if pace.empty:
        pace = _paces([every])
    if pace.empty:
        pace = pd.Series([every.median()], index=[int(times[0] // DAY_MS)])
    found = pace.map(usual_interval)
    if (found > HOUR_MS).all():
        raise ImportFailed(
            f"rows are {found.median() / HOUR_MS:.3g} hours apart, and slots are an hour apart at most: means over"
            " longer times are no readings. If they are readings, say interval: 1h in the mapping"
        )
    found = found[found <= HOUR_MS]  # a day of a few rows far apart is one of many missed slots
    days = times // DAY_MS
    places = np.maximum(np.searchsorted(found.index.to_numpy(), days, side="right") - 1, 0)
    intervals: Instants = found.to_numpy(np.int64)[places]
    return intervals


def _overruled(values: pd.DataFrame, slots: Instants) -> int:
    """How many rows, in their order, lose a value to a later row of their slot; rows of two files have one each."""
    lost = np.zeros(len(slots), dtype=bool)
    for name in values:
        having = np.flatnonzero(values[name].notna())
        lost[having[pd.Series(slots[having]).duplicated(keep="last")]] = True
    return int(lost.sum())


def _paces(of_each: "list[pd.Series[float]]") -> "pd.Series[float]":
    """The least median step of some series, ms, by those UTC days in which one of them has enough."""
    by_day = [steps.groupby(level=0) for steps in of_each]
    enough = [days.median()[days.size() >= _FEWEST] for days in by_day]
    return pd.concat(enough, axis="columns").min(axis="columns").sort_index()


def _steps(times: Instants) -> "pd.Series[float]":
    """The steps between rising instants, each by the UTC day in which it ends."""
    distinct = np.unique(times)
    steps = np.diff(distinct)
    real = steps >= _SAME_MS
    return pd.Series(steps[real], index=distinct[1:][real] // DAY_MS)


def _in_slots(spoilt: Mapping[str, Mapping[int, str]], times: Instants, slots: Instants) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for name, texts in spoilt.items():
        at = np.array(sorted(texts), np.int64)
        places = np.minimum(np.searchsorted(times, at), max(len(times) - 1, 0))
        for time, place in zip(at.tolist(), places.tolist(), strict=True):
            if len(times) and times[place] == time:
                found.setdefault(name, {})[int(slots[place])] = texts[time]
    return found


def _without_value(said: Mapping[int, str], slots: Instants, values: Numbers) -> dict[int, str]:
    there = dict(zip(slots.tolist(), (~np.isnan(values)).tolist(), strict=True))
    return {slot: text for slot, text in said.items() if not there.get(slot, True)}

"""From what a store holds to what the rules see.

Belongs here: putting readings and polls into their slots, reading problems. Does not: judging them (`rules`, `flags`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from air_pipeline.devices.polls import AskedFor, Flag, Outcome, Problem, problems_from_json, series_from_json
from air_pipeline.processing.asked import asked_series
from air_pipeline.processing.observations import OUTCOME_TYPE, ProcessingError
from air_pipeline.processing.restarts import restarts
from air_pipeline.processing.slots import ExpectedSlots, Instants, index_ms
from air_pipeline.processing.station import NO_INSTANTS, Places, Series, Station
from air_pipeline.settings import Device


def station_of(
    device: Device,
    readings: pd.DataFrame,
    polls: pd.DataFrame,
    slots: ExpectedSlots,
    earlier: Instants = NO_INSTANTS,
    opening: AskedFor | None = None,
) -> Station:
    """One device as the rules see it.

    Args:
        device: its settings; series that they do not name are left out.
        readings: as stores return them (index `observed_at`, UTC ms; a float64 column a series); absent series and
            slots have no values.
        polls: as stores return them (the same index; `outcome`, `problems`, …).
        slots: see `slots.expected_slots`; readings and polls in no expected slot are left out.
        earlier: slots at which the device restarted, beside those that are seen here.
        opening: what it was asked for before the first slot; None: for all of its series in all slots.

    Raises:
        ProcessingError: a poll's `problems` cannot be read, or its outcome is not known.
    """
    places, kept = _places(index_ms(readings), slots.at)
    series, limits = {}, device.limits
    for parameter in device.parameters:
        values = np.full(len(slots), np.nan)
        if parameter.series in readings:
            values[places] = readings[parameter.series].to_numpy(np.float64)[kept]
        series[parameter.series] = Series(
            parameter.series, parameter.unit, slots, values, parameter.sensor_range, limits[parameter.series]
        )
    troubled, unusable, empty = _problems(device, polls, slots)
    outcomes = _outcomes(device, polls, slots)
    asked: Mapping[str, Places] = {}
    if opening is not None:
        own = {one.name: one.has_value | troubled.get(one.name, False) for one in series.values()}
        asked = asked_series(own, _said(device, polls, slots), opening)
    station = Station(device, slots, series, outcomes, unusable, empty, asked, cycles=_cycles(polls, slots))
    return replace(station, restarts=np.union1d(earlier, restarts(station)))


def _outcomes(device: Device, polls: pd.DataFrame, slots: ExpectedSlots) -> npt.NDArray[np.int8]:
    """The code in `OUTCOME_TYPE` of what became of the poll of each slot; −1 where there was none."""
    places, kept = _places(index_ms(polls), slots.at)
    outcomes = polls["outcome"][kept]
    unknown = set(outcomes.unique()) - {*OUTCOME_TYPE.categories, Outcome.ENDED}
    if unknown:
        named = ", ".join(sorted(map(str, unknown)))
        raise ProcessingError(
            f"the store has polls of {device.id} with outcomes that this version does not know ({named});"
            " install the version that wrote them, or a later one"
        )
    codes = np.full(len(slots), -1, dtype=np.int8)
    codes[places] = pd.Categorical(outcomes, dtype=OUTCOME_TYPE).codes
    return codes


def _cycles(polls: pd.DataFrame, slots: ExpectedSlots) -> Instants:
    """A number for each measuring cycle by the mark in its polls; −1 where a slot has none. None at all: no slots."""
    marks = polls["cycle"].dropna() if "cycle" in polls else polls["outcome"].iloc[:0]
    if marks.empty:
        return NO_INSTANTS
    places, kept = _places(index_ms(marks.to_frame()), slots.at)
    cycles = np.full(len(slots), -1, dtype=np.int64)
    cycles[places] = pd.factorize(marks[kept])[0]
    return cycles


def _said(device: Device, polls: pd.DataFrame, slots: ExpectedSlots) -> dict[int, tuple[str, ...]]:
    """The places of the slots whose polls say what the device was asked for, with what they say."""
    said = polls["series"].dropna()
    places, kept = _places(index_ms(said.to_frame()), slots.at)
    try:
        parsed = [series_from_json(text) or () for text in said[kept]]
    except ValueError as error:
        raise ProcessingError(
            f"a poll of {device.id} says that it was asked for what cannot be read: {error}"
        ) from error
    return dict(zip(places.tolist(), parsed, strict=True))


def _problems(device: Device, polls: pd.DataFrame, slots: ExpectedSlots) -> tuple[dict[str, Places], ...]:
    """Series to the slots that have a problem of it; a value that could not be used; an empty text."""
    places, kept = _places(index_ms(polls), slots.at)
    problems = polls["problems"][kept]
    some = (problems.notna() & (problems != "")).to_numpy(dtype=bool)
    codes, texts = pd.factorize(problems[some])
    parsed = [_parsed(device, text) for text in texts]

    def where(what: Callable[[Problem], bool]) -> dict[str, Places]:
        found: dict[str, Places] = {}
        for code, problem in ((code, one) for code, every in enumerate(parsed) for one in every if what(one)):
            found.setdefault(problem.series, np.zeros(len(texts), dtype=bool))[code] = True
        wide = {}
        for series in (parameter.series for parameter in device.parameters if parameter.series in found):
            wide[series] = np.zeros(len(slots), dtype=bool)
            wide[series][places[some]] = found[series][codes]
        return wide

    return (
        where(lambda _: True),
        where(lambda one: one.flag == Flag.BAD),
        where(lambda one: one.flag == Flag.MISSING and one.value == ""),
    )


def _parsed(device: Device, text: str) -> tuple[Problem, ...]:
    try:
        return problems_from_json(text)
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ProcessingError(f"a poll of {device.id} has problems that cannot be read: {text[:200]!r}") from error


def _places(instants: Instants, slots: Instants) -> tuple[Instants, Places]:
    """Where the instants are among the slots, and which of them are slots at all."""
    places = np.searchsorted(slots, instants)
    kept = np.zeros(len(instants), dtype=bool)
    inside = places < len(slots)
    kept[inside] = slots[places[inside]] == instants[inside]
    return places[kept], kept

"""From what a store holds to what the rules see.

Belongs here: putting readings and polls into their slots, reading problems. Does not: judging them (`rules`, `flags`).
"""

import json

import numpy as np
import numpy.typing as npt
import pandas as pd

from air_pipeline.devices.polls import Flag, problems_from_json
from air_pipeline.processing.observations import OUTCOME_TYPE, ProcessingError
from air_pipeline.processing.slots import ExpectedSlots, Instants, index_ms
from air_pipeline.processing.station import Places, Series, Station
from air_pipeline.settings import Device


def station_of(device: Device, readings: pd.DataFrame, polls: pd.DataFrame, slots: ExpectedSlots) -> Station:
    """One device as the rules see it.

    Args:
        device: its settings; series that they do not name are left out.
        readings: as stores return them (index `observed_at`, UTC ms; a float64 column a series); absent series and
            slots have no values.
        polls: as stores return them (the same index; `outcome`, `problems`, …).
        slots: see `slots.expected_slots`; readings and polls in no expected slot are left out.

    Raises:
        ProcessingError: a poll's `problems` cannot be read.
    """
    places, kept = _places(index_ms(readings), slots.at)
    series = {}
    for parameter in device.parameters:
        values = np.full(len(slots), np.nan)
        if parameter.series in readings:
            values[places] = readings[parameter.series].to_numpy(np.float64)[kept]
        series[parameter.series] = Series(
            parameter.series, parameter.unit, slots, values, sensor_range=parameter.sensor_range
        )
    return Station(device, slots, series, _unusable(device, polls, slots))


def poll_outcomes(device: Device, polls: pd.DataFrame, slots: ExpectedSlots) -> npt.NDArray[np.int8]:
    """The code in `OUTCOME_TYPE` of what became of the poll of each slot; −1 where there was none.

    Raises:
        ProcessingError: an outcome is not known.
    """
    places, kept = _places(index_ms(polls), slots.at)
    outcomes = polls["outcome"][kept]
    unknown = set(outcomes.unique()) - set(OUTCOME_TYPE.categories)
    if unknown:
        named = ", ".join(sorted(map(str, unknown)))
        raise ProcessingError(
            f"the store has polls of {device.id} with outcomes that this version does not know ({named});"
            " install the version that wrote them, or a later one"
        )
    codes = np.full(len(slots), -1, dtype=np.int8)
    codes[places] = pd.Categorical(outcomes, dtype=OUTCOME_TYPE).codes
    return codes


def _unusable(device: Device, polls: pd.DataFrame, slots: ExpectedSlots) -> dict[str, Places]:
    """Series to the slots in which a value came and could not be used; only series with such a slot."""
    places, kept = _places(index_ms(polls), slots.at)
    problems = polls["problems"][kept]
    some = (problems.notna() & (problems != "")).to_numpy(dtype=bool)
    codes, texts = pd.factorize(problems[some])
    bad: dict[str, Places] = {}
    for code, text in enumerate(texts):
        for series in _bad_series(device, text):
            bad.setdefault(series, np.zeros(len(texts), dtype=bool))[code] = True
    unusable = {}
    for parameter in device.parameters:
        if parameter.series in bad:
            unusable[parameter.series] = np.zeros(len(slots), dtype=bool)
            unusable[parameter.series][places[some]] = bad[parameter.series][codes]
    return unusable


def _bad_series(device: Device, text: str) -> list[str]:
    try:
        return [problem.series for problem in problems_from_json(text) if problem.flag == Flag.BAD]
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ProcessingError(f"a poll of {device.id} has problems that cannot be read: {text[:200]!r}") from error


def _places(instants: Instants, slots: Instants) -> tuple[Instants, Places]:
    """Where the instants are among the slots, and which of them are slots at all."""
    places = np.searchsorted(slots, instants)
    kept = np.zeros(len(instants), dtype=bool)
    inside = places < len(slots)
    kept[inside] = slots[places[inside]] == instants[inside]
    return places[kept], kept

"""From readings and polls to flagged observations: the verdicts of the rules rolled up, the means of shared parameters.

Belongs here: how several verdicts become one flag. Does not: the rules (`judging`).

The flag of an observation is the worst of what the rules said: 4 over 3 over 1. It is 9 where there is no value and no
reason to call it bad, and 2 where no rule could be applied to a value. The `rules` bits are those of the rules that
spoke against it. Rules flag; they never delete or change a value.
"""

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from air_pipeline.catalogue import shared_parameters
from air_pipeline.devices.polls import Flag, problems_from_json
from air_pipeline.processing.judging import JUDGES, NOT_APPLIED, Evidence, Verdicts
from air_pipeline.processing.observations import OUTCOME_TYPE, DeviceObservations, ProcessingError, local_index
from air_pipeline.processing.rules import RULES, Rule
from air_pipeline.processing.slots import ExpectedSlots, Instants, index_ms
from air_pipeline.settings import Device

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.int8]
Bits = npt.NDArray[np.int32]
Flagged = tuple[Values, Flags, Bits]

_WORST_FIRST = (Flag.BAD, Flag.SUSPECT, Flag.MISSING)


def flag_device(
    device: Device, readings: pd.DataFrame, polls: pd.DataFrame, slots: ExpectedSlots
) -> DeviceObservations:
    """The observations of one device in its expected slots, one for every series that it has.

    What rules see is what is given: to flag a day, give the readings, polls and slots of the day widened by
    `rules.reach()`, then take `between` the day's ends.

    Args:
        device: its settings; series that they do not name are left out.
        readings: as stores return them (index `observed_at`, UTC ms; a float64 column a series); absent series and
            slots have no values.
        polls: as stores return them (the same index; `outcome`, `problems`, …).
        slots: see `slots.expected_slots`; readings and polls in no expected slot are left out.

    Raises:
        ProcessingError: a poll's `problems` cannot be read, or its outcome is not known.
    """
    places, kept = _places(index_ms(readings), slots.at)
    values: dict[str, Values] = {}
    for parameter in device.parameters:
        values[parameter.series] = np.full(len(slots), np.nan)
        if parameter.series in readings:
            values[parameter.series][places] = readings[parameter.series].to_numpy(np.float64)[kept]
    poll_places, poll_kept = _places(index_ms(polls), slots.at)
    unusable = _unusable(device, polls[poll_kept], poll_places, len(slots))

    flagged = flag_series(Evidence(device, slots, values, unusable))
    flagged.update(flag_means(device, slots, flagged))

    outcome = np.full(len(slots), -1, dtype=np.int8)
    outcome[poll_places] = _outcome_codes(device, polls["outcome"][poll_kept])
    index = local_index(slots.at, device.zone)
    names = sorted(flagged)

    def wide(part: int) -> pd.DataFrame:
        return pd.DataFrame(np.stack([flagged[name][part] for name in names]).T, index=index, columns=names, copy=False)

    return DeviceObservations(
        device.id,
        wide(0),
        wide(1),
        wide(2),
        pd.Series(pd.Categorical.from_codes(outcome, dtype=OUTCOME_TYPE), index=index, name="poll_outcome"),
    )


def _outcome_codes(device: Device, outcomes: "pd.Series[str]") -> npt.NDArray[np.int8]:
    unknown = set(outcomes.unique()) - set(OUTCOME_TYPE.categories)
    if unknown:
        named = ", ".join(sorted(map(str, unknown)))
        raise ProcessingError(
            f"the store has polls of {device.id} with outcomes that this version does not know ({named});"
            " install the version that wrote them, or a later one"
        )
    return pd.Categorical(outcomes, dtype=OUTCOME_TYPE).codes


def flag_series(evidence: Evidence, rules: tuple[Rule, ...] = RULES) -> dict[str, Flagged]:
    """Series to its values, flags and rule bits, by all of the rules."""
    verdicts = [(rule, JUDGES[rule.name](evidence)) for rule in rules]
    return {
        series: (values, *roll_up(values, {rule: said[series] for rule, said in verdicts if series in said}))
        for series, values in evidence.values.items()  # noqa: PD011 - not a frame
    }


def roll_up(values: Values, verdicts: Mapping[Rule, Verdicts]) -> tuple[Flags, Bits]:
    """One flag out of several verdicts, and the bits of the rules that spoke (see the module's docstring)."""
    absent = np.isnan(values)
    worst = np.zeros(len(values), dtype=np.int8)
    bits = np.zeros(len(values), dtype=np.int32)
    for rule, said in verdicts.items():
        counts = np.where(absent & (said != Flag.BAD), NOT_APPLIED, said).astype(np.int8)
        worst = np.maximum(worst, counts)
        bits |= np.where(counts >= Flag.SUSPECT, rule.bit, 0).astype(np.int32)
    silent = np.where(absent, Flag.MISSING, Flag.NOT_EVALUATED).astype(np.int8)
    return np.where(worst == NOT_APPLIED, silent, worst), bits


def flag_means(device: Device, slots: ExpectedSlots, flagged: Mapping[str, Flagged]) -> dict[str, Flagged]:
    """The series of the parameters that several sensors of the device measure, such as `temperature`.

    Its value is the mean of the members flagged 1 or 2. Its flag is 1 if a member is flagged 1, else 2 if one is
    flagged 2; rules that judge means (`expected_range`) can make it 1 or worse. With no such member there is no value,
    the flag is the worst of the members by 4 over 3 over 9, and the rules are all that spoke of any member.
    """
    means = {
        name: _mean(flagged, sorted(m.series for m in ms)) for name, ms in shared_parameters(device.parameters).items()
    }
    evidence = Evidence(device, slots, {name: mean[0] for name, mean in means.items()}, {})
    verdicts = flag_series(evidence, tuple(rule for rule in RULES if rule.of_means))
    return {
        name: (
            values,
            np.where(np.isnan(values) | (verdicts[name][1] == Flag.NOT_EVALUATED), flags, verdicts[name][1]),
            bits | verdicts[name][2],
        )
        for name, (values, flags, bits) in means.items()
    }


def _mean(flagged: Mapping[str, Flagged], members: list[str]) -> Flagged:
    values = np.stack([flagged[member][0] for member in members])
    flags = np.stack([flagged[member][1] for member in members])
    bits = np.bitwise_or.reduce([flagged[member][2] for member in members])
    valid = flags <= Flag.NOT_EVALUATED
    count = valid.sum(axis=0)
    mean = np.full(values.shape[1], np.nan)
    np.divide(np.where(valid, values, 0.0).sum(axis=0), count, out=mean, where=count > 0)
    worst = np.select([(flags == flag).any(axis=0) for flag in _WORST_FIRST], _WORST_FIRST)
    flag = np.where(count > 0, flags.min(axis=0), worst).astype(np.int8)
    return mean, flag, np.where(count > 0, 0, bits).astype(np.int32)


def _unusable(device: Device, polls: pd.DataFrame, places: Instants, slots: int) -> dict[str, npt.NDArray[np.bool_]]:
    """Series to the slots in which a value came and could not be used; only series with such a slot."""
    problems = polls["problems"]
    some = (problems.notna() & (problems != "")).to_numpy(dtype=bool)
    codes, texts = pd.factorize(problems[some])
    bad: dict[str, npt.NDArray[np.bool_]] = {}
    for code, text in enumerate(texts):
        for series in _bad_series(device, text):
            bad.setdefault(series, np.zeros(len(texts), dtype=bool))[code] = True
    unusable = {}
    for parameter in device.parameters:
        if parameter.series in bad:
            unusable[parameter.series] = np.zeros(slots, dtype=bool)
            unusable[parameter.series][places[some]] = bad[parameter.series][codes]
    return unusable


def _bad_series(device: Device, text: str) -> list[str]:
    try:
        return [problem.series for problem in problems_from_json(text) if problem.flag == Flag.BAD]
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ProcessingError(f"a poll of {device.id} has problems that cannot be read: {text[:200]!r}") from error


def _places(instants: Instants, slots: Instants) -> tuple[Instants, npt.NDArray[np.bool_]]:
    """Where the instants are among the slots, and which of them are slots at all."""
    places = np.searchsorted(slots, instants)
    kept = np.zeros(len(instants), dtype=bool)
    inside = places < len(slots)
    kept[inside] = slots[places[inside]] == instants[inside]
    return places[kept], kept

"""Why a value is flagged as it is: what each rule measured of it, in words, from the very numbers that flagged it.

Belongs here: one slot of one series. Does not: the rules (`rules`), and where the day comes from (`access`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

import numpy as np

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.calibrating import calibrated_of
from air_pipeline.processing.flags import Flagged, flag_calibrated, flag_means, flag_series, means_of, measure
from air_pipeline.processing.rules.measuring import Measured, Rule
from air_pipeline.processing.rules.registry import RULES
from air_pipeline.processing.station import Station
from air_pipeline.settings.calibration import CALIBRATED

_VERDICTS: Mapping[Flag, Literal["bad", "suspect", "good"]] = MappingProxyType(
    {Flag.BAD: "bad", Flag.SUSPECT: "suspect", Flag.GOOD: "good"}
)


@dataclass(frozen=True, slots=True)
class RuleSaid:
    """What one rule says of one value.

    Attributes:
        rule: its name.
        verdict: what it says; good: somebody said so, whatever the others say.
        amount: what it measured; None where it does not judge this value.
        least: the smallest amount that is fine; None where any is.
        most: the largest amount that is fine; None where any is.
        sentence: the same in words.
    """

    rule: str
    verdict: Literal["bad", "suspect", "good", "fine", "not judged"]
    amount: float | None
    least: float | None
    most: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One value and all that is said of it.

    Attributes:
        value: None where there is none.
        flag: by what the rules say.
        said: by each rule that looks at the series, in the order of the rules; of what is made of others, by those that
            judge means.
        members: of a mean, the series that it is made of, each with its flag; of a calibrated one, the raw one.
    """

    value: float | None
    flag: int
    said: tuple[RuleSaid, ...]
    members: dict[str, int]


def explain(station: Station, series: str, place: int) -> Judged:
    """What the rules say of the value of a series in one of the station's slots.

    Args:
        station: as it is flagged (see `flags.flag_station`).
        series: one of the device's, a mean over its sensors, or one of these as it is calibrated.
        place: of the slot.
    """
    flagged = flag_series(station)
    if series in flagged:
        return _judged(flagged[series], place, _said(station, series, place, RULES), {})
    of_means = [rule for rule in RULES if rule.of_means]
    means = flag_means(station, flagged)
    if series in means:
        said = _said(means_of(station, flagged), series, place, of_means)
        return _judged(means[series], place, said, _members(station, series, flagged, place))
    flagged.update(means)
    made = calibrated_of(station, {name: one[0] for name, one in flagged.items()})
    said = _said(made, series, place, of_means)
    raw = series.removesuffix(CALIBRATED)
    return _judged(flag_calibrated(station, flagged)[series], place, said, {raw: int(flagged[raw].flags[place])})


def _judged(flagged: Flagged, place: int, said: Iterator[RuleSaid], members: dict[str, int]) -> Judged:
    value = float(flagged.values[place])
    return Judged(None if np.isnan(value) else value, int(flagged.flags[place]), tuple(said), members)


def _members(station: Station, mean: str, flagged: dict[str, Flagged], place: int) -> dict[str, int]:
    members = sorted(one.series for one in station.device.parameters if one.name == mean)
    return {member: int(flagged[member].flags[place]) for member in members}


def _said(station: Station, series: str, place: int, rules: Iterable[Rule]) -> Iterator[RuleSaid]:
    one = station.series[series]
    found = [(rule, measured) for rule, name, measured in measure(station, rules) if name == series]
    for rule, measured in sorted(found, key=lambda pair: RULES.index(pair[0])):
        if not one.has_value[place] and not rule.of_nothing:
            continue
        amount = float(measured.amount[place])
        if measured.note and np.isnan(amount):
            continue  # a mark of another time
        words = {"amount": amount, "value": float(one.values[place]), "unit": one.unit, "span": _span(measured.span)}
        words["note"] = measured.note
        said = rule.says.format(least=measured.least, most=measured.most, **words)
        if np.isnan(amount):
            yield RuleSaid(rule.name, "not judged", None, *_limits(measured), "there is nothing to compare here")
        elif measured.spoke[place]:
            yield RuleSaid(rule.name, _VERDICTS[measured.verdict], amount, *_limits(measured), said)
        else:
            yield RuleSaid(rule.name, "fine", amount, *_limits(measured), _fine(measured, amount))


def _limits(measured: Measured) -> tuple[float | None, float | None]:
    return (
        None if np.isinf(measured.least) else float(measured.least),
        None if np.isinf(measured.most) else float(measured.most),
    )


def _fine(measured: Measured, amount: float) -> str:
    least, most = _limits(measured)
    span = f" in {_span(measured.span)}" if measured.span else ""
    if least is not None and most is not None:
        return f"{amount:.4g}{span}, of {least:g} … {most:g}"
    return f"{amount:.4g}{span}, {'at most' if least is None else 'at least'} {(most if least is None else least):g}"


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"

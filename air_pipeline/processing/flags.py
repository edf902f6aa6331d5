"""The one engine that compares what rules measured with their limits; and what is made of series, means and calibrated.

Belongs here: how several verdicts become one flag. Does not: the rules (`rules`), what they see (`evidence`).

The flag of an observation is the worst of what the rules said: 4 over 3 over 1. It is 9 where there is no value and no
reason to call it bad, and 2 where no rule could be applied to a value. What somebody marked as good is 1 all the same,
where there is a value. The `rules` bits are those of the rules that spoke. Rules flag; they never delete or change a
value. Where the device was not asked for a series there is no observation of it, which is 0 in memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from air_pipeline.catalogue import shared_parameters
from air_pipeline.devices.polls import Flag
from air_pipeline.processing.calibrating import calibrated_of
from air_pipeline.processing.observations import NOT_ASKED, OUTCOME_TYPE, DeviceObservations, local_index
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.processing.rules.measuring import STAGES, Measured, Rule
from air_pipeline.processing.rules.registry import RULES
from air_pipeline.processing.station import Floats, Places, Series, Station
from air_pipeline.settings.calibration import calibrated_name

_WORST_FIRST = (Flag.BAD, Flag.SUSPECT, Flag.MISSING)
_NOT_JUDGED = 0
_FEWEST_MEMBERS = 2


class Flagged(NamedTuple):
    """One series: its values, flags and the bits of the rules that spoke."""

    values: Floats
    flags: npt.NDArray[np.int8]
    bits: npt.NDArray[np.int32]


def flag_station(station: Station) -> DeviceObservations:
    """The observations of one device in all of its slots, one for every series that it has.

    What rules see is what is given (see `evidence.station_of`): to flag a day, give the readings, polls and slots of
    the day and of what matters around it (see `rules`), then take `between` the day's ends.
    """
    flagged = flag_series(station)
    flagged.update(flag_means(station, flagged))
    flagged.update(flag_calibrated(station, flagged))
    index = local_index(station.slots.at, station.device.zone)
    names = sorted(flagged)

    def wide(part: int) -> pd.DataFrame:
        return pd.DataFrame(np.stack([flagged[name][part] for name in names]).T, index=index, columns=names, copy=False)

    outcome = pd.Categorical.from_codes(station.outcomes, dtype=OUTCOME_TYPE)
    return DeviceObservations(
        station.device.id, wide(0), wide(1), wide(2), pd.Series(outcome, index=index, name="poll_outcome")
    )


def measure(station: Station, rules: Iterable[Rule] = RULES) -> Iterator[tuple[Rule, str, Measured]]:
    """What each rule measures of each series, stage by stage."""
    rules = tuple(rules)
    for stage in STAGES:
        left_out: dict[str, Places] = {}
        for rule in rules:
            if rule.stage != stage:
                continue
            for series, measured in rule.measure(station):
                yield rule, series, measured
                if measured.verdict is Flag.BAD or rule.leaves_out:
                    left_out[series] = left_out.get(series, False) | measured.spoke
        station = station.without(left_out)


def flag_series(station: Station, rules: Iterable[Rule] = RULES) -> dict[str, Flagged]:
    """Series to its values, flags and rule bits, by all of the rules."""
    absent = {series.name: np.isnan(series.values) for series in station}
    flags = {name: np.zeros(len(station.slots), np.int8) for name in absent}
    bits = {name: np.zeros(len(station.slots), np.int32) for name in absent}
    for rule, name, measured in measure(station, rules):
        spoke, judged = measured.spoke, measured.judged
        if not rule.of_nothing:
            spoke, judged = spoke & ~absent[name], judged & ~absent[name]
        np.maximum(flags[name], np.int8(Flag.GOOD), out=flags[name], where=judged)
        if spoke.any():
            if measured.verdict is Flag.GOOD:
                flags[name][spoke] = Flag.GOOD
            np.maximum(flags[name], np.int8(measured.verdict), out=flags[name], where=spoke)
            np.bitwise_or(bits[name], np.int32(rule.bit), out=bits[name], where=spoke)
    for name, none in absent.items():
        silent = flags[name] == _NOT_JUDGED
        flags[name][silent & none] = Flag.MISSING
        flags[name][silent & ~none] = Flag.NOT_EVALUATED
        if name in station.asked:
            flags[name][~station.asked[name]] = NOT_ASKED
            bits[name][~station.asked[name]] = 0
    return {series.name: Flagged(series.values, flags[series.name], bits[series.name]) for series in station}


def flag_means(station: Station, flagged: Mapping[str, Flagged]) -> dict[str, Flagged]:
    """The series of the parameters that several sensors of the device measure, such as `temperature`.

    Its value is the mean of the members flagged 1 or 2. Its flag is 1 if a member is flagged 1, else 2 if one is
    flagged 2; rules that judge means (`expected_range`, `marked`) can make it 1 or worse. With no such member there is
    no value, the flag is the worst of the members by 4 over 3 over 9, and the rules are all that spoke of any member.
    Where the device was not asked for at least two members there is no mean.
    """
    means = _means(station, flagged)
    judged = flag_series(means_of(station, flagged), [rule for rule in RULES if rule.of_means])
    return {
        name: Flagged(
            mean.values,
            np.where(
                np.isnan(mean.values) | (judged[name].flags == Flag.NOT_EVALUATED), mean.flags, judged[name].flags
            ),
            mean.bits | judged[name].bits,
        )
        for name, mean in means.items()
    }


def means_of(station: Station, flagged: Mapping[str, Flagged]) -> Station:
    """The means over the device's sensors, as series of a station of their own."""
    units = station.device.units
    means = _means(station, flagged).items()
    series = {name: Series(name, units[name], station.slots, mean.values) for name, mean in means}
    return Station(station.device, station.slots, series, station.outcomes)


def flag_calibrated(station: Station, flagged: Mapping[str, Flagged]) -> dict[str, Flagged]:
    """The calibrated series of a device, each from a series that is flagged, or from a mean over sensors.

    Its flag and rules are those of the raw value and of what rules that judge means (`expected_range`, `marked`) say of
    the calibrated one; of the flags the worse counts, or 1 where it was marked as good itself. There is no observation
    where there is none of the raw series, and before the first calibration. What becomes too large for a number is bad,
    and no value.
    """
    calibrated = calibrated_of(station, {series: one[0] for series, one in flagged.items()})
    judged = flag_series(calibrated, [rule for rule in RULES if rule.of_means])
    found = {}
    for series, of_one in station.device.calibrations.items():
        name = calibrated_name(series)
        if name in judged:
            is_there = (flagged[series].flags != NOT_ASKED) & (station.slots.at >= of_one[0].since)
            found[name] = _calibrated(flagged[series], judged[name], is_there)
    return found


def _calibrated(raw: Flagged, judged: Flagged, is_there: Places) -> Flagged:
    none = np.isnan(judged.values)
    is_good = judged.flags == Flag.GOOD
    flags = np.where(none | (judged.flags == Flag.NOT_EVALUATED), raw.flags, np.maximum(raw.flags, judged.flags))
    flags[is_good & ((raw.flags == Flag.NOT_EVALUATED) | (judged.bits & RULE_BITS["marked"] != 0))] = Flag.GOOD
    flags[none & ~np.isnan(raw.values)] = Flag.BAD
    flags = np.where(is_there, flags, NOT_ASKED).astype(np.int8)
    return Flagged(judged.values, flags, np.where(is_there, raw.bits | judged.bits, 0).astype(np.int32))


def _means(station: Station, flagged: Mapping[str, Flagged]) -> dict[str, Flagged]:
    shared = shared_parameters(station.device.parameters)
    return {name: _mean(flagged, sorted(member.series for member in members)) for name, members in shared.items()}


def _mean(flagged: Mapping[str, Flagged], members: list[str]) -> Flagged:
    values = np.stack([flagged[member][0] for member in members])
    flags = np.stack([flagged[member].flags for member in members])
    bits = np.bitwise_or.reduce([flagged[member].bits for member in members])
    valid = (flags != NOT_ASKED) & (flags <= Flag.NOT_EVALUATED)
    count = valid.sum(axis=0)
    asked = (flags != NOT_ASKED).sum(axis=0) >= _FEWEST_MEMBERS
    mean = np.full(values.shape[1], np.nan)
    np.divide(np.where(valid, values, 0.0).sum(axis=0), count, out=mean, where=asked & (count > 0))
    worst = np.select([(flags == flag).any(axis=0) for flag in _WORST_FIRST], _WORST_FIRST)
    best = np.where(valid, flags, np.int8(Flag.MISSING)).min(axis=0)
    flag = np.where(asked, np.where(count > 0, best, worst), NOT_ASKED).astype(np.int8)
    return Flagged(mean, flag, np.where(asked & (count == 0), bits, 0).astype(np.int32))

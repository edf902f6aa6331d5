"""What a device's values say of each other.

Belongs here: rules over several series of one device. Does not: one series by itself (`values`, `course`).
"""

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from air_pipeline.catalogue import GAS_CURVES, ONE_NUMBER, shared_parameters
from air_pipeline.devices.polls import Flag
from air_pipeline.processing.local_time import span_ms
from air_pipeline.processing.restarts import ratio_of
from air_pipeline.processing.rules.course import BAD_AFTER, SUSPECT_AFTER
from air_pipeline.processing.rules.measuring import Measured, rule
from air_pipeline.processing.station import Floats, Places, Series, Station, is_whole

SAME_FOR = timedelta(minutes=10)
COMPARED_OVER = timedelta(hours=1)
"""A laser counts particles one by one: two of them agree over many, and never from slot to slot."""
_HALF_PRINTED = 0.005
"""Half of what the firmware's two decimals tell apart."""
_HOUR_MS = 3_600_000


@rule("course", says="both values of the DHT22 moved by {amount:.2g} steps in {span}; others moved", before=BAD_AFTER)
def dht22_frozen(station: Station) -> Iterator[tuple[str, Measured]]:
    """Neither series of the DHT22 moved by a step for 30 minutes while others did: suspect from then on; 3 hours: bad.

    The firmware goes on with the last good values where the sensor fails. The amount is the larger of the two
    movements, in steps of the sensor.
    """
    both = [series for series, _ in station.with_limit("frozen")]
    if len(both) < 2:  # noqa: PLR2004 - the two of the DHT22
        return
    for span, verdict in ((SUSPECT_AFTER, Flag.SUSPECT), (BAD_AFTER, Flag.BAD)):
        steps = np.maximum.reduce([series.moved(span) / series.limits["frozen"] for series in both])
        frozen = steps < 1 / 2
        if frozen.any():
            steps = np.where(frozen & ~_others_moved(station, span), np.nan, steps)
        for series in both:
            yield series.name, Measured(steps, verdict, least=1 / 2, span=span)


def _others_moved(station: Station, span: timedelta) -> Places:
    """Where a series of another sensor moved by a step."""
    steps = {p.series: p.resolution for p in station.device.parameters if p.sensor != "dht22" and p.resolution}
    found = np.zeros(len(station.slots), dtype=bool)
    for name, step in steps.items():
        found |= station.series[name].moved(span) > step / 2
    return found


@rule("course", says="the document changed {amount:g} times in {span}", before=SAME_FOR)
def same_document(station: Station) -> Iterator[tuple[str, Measured]]:
    """The device says the very same for 10 minutes: suspect.

    The amount is how often its document changed in that time, where at least five measuring cycles lie in it. Only
    documents of several sensors are looked at, of which one never stands still (see `flat_line`).
    """
    changes = _changes(station)
    if changes is not None:
        for series in station:
            yield series.name, Measured(changes, Flag.SUSPECT, least=1 / 2, span=SAME_FOR)


def _changes(station: Station) -> Floats | None:
    """How often the document changed in the ten minutes that end with each slot."""
    sensors = {parameter.sensor for parameter in station.device.parameters}
    restless = [series.has_value for series, _ in station.with_limit("still") if series.name in ONE_NUMBER]
    if len(sensors) < 2 or not restless:  # noqa: PLR2004 - several
        return None
    places = np.flatnonzero(np.logical_or.reduce(restless))
    changed = np.zeros(len(places), dtype=bool)
    for series in station:
        values = series.values[places]
        changed[1:] |= (values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
    total, slots, span = np.cumsum(changed), station.slots.of(places), span_ms(SAME_FOR)
    first = np.searchsorted(slots.at, slots.at - span)
    counts = np.full(len(station.slots), np.nan)
    counts[places] = np.where(is_whole(slots, span), total - total[first], np.nan)
    return counts


@rule("course", says="{amount:.3g} {unit} from what the device's other sensors say; at most {most:g} is believable")
def thermometers_apart(station: Station) -> Iterator[tuple[str, Measured]]:
    """The device's thermometers disagree: suspect, the one far from their median; where two have values, both.

    |T − median|, and where there are two, the distance between them.
    """
    for members in shared_parameters(station.device.parameters).values():
        compared = [station.series[member.series] for member in members]
        compared = [series for series in compared if "max_apart" in series.limits]
        if len(compared) > 1:
            yield from _apart(compared)


def _apart(compared: list[Series]) -> Iterator[tuple[str, Measured]]:
    apart, _ = _from_median(np.stack([series.values for series in compared]))
    for series, own in zip(compared, apart, strict=True):
        yield series.name, Measured(own, Flag.SUSPECT, most=series.limits["max_apart"])


def _from_median(values: Floats) -> tuple[Floats, Floats]:
    """How far each row is from the median of all, or where there are two values from the other; and that median."""
    rising = np.sort(values, axis=0)  # NaN come last
    count = (~np.isnan(values)).sum(axis=0)
    median = np.take_along_axis(rising, np.stack([(count - 1) // 2, count // 2]), axis=0).mean(axis=0)
    apart = abs(values - median) * np.where(count == 2, 2, 1)  # noqa: PLR2004 - two
    return np.where(count > 1, apart, np.nan), median


@rule(
    "course",
    says="its mean of {span} is {amount:.3g} {unit} from the other channels', and too large a part of it;"
    " at most {most:g} is believable",
    before=COMPARED_OVER,
)
def channels_apart(station: Station) -> Iterator[tuple[str, Measured]]:
    """The lasers of the device disagree over an hour, by amount and by share: suspect, the one apart; of two, both.

    |A − B| of the means over an hour, or of more than two each one's distance from their median; 0 where that is at
    most `max_channels_share` of the median, which of two is the mean of both.
    """
    for members in shared_parameters(station.device.parameters).values():
        compared = [station.series[member.series] for member in members]
        compared = [series for series in compared if "max_channels_apart" in series.limits]
        if len(compared) > 1:
            yield from _channels_apart(compared)


def _channels_apart(compared: list[Series]) -> Iterator[tuple[str, Measured]]:
    apart, median = _from_median(np.stack([series.mean_within(COMPARED_OVER) for series in compared]))
    for series, own in zip(compared, apart, strict=True):
        small = own <= series.limits.get("max_channels_share", 0.0) * abs(median)
        most = series.limits["max_channels_apart"]
        yield series.name, Measured(np.where(small, 0.0, own), Flag.SUSPECT, most=most, span=COMPARED_OVER)


@rule("course", says="the two pressures are {amount:.2g} off the ratio that the firmware computes them by")
def pressure_ratio(station: Station) -> Iterator[tuple[str, Measured]]:
    """Sea-level pressure over pressure is not the ratio of the firmware's fixed altitude: suspect, both.

    |p₀/p − ratio|: the firmware computes the one from the other.
    """
    pressure = station.series.get("bmp180_pressure")
    for series, most in station.with_limit("max_ratio_error"):
        ratio = series.limits.get("sea_level_ratio")
        if pressure is not None and ratio is not None:
            with np.errstate(divide="ignore", invalid="ignore"):  # a sensor_range of one's own may hold 0
                error = abs(series.values / pressure.values - ratio)
            for one in (pressure, series):
                yield one.name, Measured(error, Flag.SUSPECT, most=most)


@rule("course", says="the gases disagree by {amount:.2%} on the one ratio that they are computed from")
def gas_ratio(station: Station) -> Iterator[tuple[str, Measured]]:
    """The gases do not come from one resistance ratio, as all that the firmware prints do: suspect, all of them.

    Each gas as printed leaves a range for x; the amount is by how much these ranges miss each other, as a part of x:
    nothing where they overlap.
    """
    gases = [series for series in station if series.name in GAS_CURVES]
    for _, most in station.with_limit("max_gas_error"):
        least = np.fmax.reduce([ratio_of(one.name, one.values + _HALF_PRINTED) for one in gases])
        largest = np.fmin.reduce([ratio_of(one.name, one.values - _HALF_PRINTED) for one in gases])
        with np.errstate(invalid="ignore"):  # no gas at all, of any
            error = np.maximum(least / largest - 1, 0.0)
        for one in gases:
            yield one.name, Measured(error, Flag.SUSPECT, most=most)


@rule("course", says="{amount:.1f} h since the device restarted; the gas sensor needs {least:g} h")
def warming_up(station: Station) -> Iterator[tuple[str, Measured]]:
    """The device restarted less than `warm_up` ago and took the air of that moment for clean: suspect, gases only.

    Hours since the last restart that shows (`processing.restarts`).
    """
    at, restarts = station.slots.at, station.restarts
    last = np.searchsorted(restarts, at, side="right") - 1
    hours = np.full(len(at), np.nan)
    if len(restarts):
        hours[last >= 0] = (at - restarts[np.maximum(last, 0)])[last >= 0] / _HOUR_MS
    for series in station:
        if series.name in GAS_CURVES:
            yield (
                series.name,
                Measured(hours, Flag.SUSPECT, least=station.device.warm_up.total_seconds() * 1000 / _HOUR_MS),
            )

"""What is wrong with a value after those before it.

Belongs here: rules of one series over time. Does not: what several series say of each other (`agreement`).

Two values are neighbours that are at most three intervals apart, and 90 minutes: a gap is neither a step nor a flat
line. A value that a device repeats within its measuring cycle is no evidence of anything.
"""

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from air_pipeline.catalogue import ABSENT_PROBE, PROBES, RESET_PROBE
from air_pipeline.devices.polls import Flag
from air_pipeline.processing.rules import LONGEST_STEP
from air_pipeline.processing.rules.measuring import Measured, rule
from air_pipeline.processing.station import Floats, Station, last_place, nearby_ms

AT_ONCE = timedelta(minutes=10)
"""What takes longer may as well be the weather, or somebody at the window."""

SUSPECT_AFTER, BAD_AFTER = timedelta(minutes=30), timedelta(hours=3)
"""How long a series stands still before it is suspect, and before it is bad."""

LEAST_PROBE_STEP = 2.0
"""A smaller step is no sign of probes, in °C: a reset one among eight makes 2 °C in air of 69 °C."""


@rule(
    "spikes",
    says="apart from the values before and after by {amount:.3g} {unit}; at most {most:g} is believable",
    before=AT_ONCE,
    slots_after=1,
    leaves_out=True,
)
def spike(station: Station) -> Iterator[tuple[str, Measured]]:
    """The value departs from those before and after it, on the same side of both, by more than is believable: suspect.

    min(|change|, |onward|), and 0 where the value lies between the two. The one after is of the very next slot; neither
    is more than ten minutes away.
    """
    for series, most in station.with_limit("max_spike"):
        change, onward = series.change_within(AT_ONCE), series.onward_within(AT_ONCE)
        away = np.minimum(abs(change), abs(onward))  # NaN where either is
        yield series.name, Measured(np.where(change * onward >= 0, 0.0, away), Flag.SUSPECT, most=most)


@rule(
    "spikes",
    says="moved to within {amount:.3g} {unit} of what dropped or reset probes make of the value before",
    before=AT_ONCE,
)
def probe_step(station: Station) -> Iterator[tuple[str, Measured]]:
    """The DS18B20 fell or rose as it does when probes drop out, are reset or come back: suspect.

    The firmware prints the mean over eight probes, of which an absent one counts as −127 °C and a reset one as 85 °C.
    n of them more make a step of n·(−127 − T)/8 or n·(85 − T)/8, with T the temperature of those that measure. The
    amount is how far the step is from the nearest of these; only steps of 2 °C and more within ten minutes count.
    """
    for series, within in station.with_limit("probe_within"):
        change = series.change_within(AT_ONCE)
        change = np.where(abs(change) >= LEAST_PROBE_STEP, change, np.nan)
        some = np.flatnonzero(~np.isnan(change))
        apart = np.full(len(change), np.nan)
        now = series.values[some]
        apart[some] = np.minimum(_from_probes(now - change[some], now), _from_probes(now, now - change[some]))
        yield series.name, Measured(apart, Flag.SUSPECT, least=within)


def _from_probes(whole: Floats, fewer: Floats) -> Floats:
    """How far one value is from the nearest that so many probes less would make of the other."""
    nearest = np.full(len(whole), np.inf)
    for instead, most_gone in ((ABSENT_PROBE, PROBES - 1), (RESET_PROBE, 0)):
        for gone in range(most_gone + 1):  # so many were gone already
            true = (PROBES * whole - gone * instead) / (PROBES - gone)
            for more in range(1, PROBES - gone + 1):
                nearest = np.minimum(nearest, abs(fewer - whole - more * (instead - true) / PROBES))
    return nearest


@rule(
    "course",
    says="{amount:.3g} {unit}/s since the last value; at most {most:g} is believable",
    before=LONGEST_STEP,
)
def rate(station: Station) -> Iterator[tuple[str, Measured]]:
    """The value moved faster than its series can, since the last one at most three intervals ago: suspect.

    |change| ÷ seconds; a spike is no last value.
    """
    for series, most in station.with_limit("max_rate"):
        yield series.name, Measured(abs(series.change) / series.seconds, Flag.SUSPECT, most=most)


@rule("course", says="moved by {amount:g} {unit} in {span}; a step of the sensor is normal", before=BAD_AFTER)
def flat_line(station: Station) -> Iterator[tuple[str, Measured]]:
    """The series did not move by a step of its resolution for 30 minutes: suspect from then on; for 3 hours: bad.

    Largest less least value of the span, against half a step. Only series are looked at that never stand so still:
    humidity, pressure and, of the gases, co2 in the place of all, as the firmware computes the six from one number; so
    are the two pressures.
    """
    for lead, step in station.with_limit("still"):
        for span, verdict in ((SUSPECT_AFTER, Flag.SUSPECT), (BAD_AFTER, Flag.BAD)):
            for name in station.one_number(lead.name):
                yield name, Measured(lead.moved(span), verdict, least=step / 2, span=span)


@rule("course", says="measured in the same cycle as the value before: {amount:g} cycles later", before=LONGEST_STEP)
def same_cycle(station: Station) -> Iterator[tuple[str, Measured]]:
    """The device had not measured again since the document before, by the mark of its measuring cycle: suspect.

    The amount is how many cycles later it is, 0 or 1, than the last document with a mark, if that is a neighbour. Only
    some kinds of devices have a mark.
    """
    if not len(station.cycles):
        return
    marked = station.cycles >= 0
    before = last_place(marked)
    at = station.slots.at
    near = marked & (before >= 0) & (at - at[before] <= nearby_ms(station.slots))
    again = station.cycles == station.cycles[before]
    amount = np.where(near, np.where(again, 0.0, 1.0), np.nan)
    for series in station:
        yield series.name, Measured(np.where(series.has_value, amount, np.nan), Flag.SUSPECT, least=1.0)

"""What the flags of the newest built day mean for the hardware: which part of which device to look at.

Belongs here: from a device's tally to what is not well with its sensors, each thing once. Does not: which values are
believed (`processing.rules`), counting them (`tallies`), one line for each thing (`checks`).

What one fault makes of a device is told by the first of these checks that knows it: a series that it names is left out
of all that come after it.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from air_pipeline.catalogue import ABSENT_PROBE, GAS_CURVES, PROBES
from air_pipeline.health import Check, Finding, Level, fine
from air_pipeline.health.by_hand import without_marks
from air_pipeline.health.coverage import A_QUARTER, shortfall
from air_pipeline.health.hints import HINTS
from air_pipeline.health.intervals import interval_for
from air_pipeline.health.seen import Seen
from air_pipeline.health.tallies import DayTallies, newest_tallies
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.settings.calibration import calibrated_name
from air_pipeline.words import some

if TYPE_CHECKING:
    from air_pipeline.processing.tally import Apart, SeriesTally, Tally

AN_HOUR = 1 / 24
"""Of a day's slots. What a broken part does for less is on the page of the day, and may have been a hand."""
DOUBTFUL = 1 / 20
"""Of a series' observations: more than an hour of a day. Of healthy devices none is suspect or bad; doors, draughts and
a disturbed line make a few dozen in a day of 8,640."""
FEWEST_STEPS = 2
"""Of probes that drop out or come back: one may be a hand at the plug."""
WARM_WITHIN = timedelta(days=4)
"""A restart is over after the warm-up of two days and the day that it ends in; who is told of one after that has a
device that restarts again and again."""
NEXT_DAY = timedelta(hours=36)
"""An outage was told while it lasted. A day that has too little is told if the next one is no better."""
MOST_SERIES = 3
"""Series that are named of a device."""
_NEARLY = 0.25
"""How near to a whole number of probes: what 5 °C between healthy thermometers make of one."""
_PROBE = "ds18b20_temperature"
_DHT22 = ("dht22_temperature", "dht22_humidity")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is not well with one device on a day.

    Attributes:
        check: the name of the check that says it.
        text: in words.
        series: those that it explains.
        observations: how many observations it cost.
        remedy: what to do, where that is another than the check's.
    """

    check: str
    text: str
    series: frozenset[str]
    observations: int
    remedy: str = ""


def faults(device: str, of_day: "Tally") -> list[Fault]:
    """What is not well with a device on a day, each thing once; of what was not expected nothing is said."""
    found: list[Fault] = []
    tally = {name: without_marks(one) for name, one in of_day.items() if one.expected}
    left = dict(tally)
    for judge in _JUDGES if tally else ():
        fault = judge(device, tally, left)
        if fault is not None:
            found.append(fault)
            gone = fault.series | _made_of(tally, fault.series)
            left = {name: one for name, one in left.items() if name not in gone}
    return found


def findings_of_day(one: Check, tallies: DayTallies, known: Container[str] | None = None) -> Iterator[Finding]:
    """What a check of these finds in the tallies of a day: a finding for each device that it is about.

    Args:
        one: of `OF_A_DAY`.
        tallies: of the day.
        known: the devices of which something is to be said; all without.
    """
    faults_of = _faults_of(tallies)
    for device, tally in tallies.devices.items():
        if known is not None and device not in known:
            continue
        fault = next((fault for fault in faults_of.get(device, ()) if fault.check == one.name), None)
        if fault is not None:
            text, patience = f"{tallies.day}: {fault.text}", _PATIENCE.get(one.name, timedelta())
            numbers = _numbers(fault.observations)
            yield Finding("", device, Level.WARNING, text, fault.remedy, numbers, patience)
        elif _SERIES.get(one.name, tally.keys()) & tally.keys():
            yield fine("", device, _numbers())


@lru_cache(maxsize=1)
def _faults_of(tallies: DayTallies) -> dict[str, list[Fault]]:
    """Each device with something that is not well; asked by one check after the other, tick after tick."""
    found = {device: faults(device, tally) for device, tally in tallies.devices.items()}
    return {device: of_device for device, of_device in found.items() if of_device}


def _numbers(observations: int | None = None) -> dict[str, int]:
    return {"devices": 1, "devices_not_well": int(observations is not None), "observations": observations or 0}


def _of_a_day(name: str, *, means: str, remedy: str, many: str, well: str, bad: str, good: str) -> Check:
    """The check of one fault on the newest built day; see `Check`."""

    def look(seen: Seen) -> Iterator[Finding]:
        newest = newest_tallies(seen)
        if newest is not None:
            known = {device.id for device in seen.deployment.settings.devices}
            yield from findings_of_day(one, newest, known)

    one = Check(name, "daily_aggregates", means, remedy, look, "sensors", many, bad, good, well)
    return one


ds18b20_measuring = _of_a_day(
    "ds18b20_measuring",
    means="Every DS18B20 measured: for less than an hour of the day its probes were gone, reset or silent.",
    remedy="Look at the plug of its probes and at the 4.7 kΩ resistor between data and 3.3 V (solder both); touch one"
    " probe after the other to find the dead one: it changes nothing.",
    many="devices lose probes of their DS18B20",
    well="every DS18B20 measures",
    bad="the DS18B20 of {subject} loses probes",
    good="the DS18B20 of {subject} measures again",
)
"""Whose probes are gone, by failure values, by steps, or by how far their mean is below the other thermometers."""


def _probes(_: str, tally: "Tally", left: "Mapping[str, SeriesTally]") -> Fault | None:
    one = left.get(_PROBE)
    if one is None:
        return None
    silent = max(one.missing - _silent(tally), 0)
    dead = one.spoken_by("failure_value", "sensor_range", "unusable_value") + silent
    apart, gone = one.spoken_by("thermometers_apart"), _probes_gone(one.apart)
    steps = one.spoken_by("probe_step")
    said = []
    if dead >= AN_HOUR * one.expected:
        said.append(f"it measured nothing in {_share(dead, one)} of the slots (−127 or 85 °C, or no value)")
    if gone and one.apart and apart >= AN_HOUR * one.expected:
        said.append(
            f"about {gone} of {PROBES} probes were gone: {-one.apart.above:.1f} °C below the other thermometers in"
            f" {_share(apart, one)} of the slots"
        )
    if steps >= FEWEST_STEPS:
        said.append(f"probes dropped out or came back {steps} times")
    if not said:
        return None
    beside = {name for name, other in left.items() if gone and other.spoken_by("thermometers_apart")}  # of two, both
    return Fault("ds18b20_measuring", "; ".join(said), frozenset({_PROBE, *beside}), one.flagged + silent)


def _probes_gone(apart: "Apart | None") -> int:
    """How many absent probes explain how far the mean is below the other thermometers; 0 where none do."""
    if apart is None:
        return 0
    gone = -apart.above * PROBES / (apart.others - ABSENT_PROBE)
    return round(gone) if round(gone) > 0 and abs(gone - round(gone)) <= _NEARLY else 0


dht22_moving = _of_a_day(
    "dht22_moving",
    means="No DHT22 stood still for an hour of the day or more while the other sensors of its device moved.",
    remedy="Take the power from the device and give it again: the firmware goes on with the last good values. If it"
    " comes again, look at the data wire and its pull-up of 4.7 to 10 kΩ, or replace the DHT22.",
    many="devices have a DHT22 that stands still",
    well="every DHT22 moves",
    bad="the DHT22 of {subject} stands still",
    good="the DHT22 of {subject} moves again",
)
"""Whose DHT22 repeats its last good values."""


def _frozen(_: str, __: "Tally", left: "Mapping[str, SeriesTally]") -> Fault | None:
    both = [left[name] for name in _DHT22 if name in left]
    worst = max(both, key=lambda one: one.spoken_by("dht22_frozen"), default=None)
    if worst is None or (still := worst.spoken_by("dht22_frozen")) < AN_HOUR * worst.expected:
        return None
    text = f"both of its values stood still in {_share(still, worst)} of the slots, while others moved"
    return Fault("dht22_moving", text, frozenset(_DHT22), sum(one.spoken_by("dht22_frozen") for one in both))


thermometers_agreeing = _of_a_day(
    "thermometers_agreeing",
    means="The thermometers of each device agreed, but for less than a quarter of the day.",
    remedy="See which of them is in the sun, at a heater or in a case, and compare them with one that you trust. One"
    " that is elsewhere by design is left out by max_apart: off under rules in devices.yaml.",
    many="devices have thermometers that disagree",
    well="thermometers agree",
    bad="the thermometers of {subject} disagree",
    good="the thermometers of {subject} agree again",
)
"""Whose thermometers disagreed for a quarter of the day, and by how much."""


def _disagreeing(_: str, __: "Tally", left: "Mapping[str, SeriesTally]") -> Fault | None:
    apart = {
        name: one.apart.above
        for name, one in left.items()
        if one.apart is not None and one.spoken_by("thermometers_apart") >= A_QUARTER * one.expected
    }
    if not apart:
        return None
    said = [
        f"{name} was {abs(above):.1f} °C {'above' if above > 0 else 'below'} the others in"
        f" {_share(left[name].spoken_by('thermometers_apart'), left[name])} of the slots"
        for name, above in apart.items()
    ]
    cost = sum(left[name].spoken_by("thermometers_apart") for name in apart)
    return Fault("thermometers_agreeing", "; ".join(said), frozenset(apart), cost)


interval_fits = _of_a_day(
    "interval_fits",
    means="No device is asked oftener than it measures: at most 5 % of its values are of the measuring cycle of the one"
    " before, by the mark of some kinds of devices.",
    remedy="Write the interval that it names, in devices.yaml; past days stay as they are.",
    many="devices are asked oftener than they measure",
    well="no device is asked oftener than it measures",
    bad="{subject} is asked oftener than it measures",
    good="{subject} is asked as often as it measures",
)
"""Which devices repeat themselves as they have not measured again, and how often they are better asked."""


def _repeating(device: str, _: "Tally", left: "Mapping[str, SeriesTally]") -> Fault | None:
    again = {name: one.spoken_by("same_cycle") / max(one.observed, 1) for name, one in left.items() if one.cycle_s}
    again = {name: share for name, share in again.items() if share > DOUBTFUL}
    if not again:
        return None
    cycle_s, share = max(left[name].cycle_s or 0.0 for name in again), max(again.values())
    text = f"{share:.0%} of its values are of the measuring cycle of the one before: a cycle takes {cycle_s:.0f} s"
    remedy = f"write interval: {interval_for(cycle_s)} for {device} in devices.yaml"
    return Fault("interval_fits", text, frozenset(again), sum(left[name].flagged for name in again), remedy)


mq135_zero_kept = _of_a_day(
    "mq135_zero_kept",
    means="No MQ135 took a new zero: none of its values is of the warm-up after a restart.",
    remedy="Nothing need be done: its gases count again after the warm-up. Levels from before and after a restart"
    " cannot be compared. If it restarts often, look at its supply.",
    many="devices restarted, so that their MQ135 has a new zero",
    well="every MQ135 kept its zero",
    bad="{subject} restarts again and again, so that its MQ135 is never warm",
    good="the MQ135 of {subject} is warm again",
)
"""Whose gas sensor was zeroed by a restart that the rules recognized, and how much of the day that cost."""


def _zeroed(_: str, __: "Tally", left: "Mapping[str, SeriesTally]") -> Fault | None:
    gases = {name: one for name, one in left.items() if name in GAS_CURVES}
    worst = max(gases.values(), key=lambda one: one.spoken_by("warming_up"), default=None)
    if worst is None or not (warming := worst.spoken_by("warming_up")):
        return None
    text = f"it restarted, and {_share(warming, worst)} of its gas values are of the warm-up"
    return Fault("mq135_zero_kept", text, frozenset(gases), sum(one.flagged for one in gases.values()))


devices_covered = _of_a_day(
    "devices_covered",
    means="Every device gave readings in at least 75 % of its slots.",
    remedy="When is on the page of the day; see to its power and network, and ask it: air-pipeline poll {subject}",
    many="devices gave too few readings",
    well="every device gave readings in 75 % of its slots and more",
    bad="{subject} gives too few readings, day after day",
    good="{subject} gives enough readings again",
)
"""Which devices gave no reading in more than a quarter of their slots."""


def _uncovered(_: str, tally: "Tally", left: "Mapping[str, SeriesTally]") -> Fault | None:
    silent = _silent(tally)
    expected = max(one.expected for one in tally.values())
    if silent <= A_QUARTER * expected:
        return None
    text = f"it gave readings in {1 - silent / expected:.0%} of its slots"
    own = (name for name, one in left.items() if one.missing - silent < AN_HOUR * one.expected)
    return Fault("devices_covered", text, frozenset(own), silent)


values_believed = _of_a_day(
    "values_believed",
    means="At most 5 % of the values of each series are suspect or bad, as far as no other check says why.",
    remedy="Look up the rules that are named in docs/rules.md; single values: air-pipeline explain --device {subject}",
    many="devices have series with too many suspect or bad values",
    well="at most 5 % of each series are suspect or bad",
    bad="{subject} has series with many suspect or bad values",
    good="the values of {subject} are believed again",
)
"""Which series have too many suspect or bad values, and by which rule most of them."""


def _doubted(device: str, _: "Tally", left: "Mapping[str, SeriesTally]") -> Fault | None:
    doubted = {name: one for name, one in left.items() if _is_doubted(one)}
    if not doubted:
        return None
    alike: dict[tuple[str, str], list[str]] = {}
    for name, one in doubted.items():
        rule = max(RULE_BITS, key=one.spoken_by)
        alike.setdefault((rule, f"{one.flagged / one.observed:.0%}"), []).append(name)
    said = [
        f"{some(names, MOST_SERIES)}: {share} suspect or bad, most by {rule}" for (rule, share), names in alike.items()
    ]
    rule, name = next((rule, names[0]) for (rule, _), names in alike.items())
    at = doubted[name].first_of(rule)
    when = "" if at is None else f" --at {from_epoch_ms(at):%Y-%m-%dT%H:%M:%SZ}"
    remedy = f"{HINTS[rule]}; why: air-pipeline explain --device {device} --series {name}{when}"
    cost = sum(one.flagged for one in doubted.values())
    return Fault("values_believed", "; ".join(said), frozenset(doubted), cost, remedy)


def _is_doubted(one: "SeriesTally") -> bool:
    if not one.flagged:
        return False
    return one.flagged > DOUBTFUL * one.observed or (not one.is_complete and one.flagged > one.missing)


complete = _of_a_day(
    "complete",
    means="Every series is complete: at least 75 % of its hours have at least 75 % of their observations valid. What is"
    " not is published, marked; its values of the day are not to be relied on.",
    remedy="When is on the page of the day; see what the device sends now: air-pipeline poll {subject}",
    many="devices have series that are not complete",
    well="every series is complete",
    bad="{subject} has series that are not to be relied on",
    good="all series of {subject} are complete again",
)
"""Which series of the newest day are not complete, where no other check says why."""


def _incomplete(_: str, __: "Tally", left: "Mapping[str, SeriesTally]") -> Fault | None:
    gaps = {name: one for name, one in left.items() if not one.is_complete}
    if not gaps:
        return None
    said = [f"{name} ({shortfall(one.coverage, one.complete_hours, one.hour_count)})" for name, one in gaps.items()]
    return Fault("complete", some(said, MOST_SERIES), frozenset(gaps), sum(one.missing for one in gaps.values()))


_JUDGES: tuple[Callable[[str, "Tally", "Mapping[str, SeriesTally]"], Fault | None], ...] = (
    _zeroed,
    _probes,
    _frozen,
    _disagreeing,
    _repeating,
    _uncovered,
    _doubted,
    _incomplete,
)
"""Those that know the part before those that know its symptoms."""

OF_A_DAY: tuple[Check, ...] = (
    ds18b20_measuring,
    dht22_moving,
    thermometers_agreeing,
    interval_fits,
    mq135_zero_kept,
    devices_covered,
    values_believed,
    complete,
)
"""The checks of what one day says, in the order in which a person reads them."""
_PATIENCE: Mapping[str, timedelta] = {mq135_zero_kept.name: WARM_WITHIN, devices_covered.name: NEXT_DAY}
_SERIES: Mapping[str, frozenset[str]] = {
    ds18b20_measuring.name: frozenset({_PROBE}),
    dht22_moving.name: frozenset(_DHT22),
    mq135_zero_kept.name: frozenset(GAS_CURVES),
}
"""The checks that are about some series, so that only devices that have one are looked at."""


def _silent(tally: "Tally") -> int:
    """In how many slots no series of a device had a value."""
    return min(one.missing for one in tally.values())


def _made_of(tally: "Tally", series: Iterable[str]) -> set[str]:
    """What is made of these series: the means over sensors of which one is among them, and what is calibrated."""
    means = {name for name in tally if any(one.partition("_")[2] == name for one in series)}
    return means | {calibrated_name(name) for name in means.union(series)}


def _share(count: int, one: "SeriesTally") -> str:
    return f"{count / one.expected:.0%}"

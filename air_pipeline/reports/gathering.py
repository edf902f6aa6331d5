"""From the tables of a day, and the store's polls, to what the page shows, one device's observations at a time.

Belongs here: what is read and summed up. Does not: how it looks (`drawing`, `page`).
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from air_pipeline.catalogue import KNOWN, Parameter
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import problems_from_json
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.processing.observations import DeviceObservations, observations_from_table
from air_pipeline.processing.rules.registry import RULES
from air_pipeline.processing.slots import index_ms
from air_pipeline.reports.clock import DayClock
from air_pipeline.reports.contents import (
    Band,
    CoverageStrip,
    DayReport,
    DevicePage,
    DeviceSummary,
    HourCell,
    ObservationCounts,
    OutcomeLatency,
    Remark,
    Row,
    Series,
    SeriesDay,
    Spoke,
    Unusable,
    Why,
)
from air_pipeline.reports.curves import thinned
from air_pipeline.settings import Device, Mark, Settings
from air_pipeline.settings.calibration import CALIBRATED
from air_pipeline.settings.limits import marks_of
from air_pipeline.storage.day_files import DayMetadata, day_file

MOST_DEVICES = 20
"""Devices that have a section of their own; of more, so many of the worst."""
MOST_UNUSABLE = 8
"""Kinds of unusable values that are spelt out for a device."""
MOST_REJECTED = 2
REJECTED_CHARACTERS = 200
_HOUR_MS = 3_600_000
_MEANINGS = {rule.name: rule.meaning for rule in RULES}
_T = TypeVar("_T")


class WorstPages:
    """What a page shows of each of the devices that fared worst, of those that came so far."""

    def __init__(self, settings: Settings) -> None:
        """For a day; settings of now, with those of before."""
        self._settings = settings.known
        self._pages: dict[str, DevicePage] = {}
        self._polled: dict[str, dict[str, int]] = {}

    @property
    def by_device(self) -> Mapping[str, DevicePage]:
        """Device to what is shown of it."""
        return self._pages

    @property
    def polled(self) -> Mapping[str, Mapping[str, int]]:
        """Every device that came to how its polls went: outcome to how many."""
        return self._polled

    def add(
        self,
        rows: Sequence[Row],
        hours: pa.Table,
        observations: DeviceObservations,
        polls: pd.DataFrame,
        metadata: DayMetadata,
    ) -> None:
        """A device, if it is among the worst.

        Args:
            rows: its rows of `daily_aggregates`.
            hours: its rows of `hourly_aggregates`.
            observations: of its day.
            polls: of its day, as the store gives them.
            metadata: of the day.
        """
        name, summaries = observations.device, [page.summary for page in self._pages.values()]
        polled = self._polled[name] = dict(Counter(polls["outcome"].tolist()))
        summary = _summary(name, rows, polled)
        worst = sorted([*summaries, summary], key=_worst_first)[:MOST_DEVICES]
        if summary in worst:
            self._pages = {one.device: self._pages[one.device] for one in worst if one is not summary}
            self._pages[name] = _device_page(
                summary, rows, hours, observations, polls, metadata, self._settings.get(name)
            )


def gather(deployment: Deployment, day: date, made: WorstPages | None = None) -> DayReport:
    """What the page of a built day shows.

    Args:
        deployment: whose.
        day: the local date.
        made: what was made of devices when they were in memory; of others tables and store are read.

    Raises:
        TableError: a table of the day is missing or cannot be read.
        StoreError: the store cannot be read.
    """
    daily = day_file(deployment.data, "daily_aggregates", day)
    rows: Sequence[Row] = daily.read_table().to_pylist()
    metadata = daily.metadata()
    own = {name: list(of_one) for name, of_one in groupby(rows, itemgetter("device"))}
    polled = _polled(deployment, own) if made is None else made.polled
    summaries = sorted((_summary(name, own[name], polled[name]) for name in own), key=_worst_first)
    worst = summaries[:MOST_DEVICES]
    if made is None:
        made = _read_again(deployment, day, {one.device: own[one.device] for one in worst}, metadata)
    return DayReport(
        day=day,
        timezone=deployment.settings.timezone,
        metadata=metadata,
        counts=ObservationCounts.of(rows),
        outcomes=_by_frequency(sum(map(Counter, polled.values()), Counter())),
        summaries=tuple(summaries),
        devices=tuple(replace(made.by_device[one.device], summary=one) for one in worst),
    )


def _polled(deployment: Deployment, own: Mapping[str, Sequence[Row]]) -> Mapping[str, Mapping[str, int]]:
    """How the polls of each device went on its day, by the store."""
    outcome_counts = cache(deployment.store.outcome_counts)
    return {name: outcome_counts(*_clock(rows[0]).span_ms).get(name, {}) for name, rows in own.items()}


def _read_again(
    deployment: Deployment, day: date, rows: Mapping[str, Sequence[Row]], metadata: DayMetadata
) -> WorstPages:
    """What is shown of some devices, from tables and store."""
    made = WorstPages(deployment.settings)
    observed, hourly = (day_file(deployment.data, table, day) for table in ("observations", "hourly_aggregates"))
    hours = dict(hourly.device_tables(rows.keys()))
    for name, table in observed.device_tables(rows.keys()):
        clock = _clock(rows[name][0])
        polls = deployment.store.polls(name, *clock.span_ms)
        made.add(rows[name], hours[name], observations_from_table(table, clock.zone), polls, metadata)
    return made


def _device_page(
    summary: DeviceSummary,
    rows: Sequence[Row],
    hours: pa.Table,
    observations: DeviceObservations,
    polls: pd.DataFrame,
    metadata: DayMetadata,
    device: Device | None,
) -> DevicePage:
    clock, unusable = _clock(rows[0]), _unusable(polls, _clock(rows[0]))
    series = tuple(_series_days(rows, observations, clock, device, marks_of(observations.device, metadata.limits)))
    return DevicePage(
        summary=summary,
        clock=clock,
        series=series,
        strips=tuple(_strips(hours, clock)),
        polls=tuple(_latencies(polls)),
        remarks=tuple(_remarks(observations, metadata.rules, clock)),
        why=tuple(_whys(series, observations, metadata.rules, clock)),
        unusable=tuple(unusable[:MOST_UNUSABLE]),
        unusable_left_out=len(unusable[MOST_UNUSABLE:]),
        rejected=_rejected(polls),
        expected_from=_expected_from(observations, clock),
    )


def _clock(row: Row) -> DayClock:
    """The local day that a row of `daily_aggregates` is of."""
    return DayClock(row["day_start"], row["day_end"], row["timezone"])


def _summary(device: str, rows: Sequence[Row], polled: Mapping[str, int]) -> DeviceSummary:
    complete = sum(row["is_complete"] for row in rows)
    return DeviceSummary(device, ObservationCounts.of(rows), complete, len(rows), _by_frequency(polled))


def _by_frequency(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _worst_first(summary: DeviceSummary) -> tuple[float, float, int, str]:
    """By series that are not complete, then by coverage; a device of which nothing was expected comes last."""
    coverage = summary.counts.coverage
    complete = 2.0 if coverage is None else summary.complete_series / summary.series_count
    return complete, coverage or 0.0, -summary.counts.bad - summary.counts.suspect, summary.device


def _series_days(
    rows: Iterable[Row],
    observations: DeviceObservations,
    clock: DayClock,
    device: Device | None,
    marks: Sequence[Mark],
) -> Iterator[SeriesDay]:
    """The series of a device: those of one unit together, means over sensors before their members."""
    by_series = {row["series"]: row for row in rows}
    described = [_described(name, row["unit"], device) for name, row in by_series.items()]
    for series in _in_reading_order(described, device):
        values = observations.values[series.name].to_numpy()  # noqa: PD011 - not a frame
        flags = observations.flags[series.name].to_numpy()
        curve = thinned(observations.at, values, flags, *clock.span_ms)
        bands = tuple(band_of(mark, clock) for mark in marks if mark.is_of(series.name))
        yield SeriesDay(series, by_series[series.name], curve, bands)


def band_of(mark: Mark, clock: DayClock) -> Band:
    """What of a mark lies in the day."""
    first, end = clock.span_ms
    begins, ends = max(mark.start, first), min(mark.end, end)
    hours = [(moment - first) / _HOUR_MS for moment in (begins, ends)]
    until = "24:00" if ends == end else clock.at(ends)
    said = f"{mark.why} ({mark.by})" if mark.by else mark.why
    note = f"marked {mark.verdict} from {clock.at(begins)} to {until}: {said}"
    return Band(hours[0], hours[1], f"{mark.verdict}: {mark.why}", note)


def _described(name: str, unit: str, device: Device | None) -> Series:
    """What is known of a series: from the settings, else from the catalogue, as settings may have changed since."""
    if name.endswith(CALIBRATED):
        raw = _described(name.removesuffix(CALIBRATED), unit, device)
        return replace(raw, name=name, description=f"{raw.name}, calibrated by hand")
    parameters = [*(device.parameters if device else ()), *(one for known in KNOWN.values() for one in known.values())]
    for own in parameters:
        if own.series == name:
            return _with_steps(Series(name, own.name, unit, description=own.description), [own])
    members = [one for one in parameters if one.name == name]
    return _with_steps(Series(name, name, unit, description="mean over the sensors that measure it"), members)


def _with_steps(series: Series, parameters: Iterable[Parameter]) -> Series:
    """With so many decimals that a step of each sensor shows, 1 for 0.1, 2 for 0.0625, and the greatest step."""
    steps = [one.resolution for one in parameters if one.resolution]
    decimals = max((max(math.ceil(-math.log10(step)), 0) for step in steps), default=None)
    return replace(series, decimals=decimals, step=max(steps, default=0.0))


def _in_reading_order(series: Iterable[Series], device: Device | None) -> list[Series]:
    """Those of one unit together, otherwise as the settings name them."""
    units = device.units if device else {}
    names, known = list(units), list(dict.fromkeys(units.values()))
    return sorted(series, key=lambda one: (_place(known, one.unit), one.unit, _place(names, one.name), one.name))


def _place(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _strips(hours: pa.Table, clock: DayClock) -> Iterator[CoverageStrip]:
    """The hours of each series; one strip for those that are alike."""
    rows = hours.select(["series", "coverage", "is_complete"]).to_pylist()
    strips = {
        series: tuple(
            HourCell(label, row["coverage"], row["is_complete"])
            for label, row in zip(clock.labels, of_one, strict=True)
        )
        for series, of_one in groupby(rows, itemgetter("series"))
    }
    for cells, names in _alike(strips).items():
        yield CoverageStrip(names, cells)


def _alike(things: Mapping[str, _T]) -> dict[_T, tuple[str, ...]]:
    """The names by what they have in common."""
    found: dict[_T, tuple[str, ...]] = {}
    for name, thing in things.items():
        found[thing] = (*found.get(thing, ()), name)
    return found


def _latencies(polls: pd.DataFrame) -> list[OutcomeLatency]:
    found = []
    for outcome, durations in polls.groupby("outcome")["duration_ms"]:
        known = durations.dropna().to_numpy()
        took = np.percentile(known, (50, 95, 100)).tolist() if len(known) else [None] * 3
        found.append(OutcomeLatency(str(outcome), len(durations), *took))
    return sorted(found, key=lambda one: (-one.count, one.outcome))


def _remarks(observations: DeviceObservations, rules: Mapping[str, int], clock: DayClock) -> Iterator[Remark]:
    """What each rule said, and of which series."""
    at, bits = observations.at, observations.rules.to_numpy()
    spoke = dict(zip(observations.series, np.bitwise_or.reduce(bits, axis=0).tolist(), strict=True))
    for rule, bit in rules.items():
        said = {}
        for place, series in enumerate(observations.series):
            if spoke[series] & bit:
                places = np.flatnonzero(bits[:, place] & bit)
                said[series] = (len(places), clock.at(int(at[places[0]])), clock.at(int(at[places[-1]])))
        for (count, first, last), names in _alike(said).items():
            yield Remark(rule, _MEANINGS.get(rule, ""), names, count, first, last)


def _whys(
    series: Iterable[SeriesDay], observations: DeviceObservations, rules: Mapping[str, int], clock: DayClock
) -> Iterator[Why]:
    """Which rules spoke of each series, and when first."""
    at = observations.at
    for day in series:
        bits = observations.rules[day.series.name].to_numpy()
        spoke, said = int(np.bitwise_or.reduce(bits)), []
        for rule, bit in rules.items():
            if spoke & bit:
                places = np.flatnonzero(bits & bit)
                first, last = int(at[places[0]]), int(at[places[-1]])
                moment = from_epoch_ms(first).astimezone(clock.zone).isoformat()
                said.append(Spoke(rule, len(places), clock.at(first), clock.at(last), moment))
        if said:
            yield Why(day.series.name, day.row["suspect_count"], day.row["bad_count"], tuple(said))


def _unusable(polls: pd.DataFrame, clock: DayClock) -> list[Unusable]:
    """What came in and could not be stored, by kind: the same of several series at the same times is one."""
    seen: dict[tuple[str, str | None, str], list[int]] = {}
    some = polls[polls["problems"] != ""]
    parse = cache(problems_from_json)  # the same problem comes with every poll
    for at, text in zip(index_ms(some).tolist(), some["problems"], strict=True):
        for problem in parse(text):
            seen.setdefault((problem.series, problem.value, problem.reason), []).append(at)
    kinds: dict[tuple[str | None, str, int, str, str], list[str]] = {}
    for (series, value, reason), times in seen.items():
        kinds.setdefault((value, reason, len(times), clock.at(times[0]), clock.at(times[-1])), []).append(series)
    every = [Unusable(tuple(series), *kind) for kind, series in kinds.items()]
    return sorted(every, key=lambda one: (-one.count, one.first, one.series))


def _rejected(polls: pd.DataFrame) -> tuple[str, ...]:
    """How documents that were rejected begin, each beginning once."""
    bodies = (str(body)[:REJECTED_CHARACTERS] for body in polls["body"].dropna())
    return tuple(dict.fromkeys(bodies))[:MOST_REJECTED]


def _expected_from(observations: DeviceObservations, clock: DayClock) -> str:
    """The local clock at the first slot, where that is more than two usual distances of slots into the day."""
    at, start = observations.at, clock.span_ms[0]
    usual = float(np.median(np.diff(at))) if len(at) > 1 else 0.0  # a slot beside the grid does not count for much
    return clock.at(int(at[0])) if at[0] - start > 2 * usual else ""

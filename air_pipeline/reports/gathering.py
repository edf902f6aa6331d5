"""From the tables of a day, and the store's polls, to what the page shows, one device's observations at a time.

Belongs here: what is read and summed up. Does not: how it looks (`drawing`, `page`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from air_pipeline.catalogue import KNOWN, Parameter
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import problems_from_json
from air_pipeline.processing.observations import DeviceObservations, observations_from_table
from air_pipeline.processing.rules import RULES
from air_pipeline.processing.slots import index_ms
from air_pipeline.reports.clock import DayClock
from air_pipeline.reports.contents import (
    Counts,
    CoverageStrip,
    DayReport,
    DayStatistics,
    DevicePage,
    DeviceSummary,
    Finding,
    HourCell,
    OutcomeLatency,
    Series,
    SeriesDay,
    Unusable,
)
from air_pipeline.reports.curves import thinned
from air_pipeline.settings import Device
from air_pipeline.storage.parquet import day_file

MOST_DEVICES = 20
"""Devices that are shown one by one; of more, so many of the worst."""
MOST_UNUSABLE = 8
"""Kinds of unusable values that are spelt out for a device."""
MOST_REJECTED = 2
REJECTED_CHARACTERS = 200
STATISTICS = (
    *("mean", "min", "max", "sd", "median", "p02", "p98"),
    *("mean_06_22", "mean_22_06", "max_8h_mean", "exceedance_minutes"),
)
_COUNTS = ("expected", "valid", "suspect", "bad", "missing")
_MEANINGS = {rule.name: rule.meaning for rule in RULES}
_T = TypeVar("_T")


def gather(deployment: Deployment, day: date) -> DayReport:
    """What the page of a built day shows.

    Raises:
        TableError: a table of the day is missing or cannot be read.
        StoreError: the store cannot be read.
    """
    daily_file = day_file(deployment.data, "daily_aggregates", day)
    daily, metadata = daily_file.read(), daily_file.metadata()
    outcomes = _outcomes(deployment, daily)
    summaries = sorted(_summaries(daily, outcomes), key=_worst_first)
    shown = [summary.device for summary in summaries[:MOST_DEVICES]]
    observed, hourly = (day_file(deployment.data, name, day) for name in ("observations", "hourly_aggregates"))
    hours = {name: rows.to_pandas() for name, rows in hourly.device_tables(shown)}
    known = {device.id: device for device in deployment.settings.devices}
    by_device = {summary.device: summary for summary in summaries}
    pages = {}
    for name, rows in observed.device_tables(shown):
        own = daily[daily["device"] == name]
        clock = _clock(own.iloc[0])
        observations = observations_from_table(rows, clock.zone)
        polls = deployment.store.polls(name, *clock.span_ms)
        pages[name] = DevicePage(
            summary=by_device[name],
            clock=clock,
            series=tuple(_series_days(own, observations, clock, known.get(name))),
            strips=tuple(_strips(hours[name], clock)),
            polls=tuple(_latencies(polls)),
            findings=tuple(_findings(observations, metadata.rules, clock)),
            **_unusable(polls, clock),
            expected_from=_expected_from(observations, clock),
        )
    return DayReport(
        day=day,
        timezone=deployment.settings.timezone,
        metadata=metadata,
        summaries=tuple(summaries),
        devices=tuple(pages[name] for name in shown),
    )


def _clock(row: "pd.Series[Any]") -> DayClock:
    """The local day that a row of `daily_aggregates` is of."""
    return DayClock(row["day_start"].to_pydatetime(), row["day_end"].to_pydatetime(), str(row["timezone"]))


def _outcomes(deployment: Deployment, daily: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Device to outcome to number of polls in its own local day."""
    found: dict[str, dict[str, int]] = {}
    for _, rows in daily.groupby("timezone", observed=True):
        counts = deployment.store.outcome_counts(*_clock(rows.iloc[0]).span_ms)
        found.update({name: counts.get(name, {}) for name in rows["device"].unique()})
    return found


def _summaries(daily: pd.DataFrame, outcomes: Mapping[str, Mapping[str, int]]) -> Iterator[DeviceSummary]:
    for name, rows in daily.groupby("device", observed=True):
        device = str(name)
        counts = Counts(*(int(rows[f"{count}_count"].sum()) for count in _COUNTS))
        yield DeviceSummary(device, counts, int(rows["is_complete"].sum()), len(rows), outcomes[device])


def _worst_first(summary: DeviceSummary) -> tuple[float, float, int, str]:
    """By series that are not complete, then by coverage; a device of which nothing was expected comes last."""
    coverage = summary.counts.coverage
    complete = 2.0 if coverage is None else summary.complete_series / summary.series_count
    return complete, coverage or 0.0, -summary.counts.bad - summary.counts.suspect, summary.device


def _series_days(
    daily: pd.DataFrame,
    observations: DeviceObservations,
    clock: DayClock,
    device: Device | None,
) -> Iterator[SeriesDay]:
    """The series of a device: those of one unit together, means over sensors before their members."""
    rows = {str(row["series"]): row for row in daily.to_dict("records")}
    described = [_described(name, str(row["unit"]), device) for name, row in rows.items()]
    for series in _in_reading_order(described, device):
        row = rows[series.name]
        statistics = DayStatistics(
            counts=Counts(*(int(row[f"{count}_count"]) for count in _COUNTS)),
            is_complete=bool(row["is_complete"]),
            values={name: None if pd.isna(row[name]) else float(row[name]) for name in STATISTICS},
        )
        values = observations.values[series.name].to_numpy()  # noqa: PD011 - not a frame
        flags = observations.flags[series.name].to_numpy()
        yield SeriesDay(series, statistics, thinned(observations.at, values, flags, *clock.span_ms))


def _described(name: str, unit: str, device: Device | None) -> Series:
    """What is known of a series: from the settings, else from the catalogue, as settings may have changed since."""
    parameters = [*(device.parameters if device else ()), *(one for known in KNOWN.values() for one in known.values())]
    own = next((one for one in parameters if one.series == name), None)
    if own is not None:
        decimals = _decimals(own)
        return Series(name, own.name, own.sensor, unit, decimals, own.resolution or 0.0, own.description)
    members = [one for one in parameters if one.name == name]
    places = [_decimals(one) for one in members]
    return Series(
        name,
        name,
        "",
        unit,
        max((one for one in places if one is not None), default=None),
        max((one.resolution or 0.0 for one in members), default=0.0),
        "mean over the sensors that measure it",
    )


def _decimals(parameter: Parameter) -> int | None:
    """With how many decimals a value is written so that a step of the sensor shows: 1 for 0.1, 2 for 0.0625."""
    return max(math.ceil(-math.log10(parameter.resolution)), 0) if parameter.resolution else None


def _in_reading_order(series: Iterable[Series], device: Device | None) -> list[Series]:
    """Those of one unit together, otherwise as the settings name them."""
    units = device.units if device else {}
    names, known = list(units), list(dict.fromkeys(units.values()))
    return sorted(series, key=lambda one: (_place(known, one.unit), one.unit, _place(names, one.name), one.name))


def _place(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _strips(hours: pd.DataFrame, clock: DayClock) -> Iterator[CoverageStrip]:
    """The hours of each series; one strip for those that are alike."""
    strips = {}
    for name, rows in hours.groupby("series", observed=True):
        strips[str(name)] = tuple(
            HourCell(label, None if pd.isna(coverage) else float(coverage), bool(complete))
            for label, coverage, complete in zip(clock.labels, rows["coverage"], rows["is_complete"], strict=True)
        )
    for cells, names in _alike(strips).items():
        yield CoverageStrip(names, cells)


def _alike(things: Mapping[str, _T]) -> dict[_T, tuple[str, ...]]:
    """The names by what they have in common."""
    found: dict[_T, tuple[str, ...]] = {}
    for name, thing in things.items():
        found[thing] = (*found.get(thing, ()), name)
    return found


def _latencies(polls: pd.DataFrame) -> Iterator[OutcomeLatency]:
    counts = polls["outcome"].value_counts()
    for outcome, count in sorted(counts.items(), key=lambda one: (-one[1], str(one[0]))):
        durations = polls.loc[polls["outcome"] == outcome, "duration_ms"].dropna().to_numpy()
        known = [float(np.percentile(durations, share)) for share in (50, 95, 100)] if len(durations) else [None] * 3
        yield OutcomeLatency(str(outcome), int(count), *known)


def _findings(observations: DeviceObservations, rules: Mapping[str, int], clock: DayClock) -> Iterator[Finding]:
    """What each rule said, and of which series."""
    at = observations.at.tolist()
    for rule, bit in rules.items():
        said = {}
        for series in observations.series:
            places = np.flatnonzero(observations.rules[series].to_numpy() & bit)
            if len(places):
                first, last = (clock.at(at[place]) for place in (places[0], places[-1]))
                said[series] = (len(places), first, last)
        for (count, first, last), names in _alike(said).items():
            yield Finding(rule, _MEANINGS.get(rule, ""), names, count, first, last)


def _unusable(polls: pd.DataFrame, clock: DayClock) -> dict[str, Any]:
    """What came in and could not be stored, by series, and beginnings of rejected documents."""
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
    every.sort(key=lambda one: (-one.count, one.first, one.series))
    bodies = [str(body)[:REJECTED_CHARACTERS] for body in polls["body"].dropna()]
    return {
        "unusable": tuple(every[:MOST_UNUSABLE]),
        "unusable_left_out": len(every[MOST_UNUSABLE:]),
        "rejected": tuple(dict.fromkeys(bodies))[:MOST_REJECTED],
    }


def _expected_from(observations: DeviceObservations, clock: DayClock) -> str:
    """The local clock at the first slot, where that is more than two intervals into the day."""
    at, start = observations.at, clock.span_ms[0]
    interval = int(np.diff(at).min()) if len(at) > 1 else 0
    return clock.at(int(at[0])) if at[0] - start > 2 * interval else ""

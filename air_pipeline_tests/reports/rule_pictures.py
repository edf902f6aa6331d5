"""Pictures of what each rule speaks of, for its documentation: a simulated day with one fault, and without it.

Drawn as the page of a day draws its series, by: python -m air_pipeline_tests.reports.rule_pictures
"""

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd

from air_pipeline.catalogue import STATION
from air_pipeline.devices.kinds.purpleair import PURPLEAIR
from air_pipeline.devices.polls import Flag
from air_pipeline.devices.simulator.arrays import values_at
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.flags import flag_station
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.processing.slots import expected_slots
from air_pipeline.reports.clock import DayClock
from air_pipeline.reports.contents import Series, SeriesDay
from air_pipeline.reports.curves import thinned
from air_pipeline.reports.drawing import HEIGHT, WIDTH, curve_svg, scale_of
from air_pipeline.reports.gathering import band_of
from air_pipeline.settings import Mark
from air_pipeline_tests.processing.frames import index
from air_pipeline_tests.processing.rule_examples import EMPTY, START
from air_pipeline_tests.processing.test_fortnight import (
    BOOT,
    DHT22,
    HALF_AN_HOUR,
    HOME,
    KINDS,
    STEP_MS,
    Kind,
    Values,
    said,
    stays,
)

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "rules"
DAY_MS = 86_400_000
FIRST = START // DAY_MS * DAY_MS
BETWEEN = 200
CLOCK = DayClock(from_epoch_ms(FIRST), from_epoch_ms(FIRST + DAY_MS), "UTC")


def in_the_fridge(values: Values, where: slice, _: Random) -> None:
    away = np.arange(where.stop - where.start)
    values["dht22_temperature"][where] -= np.round(14 * np.minimum(1, np.minimum(away, away[::-1]) / 120), 1)


LASERS = tuple(one.series for one in PURPLEAIR.usual if one.name == "pm25")


def says_too_much(values: Values, where: slice, _: Random) -> None:
    values[LASERS[1]][where] = np.round(values[LASERS[1]][where] * 3, 1)


FRIDGE = Kind("marked", "dht22_temperature", 3 * HALF_AN_HOUR, DHT22, in_the_fridge)
APART = Kind("channels_apart", LASERS[1], 3 * HALF_AN_HOUR, LASERS, says_too_much)
AGAIN = Kind("same_cycle", "dht22_temperature", 3 * HALF_AN_HOUR, DHT22, stays(*DHT22))
IN_THE_FRIDGE = Mark(
    HOME.id,
    FRIDGE.of,
    FIRST + DAY_MS // 2,
    FIRST + DAY_MS // 2 + FRIDGE.lasts * STEP_MS,
    "bad",
    "in the fridge",
    "anna",
)


def series_day(rule: str, *, trips: bool) -> SeriesDay:
    """The series that shows a rule best, on a day with the fault that it finds or on the same day without."""
    home = replace(HOME, marks=(IN_THE_FRIDGE,) if rule == "marked" and trips else ())
    found_by = "before_first_measurement" if rule == "warming_up" else rule
    kind = next(kind for kind in (*KINDS, FRIDGE, AGAIN, APART) if kind.rule == found_by)
    if rule == "channels_apart":
        home = replace(home, parameters=(*STATION, *PURPLEAIR.usual))
    of = "mq135_co2" if rule == "warming_up" else kind.of
    at = FIRST + np.arange(DAY_MS // STEP_MS, dtype=np.int64) * STEP_MS
    values, problems = values_at(Profile("hall", 7), at), np.full(len(at), "", dtype=object)
    if rule == "channels_apart":
        dust = np.round(values["dht22_humidity"] / 4, 1)
        values |= {LASERS[0]: dust, LASERS[1]: dust + 0.2}
    if trips:
        where = slice(len(at) // 2, len(at) // 2 + kind.lasts)
        kind.happens(values, where, Random(rule))
        problems[where] = kind.problem
        if found_by == "before_first_measurement":
            after = values_at(Profile("hall", 7, at[where.start] / 1000), at[where.stop :])
            for series in EMPTY:
                values[series][where.stop :] = after[series]
                values[series][where] = np.nan
            problems[where] = said(BOOT, "", Flag.MISSING)
    read = pd.DataFrame({name: values[name] for name in sorted(values)}, index=index(at))
    cycles = np.arange(len(at)).astype(str).astype(object)
    if rule == "same_cycle" and trips:
        cycles[where] = cycles[where.start - 1]
    columns = {"outcome": "ok", "interval_s": STEP_MS / 1000, "problems": problems}
    columns |= {"cycle": cycles} if rule == "same_cycle" else {}
    polled = pd.DataFrame(columns, index=index(at))
    span = FIRST, FIRST + DAY_MS
    slots = expected_slots(*span, polls=polled, readings=read, opening_interval_ms=STEP_MS, expected_from=FIRST)
    seen = flag_station(station_of(home, read, polled, slots))
    if ((seen.rules[of].to_numpy() & RULE_BITS[rule]) != 0).any() is not np.bool_(trips):
        raise AssertionError(f"{rule} does not show in {of}")
    (parameter,) = (one for one in home.parameters if one.series == of)
    series = Series(of, parameter.name, parameter.unit, step=parameter.resolution or 0.0)
    flags = seen.flags[of].to_numpy()
    curve = thinned(seen.at, seen.values[of].to_numpy(), flags, *span)  # noqa: PD011
    return SeriesDay(series, {}, curve, tuple(band_of(mark, CLOCK) for mark in home.marks))


def picture(rule: str) -> str:
    """Both days as one SVG document with the colours of the page."""
    days = [series_day(rule, trips=trips) for trips in (True, False)]
    parts = []
    for place, day in enumerate(days):
        text = f"{day.series.name}, {'without' if place else 'with'} the fault"
        svg = curve_svg(day.curve, scale_of([day]), CLOCK, text, day.bands)
        left = place * (WIDTH + BETWEEN)
        parts.append(svg.replace("<svg ", f'<svg x="{left}" width="{WIDTH}" height="{HEIGHT}" ', 1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH + BETWEEN} {HEIGHT}">'
        f"<style>{_style()}</style>{''.join(parts)}</svg>\n"
    )


def _style() -> str:
    """Of the page's style what pictures need."""
    css = files("air_pipeline.reports").joinpath("page.css").read_text(encoding="utf-8")
    colours = re.search(r":root \{.*?\}", css, re.DOTALL)
    lines = [line.removeprefix("figure ") for line in css.splitlines()]
    drawn = [line for line in lines if re.match(r"svg (text|path|\.)", line)]
    return "\n".join([colours[0] if colours else "", "svg { background: white; font-family: sans-serif; }", *drawn])


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for rule in RULE_BITS:
        (FOLDER / f"{rule}.svg").write_text(picture(rule), encoding="utf-8")


if __name__ == "__main__":
    main()

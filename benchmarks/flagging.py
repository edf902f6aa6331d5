"""Flagging a device-day with all rules, in a warm process: its CPU, and how much of it is spent before any rule."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from air_pipeline.devices.polls import AskedFor
from air_pipeline.devices.simulator.arrays import values_at
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.processing.evidence import station_of
from air_pipeline.processing.flags import flag_station
from air_pipeline.processing.rules import READ_BEFORE
from air_pipeline.processing.slots import expected_slots
from air_pipeline.settings import Device
from benchmarks.machine import load

DAY_MS = 86_400_000
START = 1_780_012_800_000
TIMES = 5


def main() -> None:
    """Prints one line an interval: the least of a few tries, as other processes only ever add to it."""
    for interval_s in (10, 1):
        device = Device("hall", "http://hall/", "Europe/Warsaw", interval_ms=interval_s * 1000)
        first = START - round(READ_BEFORE.total_seconds() * 1000)
        at = np.arange(first, START + DAY_MS + 1, device.interval_ms, dtype=np.int64)
        index = pd.DatetimeIndex(at.view("datetime64[ms]"), name="observed_at").tz_localize("UTC")
        read = pd.DataFrame(values_at(Profile("hall"), at), index=index)
        polled = pd.DataFrame({"outcome": "ok", "interval_s": float(interval_s), "problems": ""}, index=index)
        polled["series"] = pd.Series(None, index, dtype="str")
        asked = AskedFor([parameter.series for parameter in device.parameters], is_said=True)
        slots = expected_slots(
            first,
            START + DAY_MS + 1,
            polls=polled,
            readings=read,
            opening_interval_ms=device.interval_ms,
            expected_from=first,
        )
        station = partial(station_of, device, read, polled, slots, opening=asked)
        put = _cpu_ms(station)
        flagged = _cpu_ms(lambda: flag_station(station()))  # noqa: B023 - called at once
        slots_said = f"a device-day every {interval_s} s, {len(slots)} slots"
        took = f"{flagged:.0f} ms, {flagged / put:.1f} × the {put:.0f} ms that go by before any rule"
        print(f"{slots_said}: {took}; {load()}", flush=True)


def _cpu_ms(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(TIMES):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return min(spent) * 1000

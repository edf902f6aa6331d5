"""What a reading store promises, in a few dictionaries; and polls to try it with."""

import string
from collections.abc import Sequence
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from air_pipeline.devices.polls import Flag, Outcome, Poll, Problem
from air_pipeline.storage.store import Summary

START = 1_780_000_000_000
SLOTS = [START + 10_000 * n for n in range(6)] + [START + 86_400_000, START + 200 * 86_400_000]
END = START + 300 * 86_400_000
VALUES = {"dht22_temperature": 27.9, "dht22_humidity": 47.3}


class ModelStore:
    """The last poll of each slot, and nothing of an earlier one.

    Args:
        merging: whether the later of two readings of a slot leaves the series that it does not have, as InfluxDB does.
    """

    def __init__(self, *, merging: bool) -> None:
        self.merging = merging
        self.left: dict[tuple[str, int], dict[str, float]] = {}
        self.air: dict[str, dict[int, dict[str, float]]] = {}
        self.poll: dict[str, dict[int, dict[str, Any]]] = {}

    def write(self, polls: Sequence[Poll]) -> None:
        for poll in polls:
            fields = {
                "outcome": poll.outcome.value,
                "duration_ms": poll.duration_ms,
                "http_status": poll.http_status if poll.outcome.has_status else None,
                "interval_s": poll.interval_s,
                "problems": poll.problems_json,
                "body": (poll.body or None) if poll.outcome is Outcome.REJECTED else None,
            }
            known = {name: value for name, value in fields.items() if value is not None}
            self.poll.setdefault(poll.device, {})[poll.observed_at] = known
            slots = self.air.setdefault(poll.device, {})
            slots.pop(poll.observed_at, None)
            key = poll.device, poll.observed_at
            values = dict(poll.values) if poll.outcome.has_reading else {}
            if self.merging:
                values = self.left[key] = self.left.get(key, {}) | values
            if poll.outcome.has_reading and values:
                slots[poll.observed_at] = values

    def summaries(self) -> dict[str, Summary]:
        return {
            device: Summary(
                polls=len(slots),
                duration_ms=sum(fields["duration_ms"] for fields in slots.values()),
                values=sum(len(values) for values in self._held(device)),
            )
            for device, slots in self.poll.items()
        }

    def _held(self, device: str) -> list[dict[str, float]]:
        if self.merging:  # it counts what it holds, though not all of it is shown
            return [values for (name, _), values in self.left.items() if name == device]
        return list(self.air.get(device, {}).values())

    def outcome_counts(self) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for device, slots in self.poll.items():
            for fields in slots.values():
                of_device = counts.setdefault(device, {})
                of_device[fields["outcome"]] = of_device.get(fields["outcome"], 0) + 1
        return counts


def rows(frame: pd.DataFrame) -> dict[int, dict[str, Any]]:
    """A frame as time in ms to what is there in that row."""
    columns = frame.to_dict("list")
    return {
        time: {name: values[n] for name, values in columns.items() if not pd.isna(values[n])}
        for n, time in enumerate(frame.index.astype("int64"))
    }


def poll(device: str = "living-room", slot: int = START, outcome: Outcome = Outcome.OK, **fields: Any) -> Poll:
    """A poll as most are."""
    given = {"duration_ms": 41.0, "interval_s": 10.0, "http_status": 200} | fields
    if outcome.has_reading:
        given.setdefault("values", VALUES)
    return Poll(device, slot, outcome, **given)


numbers = st.floats(allow_nan=False, allow_infinity=False)

# All of Unicode, and often what line protocol, CSV, JSON and SQL give a meaning to.
texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\"\\\r\n,= \t'#$;\0"), max_size=30)

series = st.sampled_from(["dht22_temperature", "bmp180_pressure", "mq135_co2"]) | st.text(
    string.ascii_lowercase + "_0", min_size=1, max_size=12
).map(lambda name: f"x_{name}")

problems = st.builds(
    Problem, series=series, value=st.none() | texts, flag=st.sampled_from([Flag.BAD, Flag.MISSING]), reason=texts
)


def polls(devices: st.SearchStrategy[str]) -> st.SearchStrategy[Poll]:
    return st.builds(
        Poll,
        device=devices,
        observed_at=st.sampled_from(SLOTS),
        outcome=st.sampled_from(Outcome),
        duration_ms=st.integers(0, 3_600_000).map(float),
        interval_s=st.sampled_from([1.0, 10.0, 0.1, 3600.0]),
        http_status=st.none() | st.integers(100, 599),
        values=st.dictionaries(series, numbers, max_size=4),
        problems=st.lists(problems, max_size=2).map(tuple),
        body=st.none() | texts,
    )

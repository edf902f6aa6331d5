"""When things go wrong: faults with times, and devices that fail now and then.

Belongs here: the schedule of faults and its file format. Does not: what a fault does (`faults`).

A script is a YAML list; the last entry that fits decides:

    - {device: living-room, after: 60, for: 120, fault: hang}           # seconds since the start of the simulator
    - {device: "*", at: 2026-11-21T08:00:00Z, fault: ds18b20_probes, options: {dropped: 2}}
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any

import yaml

from air_pipeline.devices.simulator.faults import Fault

EVERY_DEVICE = "*"
_KEYS = frozenset({"device", "at", "after", "for", "fault", "options"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault in a script.

    Attributes:
        device: id, or `*` for all.
        fault: what goes wrong.
        at_s: when, in seconds since 1970 UTC; None: `after_s` seconds after the start of the simulator.
        after_s: see `at_s`.
        for_s: how long, in seconds; None: from then on.
    """

    device: str
    fault: Fault
    at_s: float | None = None
    after_s: float = 0.0
    for_s: float | None = None

    def begin_s(self, started_s: float) -> float:
        """When it begins, in seconds since 1970 UTC."""
        return started_s + self.after_s if self.at_s is None else self.at_s


@dataclass(frozen=True, slots=True)
class Script:
    """Faults with times."""

    entries: tuple[Entry, ...] = ()

    def fault_at(self, device: str, time_s: float, started_s: float = 0.0) -> Fault | None:
        """What is wrong with a device at an instant.

        Args:
            device: its id.
            time_s: the instant, in seconds since 1970 UTC.
            started_s: when the simulator started, for entries that count from there.
        """
        for entry in reversed(self.entries):
            since = time_s - entry.begin_s(started_s)
            if entry.device in {device, EVERY_DEVICE} and since >= 0 and (entry.for_s is None or since < entry.for_s):
                return replace(entry.fault, since_s=entry.begin_s(started_s))
        return None

    def booted_at(self, device: str, time_s: float, started_s: float = 0.0) -> float | None:
        """When the device last started by this script; None: it did not."""
        boots = (
            entry.begin_s(started_s)
            for entry in self.entries
            if entry.fault.name == "boot" and entry.device in {device, EVERY_DEVICE}
        )
        return max((begin for begin in boots if begin <= time_s), default=None)


@dataclass(frozen=True, slots=True)
class Flaky:
    """Devices that fail now and then; which and when follows from the seed.

    Attributes:
        probability: of a fault in any two seconds, 0 … 1.
        seed: another seed fails at other times.
        faults: what happens then, each as likely as the others.
        devices: which; all if none is named.
    """

    probability: float
    seed: int = 0
    faults: tuple[str, ...] = ("refuse", "hang", "reset", "http_500", "truncated_json", "nan")
    devices: tuple[str, ...] = ()

    def fault_at(self, device: str, time_s: float) -> Fault | None:
        """What is wrong with a device at an instant, in seconds since 1970 UTC."""
        if self.devices and device not in self.devices:
            return None
        loop = int(time_s // 2)
        chance = int.from_bytes(blake2b(f"{self.seed}/{device}/{loop}".encode(), digest_size=8).digest()) / 2**64
        if chance >= self.probability:
            return None
        return _fault(self.faults[int(chance / self.probability * len(self.faults))])


@cache
def _fault(name: str) -> Fault:
    return Fault(name)


def read_script(text: str) -> Script:
    """A script from its YAML text.

    Raises:
        ValueError: naming the entry, what is wrong with it and what would be right.
    """
    try:
        rows = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"the script is no YAML: {error}") from None
    if rows is None:
        return Script()
    if not isinstance(rows, list):
        raise ValueError("a script is a list of entries, each {device, at or after, for, fault, options}")
    return Script(tuple(_entry(place, row) for place, row in enumerate(rows, start=1)))


def _entry(place: int, row: object) -> Entry:
    where = f"entry {place} of the script"
    if not isinstance(row, dict):
        raise ValueError(f"{where} is no mapping {{device, at or after, for, fault, options}}")
    unknown = sorted(str(key) for key in row.keys() - _KEYS)
    if unknown:
        raise ValueError(f"{where}: {', '.join(unknown)} is not known; there are: {', '.join(sorted(_KEYS))}")
    if "at" in row and "after" in row:
        raise ValueError(f"{where}: give at or after, not both")
    options = row.get("options") or {}
    if not isinstance(options, dict) or not isinstance(row.get("fault"), str):
        raise ValueError(f"{where}: fault is to be a name, options a mapping")
    try:
        fault = Fault(row["fault"], options)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return Entry(
        device=str(row.get("device", EVERY_DEVICE)),
        fault=fault,
        at_s=_instant(where, row["at"]) if "at" in row else None,
        after_s=_seconds(where, row, "after") or 0.0,
        for_s=_seconds(where, row, "for"),
    )


def _seconds(where: str, row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"{where}: {key} is to be a number of seconds, not {value!r}")
    return float(value)


def _instant(where: str, value: object) -> float:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{where}: at is to be a UTC time such as 2026-11-21T08:00:00Z, not {value!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

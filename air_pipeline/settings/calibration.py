"""How a series is calibrated by hand, as `calibrate` of `devices.yaml` says it.

Belongs here: the settings, and which of them count when. Does not: what becomes of values
(`processing.calibrating`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

CALIBRATED = "_calibrated"
"""What the name of a calibrated series ends with."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """From when on a series is calibrated, and how: gain × value + offset.

    Attributes:
        since: its first instant, ms UTC; it holds until the next one of the series.
        gain: what a value is multiplied with; not 0.
        offset: what is added then, in the unit of the series.
        reason: why, for people.
    """

    since: int
    gain: float
    offset: float
    reason: str


Calibrations = Mapping[str, tuple[Calibration, ...]]
"""Series, those of sensors or means over them, to how they are calibrated, in the order of time."""


def calibrated_name(series: str) -> str:
    """What a series is called once it is calibrated."""
    return f"{series}{CALIBRATED}"


def in_force(calibrations: Calibrations, start: int, end: int) -> dict[str, tuple[Calibration, ...]]:
    """Those that count somewhere in [start, end), ms UTC; series without one are left out."""
    found = {series: _in_force(of_one, start, end) for series, of_one in calibrations.items()}
    return {series: some for series, some in found.items() if some}


def _in_force(of_one: Sequence[Calibration], start: int, end: int) -> tuple[Calibration, ...]:
    ends = [*(one.since for one in of_one[1:]), end]
    return tuple(one for one, until in zip(of_one, ends, strict=True) if one.since < end and until > start)


def calibrations_to_plain(calibrations: Calibrations) -> dict[str, list[list[Any]]]:
    """As in JSON: series to a list of `[since, gain, offset, reason]`."""
    return {series: [list(astuple(one)) for one in of_one] for series, of_one in calibrations.items()}


def calibrations_of_plain(said: Mapping[str, Sequence[Sequence[Any]]]) -> Calibrations:
    """The inverse of `calibrations_to_plain`; a TypeError where it is none of ours."""
    return {series: tuple(Calibration(*one) for one in of_one) for series, of_one in said.items()}

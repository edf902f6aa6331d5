"""What a page shows, as values: gathered by `gathering`, drawn by `drawing`, put into words by `page`.

Belongs here: the types, and numbers that follow from their own fields. Does not: where they come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from air_pipeline.errors import AirPipelineError
from air_pipeline.reports.clock import DayClock
from air_pipeline.reports.curves import Curve
from air_pipeline.storage.day_files import DayMetadata

Row = Mapping[str, Any]
"""A row of a table by column; None is a null."""


class ReportError(AirPipelineError):
    """A page could not be made; the message says of which day, and why."""


@dataclass(frozen=True, slots=True)
class ObservationCounts:
    """How the observations of several series came out, together."""

    expected: int
    valid: int
    suspect: int
    bad: int
    missing: int

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "ObservationCounts":
        """The sums over rows of `daily_aggregates`."""
        return cls(*(sum(row[f"{field.name}_count"] for row in rows) for field in fields(cls)))

    @property
    def coverage(self) -> float | None:
        """Valid ÷ expected; None where nothing was expected."""
        return self.valid / self.expected if self.expected else None


@dataclass(frozen=True, slots=True)
class DeviceSummary:
    """One device in the tables of the fleet.

    Attributes:
        device: its id.
        counts: over all of its series.
        complete_series: how many of its series have a complete day.
        series_count: how many series it has.
        outcomes: outcome to number of polls, the most frequent first; only what is not zero.
    """

    device: str
    counts: ObservationCounts
    complete_series: int
    series_count: int
    outcomes: Mapping[str, int]

    @property
    def is_complete(self) -> bool:
        """Whether the day of each of its series is complete."""
        return self.complete_series == self.series_count


@dataclass(frozen=True, slots=True)
class Series:
    """What is known of a series besides its values.

    Attributes:
        name: as in the tables.
        parameter: what is measured.
        unit: of its values.
        decimals: with how many its values are written; None where the sensor's resolution is not known.
        step: the smallest difference between two of its values; 0 where it is not known.
        description: what the number means, for people; may be empty.
    """

    name: str
    parameter: str
    unit: str
    decimals: int | None = None
    step: float = 0.0
    description: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """What somebody marked by hand, from one elapsed hour of the day to another.

    Attributes:
        start: elapsed hours since the start of the day.
        end: likewise.
        label: what was said of the values, and why.
        note: the same with the times by the local clock, and by whom.
    """

    start: float
    end: float
    label: str
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class SeriesDay:
    """One series of one device on the day, with its row of `daily_aggregates` and what was marked of it by hand."""

    series: Series
    row: Row
    curve: Curve
    bands: tuple[Band, ...] = ()


@dataclass(frozen=True, slots=True)
class HourCell:
    """One hour row: the clock's label, coverage (None where nothing was expected), and whether it is complete."""

    label: str
    coverage: float | None
    is_complete: bool


@dataclass(frozen=True, slots=True)
class CoverageStrip:
    """The hours of the series that fared alike."""

    series: tuple[str, ...]
    cells: tuple[HourCell, ...]


@dataclass(frozen=True, slots=True)
class OutcomeLatency:
    """The polls with one outcome: how many, and their duration in ms."""

    outcome: str
    count: int
    median_ms: float | None
    p95_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class Remark:
    """What a rule said of some series, alike: how many observations of each, and when first and last by local clock."""

    rule: str
    meaning: str
    series: tuple[str, ...]
    count: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Spoke:
    """What a rule said of one series: of how many observations, first and last by local clock, and the first as ISO."""

    rule: str
    count: int
    first: str
    last: str
    at: str


@dataclass(frozen=True, slots=True)
class Why:
    """A series of which rules spoke, and each that did."""

    series: str
    suspect: int
    bad: int
    rules: tuple[Spoke, ...]


@dataclass(frozen=True, slots=True)
class Unusable:
    """Values that could not be stored: what came in (None: nothing), why not, how often and when first and last."""

    series: tuple[str, ...]
    value: str | None
    reason: str
    count: int
    first: str
    last: str


@dataclass(frozen=True, slots=True, eq=False)
class DevicePage:
    """Everything that is shown of one device.

    Attributes:
        summary: its line in the fleet's table.
        clock: its local day.
        series: sorted for reading: those of one unit together.
        strips: hourly coverage.
        polls: by outcome, the most frequent first.
        remarks: what the rules said.
        why: the same by series, for those of which a rule spoke.
        unusable: what came in and could not be used, the most frequent first.
        unusable_left_out: how many more such kinds there are.
        rejected: beginnings of documents that were rejected.
        expected_from: the local clock at its first slot, if that is not at the start of the day.
    """

    summary: DeviceSummary
    clock: DayClock
    series: tuple[SeriesDay, ...]
    strips: tuple[CoverageStrip, ...]
    polls: tuple[OutcomeLatency, ...]
    remarks: tuple[Remark, ...]
    why: tuple[Why, ...]
    unusable: tuple[Unusable, ...]
    unusable_left_out: int
    rejected: tuple[str, ...]
    expected_from: str


@dataclass(frozen=True, slots=True, eq=False)
class DayReport:
    """Everything that the page of a day shows.

    Attributes:
        day: the local date.
        timezone: the deployment's.
        metadata: how the tables were made.
        counts: over all devices and series.
        outcomes: outcome to number of polls over all devices, the most frequent first.
        summaries: all devices, the worst first.
        devices: those that have a section of their own, in the same order.
    """

    day: date
    timezone: str
    metadata: DayMetadata
    counts: ObservationCounts
    outcomes: Mapping[str, int]
    summaries: tuple[DeviceSummary, ...]
    devices: tuple[DevicePage, ...]

    @property
    def complete_devices(self) -> int:
        """Devices of which every series has a complete day."""
        return sum(summary.is_complete for summary in self.summaries)

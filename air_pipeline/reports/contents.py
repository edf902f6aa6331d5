"""What a page shows, as values: gathered by `gathering`, drawn by `drawing`, put into words by `page`.

Belongs here: the types, and numbers that follow from their own fields. Does not: where they come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from air_pipeline.reports.clock import DayClock
from air_pipeline.reports.curves import Curve
from air_pipeline.storage.parquet import DayMetadata


class ReportError(Exception):
    """A page could not be made; the message says of which day, and why."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How observations came out."""

    expected: int = 0
    valid: int = 0
    suspect: int = 0
    bad: int = 0
    missing: int = 0

    @property
    def coverage(self) -> float | None:
        """Valid ÷ expected; None where nothing was expected."""
        return self.valid / self.expected if self.expected else None

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.expected + other.expected,
            self.valid + other.valid,
            self.suspect + other.suspect,
            self.bad + other.bad,
            self.missing + other.missing,
        )


@dataclass(frozen=True, slots=True)
class DeviceSummary:
    """One device in the tables of the fleet.

    Attributes:
        device: its id.
        counts: over all of its series.
        complete_series: how many of its series have a complete day.
        series_count: how many series it has.
        outcomes: outcome to number of polls; only what is not zero.
    """

    device: str
    counts: Counts
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
        sensor: by which sensor; empty for the mean over sensors.
        unit: of its values.
        decimals: with how many its values are written; None where the sensor's resolution is not known.
        step: the smallest difference between two of its values; 0 where it is not known.
        description: what the number means, for people; may be empty.
    """

    name: str
    parameter: str
    sensor: str
    unit: str
    decimals: int | None = None
    step: float = 0.0
    description: str = ""


@dataclass(frozen=True, slots=True)
class DayStatistics:
    """The row of `daily_aggregates` of one series; None is a null.

    Attributes:
        counts: of the day.
        is_complete: whether the day is complete.
        values: `mean`, `min` and so on.
    """

    counts: Counts
    is_complete: bool
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class SeriesDay:
    """One series of one device on the day."""

    series: Series
    statistics: DayStatistics
    curve: Curve


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
class Finding:
    """What a rule said of some series, alike: how many observations of each, and when first and last by local clock."""

    rule: str
    meaning: str
    series: tuple[str, ...]
    count: int
    first: str
    last: str


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
        findings: what the rules said.
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
    findings: tuple[Finding, ...]
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
        summaries: all devices, the worst first.
        devices: those that are shown, in the same order.
    """

    day: date
    timezone: str
    metadata: DayMetadata
    summaries: tuple[DeviceSummary, ...]
    devices: tuple[DevicePage, ...]

    @property
    def counts(self) -> Counts:
        """Over all devices and series."""
        return sum((one.counts for one in self.summaries), Counts())

    @property
    def outcomes(self) -> dict[str, int]:
        """Outcome to number of polls over all devices, the most frequent first."""
        total: dict[str, int] = {}
        for summary in self.summaries:
            for outcome, count in summary.outcomes.items():
                total[outcome] = total.get(outcome, 0) + count
        return dict(sorted(total.items(), key=lambda one: (-one[1], one[0])))

    @property
    def complete_devices(self) -> int:
        """Devices of which every series has a complete day."""
        return sum(summary.is_complete for summary in self.summaries)

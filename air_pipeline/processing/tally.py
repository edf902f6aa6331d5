"""A device's day in numbers: how often rules spoke, how far thermometers were apart, how long measuring cycles took.

Belongs here: counting what a built day says. Does not: what it means for the hardware (`health`), flagging (`flags`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.rules import RULE_BITS

OF_THE_DAY = (
    "series",
    "expected_count",
    "observed_count",
    "suspect_count",
    "bad_count",
    "coverage",
    "is_complete",
    "complete_hours",
    "hour_count",
)
"""The columns of `daily_aggregates` that are counted."""
OF_EACH = ("series", "observed_at", "flag", "rules")
"""The columns of `observations` that tell how often rules spoke."""
OF_APART = ("series", "observed_at", "value", "flag", "rules")
"""Those that tell how far thermometers were apart."""
APART = RULE_BITS["thermometers_apart"]
AGAIN = RULE_BITS["same_cycle"]
_LONGEST_CYCLE = 3
"""So many times as long as most cycles is no cycle, but a device that hung."""
_FEWEST_CYCLES = 5
_AGAINST = [int(Flag.SUSPECT), int(Flag.BAD)]


class Spoke(NamedTuple):
    """Rules that spoke together of one series: their bits, of how many observations, and of which first, ms UTC."""

    bits: int
    times: int
    first: int


class Apart(NamedTuple):
    """How far a series was above the device's others of its parameter where it was called apart, and what these said.

    Both are medians, in their unit.
    """

    above: float
    others: float


@dataclass(frozen=True, slots=True)
class SeriesTally:
    """One series of a device on a day.

    Attributes:
        expected: slots.
        observed: of these, not missing.
        flagged: of these, suspect or bad.
        coverage: valid ÷ expected; None where nothing was expected.
        is_complete: as `daily_aggregates` says.
        complete_hours: so many hours are complete;
        hour_count: of so many.
        spoke: which rules spoke together, and how often.
        apart: how far it was from others, where it was called apart.
        cycle_s: how long a measuring cycle took, in seconds, where values were of the cycle of the one before.
    """

    expected: int
    observed: int
    flagged: int
    coverage: float | None
    is_complete: bool
    complete_hours: int
    hour_count: int
    spoke: Sequence[Spoke] = ()
    apart: Apart | None = None
    cycle_s: float | None = None

    @property
    def missing(self) -> int:
        """Slots without a value."""
        return self.expected - self.observed

    def spoken_by(self, *rules: str) -> int:
        """How many observations any of these rules spoke about."""
        bits = sum(RULE_BITS[rule] for rule in rules)
        return sum(one.times for one in self.spoke if one.bits & bits)

    def first_of(self, rule: str) -> int | None:
        """The first slot that a rule spoke about, ms UTC."""
        return min((one.first for one in self.spoke if one.bits & RULE_BITS[rule]), default=None)


Tally = Mapping[str, SeriesTally]
"""Series to how it fared, of one device on one day."""


def tally_of(
    day: pa.Table,
    spoken: Mapping[str, Sequence[Spoke]],
    apart: Mapping[str, Apart],
    cycles: Mapping[str, float] = MappingProxyType({}),
) -> Tally:
    """The tally of one device, from its rows of `daily_aggregates` and what was counted of its observations."""
    found = {}
    columns = (day.column(name).to_pylist() for name in OF_THE_DAY)
    for name, expected, observed, suspect, bad, coverage, is_complete, hours, of in zip(*columns, strict=True):
        found[name] = SeriesTally(
            expected,
            observed,
            suspect + bad,
            coverage,
            is_complete,
            hours,
            of,
            spoken.get(name, ()),
            apart.get(name),
            cycles.get(name),
        )
    return found


def spoken_of(observations: pa.Table) -> dict[str, list[Spoke]]:
    """Series to which rules spoke together of its suspect and bad rows; of one device, and only such series."""
    chosen = observations.filter((pc.field("rules") > 0) & pc.field("flag").isin(_AGAINST))
    columns = [chosen.column("series").cast(pa.string()), chosen.column("rules"), chosen.column("observed_at")]
    plain = pa.Table.from_arrays(columns, names=["series", "rules", "at"])
    counted = plain.group_by(["series", "rules"]).aggregate([("at", "count"), ("at", "min")])
    found: dict[str, list[Spoke]] = {}
    firsts = counted.column("at_min").cast(pa.int64())
    counts = (counted.column(name) for name in ("series", "rules", "at_count"))
    for series, *spoke in zip(*(column.to_pylist() for column in (*counts, firsts)), strict=True):
        found.setdefault(series, []).append(Spoke(*spoke))
    return found


def apart_of(observations: pa.Table, compared: Iterable[Sequence[str]]) -> dict[str, Apart]:
    """Each series of a device that was called apart, with how far.

    Args:
        observations: the rows of the device.
        compared: the series that the rule compares with each other, parameter by parameter.
    """
    found = {}
    for members in compared:
        of_members = pc.is_in(observations.column("series").cast(pa.string()), pa.array(members, pa.string()))
        frame = observations.filter(of_members).to_pandas().astype({"series": "str"})
        usable = frame[frame["flag"] != Flag.BAD]
        values = usable.pivot_table(index="observed_at", columns="series", values="value", aggfunc="first")
        said = usable[(usable["rules"] & APART != 0) & (usable["flag"] == Flag.SUSPECT)]
        for name, rows in said.groupby("series"):
            of_then = values.loc[rows["observed_at"]]
            others = of_then.drop(columns=name).median(axis=1)
            if others.notna().any():
                found[str(name)] = Apart(float((of_then[name] - others).median()), float(others.median()))
    return found


def cycles_of(observations: pa.Table) -> dict[str, float]:
    """Each series of a device that was read again within a measuring cycle, with how long a cycle took, in seconds.

    From one value that was measured anew to the next one, on average, where no slot between them is without a value. A
    series of too few cycles is left out.

    Args:
        observations: the rows of the device.
    """
    frame = observations.select(OF_EACH).to_pandas().astype({"series": "str"})
    found = {}
    for name, rows in frame.groupby("series"):
        again, missing = rows["rules"].to_numpy() & AGAIN != 0, rows["flag"].to_numpy() == Flag.MISSING
        if not again.any():
            continue
        anew = np.flatnonzero(~again & ~missing)
        gaps = np.cumsum(missing)[anew]
        at = rows["observed_at"].dt.tz_convert("UTC").dt.as_unit("ms").astype("int64").to_numpy()[anew]
        took = np.diff(at)[np.diff(gaps) == 0] / 1000
        if len(took) >= _FEWEST_CYCLES:
            found[str(name)] = float(took[took <= _LONGEST_CYCLE * np.median(took)].mean())
    return found

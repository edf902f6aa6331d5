"""A device's day in numbers: how often each rule spoke of each series, and how far its thermometers were apart.

Belongs here: counting what a built day says. Does not: what it means for the hardware (`health`), flagging (`flags`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.rules import RULE_BITS

OF_THE_DAY = ("series", "expected_count", "observed_count", "suspect_count", "bad_count", "coverage", "is_complete")
"""The columns of `daily_aggregates` that are counted."""
OF_EACH = ("series", "observed_at", "value", "flag", "rules")
"""The columns of `observations` that are counted."""
_APART = RULE_BITS["thermometers_apart"]
_NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SeriesTally:
    """One series of a device on a day.

    Attributes:
        expected: slots.
        observed: of these, not missing.
        flagged: of these, suspect or bad.
        coverage: valid ÷ expected; None where nothing was expected.
        is_complete: as `daily_aggregates` says.
        spoke: the bits of rules to how many observations just these rules spoke about.
        first: the same bits to the first such slot, ms UTC.
        apart: where it was called apart, by how much it was above the device's others of its parameter, in their unit:
            the median; None where it was not.
        others: what these said then, in the median.
    """

    expected: int
    observed: int
    flagged: int
    coverage: float | None
    is_complete: bool
    spoke: Mapping[int, int] = field(default_factory=lambda: _NONE)
    first: Mapping[int, int] = field(default_factory=lambda: _NONE)
    apart: float | None = None
    others: float | None = None

    def spoken_by(self, *rules: str) -> int:
        """How many observations any of these rules spoke about."""
        bits = sum(RULE_BITS[rule] for rule in rules)
        return sum(count for spoke, count in self.spoke.items() if spoke & bits)

    def first_of(self, rule: str) -> int | None:
        """The first slot that a rule spoke about, ms UTC."""
        return min((at for spoke, at in self.first.items() if spoke & RULE_BITS[rule]), default=None)


Tally = Mapping[str, SeriesTally]
"""Series to how it fared, of one device on one day."""


def tally_of(day: pa.Table, observations: pa.Table | None = None, compared: Iterable[Collection[str]] = ()) -> Tally:
    """The tally of one device.

    Args:
        day: its rows of `daily_aggregates`.
        observations: its rows; None where no rule spoke, which need not be read then.
        compared: the series that the rule `thermometers_apart` compares with each other, parameter by parameter.
    """
    spoke = {} if observations is None else _spoke(observations)
    apart: dict[str, tuple[float, float]] = {}
    if observations is not None:
        said = {name for name, (counts, _) in spoke.items() if any(bits & _APART for bits in counts)}
        for members in compared:
            apart |= _apart(observations, sorted(said.intersection(members)), members)
    found = {}
    for name, expected, observed, suspect, bad, coverage, complete in zip(
        *(day.column(name).to_pylist() for name in OF_THE_DAY), strict=True
    ):
        counts, first = spoke.get(name, (_NONE, _NONE))
        found[name] = SeriesTally(
            expected, observed, suspect + bad, coverage, complete, counts, first, *apart.get(name, (None, None))
        )
    return found


def _spoke(observations: pa.Table) -> dict[str, tuple[dict[int, int], dict[int, int]]]:
    """Series to how many observations, and the first, of each combination of rules that spoke."""
    chosen = observations.select(["series", "rules", "observed_at"]).filter(pc.field("rules") > 0)
    chosen = chosen.set_column(0, "series", chosen.column("series").cast(pa.string()))
    counted = chosen.group_by(["series", "rules"]).aggregate([("observed_at", "count"), ("observed_at", "min")])
    firsts = counted.column("observed_at_min").cast(pa.int64()).to_pylist()
    counts = (counted.column(name).to_pylist() for name in ("series", "rules", "observed_at_count"))
    found: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
    for series, bits, count, first in zip(*counts, firsts, strict=True):
        of_series = found.setdefault(series, ({}, {}))
        of_series[0][bits], of_series[1][bits] = count, first
    return found


def _apart(observations: pa.Table, names: Sequence[str], members: Collection[str]) -> dict[str, tuple[float, float]]:
    """Each series that was called apart: how far it was above the others of its parameter then, and what these said."""
    if not names:
        return {}
    of_members = pc.is_in(observations.column("series").cast(pa.string()), pa.array(sorted(members)))
    frame = observations.filter(of_members).to_pandas().astype({"series": "str"})
    usable = frame[frame["flag"] != Flag.BAD]
    values = usable.pivot_table(index="observed_at", columns="series", values="value", aggfunc="first")
    found = {}
    for name in names:
        at = pd.Index(usable.loc[(usable["series"] == name) & (usable["rules"] & _APART != 0), "observed_at"])
        others = values.loc[at].drop(columns=name).median(axis=1)
        if others.notna().any():
            found[name] = float((values.loc[at, name] - others).median()), float(others.median())
    return found
